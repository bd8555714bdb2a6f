//! What can go wrong with releases.

use instar_policy::canonical::CanonicalError;
use instar_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("release {0} is not stored; `instar release list` shows those that are")]
    Unknown(String),
    #[error("{prefix:?} begins more than one release: {}", candidates.join(", "))]
    Ambiguous {
        prefix: String,
        candidates: Vec<String>,
    },
    #[error("release {id}: the stored bytes do not have that hash")]
    Tampered { id: String },
    #[error("release {id} cannot be read")]
    Decode {
        id: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("static check {check} failed: {why}")]
    Static { check: &'static str, why: String },
    #[error("cannot write canonical JSON: {0}")]
    Canonical(String),
    #[error("{place}: {why}")]
    Delta { place: String, why: String },
    #[error("candidate {0} is not stored; `instar candidate list` shows those that are")]
    UnknownCandidate(String),
    #[error("{0} candidates are open already; withdraw some with `instar candidate withdraw`")]
    ManyCandidates(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReleaseError {
    pub(crate) fn canonical(err: CanonicalError) -> Self {
        match err {
            // The cause of this one is worth more than its own words.
            CanonicalError::Value(source) => Self::Canonical(source.to_string()),
            other => Self::Canonical(other.to_string()),
        }
    }
}
