//! The built-in tools. Everything here reads; nothing writes, sends or executes.

mod session_status;
mod sessions_history;
mod sessions_list;

use std::sync::Arc;

use instar_policy::Annotation;
use instar_protocol::Label;
use instar_protocol::tool::ToolSpec;
use serde_json::{Value, json};

use crate::tool::{SessionsPort, Tool};

pub(crate) fn all(sessions: Arc<dyn SessionsPort>) -> [Arc<dyn Tool>; 3] {
    [
        Arc::new(session_status::SessionStatus::new(sessions.clone())),
        Arc::new(sessions_list::SessionsList::new(sessions.clone())),
        Arc::new(sessions_history::SessionsHistory::new(sessions)),
    ]
}

/// The annotation of a tool that reads the agent's own stores.
fn reads(output: Label) -> Annotation {
    Annotation::reads(output)
}

fn spec(name: &str, description: &str, properties: &Value, required: &[&str]) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }),
    }
}

/// The number under `key`, or `default`. The schema has checked its range.
fn number(arguments: &Value, key: &str, default: usize) -> usize {
    arguments
        .get(key)
        .and_then(Value::as_u64)
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(default)
}
