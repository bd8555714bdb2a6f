//! What the session tools see of the store: the port of [`instar_tools`], filled in.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::{AgentId, Clock, Label, SessionId, SessionKey, Timestamp};
use instar_release::Releases;
use instar_store::{SessionFilter, SessionRow, Store};
use instar_tools::{Caller, SessionsPort, ToolError};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::ranking;

/// The most rows that one call gets.
const ROWS_MAX: usize = 100;
/// The most characters of one row of history.
const ROW_CHARS_MAX: usize = 2_000;

/// The sessions of a store, for tools. An agent sees its own sessions only.
#[derive(Debug, Clone)]
pub struct StoredSessions {
    store: Store,
    releases: Releases,
    clock: Arc<dyn Clock>,
}

impl StoredSessions {
    #[must_use]
    pub fn new(store: Store, releases: Releases, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            releases,
            clock,
        }
    }

    async fn status_of(&self, session: &SessionId) -> Result<Value, ToolError> {
        let row = self
            .store
            .session(session)
            .await
            .map_err(|_| unreadable())?;
        let Some(row) = row else {
            // A turn is stored when it ends: in its first one a conversation is nowhere else.
            return Ok(json!({
                "entries": 0,
                "inputTokens": 0,
                "outputTokens": 0,
                "costMicros": 0,
                "note": "this is the first turn; the numbers begin when it is over",
            }));
        };
        Ok(json!({
            "key": row.key,
            "agent": row.agent,
            "model": row.model.as_deref().unwrap_or("the agent's default"),
            "createdAt": iso(row.created_at),
            "entries": row.entries,
            "inputTokens": row.input_tokens,
            "outputTokens": row.output_tokens,
            "costMicros": row.cost_micros,
        }))
    }

    async fn rows(
        &self,
        agent: &AgentId,
        limit: usize,
        search: Option<&str>,
    ) -> Result<Value, ToolError> {
        let filter = SessionFilter {
            agent: Some(agent.clone()),
            search: search.map(str::to_owned),
            deleted: false,
            limit: limit.clamp(1, ROWS_MAX),
            before: None,
        };
        let rows = self
            .store
            .sessions(filter)
            .await
            .map_err(|_| unreadable())?;
        Ok(rows.iter().map(line).collect())
    }

    async fn lines(
        &self,
        agent: &AgentId,
        key: &str,
        limit: usize,
    ) -> Result<(Value, Label), ToolError> {
        let key =
            SessionKey::parse(key).map_err(|error| ToolError::Arguments(error.to_string()))?;
        let row = self
            .store
            .session_by_key(&key)
            .await
            .map_err(|_| unreadable())?;
        // Another agent's conversation is answered like one that does not exist.
        let row = row
            .filter(|row| &row.agent == agent && row.deleted_at.is_none())
            .ok_or_else(|| {
                ToolError::Failed(format!("there is no conversation {key} of this agent"))
            })?;
        let limit = limit.clamp(1, ROWS_MAX);
        let entries = self
            .store
            .branch(&row.id, None, limit)
            .await
            .map_err(|_| unreadable())?;
        let mut label = Label::system();
        let mut lines = Vec::new();
        for entry in entries.iter().rev() {
            if let Some(line) = spoken(entry) {
                label = label.join(&entry.label);
                lines.push(line);
            }
        }
        Ok((Value::Array(lines), label))
    }
}

impl SessionsPort for StoredSessions {
    fn status<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<Value, ToolError>> {
        self.status_of(session).boxed()
    }

    fn list<'a>(
        &'a self,
        agent: &'a AgentId,
        limit: usize,
        search: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Value, ToolError>> {
        self.rows(agent, limit, search).boxed()
    }

    fn history<'a>(
        &'a self,
        agent: &'a AgentId,
        key: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>> {
        self.lines(agent, key, limit).boxed()
    }

    fn search<'a>(
        &'a self,
        caller: &'a Caller,
        words: &'a [String],
    ) -> BoxFuture<'a, Result<(Value, Label), ToolError>> {
        let now = self.clock.now();
        ranking::search(&self.store, &self.releases, caller, words, now)
            .map_err(|_| unreadable())
            .boxed()
    }
}

fn unreadable() -> ToolError {
    ToolError::Failed("the conversations cannot be read right now".to_owned())
}

fn line(row: &SessionRow) -> Value {
    json!({
        "key": row.key,
        "title": row.title,
        "updatedAt": iso(row.updated_at),
        "entries": row.entries,
    })
}

/// What was said, by whom; notices and other marks are left out.
fn spoken(entry: &Entry) -> Option<Value> {
    let (who, text) = match &entry.body {
        EntryBody::User { parts, .. } => ("user", plain_text(parts)),
        EntryBody::Assistant { text, .. } => ("assistant", text.clone()),
        EntryBody::ToolResult { tool, text, .. } => ("tool", format!("{tool}: {text}")),
        EntryBody::Compaction { summary, .. } => ("summary", summary.clone()),
        EntryBody::Reset { .. } | EntryBody::ModelChange { .. } | EntryBody::Notice { .. } => {
            return None;
        }
    };
    let text: String = text.chars().take(ROW_CHARS_MAX).collect();
    Some(json!({ "at": iso(entry.at), "who": who, "text": text }))
}

pub(crate) fn iso(at: Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| String::new(), |time| time.to_string())
}
