//! Conversations as rows of a list.

use instar_protocol::message::{Entry, EntryBody};
use instar_protocol::model::ModelRef;
use instar_protocol::{AgentId, SessionKey};
use instar_store::{SessionRow, StoreError};
use serde_json::{Value, json};

use super::message::{context_tokens, words};
use super::{cut, dollars};
use crate::app::App;

/// Entries that are looked at for the last words and the last model call.
const LOOK_BACK: usize = 6;
/// The most characters of the last words.
const PREVIEW_CHARS: usize = 160;

/// What of a row costs a look into the transcript.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) title: bool,
    pub(crate) last_message: bool,
}

/// One conversation.
pub(crate) async fn row(app: &App, row: &SessionRow, extras: Extras) -> Result<Value, StoreError> {
    let newest = app.store.branch(&row.id, None, LOOK_BACK).await?;
    let mut shown = plain(app, row);
    if let Some(tokens) = newest.iter().find_map(tokens_of) {
        shown["totalTokens"] = json!(tokens);
        shown["totalTokensFresh"] = json!(true);
    }
    if let Some(run) = newest.iter().find_map(|entry| entry.run.as_ref()) {
        shown["lastRunId"] = json!(app.control.runs.name_of(run));
    }
    if let Some(title) = row.title.as_deref().filter(|_| extras.title) {
        shown["derivedTitle"] = json!(title);
    }
    if extras.last_message
        && let Some((_, text)) = newest.iter().find_map(words)
    {
        shown["lastMessagePreview"] = json!(cut(text.trim(), PREVIEW_CHARS));
    }
    Ok(shown)
}

/// The same without a look into the transcript.
pub(crate) fn plain(app: &App, row: &SessionRow) -> Value {
    let model = model_of(app, row);
    let running = app.sessions.is_running(&row.key);
    let mut shown = json!({
        "key": row.key,
        "kind": kind(&row.key),
        "sessionId": row.id,
        "agentId": row.agent,
        "isMain": row.key.is_main(),
        "createdAt": row.created_at.millis(),
        "updatedAt": row.updated_at.millis(),
        "lastActivityAt": row.updated_at.millis(),
        "lastInteractionAt": row.updated_at.millis(),
        "archived": false,
        "hasActiveRun": running,
        "status": if running { "running" } else { "done" },
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "estimatedCostUsd": dollars(row.cost_micros),
    });
    if let Some(title) = &row.title {
        shown["label"] = json!(title);
        shown["displayName"] = json!(title);
    }
    if let Some(parent) = &row.parent {
        shown["spawnedBy"] = json!(parent);
        shown["parentSessionKey"] = json!(parent);
    }
    if let Some(model) = &model {
        shown["model"] = json!(model.model());
        shown["modelProvider"] = json!(model.provider());
        shown["contextTokens"] = json!(app.models.context_window(model));
    }
    if row.model.is_some() {
        shown["modelOverrideSource"] = json!("user");
    }
    if shown["kind"] == "direct" || shown["kind"] == "group" {
        shown["chatType"] = shown["kind"].clone();
    }
    shown
}

/// The model that the next message of a conversation is answered by.
pub(crate) fn model_of(app: &App, row: &SessionRow) -> Option<ModelRef> {
    row.model
        .as_deref()
        .and_then(ModelRef::parse)
        .or_else(|| agent_model(app, &row.agent))
}

/// The model that an agent answers with when a conversation says nothing.
pub(crate) fn agent_model(app: &App, agent: &AgentId) -> Option<ModelRef> {
    let release = app.releases.stable()?;
    let agent = release.behaviour.agents.get(agent.as_str())?;
    ModelRef::parse(&agent.route.primary)
}

/// What holds where a conversation says nothing.
pub(crate) fn defaults(app: &App, agent: &AgentId) -> Value {
    match agent_model(app, agent) {
        None => json!({ "modelProvider": null, "model": null, "contextTokens": null }),
        Some(model) => json!({
            "modelProvider": model.provider(),
            "model": model.model(),
            "contextTokens": app.models.context_window(&model),
        }),
    }
}

fn kind(key: &SessionKey) -> &'static str {
    let Some(tail) = key.as_str().strip_prefix("agent:") else {
        return if key.as_str() == "global" {
            "global"
        } else {
            "unknown"
        };
    };
    let grouped = tail
        .split(':')
        .any(|word| word == "group" || word == "channel");
    if grouped { "group" } else { "direct" }
}

fn tokens_of(entry: &Entry) -> Option<u64> {
    match &entry.body {
        EntryBody::Assistant { usage, .. } => {
            Some(context_tokens(*usage)).filter(|tokens| *tokens > 0)
        }
        EntryBody::User { .. }
        | EntryBody::ToolResult { .. }
        | EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => None,
    }
}
