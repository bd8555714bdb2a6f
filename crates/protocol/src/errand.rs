//! What a message brings along that another conversation of the agent's sent: its authority, which is
//! never more than that of the run that sent it, and the label of its text.
//!
//! Only the gateway writes one. The text of an errand was written by a model: whatever it says, it is
//! nobody's word but the model's, with the label of everything that the model had read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use crate::id::{EntryId, RunId, SessionId};
use crate::label::Label;
use crate::session::SessionKey;

/// A message of one conversation of the agent's to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Errand {
    pub kind: ErrandKind,
    /// The conversation that sent it.
    pub from: SessionKey,
    /// The join of everything that the model had read which wrote the text.
    pub label: Label,
    /// How many conversations lie between this one and the owner's.
    pub depth: u8,
    /// The run of the owner's request that all of this serves. Plan and counts are kept under it.
    pub request: RunId,
    /// What the owner said, where it stands.
    pub words: OwnersWords,
    /// The only tools that the run may use.
    pub tools: BTreeSet<String>,
    /// Where the answer goes as a message of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Box<Back>>,
    /// The title of the conversation that it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// What such a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrandKind {
    /// The task of a sub-agent.
    Task,
    /// The answer of a sub-agent.
    Report,
    /// Something that another conversation has to say.
    Word,
    /// What the run of the same conversation goes on with that had to wait for the owner.
    Answer,
}

impl ErrandKind {
    /// The name that stands for the writer of the message.
    #[must_use]
    pub fn source(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Report => "sub-agent",
            Self::Word => "conversation",
            Self::Answer => "answer",
        }
    }
}

/// The owner's words of a request, by reference.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OwnersWords {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<EntryId>,
}

/// The way back to whoever gave a task, with what may be done there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Back {
    pub to: SessionKey,
    pub depth: u8,
    pub tools: BTreeSet<String>,
    /// Where the answer goes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub further: Option<Box<Self>>,
}
