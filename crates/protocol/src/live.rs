//! What watchers of a session see while a turn runs. Never stored: the transcript is the truth.

use serde::{Deserialize, Serialize};

use crate::id::{EntryId, InboundId, OutboxId, RunId};
use crate::message::{Entry, NoticeKind};
use crate::model::{ModelRef, StopReason, Usage};
use crate::tool::{ToolCall, ToolDecision};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum LiveEvent {
    /// A message was stored and waits its turn.
    Accepted {
        inbound: InboundId,
    },
    /// A turn began; it answers these messages.
    Started {
        run: RunId,
        inbound: Vec<InboundId>,
    },
    /// More of the answer's text.
    Text {
        run: RunId,
        delta: String,
    },
    Reasoning {
        run: RunId,
        delta: String,
    },
    ToolCall {
        run: RunId,
        call: ToolCall,
    },
    ToolResult {
        run: RunId,
        call_id: String,
        decision: ToolDecision,
        is_error: bool,
        text: String,
    },
    /// The transcript goes on behind this entry, or from its root: what stood there after it is on
    /// another branch now.
    Moved {
        leaf: Option<EntryId>,
    },
    /// An entry was stored.
    Stored {
        entry: EntryId,
    },
    Notice {
        kind: NoticeKind,
        text: String,
    },
    /// The turn is over and everything of it is durable.
    Done {
        run: RunId,
        outcome: Outcome,
    },
}

/// The end of a turn, as its asker sees it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub status: OutcomeStatus,
    pub text: String,
    /// Calls to the API client's own tools, for it to run.
    pub client_calls: Vec<ToolCall>,
    pub stop: StopReason,
    pub model: Option<ModelRef>,
    pub usage: Usage,
    pub cost_micros: u64,
    pub error: Option<UserError>,
    /// The reply's row in the outbox, for whoever delivers it over a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<OutboxId>,
    /// The entries that the turn stored, oldest first.
    pub entries: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    Ok,
    Failed,
    Aborted,
}

/// An error as the user reads it: what happened and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UserError {
    pub class: crate::event::ErrorClass,
    pub message: String,
    pub next_step: String,
}
