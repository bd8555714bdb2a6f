//! What a tool says of itself, and what a call to it looks like.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::QuestionId;

/// What the model is told about a tool.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments; always an object schema.
    pub parameters: Value,
}

/// A call as the model asked for it. Not yet judged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// The arguments; the raw text if the model sent something that is not JSON.
    pub arguments: Value,
}

/// What running a tool can do to the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    None,
    /// Looks into stores of the owner's.
    Read,
    /// Asks for something outside: the address itself leaves the house.
    Fetch,
    Write,
    Send,
    /// Invites, shares, adds to a group.
    Grant,
    Execute,
    Spend,
    Destroy,
}

impl Effect {
    /// Every effect, the mildest first.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::Read,
        Self::Fetch,
        Self::Write,
        Self::Send,
        Self::Grant,
        Self::Execute,
        Self::Spend,
        Self::Destroy,
    ];

    /// True if running the call twice could do harm: its intent is journalled before it runs.
    #[must_use]
    pub fn leaves_traces(self) -> bool {
        self > Self::Fetch
    }

    /// The name as it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Fetch => "fetch",
            Self::Write => "write",
            Self::Send => "send",
            Self::Grant => "grant",
            Self::Execute => "execute",
            Self::Spend => "spend",
            Self::Destroy => "destroy",
        }
    }
}

/// How a call was decided, as it is stored and shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum ToolDecision {
    Allowed {
        rule: String,
    },
    Denied {
        rule: String,
        reason: String,
    },
    /// The owner was asked and had not answered when the turn went on; nothing ran.
    Asked {
        question: QuestionId,
        rule: String,
    },
    /// Handed to the API client that brought the tool; nothing ran here.
    Handed,
}
