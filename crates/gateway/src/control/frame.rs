//! The frames of the protocol, as they stand on the wire.

use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest id of a request.
const ID_BYTES_MAX: usize = 256;

/// A request.
#[derive(Deserialize, Debug)]
pub(crate) struct Request {
    #[serde(rename = "type")]
    kind: String,
    pub(crate) id: String,
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Value,
}

/// What a text frame is.
#[derive(Debug)]
pub(crate) enum Read {
    Request(Request),
    /// Something else in the protocol's form.
    Other,
    NotJson,
}

pub(crate) fn read(text: &str) -> Read {
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => return Read::NotJson,
    };
    match serde_json::from_value::<Request>(value) {
        Ok(request) if request.kind == "req" && request.id.len() <= ID_BYTES_MAX => {
            Read::Request(request)
        }
        Ok(_) | Err(_) => Read::Other,
    }
}

/// A refused request, in the protocol's form.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// Boxed: refusals are rare, and results are moved about a lot.
    pub(crate) details: Option<Box<Value>>,
    pub(crate) retryable: bool,
    pub(crate) retry_after_ms: Option<u64>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retryable: false,
            retry_after_ms: None,
        }
    }

    /// The request is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("INVALID_REQUEST", message)
    }

    /// Who asks may not.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new("FORBIDDEN", message)
    }

    /// It cannot be done now; trying again can help.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::new("UNAVAILABLE", message)
        }
    }

    pub(crate) fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    pub(crate) fn after(mut self, millis: u64) -> Self {
        (self.retryable, self.retry_after_ms) = (true, Some(millis));
        self
    }

    /// The error object of a response.
    pub(crate) fn to_json(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(details) = &self.details {
            error["details"] = (**details).clone();
        }
        if self.retryable {
            error["retryable"] = true.into();
        }
        if let Some(millis) = self.retry_after_ms {
            error["retryAfterMs"] = millis.into();
        }
        error
    }
}

pub(crate) fn response(id: &str, result: &Result<Value, Refusal>) -> String {
    match result {
        Ok(payload) => json!({ "type": "res", "id": id, "ok": true, "payload": payload }),
        Err(refusal) => {
            json!({ "type": "res", "id": id, "ok": false, "error": refusal.to_json() })
        }
    }
    .to_string()
}

/// An event without its number, which each connection counts for itself. Made once for all.
#[derive(Clone, Debug)]
pub(crate) struct Event(Arc<str>);

impl Event {
    pub(crate) fn new(name: &str, payload: &Value) -> Self {
        Self::with(name, payload, None)
    }

    /// An event about presence or health, with the versions of both.
    pub(crate) fn with(name: &str, payload: &Value, versions: Option<Value>) -> Self {
        let mut frame = json!({ "type": "event", "event": name, "payload": payload });
        if let Some(versions) = versions {
            frame["stateVersion"] = versions;
        }
        let mut text = frame.to_string();
        // The closing brace comes with the number.
        let _brace = text.pop();
        Self(text.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn numbered(&self, seq: u64) -> String {
        format!("{},\"seq\":{seq}}}", self.0)
    }

    /// The one event that has no number.
    pub(crate) fn plain(&self) -> String {
        format!("{}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_gets_its_number_and_stays_json() {
        let event = Event::new("tick", &json!({ "ts": 1 }));
        let read: Value = serde_json::from_str(&event.numbered(7)).unwrap();
        assert_eq!(
            read,
            json!({ "type": "event", "event": "tick", "payload": { "ts": 1 }, "seq": 7 })
        );
        let read: Value = serde_json::from_str(&event.plain()).unwrap();
        assert_eq!(read.get("seq"), None);
    }

    #[test]
    fn only_requests_are_read_as_requests() {
        let fine = r#"{"type":"req","id":"1","method":"health","traceparent":"00-1"}"#;
        assert!(
            matches!(read(fine), Read::Request(r) if r.method == "health" && r.params.is_null())
        );
        for other in [
            r#"{"type":"res","id":"1","method":"health"}"#,
            r#"{"type":"req","id":1,"method":"health"}"#,
            r#"{"type":"req","id":"1"}"#,
            "[]",
            "1",
        ] {
            assert!(matches!(read(other), Read::Other), "{other}");
        }
        assert!(matches!(read("hello"), Read::NotJson));
    }
}
