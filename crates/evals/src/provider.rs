//! Who answers, who grades, and who runs scripts: the three things that a run takes from its caller.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

use crate::error::Trouble;
use crate::scripted::Scripted;
use crate::suite::{Case, ProviderSpec};

/// What a provider is asked.
#[derive(Debug)]
pub struct Call<'a> {
    pub prompt: &'a str,
    pub vars: &'a Map<String, Value>,
    pub case: &'a Case,
    pub provider: &'a ProviderSpec,
    /// Which repetition this is, from 0.
    pub repeat: u32,
    /// Equal for equal runs, different from case to case.
    pub seed: u64,
}

/// What a provider answers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    pub output: Value,
    pub tokens: Tokens,
    /// US dollars.
    pub cost: Option<f64>,
    /// What the provider itself measured; else the run measures.
    pub latency_ms: Option<f64>,
    pub cached: bool,
    pub finish: Option<String>,
    pub log_probs: Vec<f64>,
    /// True if something that guards the provider stopped the answer.
    pub flagged: bool,
    /// What was done on the way, where that is known.
    pub steps: Option<Vec<Step>>,
    pub metadata: Map<String, Value>,
}

impl Answer {
    /// An answer of words alone.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            output: Value::String(text.into()),
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
}

/// One thing that was done on the way to an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// `tool`, or another kind that assertions may name.
    pub kind: String,
    pub name: String,
    pub arguments: Value,
}

impl Step {
    #[must_use]
    pub fn tool(name: &str, arguments: Value) -> Self {
        Self {
            kind: "tool".to_owned(),
            name: name.to_owned(),
            arguments,
        }
    }
}

/// Answers prompts. Called from several threads at once.
pub trait Provider: Send + Sync + fmt::Debug {
    /// Answers, or says why not: [`Trouble::Unsupported`] if the case asks for what this one cannot do.
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble>;

    /// True if equal calls have equal answers as far as anybody minds, so that answers may be kept.
    fn keeps(&self) -> bool {
        false
    }
}

/// Makes the providers that a suite names, for one arm.
pub trait Providers: Sync + fmt::Debug {
    fn provider(&self, spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble>;
}

/// Grades by asking a model; every call costs somebody something.
pub trait Grader: Send + Sync + fmt::Debug {
    /// The answer of the model that grades.
    fn ask(&self, system: &str, user: &str) -> Result<String, Trouble>;

    /// Where texts stand in the space of an embedding model.
    fn embed(&self, _texts: &[&str]) -> Result<Vec<Vec<f64>>, Trouble> {
        Trouble::unsupported("similarity where no embedding model is")
    }
}

/// The languages of scripts in suites.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    JavaScript,
    Python,
}

/// Runs scripts of suites inside walls: `program` reads `told` from its standard input, and what it writes
/// comes back.
pub trait Scripts: Send + Sync + fmt::Debug {
    fn run(&self, language: Language, program: &str, told: &str) -> Result<String, Trouble>;
}

/// Gives the prompt back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

impl Provider for Echo {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        Ok(Answer {
            cost: Some(0.0),
            ..Answer::text(call.prompt)
        })
    }
}

/// Providers that need nothing from outside: `echo` and `scripted`.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Providers for BuiltIn {
    fn provider(&self, spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        match spec.id.as_str() {
            "echo" => Ok(Box::new(Echo)),
            crate::scripted::NAME => Ok(Box::new(Scripted::new(spec)?)),
            other => Trouble::unsupported(format!("the provider {other:?}")),
        }
    }
}
