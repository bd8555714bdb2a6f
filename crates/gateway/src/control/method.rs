//! What a method is, and what it gets.

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

pub(crate) use super::frame::Refusal;
use super::link::{Link, Operator};
pub(crate) use super::scope::Scope;
use crate::app::AppState;

/// One method of the protocol. What stands in the table is what exists: dispatch and the list that
/// clients are told both come from it.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    /// Named to clients. Some can be called without being named, as in the protocol.
    pub(crate) advertised: bool,
    pub(crate) run: fn(Call) -> BoxFuture<'static, Result<Value, Refusal>>,
}

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    Scope(Scope),
    /// Decided from the parameters.
    Dynamic(fn(&Value) -> Scope),
}

impl Need {
    /// The scope that this call needs.
    pub(crate) fn of(self, params: &Value) -> Scope {
        match self {
            Self::Scope(scope) => scope,
            Self::Dynamic(decide) => decide(params),
        }
    }
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) app: AppState,
    pub(crate) who: Arc<Operator>,
    pub(crate) link: Arc<Link>,
    pub(crate) method: &'static str,
    pub(crate) id: String,
    pub(crate) params: Value,
}

impl Call {
    /// Strict parameters: what is not known is refused.
    pub(crate) fn params<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        self.read(&[])
    }

    /// The same, beside names that the protocol knows and that change nothing here.
    pub(crate) fn read<T: DeserializeOwned>(&self, beside: &[&str]) -> Result<T, Refusal> {
        let mut params = match &self.params {
            Value::Null => Value::Object(serde_json::Map::new()),
            params => params.clone(),
        };
        if let Value::Object(members) = &mut params {
            members.retain(|name, _| !beside.contains(&name.as_str()));
        }
        serde_json::from_value(params)
            .map_err(|error| wrong_params(self.method, &error.to_string()))
    }

    /// The first of two answers: that the request was taken. The method's result is the second.
    pub(crate) fn reply_first(&self, payload: Value) {
        self.link.reply(&self.id, &Ok(payload));
    }
}

/// A violation of a method's parameters, in the words that clients of the protocol know.
pub(crate) fn wrong_params(method: &str, why: &str) -> Refusal {
    let named = |beginning: &str| {
        why.strip_prefix(beginning)
            .and_then(|rest| rest.split('`').next())
    };
    let why = if let Some(name) = named("missing field `") {
        format!("must have required property '{name}'")
    } else if let Some(name) = named("unknown field `") {
        format!("must NOT have additional properties: '{name}'")
    } else {
        why.to_owned()
    };
    Refusal::invalid(format!("invalid {method} params: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Params {
        #[expect(dead_code, reason = "only its absence matters")]
        session_key: String,
    }

    #[test]
    fn violations_are_told_in_the_protocol_s_words() {
        let told = |json: Value| {
            let error = serde_json::from_value::<Params>(json).unwrap_err();
            wrong_params("chat.send", &error.to_string()).message
        };
        assert_eq!(
            told(serde_json::json!({})),
            "invalid chat.send params: must have required property 'sessionKey'"
        );
        assert_eq!(
            told(serde_json::json!({ "sessionKey": "main", "approved": true })),
            "invalid chat.send params: must NOT have additional properties: 'approved'"
        );
        assert!(told(serde_json::json!({ "sessionKey": 1 })).contains("invalid type"));
    }
}
