//! What suites of cases ask of a gateway: a model that grades, and answers of behaviours that serve nobody.

use serde::{Deserialize, Serialize};

use crate::model::StopReason;

/// A question to the model that grades, and what it is asked of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grade {
    pub system: String,
    pub user: String,
}

/// What it said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GradeGiven {
    pub text: String,
    pub model: String,
}

/// Texts that are to be compared by what they say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    pub texts: Vec<String>,
}

/// Where each of them stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placed {
    pub places: Vec<Vec<f64>>,
    pub model: String,
}

/// A conversation that the agent of a release or a candidate is to answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rehearse {
    /// A release by one of its names, or a candidate by its id.
    pub of: String,
    pub messages: Vec<Turn>,
}

/// What one side said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Turn {
    /// True where the agent said it.
    #[serde(default)]
    pub is_answer: bool,
    pub content: String,
}

/// What it would answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    pub text: String,
    pub model: String,
    pub stop: StopReason,
    /// Tools that it would have called first. None was.
    pub calls: Vec<String>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
}
