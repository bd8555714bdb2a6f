//! The tools that only look: status, models, conversations, messages, events.

use std::time::Duration;

use instar_protocol::event::Event;
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::tool::{ToolCall, ToolDecision};
use instar_protocol::{EntryId, EventId, Timestamp};
use instar_store::EventFilter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::server::Server;
use super::tools::answer;
use crate::api::queries::{self, SessionsQuery};
use crate::api::{self};
use crate::app::AppState;
use crate::problem::ApiProblem;

/// The most of one message's text that a page carries.
pub(super) const TEXT_BYTES_MAX: usize = 64 * 1024;
/// A page ends before the message that would make it longer than this.
const PAGE_BYTES_MAX: usize = 256 * 1024;
/// The most messages of a page, and events of an answer.
const ROWS_MAX: usize = 200;
const ROWS: usize = 50;
/// The longest wait for an event.
const WAIT_SECONDS_MAX: u64 = 60;
const WAIT_SECONDS: u64 = 25;
/// How often the log is looked at while somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct List {
    /// Only conversations of this agent.
    #[serde(default)]
    agent: Option<String>,
    /// Only conversations whose title or key has these words.
    #[serde(default)]
    #[schemars(length(max = 200))]
    search: Option<String>,
    /// How many: 50 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Get {
    /// A conversation's id (`ses_…`) or key (`agent:main:main`, or `main`).
    pub(super) conversation: String,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Read {
    /// A conversation's id (`ses_…`) or key (`agent:main:main`, or `main`).
    conversation: String,
    /// How many: 50 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
    /// `next` of the page before: goes on with the older messages.
    #[serde(default)]
    cursor: Option<String>,
}

#[derive(Deserialize, JsonSchema, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Wait {
    /// `next` of the answer before. When absent, waits for what happens from now on.
    #[serde(default)]
    after: Option<String>,
    /// Only events of this conversation (id or key).
    #[serde(default)]
    conversation: Option<String>,
    /// Only events of this kind: `message_in`, `message_out`, `turn`, `model_call`, `tool_call`, `error`, …
    #[serde(default)]
    #[schemars(length(max = 64))]
    kind: Option<String>,
    /// How long to wait: 25 when absent; 0 only looks.
    #[serde(default)]
    #[schemars(range(min = 0, max = 60))]
    wait_seconds: Option<u64>,
    /// How many: 50 when absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 200))]
    limit: Option<usize>,
}

pub(super) async fn status(server: &Server) -> Result<Value, ApiProblem> {
    answer(&api::status(&server.app).await?)
}

pub(super) fn models(server: &Server) -> Result<Value, ApiProblem> {
    answer(&json!({ "models": api::models(&server.app) }))
}

pub(super) async fn list(server: &Server, wanted: List) -> Result<Value, ApiProblem> {
    let before = wanted.cursor.as_deref().map(moment).transpose()?;
    let query = SessionsQuery {
        agent: wanted.agent,
        search: wanted.search,
        deleted: false,
        limit: Some(queries::page("limit", wanted.limit, ROWS, ROWS_MAX)?),
        before,
    };
    let mut page = queries::sessions(&server.app.store, &query).await?;
    for session in &mut page.sessions {
        api::mark_running(&server.app, session);
    }
    answer(&json!({
        "conversations": page.sessions,
        "next": page.next.map(cursor),
    }))
}

pub(super) async fn get(server: &Server, wanted: Get) -> Result<Value, ApiProblem> {
    let row = queries::find_session(&server.app.store, &wanted.conversation).await?;
    let mut session = queries::session_info(&row);
    api::mark_running(&server.app, &mut session);
    answer(&json!({ "conversation": session }))
}

pub(super) async fn messages(server: &Server, wanted: Read) -> Result<Value, ApiProblem> {
    let limit = queries::page("limit", wanted.limit, ROWS, ROWS_MAX)?;
    let from = wanted.cursor.as_deref().map(entry).transpose()?;
    let store = &server.app.store;
    let row = queries::find_session(store, &wanted.conversation).await?;
    let entries = store.branch(&row.id, from, limit + 1).await?;
    if wanted.cursor.is_some() && entries.is_empty() {
        return Err(ApiProblem::invalid(
            "cursor: this conversation has no such message",
        ));
    }
    let (messages, next) = page(entries, limit);
    answer(&json!({
        "conversation": row.id,
        "messages": messages,
        "next": next,
    }))
}

/// Turns entries, newest first, into a page, oldest first, and says where the one before it ends.
fn page(entries: Vec<Entry>, limit: usize) -> (Vec<Message>, Option<EntryId>) {
    let mut messages = Vec::new();
    let mut bytes = 0;
    let mut next = None;
    for entry in entries {
        let id = entry.id.clone();
        let message = Message::of(entry);
        bytes += message.text.len();
        // The first always fits: its text is bounded.
        if messages.len() == limit || (bytes > PAGE_BYTES_MAX && !messages.is_empty()) {
            next = Some(id);
            break;
        }
        messages.push(message);
    }
    messages.reverse();
    (messages, next)
}

/// One entry of a conversation, as clients read it.
#[derive(Serialize, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    id: EntryId,
    pub(super) at: Timestamp,
    pub(super) role: &'static str,
    pub(super) text: String,
    /// True if the text goes on beyond what is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<ToolDecision>,
}

impl Message {
    pub(super) fn of(entry: Entry) -> Self {
        let mut message = Self {
            id: entry.id,
            at: entry.at,
            role: "notice",
            text: String::new(),
            cut: false,
            model: None,
            tool_calls: Vec::new(),
            tool: None,
            decision: None,
        };
        match entry.body {
            EntryBody::User { parts, .. } => {
                message.role = "user";
                message.text = plain_text(&parts);
            }
            EntryBody::Assistant {
                text,
                tool_calls,
                model,
                ..
            } => {
                message.role = "assistant";
                message.text = text;
                message.tool_calls = tool_calls;
                message.model = Some(model.to_string());
            }
            EntryBody::ToolResult {
                tool,
                text,
                decision,
                ..
            } => {
                message.role = "tool";
                message.text = text;
                message.tool = Some(tool);
                message.decision = Some(decision);
            }
            EntryBody::Compaction { summary, .. } => {
                message.role = "summary";
                message.text = summary;
            }
            EntryBody::Reset { reason } => message.text = format!("started over: {reason}"),
            EntryBody::ModelChange { model } => {
                let name = model.map_or_else(|| "the agent's own".to_owned(), |m| m.to_string());
                message.text = format!("model: {name}");
            }
            EntryBody::Notice { text, .. } => message.text = text,
        }
        if message.text.len() > TEXT_BYTES_MAX {
            let end = message.text.floor_char_boundary(TEXT_BYTES_MAX);
            message.text.truncate(end);
            message.cut = true;
        }
        message
    }
}

pub(super) async fn wait(server: &Server, wanted: Wait) -> Result<Value, ApiProblem> {
    let app = &server.app;
    let limit = queries::page("limit", wanted.limit, ROWS, ROWS_MAX)?;
    let seconds = wanted.wait_seconds.unwrap_or(WAIT_SECONDS);
    if seconds > WAIT_SECONDS_MAX {
        return Err(ApiProblem::invalid(format!(
            "waitSeconds: at most {WAIT_SECONDS_MAX}"
        )));
    }
    if wanted.kind.as_ref().is_some_and(|kind| kind.len() > 64) {
        return Err(ApiProblem::invalid("kind: at most 64 bytes"));
    }
    let session = match &wanted.conversation {
        Some(name) => Some(queries::find_session(&app.store, name).await?.id),
        None => None,
    };
    let after = match wanted.after.as_deref().map(api::event_id).transpose()? {
        Some(after) => Some(after),
        None => newest(app).await?,
    };
    let filter = EventFilter {
        after: after.clone(),
        kind: wanted.kind,
        session,
        since: None,
        limit,
    };
    let events = look(app, filter, Duration::from_secs(seconds)).await?;
    let next = events.last().map(|event| event.id.clone()).or(after);
    answer(&json!({ "events": events, "next": next }))
}

/// Looks until there is something, the time is over, or the gateway stops.
async fn look(
    app: &AppState,
    filter: EventFilter,
    patience: Duration,
) -> Result<Vec<Event>, ApiProblem> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let mut events = app.store.events(filter.clone()).await?;
        if filter.after.is_none() {
            // Without a place to go on from, the newest come first.
            events.reverse();
        }
        if !events.is_empty() || tokio::time::Instant::now() >= deadline {
            return Ok(events);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.closing.cancelled() => return Ok(events),
        }
    }
}

async fn newest(app: &AppState) -> Result<Option<EventId>, ApiProblem> {
    let filter = EventFilter {
        after: None,
        kind: None,
        session: None,
        since: None,
        limit: 1,
    };
    let newest = app.store.events(filter).await?.pop();
    Ok(newest.map(|event| event.id))
}

/// Where a page of conversations ends, as clients hand it back.
pub(super) fn cursor(at: Timestamp) -> String {
    at.millis().to_string()
}

pub(super) fn moment(cursor: &str) -> Result<u64, ApiProblem> {
    cursor.parse().map_err(|_| {
        ApiProblem::invalid("cursor: this is not one that was given out")
            .next("leave it away for the first page")
    })
}

fn entry(cursor: &str) -> Result<EntryId, ApiProblem> {
    let plain = cursor.len() <= 64
        && cursor
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain {
        Ok(EntryId::from_stored(cursor))
    } else {
        Err(ApiProblem::invalid(
            "cursor: this is not one that was given out",
        ))
    }
}
