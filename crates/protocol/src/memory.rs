//! An agent's notes, as the API shows them.

use serde::{Deserialize, Serialize};

use crate::id::{ReleaseId, SessionId};
use crate::session::AgentId;
use crate::time::Timestamp;

/// What became of a note that a turn of a candidate wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteState {
    /// The candidate's own turns read it.
    #[default]
    Open,
    /// Its candidate became stable: everybody reads it, and it is on its way into the files.
    Merging,
    /// It stands in the files.
    Merged,
    /// Its candidate was taken back: nobody reads it but the owner.
    Quarantined,
}

/// The files of an agent's notes, the newest names first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryFiles {
    pub agent: AgentId,
    pub files: Vec<MemoryFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryFile {
    pub path: String,
    pub bytes: u64,
    pub entries: usize,
}

/// One file with who wrote each of its entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryText {
    pub agent: AgentId,
    pub path: String,
    pub entries: Vec<MemoryEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryEntry {
    pub start_line: usize,
    pub end_line: usize,
    pub text: String,
    /// The worst of those who took part in it: `owner`, `system`, `contact`, `stranger`.
    pub origin: String,
}

/// What a search found, the best fit first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryFound {
    pub agent_id: AgentId,
    /// Whose embeddings took part: `none`.
    pub provider: String,
    /// How was searched: `fts-only`, by words alone.
    pub search_mode: String,
    pub results: Vec<MemoryHit>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryHit {
    pub path: String,
    pub start_line: usize,
    pub end_line: usize,
    pub score: f64,
    pub snippet: String,
    pub source: String,
}

/// Notes of candidates that were taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    pub notes: Vec<HeldNote>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldNote {
    pub id: String,
    pub agent: AgentId,
    pub release: ReleaseId,
    pub rollout: String,
    pub session: SessionId,
    pub at: Timestamp,
    /// Where it stands when it is restored.
    pub path: String,
    pub text: String,
    pub origin: String,
    pub state: NoteState,
}
