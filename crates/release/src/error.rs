//! What can go wrong with releases.

use instar_policy::canonical::CanonicalError;
use instar_protocol::ReleaseId;
use instar_store::StoreError;

use crate::sign::SignError;

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
    #[error("it cannot be taken in: {0}")]
    Bundle(String),
    #[error("{place}: {why}")]
    Delta { place: String, why: String },
    #[error("candidate {0} is not stored; `instar candidate list` shows those that are")]
    UnknownCandidate(String),
    #[error("{0} candidates are open already; withdraw some with `instar candidate withdraw`")]
    ManyCandidates(usize),
    #[error(
        "release {id} is refused, by its {kind}: {reason}; `instar release verify --all` looks at the rest, and \
             `instar release sign` signs it again if you know why"
    )]
    Refused {
        id: String,
        kind: String,
        reason: SignError,
    },
    #[error("no release was stable before this one; `instar release log` shows those that were")]
    NothingBefore,
    #[error("release {0} is stable already")]
    Already(String),
    #[error(
        "release {0} was never stable, so there is no way back to it; make a candidate of what you want of it"
    )]
    NeverStable(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReleaseError {
    pub(crate) fn refused(id: &ReleaseId, kind: &str, reason: SignError) -> Self {
        Self::Refused {
            id: id.short().to_owned(),
            kind: kind.to_owned(),
            reason,
        }
    }

    pub(crate) fn canonical(err: CanonicalError) -> Self {
        match err {
            // The cause of this one is worth more than its own words.
            CanonicalError::Value(source) => Self::Canonical(source.to_string()),
            other => Self::Canonical(other.to_string()),
        }
    }
}
