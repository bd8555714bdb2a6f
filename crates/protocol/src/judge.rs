//! What the gateway tells a judge, and what a judge says of it. The job is not trusted: whoever reads
//! its words takes them as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The role under which the gateway starts a judge.
pub const ROLE: &str = "judge";
/// The role under which it starts who looks at answers.
pub const ASSERTS_ROLE: &str = "asserts";
/// Assertions about one answer.
pub const ASSERTS_MAX: usize = 50;
/// Answers that are looked at together.
pub const ANSWERS_MAX: usize = 2;
/// Suites of one sitting.
pub const SUITES_MAX: usize = 50;
/// Cases that are told by name.
pub const NAMED_MAX: usize = 50;
/// Files of one suite that are told.
pub const FILES_MAX: usize = 50;
/// Characters of each name or reason.
pub const TOLD_CHARS_MAX: usize = 300;

/// A suite with every file that it names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteText {
    /// `builtin:golden`, or the name of a file among these.
    pub name: String,
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// What is to be judged.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    pub suites: Vec<SuiteText>,
    pub candidate: Value,
    pub baseline: Value,
    /// How often each case is asked.
    pub repeat: u32,
    pub seed: u64,
}

/// What a judge says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "says", deny_unknown_fields)]
pub enum Said {
    /// One suite was run on both.
    Judged(Judged),
    /// It could not be.
    Unable { suite: String, why: String },
    /// That was all.
    Done,
}

/// A suite, run on the candidate and on what is stable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    pub suite: String,
    /// Digests of the suite and of the report.
    pub suite_digest: String,
    pub report_digest: String,
    /// The files that its cases were read from.
    #[serde(default)]
    pub datasets: Vec<File>,
    /// What the candidate asked for in it and stable did not: a tool, and what was decided of it.
    #[serde(default)]
    pub reach: Vec<String>,
    pub verdict: Verdict,
    /// Cases that both decided.
    pub pairs: u64,
    /// Cases that neither decided.
    pub undecided: u64,
    pub passed: u64,
    pub flaky: u64,
    /// Cases that got worse, with the reason.
    pub worse: Vec<Case>,
    pub better: u64,
    /// The difference of the pass rates, with its interval.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
}

/// A file under its content address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub name: String,
    pub digest: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    NoData,
    Worse,
    Regressed,
    Better,
    NoRegression,
}

/// Answers to one question, and what has to hold of each of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asserting {
    /// Assertions as a suite has them.
    pub asserts: Vec<Value>,
    pub question: String,
    pub answers: Vec<String>,
    /// There is a model that grades.
    pub has_grader: bool,
}

/// What who looks at answers says.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "says", deny_unknown_fields)]
pub enum Asserted {
    /// It asks the model that grades, and waits for [`Graded`].
    Ask { system: String, user: String },
    /// It asks where texts stand, and waits for [`Places`].
    Place { texts: Vec<String> },
    /// Of each answer, in their order. That was all.
    Done { answers: Vec<Held> },
}

/// What the model that grades said; none where it did not answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graded {
    pub text: Option<String>,
}

/// Where texts stand, one place for each; or why nobody can say.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Places {
    At(Vec<Vec<f64>>),
    Nowhere(String),
}

/// Whether all assertions hold of an answer; none where one of them could not be decided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    pub holds: Option<bool>,
    /// The assertion that does not hold, or that could not be decided: its place in the list and its type.
    pub which: Option<String>,
    /// Why not. It may quote the answer.
    pub why: String,
}

impl Held {
    /// Nothing is wrong with it.
    #[must_use]
    pub fn sound() -> Self {
        Self {
            holds: Some(true),
            which: None,
            why: String::new(),
        }
    }

    /// Nobody could say.
    pub fn undecided(why: impl Into<String>) -> Self {
        Self {
            holds: None,
            which: None,
            why: why.into(),
        }
    }
}
