//! Agent cases: a scripted conversation with the whole agent.
//!
//! The agent is the real one, with its store in a scratch folder and the behaviour of one release: prompts,
//! limits, routes and above all authority are what they would be. Two things are not real: the model plays a
//! [script](instar_demo::script), and tools give what the case says and do nothing. A tool that the behaviour
//! knows is judged as the behaviour says; only one that it does not know is judged by what the case says of it.

mod checks;
mod house;
mod scratch;
mod stand_ins;
mod tools;

pub(crate) use checks::check;
pub use house::{AgentProviders, default_behaviour};

use instar_demo::Script;
use instar_policy::Annotation;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::error::Trouble;

/// The most messages of one conversation.
const TURNS_MAX: usize = 50;
/// The most tools that a case makes up.
const TOOLS_MAX: usize = 100;
/// The provider that plays the scripts of agent cases.
pub(crate) const PROVIDER: &str = "agent";

/// What a case says under `agent`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    /// Whose words the messages are, unless a turn says otherwise.
    #[serde(default)]
    from: From,
    #[serde(default)]
    tools: BTreeMap<String, FakeTool>,
    /// What the model answers. It hears whatever the agent makes of the conversation.
    #[serde(default)]
    model: Script,
    turns: Vec<Turn>,
    /// What the owner says when he is asked.
    #[serde(default)]
    owner: Answering,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum From {
    #[default]
    Owner,
    Contact(String),
    Stranger(String),
    Automation(String),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Answering {
    /// He is not there.
    #[default]
    Absent,
    Approves,
    Denies,
}

/// A message, and whose it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Turn {
    Words(String),
    Said {
        say: String,
        #[serde(default)]
        from: Option<From>,
    },
}

impl Turn {
    fn words(&self) -> &str {
        match self {
            Self::Words(words) | Self::Said { say: words, .. } => words,
        }
    }

    fn from(&self) -> Option<&From> {
        match self {
            Self::Words(_) => None,
            Self::Said { from, .. } => from.as_ref(),
        }
    }
}

/// A tool that does nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FakeTool {
    #[serde(default)]
    description: String,
    /// The schema of its arguments; any object if it says none.
    #[serde(default)]
    parameters: Option<Value>,
    /// What policy is told of it, where the behaviour does not know it.
    #[serde(default)]
    annotation: Option<Annotation>,
    /// Whose words its results are.
    #[serde(default)]
    output: From,
    /// What it gives: a text, a structure, or with `returns_in_turn` one after the other.
    #[serde(default)]
    returns: Value,
    #[serde(default)]
    returns_in_turn: Vec<Value>,
    #[serde(default)]
    fails: bool,
}

impl Conversation {
    fn of(case: &Value) -> Result<Self, Trouble> {
        let read: Self = match serde_json::from_value(case.clone()) {
            Ok(read) => read,
            Err(error) => return Trouble::wrong(format!("`agent` of the case: {error}")),
        };
        if read.turns.is_empty() || read.turns.len() > TURNS_MAX || read.tools.len() > TOOLS_MAX {
            return Trouble::wrong(format!(
                "an agent case has 1 to {TURNS_MAX} turns and at most {TOOLS_MAX} tools"
            ));
        }
        Ok(read)
    }
}
