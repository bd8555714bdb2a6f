//! Messages on their way in, in the transcript, and on their way out.

use serde::{Deserialize, Serialize};

use crate::errand::Errand;
use crate::id::{EntryId, InboundId, LetterId, ObjectHash, OutboxId, QuestionId, RunId, SessionId};
use crate::label::Label;
use crate::model::{ModelRef, Reasoning, Sampling, StopReason, ToolChoice, Usage};
use crate::principal::Principal;
use crate::session::SessionKey;
use crate::time::Timestamp;
use crate::tool::{ToolCall, ToolDecision, ToolSpec};

/// A piece of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Part {
    Text {
        text: String,
    },
    /// An image in the object store.
    Image {
        object: ObjectHash,
        mime: String,
    },
    /// Text of an attached file; always fenced as untrusted.
    File {
        object: ObjectHash,
        name: String,
        mime: String,
        text: String,
    },
}

/// A picture that a tool gave, in the object store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Picture {
    pub object: ObjectHash,
    pub mime: String,
    /// Where it lies, or what it shows: a path of the workspace for the most part.
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

impl Part {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// The plain text of some parts.
#[must_use]
pub fn plain_text(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        if let Part::Text { text } = part {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(text);
        }
    }
    out
}

/// A message that passed the door. Stored before it is acknowledged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Inbound {
    pub id: InboundId,
    pub session_key: SessionKey,
    pub principal: Principal,
    pub received_at: Timestamp,
    /// Where it came in and the answer goes out: `web`, `cli`, `openai`, a channel name later.
    pub surface: String,
    /// The sender's own key for this message; the same key never runs twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    pub parts: Vec<Part>,
    /// What happens to it if the process dies before the answer.
    pub on_restart: OnRestart,
    #[serde(default)]
    pub overrides: Overrides,
}

/// What becomes of an accepted message after a crash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRestart {
    /// The sender was told "accepted": answer it after the restart.
    Resume,
    /// The sender waited on a connection that died unanswered: show it as interrupted.
    Interrupt,
}

/// What a caller asks for this one turn.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Overrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    #[serde(default)]
    pub sampling: Sampling,
    /// The caller's own tools: their calls are handed back, never run here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client_tools: Vec<ToolSpec>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Earlier messages that an API caller sent along, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preamble: Vec<Preamble>,
    /// System text that an API caller sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Where in the transcript it goes, if not at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A call that the owner said yes to after its turn had gone on: it is made now. Set by the
    /// gateway alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<QuestionId>,
    /// The question of the agent's that it answers. Set by the gateway alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<LetterId>,
    /// Set if another conversation of the agent's sent it. Set by the gateway alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errand: Option<Box<Errand>>,
}

/// A place in the tree of a transcript that a message is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at")]
pub enum Place {
    /// Under this entry, or under the root: the message stands beside what was said there before.
    Under { parent: Option<EntryId> },
    /// These words are answered once more. The message has none of its own in the transcript.
    Again { entry: EntryId },
}

impl Place {
    /// The entry that is the last one before what comes of the message.
    #[must_use]
    pub fn leaf(&self) -> Option<&EntryId> {
        match self {
            Self::Under { parent } => parent.as_ref(),
            Self::Again { entry } => Some(entry),
        }
    }
}

/// An earlier message that an API caller sent along.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Preamble {
    User {
        parts: Vec<Part>,
    },
    Assistant {
        text: String,
        tool_calls: Vec<ToolCall>,
    },
    Tool {
        call_id: String,
        text: String,
    },
}

/// One entry of a transcript: a node of the session's tree.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub id: EntryId,
    pub parent: Option<EntryId>,
    pub session: SessionId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    pub label: Label,
    pub body: EntryBody,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum EntryBody {
    User {
        parts: Vec<Part>,
        principal: Principal,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inbound: Option<InboundId>,
        surface: String,
    },
    Assistant {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reasoning: Option<Reasoning>,
        model: ModelRef,
        usage: Usage,
        cost_micros: u64,
        stop: StopReason,
    },
    ToolResult {
        call_id: String,
        tool: String,
        text: String,
        is_error: bool,
        /// The text is the rows that the tool's own machine gave apart from any words: JSON that evidence
        /// is taken from field by field. A text that merely looks like it is somebody's text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        has_rows: bool,
        decision: ToolDecision,
        /// What the tool had to show.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pictures: Vec<Picture>,
    },
    /// Everything before `first_kept` is replaced by the summary; the entries stay stored.
    Compaction {
        summary: String,
        first_kept: Option<EntryId>,
        tokens_before: u64,
    },
    /// A new history window begins here.
    Reset { reason: String },
    /// The session's model was changed; `None` goes back to the agent's default.
    ModelChange { model: Option<ModelRef> },
    /// Something the gateway has to say to people: interrupted, uncertain, a command's answer.
    /// Not shown to the model.
    Notice { kind: NoticeKind, text: String },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    Command,
    Error,
    Interrupted,
    Uncertain,
    Aborted,
    /// The owner is asked.
    Question,
}

/// How far an accepted message has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboxState {
    Pending,
    Done,
    Failed,
    /// Cut off by a restart, not run again.
    Interrupted,
    /// Withdrawn by its sender or by a queue rule before it ran.
    Dropped,
}

/// A reply on its way out, delivered at most once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outbox {
    pub id: OutboxId,
    pub session: SessionId,
    pub run: RunId,
    /// Where it goes: the inbound's surface.
    pub surface: String,
    /// What the vendor is given to recognise a second delivery.
    pub idempotency_key: String,
    pub text: String,
    pub state: OutboxState,
    pub at: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxState {
    /// Stored, not yet handed over.
    Pending,
    /// Handing over: after a crash in this state nobody knows.
    Sending,
    Sent,
    Failed,
    /// Cut between intent and outcome where the vendor cannot be asked: shown, not sent again.
    Uncertain,
}
