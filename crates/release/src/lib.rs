//! Behaviour as a value: canonical form, content hash, releases, aliases and `resolve`.

use instar_policy::Authority;
use instar_protocol::event::Arm;
use instar_protocol::{AgentId, ReleaseId, SessionId, Timestamp};
use instar_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that decides how agents act: no code, no secrets, no user data.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    pub agents: BTreeMap<String, AgentBehaviour>,
    pub authority: Authority,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBehaviour {
    /// Identity files by name, already cut to their limits.
    pub prompt: BTreeMap<String, PromptFile>,
    pub route: Route,
    pub limits: Limits,
    /// Seams: empty until their rooms are built.
    pub skills: Vec<Value>,
    pub mitigations: Vec<Value>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFile {
    pub text: String,
    /// Characters of the file that did not fit.
    pub cut_chars: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub primary: String,
    pub fallbacks: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub model_calls_max: u32,
    pub tool_calls_max: u32,
    pub timeout_seconds: u32,
    pub output_tokens_max: u32,
}

/// An immutable behaviour under its hash, with its manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    pub authority: String,
    pub parents: Vec<ReleaseId>,
    pub proposer: String,
    pub reason: String,
    pub made_at: Timestamp,
    pub code_version: String,
    pub behaviour: Behaviour,
}

/// Who a release is resolved for.
#[derive(Clone, Debug)]
pub struct Cohort {
    pub session: SessionId,
}

/// The answer of `resolve`.
#[derive(Clone, Debug)]
pub struct Served {
    pub release: Arc<Release>,
    pub arm: Arm,
}

#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("release {0} is not stored")]
    Unknown(String),
    #[error("release {id}: the stored bytes do not have that hash")]
    Tampered { id: String },
    #[error("static check {check} failed: {why}")]
    Static { check: &'static str, why: String },
    #[error("cannot write canonical JSON: {0}")]
    Canonical(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The releases of this state folder and the one that is stable.
#[derive(Debug, Clone)]
pub struct Releases {}

#[expect(clippy::todo, reason = "interface first")]
impl Releases {
    /// Loads the stable release from its alias; there is none on a fresh state.
    pub async fn open(_store: Store) -> Result<Self, ReleaseError> {
        todo!()
    }
    /// Makes the behaviour the stable release if its hash is new: static checks, object, alias move, event.
    /// Returns the id and whether anything moved.
    pub async fn adopt(
        &self,
        _behaviour: Behaviour,
        _proposer: &str,
        _reason: &str,
        _now: Timestamp,
        _random: [u8; 10],
    ) -> Result<(ReleaseId, bool), ReleaseError> {
        todo!()
    }
    /// The release that serves this agent and cohort. Cheap: one pointer read.
    #[must_use]
    pub fn resolve(&self, _agent: &AgentId, _cohort: &Cohort) -> Option<Served> {
        todo!()
    }
    pub async fn list(&self) -> Result<Vec<Release>, ReleaseError> {
        todo!()
    }
    /// By full id, unique prefix, or alias name.
    pub async fn get(&self, _name: &str) -> Result<Release, ReleaseError> {
        todo!()
    }
}

/// RFC 8785 canonical JSON.
#[expect(clippy::todo, reason = "interface first")]
pub fn canonical(_value: &Value) -> Result<String, ReleaseError> {
    todo!()
}

/// A readable difference between two behaviours: one line per changed path, prompts as text diff.
#[expect(clippy::todo, reason = "interface first")]
#[must_use]
pub fn diff(_old: &Behaviour, _new: &Behaviour) -> Vec<Change> {
    todo!()
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// Unified diff, for prompt texts.
    pub text: Option<String>,
}
