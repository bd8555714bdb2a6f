//! Signed statements: in-toto statements in DSSE envelopes, and the two formats in which people sign
//! files. Ed25519 throughout; no other algorithm is read.
//!
//! [`dsse`] and [`statement`] are what the gateway signs; [`sshsig`] and [`minisign`] are what keys that are
//! kept elsewhere sign with, and what their tools can verify of ours.

pub mod dsse;
pub mod keys;
pub mod minisign;
pub mod sshsig;
pub mod statement;

pub use dsse::Envelope;
pub use keys::{GatewayKey, PublicKey};
pub use statement::Statement;

/// The namespace of signatures about releases: one that was made for something else is refused.
pub const NAMESPACE: &str = "instar-release";

/// Why a signed statement is refused. Each says something else.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignError {
    #[error("there is no signed statement")]
    Missing,
    #[error("it is no signed statement: {0}")]
    Malformed(String),
    #[error("its content or its signature was changed")]
    Tampered,
    #[error("nobody signed it whose key is trusted here")]
    Foreign,
    #[error("it was signed as {found:?}, not as {wanted:?}")]
    Namespace { found: String, wanted: String },
    #[error("its payload is {0:?}, which is not read here")]
    PayloadType(String),
    #[error("it was signed with a key of this gateway's after that had been retired")]
    Retired,
    #[error("it speaks of something else")]
    Subject,
    #[error("the result of gate {0} that it names is gone")]
    GateGone(&'static str),
    #[error("it is no {0}")]
    Predicate(&'static str),
    #[error("it expired at {0}")]
    Expired(String),
    #[error(
        "it is for move {found} of the alias, which stands at {stands}: an old release is offered again"
    )]
    RolledBack { found: u64, stands: u64 },
}
