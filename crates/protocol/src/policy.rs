//! What policy says, as the command line, the page and `/api/v1/policy` show it. Every text is in its
//! visible form.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// `GET /api/v1/policy`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    pub posture: String,
    /// Built-in rules first, then the owner's in the order of their files.
    pub rules: Vec<PolicyRule>,
    /// What is wrong with the owner's files as they lie there; none of them counts before it is mended.
    #[serde(default)]
    pub problems: Vec<String>,
    pub rights: Vec<PolicyRight>,
}

/// A rule in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    pub rule: String,
    /// File and line.
    pub place: String,
    pub words: String,
    /// `permit`, `never`, `ask` or `yield`.
    pub answer: String,
    /// One of the owner's own.
    pub owners: bool,
}

/// What a tool may do, in each posture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRight {
    pub tool: String,
    pub effect: String,
    pub reach: String,
    pub undoable: bool,
    /// In the order careful, balanced, open.
    pub answers: Vec<PolicyAnswer>,
}

/// The answer in one posture: before anything was read, and after text of a stranger was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyAnswer {
    pub posture: String,
    pub outcome: String,
    pub rule: String,
    pub tainted: String,
    pub tainted_rule: String,
}

/// A decision with the rule and the facts that made it: `GET /api/v1/policy/decisions/{id}`,
/// `POST /api/v1/policy/explain`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// `receipt 12`, `question ask_…`, or `supposed`.
    pub of: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    pub tool: String,
    /// `allow`, `ask` or `deny`.
    pub outcome: String,
    pub rule: String,
    pub why: Vec<String>,
    /// The rules that hold, by the place where they stand.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
    #[serde(default)]
    pub facts: Vec<Fact>,
    #[serde(default)]
    pub values: Vec<ExplainedValue>,
    /// What would have to be otherwise, alone, for another answer.
    #[serde(default)]
    pub turns: Vec<FactTurn>,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fact {
    pub name: String,
    pub is: String,
}

/// A value that says who, where, which or how much.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedValue {
    pub path: String,
    pub text: String,
    pub grade: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactTurn {
    pub fact: String,
    pub is: String,
    pub would_be: String,
    pub outcome: String,
    pub rule: String,
}

/// `POST /api/v1/policy/test`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTests {
    pub rule_files: usize,
    pub rules: usize,
    /// Rules that cannot be taken, and cases that cannot be read.
    pub problems: Vec<String>,
    pub cases: Vec<PolicyCase>,
}

impl PolicyTests {
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.cases.iter().all(|case| case.passed)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyCase {
    pub file: String,
    pub name: String,
    pub passed: bool,
    pub expected: String,
    pub found: String,
    pub why: Vec<String>,
}

/// What other postures would have made of the decisions of some days: `GET /api/v1/policy/posture`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureReport {
    /// The posture in force.
    pub posture: String,
    pub days: u32,
    /// Decisions whose facts are kept.
    pub decisions: u64,
    /// Decisions that are left out: their facts are not kept, or were removed with a conversation.
    pub unknown: u64,
    /// True if there were more than are gone through; the newest were.
    pub cut: bool,
    pub would: Vec<PostureWould>,
}

/// What one posture would have made of them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureWould {
    pub posture: String,
    pub allow: u64,
    pub ask: u64,
    pub deny: u64,
    /// Of those that it would let through: no plan was made then, and one could make them questions.
    pub on_plan: u64,
    /// Calls that it answers otherwise than the posture they were made in.
    pub changed: u64,
    /// Why this posture is refused here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Some of the changed ones, the newest first.
    pub examples: Vec<PostureChange>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PostureChange {
    /// The receipt of the decision.
    pub receipt: u64,
    pub at: Timestamp,
    pub tool: String,
    pub effect: String,
    pub from: String,
    pub to: String,
    pub rule: String,
    pub on_plan: bool,
}
