//! What a question to the owner says, built by code from the bound call, and the rules that answers
//! may leave behind.

use instar_protocol::approval::{OfferedRule, ShownArgument, visible};
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, Origin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::annotation::{Annotation, Reach};
use crate::evidence::texts;
use crate::grade::{Grade, Graded};

/// A question before it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// What an answer is bound to.
    pub digest: String,
    /// The rule that asks.
    pub rule: String,
    pub effect: Effect,
    pub reach: Reach,
    pub arguments: Vec<ShownArgument>,
    pub touches: Vec<String>,
    pub why: Vec<String>,
    pub always: Option<OfferedRule>,
}

/// A standing rule of the owner's: this tool, with these values in its targets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub tool: String,
    pub agent: AgentId,
    /// The values of every argument that says who or where, exactly.
    pub only: BTreeMap<String, Vec<String>>,
    /// The executable that the rule is about, where the tool runs one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub environment: Value,
}

impl Rule {
    /// Reads a stored rule. One that cannot be read allows nothing.
    #[must_use]
    pub fn read(stored: &Value) -> Option<Self> {
        serde_json::from_value(stored.clone()).ok()
    }

    pub(crate) fn fits(
        &self,
        call: &ToolCall,
        agent: &AgentId,
        graded: &[Graded],
        environment: &Value,
    ) -> bool {
        self.tool == call.name
            && self.agent == *agent
            && self.environment == *environment
            && targets(graded) == self.only
    }
}

/// The targets of a call by argument.
fn targets(graded: &[Graded]) -> BTreeMap<String, Vec<String>> {
    let mut only: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in graded {
        let name = value.path.split('[').next().unwrap_or(&value.path);
        only.entry(name.to_owned())
            .or_default()
            .push(value.text.clone());
    }
    only
}

/// The rule that "always" would keep, where it may be offered: every target is known by more than
/// free text or a list, and the effect is none that a rule must not cover.
pub(crate) fn offer(
    call: &ToolCall,
    agent: &AgentId,
    effect: Effect,
    graded: &[Graded],
    environment: &Value,
) -> Option<OfferedRule> {
    // What is not pinned down is nothing that a rule could hold for.
    let is_open = ["open", "cannot"]
        .iter()
        .any(|key| environment.get(key).is_some());
    if is_open {
        return None;
    }
    let is_hashed = !environment.is_null();
    let is_coverable = match effect {
        Effect::Destroy | Effect::Spend | Effect::Grant => false,
        Effect::Execute => is_hashed,
        Effect::None | Effect::Read | Effect::Fetch | Effect::Write | Effect::Send => true,
    };
    let is_known = graded.iter().all(|value| value.grade >= Grade::G2);
    // A rule that says neither who nor where would cover everything that the tool can do.
    let is_narrow = !graded.is_empty();
    if !is_coverable || !is_known || !is_narrow {
        return None;
    }
    let rule = Rule {
        tool: call.name.clone(),
        agent: agent.clone(),
        only: targets(graded),
        environment: environment.clone(),
    };
    let values: Vec<String> = rule
        .only
        .iter()
        .map(|(name, values)| format!("{name} = {}", visible(&values.join(", "))))
        .collect();
    let with = if values.is_empty() {
        String::new()
    } else {
        format!(" with {}", values.join("; "))
    };
    let running = environment
        .get("executable")
        .and_then(Value::as_str)
        .map_or_else(String::new, |path| format!(", running {}", visible(path)));
    Some(OfferedRule {
        words: format!("Agent {agent} may call {}{with}{running}", call.name),
        rule: serde_json::to_value(rule).unwrap_or_else(|_| json!(null)),
    })
}

/// Every argument as it is, each with its grade.
pub(crate) fn shown(
    call: &ToolCall,
    annotation: &Annotation,
    graded: &[Graded],
    context: &str,
) -> Vec<ShownArgument> {
    let Value::Object(arguments) = &call.arguments else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (name, value) in arguments {
        let of_it: Vec<&Graded> = graded
            .iter()
            .filter(|value| value.path.split(['[', '.']).next() == Some(name))
            .collect();
        // What is an object is shown whole, and then what its parts say.
        if of_it.is_empty() || !annotation.slot(name).role.is_target() || value.is_object() {
            all.push(ShownArgument {
                path: name.clone(),
                text: visible(&plain(value)),
                grade: String::new(),
                origin: context.to_owned(),
                source: None,
            });
        }
        all.extend(of_it.into_iter().map(|value| ShownArgument {
            path: value.path.clone(),
            text: visible(&value.text),
            grade: value.grade.name().to_owned(),
            origin: origin_word(&value.origin).to_owned(),
            source: value.source.clone(),
        }));
    }
    all
}

/// A text as it is, anything else as its JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the call would touch, a line each.
pub(crate) fn touches(
    effect: Effect,
    graded: &[Graded],
    call: &ToolCall,
    environment: &Value,
) -> Vec<String> {
    let mut lines: Vec<String> = graded
        .iter()
        .map(|value| format!("{}: {}", value.path, visible(&value.text)))
        .collect();
    if lines.is_empty() {
        let all = texts(&call.arguments);
        lines.push(format!("{} ({} arguments)", effect.name(), all.len()));
    }
    // What the house has worked out of what would run.
    let tells = environment.get("tells").map(texts).unwrap_or_default();
    lines.extend(tells.iter().map(|line| visible(line)));
    lines
}

pub(crate) fn origin_word(origin: &Origin) -> &'static str {
    match origin {
        Origin::Owner => "owner",
        Origin::System => "system",
        Origin::Contact(_) => "contact",
        Origin::Stranger => "stranger",
    }
}
