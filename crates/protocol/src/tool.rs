//! What a tool says of itself, and what a call to it looks like.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    Read,
    Write,
    Send,
    Execute,
    Spend,
    Destroy,
}

impl Effect {
    /// True if running the call twice could do harm: its intent is journalled before it runs.
    #[must_use]
    pub fn leaves_traces(self) -> bool {
        self > Self::Read
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
    /// Handed to the API client that brought the tool; nothing ran here.
    Handed,
}
