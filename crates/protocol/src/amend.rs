//! Proposed corrections of notes: how turns went that read a note, and what is proposed about one that was
//! in the way. A person alone decides.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::session::AgentId;
use crate::time::Timestamp;

/// Corrected turns below which nothing is said of a note.
pub const CORRECTED_MIN: u64 = 2;

/// One entry of a file of notes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteRef {
    pub path: String,
    /// The SHA-256 of its exact text.
    pub digest: String,
}

/// How turns of the owner's went that read a note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoteUse {
    pub note: NoteRef,
    /// Turns that read it and answered.
    pub turns: u64,
    /// Those whose answer was corrected.
    pub corrected: u64,
}

impl NoteUse {
    /// True if turns that read it were corrected at least twice, and more often than not.
    #[must_use]
    pub fn is_in_the_way(&self) -> bool {
        self.corrected >= CORRECTED_MIN
            && self.corrected > self.turns.saturating_sub(self.corrected)
    }
}

/// What became of a proposed correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditState {
    Proposed,
    /// Accepted, and on its way out of the file.
    Taking,
    Accepted,
    Refused,
    /// Taken back, and on its way into the file.
    Returning,
    Undone,
    /// The note was changed before anybody decided.
    Stale,
}

/// A note that could be taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoteEdit {
    pub id: String,
    pub agent: AgentId,
    pub fault: String,
    pub gene: String,
    pub why: String,
    pub note: NoteRef,
    /// What was counted when it was proposed.
    pub turns: u64,
    pub corrected: u64,
    /// The exact text that would go.
    pub text: String,
    /// Who wrote it: `owner`, `system`, `contact`, `stranger`.
    pub origin: String,
    pub state: EditState,
    pub at: Timestamp,
    /// Who decided last, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// How it is put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverse: Option<NoteInverse>,
}

/// What puts a note back as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NoteInverse {
    /// The bytes that are taken out, with the white space after them.
    pub bytes: String,
    /// Where they began.
    pub offset: usize,
    /// The entry before it; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<NoteRef>,
    /// The file without it.
    pub rest: String,
    /// Entries with this text that there were.
    pub copies: usize,
    pub label: Label,
}

/// Corrections that were proposed, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoteEdits {
    pub edits: Vec<NoteEdit>,
}
