//! `sessions_list`: the agent's own conversations.

use futures_util::future::BoxFuture;
use instar_policy::{Annotation, FieldRole, Kind};
use instar_protocol::tool::ToolSpec;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::annotate::field;
use crate::plain::{number, spec};
use crate::tool::{Caller, Output, SessionsPort, Tool, ToolError};

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct SessionsList {
    sessions: Arc<dyn SessionsPort>,
    spec: ToolSpec,
}

impl SessionsList {
    pub(super) fn new(sessions: Arc<dyn SessionsPort>) -> Self {
        Self {
            sessions,
            spec: spec(
                "sessions_list",
                "Lists your conversations, newest first: key, title, time of the last change.",
                &json!({
                    "limit": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": LIMIT_MAX,
                        "description": "How many, 20 if left out.",
                    },
                    "search": {
                        "type": "string",
                        "minLength": 1,
                        "maxLength": 200,
                        "description": "Only conversations with this text in their key or title.",
                    },
                }),
                &[],
            ),
        }
    }
}

/// Puts the conversation that asks in front if it is not stored yet.
fn add_present(list: &mut Value, caller: &Caller, limit: usize, search: Option<&str>) {
    let key = caller.key.to_string();
    let Value::Array(rows) = list else {
        return;
    };
    // A full list may hold it further down.
    let is_known = rows.len() >= limit || rows.iter().any(|row| row["key"] == key.as_str());
    let is_meant = search.is_none_or(|search| key.contains(search));
    if !is_known && is_meant {
        let note = "this conversation; it is stored when its first turn is over";
        rows.insert(
            0,
            json!({ "key": key, "title": null, "entries": 0, "note": note }),
        );
    }
}

impl Tool for SessionsList {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    /// Titles are made from what people wrote, so the list speaks with a stranger's voice. Keys and
    /// times are the gateway's.
    fn annotation(&self) -> Annotation {
        let system = |path, kind| field(path, kind, FieldRole::System);
        Annotation {
            connector: "sessions".to_owned(),
            fields: vec![
                system("[].key", Kind::Channel),
                system("[].updatedAt", Kind::Date),
                system("[].entries", Kind::Number),
            ],
            ..Annotation::reads(Label::system().join(&Label::stranger(Readers::Private)))
        }
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        Box::pin(async move {
            let limit = number(arguments, "limit", LIMIT_DEFAULT).min(LIMIT_MAX);
            let search = arguments.get("search").and_then(Value::as_str);
            let mut list = self.sessions.list(&caller.agent, limit, search).await?;
            add_present(&mut list, caller, limit, search);
            Ok(Output::structured(list, self.annotation().output))
        })
    }
}
