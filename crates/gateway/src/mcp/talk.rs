//! The tools that do something: send a message, stop a turn.

use std::sync::Arc;
use std::time::Duration;

use instar_protocol::api::SendMessage;
use instar_protocol::live::Outcome;
use instar_protocol::session::SessionKey;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::Get;
use super::server::Server;
use super::tools::answer;
use crate::api::{self, Keys, queries};
use crate::problem::ApiProblem;

/// The longest wait for an answer.
const WAIT_SECONDS_MAX: u64 = 600;
const WAIT_SECONDS: u64 = 120;

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Send {
    /// A conversation's key or id; the main conversation when absent. A new key begins a new one.
    #[serde(default)]
    conversation: Option<String>,
    /// What to say.
    #[schemars(length(min = 1))]
    text: String,
    /// How long to wait for the answer: 120 when absent; 0 returns once the message is stored. The
    /// message is answered in any case.
    #[serde(default)]
    #[schemars(range(min = 0, max = 600))]
    wait_seconds: Option<u64>,
    /// A configured model for this one message, as `models_list` names it.
    #[serde(default)]
    model: Option<String>,
    /// Your own key for this message: the same key in the same conversation never runs twice.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    idempotency_key: Option<String>,
}

/// Stores the message, and waits for its answer as long as its sender likes.
pub(super) async fn send(server: &Server, message: Send) -> Result<Value, ApiProblem> {
    let app = &server.app;
    let seconds = message.wait_seconds.unwrap_or(WAIT_SECONDS);
    if seconds > WAIT_SECONDS_MAX {
        return Err(ApiProblem::invalid(format!(
            "waitSeconds: at most {WAIT_SECONDS_MAX}"
        )));
    }
    let session = match message.conversation {
        Some(name) if name.starts_with("ses_") => {
            let row = queries::find_session(&app.store, &name).await?;
            Some(row.key.to_string())
        }
        named => named,
    };
    let sent = SendMessage {
        session,
        text: message.text,
        idempotency_key: message.idempotency_key,
        model: message.model,
        attachments: Vec::new(),
        attachments_of: None,
        parent: None,
    };
    let inbound = api::inbound(app, &server.caller, Keys::Plain, sent).await?;
    let submitted = app.sessions.submit(inbound).await?;
    let outcome = tokio::select! {
        outcome = submitted.outcome => outcome.ok(),
        () = tokio::time::sleep(Duration::from_secs(seconds)) => None,
        () = app.closing.cancelled() => None,
    };
    let shown = json!({
        "conversation": submitted.session,
        "message": submitted.inbound,
        "duplicate": submitted.is_duplicate,
    });
    told(shown, outcome)
}

fn told(mut shown: Value, outcome: Option<Arc<Outcome>>) -> Result<Value, ApiProblem> {
    let Some(outcome) = outcome else {
        shown["status"] = json!("accepted");
        shown["hint"] =
            json!("the answer comes later: read it with messages_read, or wait with events_wait");
        return Ok(shown);
    };
    if let Some(error) = &outcome.error {
        return Err(ApiProblem::unavailable(error.message.clone()).next(error.next_step.clone()));
    }
    shown["status"] = answer(&outcome.status)?;
    shown["text"] = json!(outcome.text);
    shown["model"] = json!(outcome.model.as_ref().map(ToString::to_string));
    shown["costMicros"] = json!(outcome.cost_micros);
    Ok(shown)
}

pub(super) async fn stop(server: &Server, wanted: Get) -> Result<Value, ApiProblem> {
    let key = match SessionKey::parse(&wanted.conversation) {
        Ok(key) => key,
        Err(_) => {
            queries::find_session(&server.app.store, &wanted.conversation)
                .await?
                .key
        }
    };
    Ok(json!({ "stopped": server.app.sessions.stop(&key).await }))
}
