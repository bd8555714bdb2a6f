//! What a suite is, after everything that its file names was read.

mod cases;
mod digest;
mod prompts;
mod providers;
mod read;
mod rows;
mod script;

pub use cases::Case;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::provider::Language;

/// Cases with what has to hold of their answers.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    pub description: String,
    /// SHA-256 over everything that was read, in canonical form: equal suites have equal digests.
    pub digest: String,
    /// The files that its cases were read from, the suite itself left out.
    pub datasets: Vec<Dataset>,
    pub prompts: Vec<Prompt>,
    pub providers: Vec<ProviderSpec>,
    pub derived: Vec<Derived>,
    /// Cases in the order in which they run, without repetition.
    pub cases: Vec<Case>,
    /// What the suite sets for templates under `env`. The environment itself is out of reach.
    pub env: Map<String, Value>,
}

/// A file of cases, under its content address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    pub name: String,
    /// SHA-256 of its text.
    pub digest: String,
}

/// What is asked, before the values of a case are put in.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    pub raw: String,
    pub label: String,
    pub id: Option<String>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderSpec {
    pub id: String,
    pub label: Option<String>,
    pub config: Value,
    /// The labels of the prompts that this one is asked; all if there are none.
    pub prompts: Option<Vec<String>>,
    pub transform: Option<String>,
    /// The program that answers, where it is one that can be run here.
    pub program: Option<Program>,
}

/// A program of a suite's.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub language: Language,
    pub name: String,
    pub source: String,
}

impl ProviderSpec {
    /// A provider by its name alone.
    #[must_use]
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            label: None,
            config: Value::Null,
            prompts: None,
            transform: None,
            program: None,
        }
    }

    /// What reports call it.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

/// A metric that is worked out of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    pub name: String,
    pub formula: String,
}

/// A test as it is written, before lists of values are taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Test {
    pub(crate) description: Option<String>,
    pub(crate) vars: Map<String, Value>,
    pub(crate) checks: Vec<Check>,
    pub(crate) threshold: Option<f64>,
    pub(crate) options: Map<String, Value>,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) prompts: Option<Vec<String>>,
    pub(crate) providers: Option<Vec<String>>,
    pub(crate) output: Option<Value>,
    /// The conversation of an agent case, and what surrounds it.
    pub(crate) agent: Option<Value>,
    /// Something in the test that is not done here, by name.
    pub(crate) unsupported: Option<String>,
}

/// Something that has to hold of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    One(Box<Assertion>),
    Set {
        checks: Vec<Assertion>,
        threshold: Option<f64>,
        weight: f64,
        metric: Option<String>,
    },
}

/// One assertion.
#[derive(Clone, Debug, PartialEq)]
pub struct Assertion {
    /// The type without `not-`.
    pub kind: String,
    pub inverse: bool,
    pub value: Value,
    pub threshold: Option<f64>,
    pub weight: f64,
    pub metric: Option<String>,
    pub transform: Option<String>,
    pub config: Value,
    /// As it was written, for reports.
    pub written: Value,
}
