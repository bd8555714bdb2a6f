//! Receipts: what was decided and done, in a chain that shows any later change.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{RunId, SessionId};
use crate::time::Timestamp;

/// What a receipt is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    /// A call was judged.
    Decision,
    /// An effect is about to happen.
    Intent,
    /// What came of it.
    Outcome,
    Question,
    Answer,
    /// A standing rule was kept or revoked.
    Rule,
    /// Somebody became known, or was forgotten.
    Contact,
}

impl ReceiptKind {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Rule => "rule",
            Self::Contact => "contact",
        }
    }
}

/// A receipt on its way into the chain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub at: Timestamp,
    pub kind: ReceiptKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Names and digests; no content beyond what a decision was about.
    pub body: Value,
    /// Random, so that an erased body cannot be guessed from its digest.
    pub salt: [u8; 16],
}

/// A receipt as it stands in the chain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredReceipt {
    pub seq: u64,
    pub at: Timestamp,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// `None` once it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    pub hash: String,
}

/// The end of the chain: whoever notes it can tell later that nothing before it was changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChainHead {
    pub seq: u64,
    pub hash: String,
}

/// What looking through the whole chain showed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainReport {
    pub receipts: u64,
    /// Rows whose body was erased by retention or with its conversation.
    pub erased: u64,
    pub first: Option<u64>,
    pub head: Option<ChainHead>,
    /// What does not fit; empty if nothing was changed.
    pub problems: Vec<ChainProblem>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChainProblem {
    pub seq: u64,
    pub what: String,
}
