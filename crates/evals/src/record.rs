//! A case from a conversation that took place.
//!
//! What was said and what tools gave is taken over with its secrets and identities redacted; who wrote what
//! stays. The case asks for the same calls, decided in the same way: it notices a behaviour that would decide
//! otherwise, not a model that would say something else.

use instar_protocol::label::{Label, Origin};
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::redact::redact;
use instar_protocol::tool::ToolDecision;
use serde_json::{Map, Value, json};

use crate::error::Trouble;

/// A suite with one case: the answer to message number `turn`, counted from 1.
pub fn record(entries: &[Entry], turn: usize) -> Result<Value, Trouble> {
    let starts: Vec<usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| matches!(entry.body, EntryBody::User { .. }))
        .map(|(index, _)| index)
        .collect();
    let count = starts.len();
    let Some(from) = turn
        .checked_sub(1)
        .and_then(|turn| starts.get(turn))
        .copied()
    else {
        return Trouble::wrong(format!(
            "the conversation has {count} messages, there is no number {turn}"
        ));
    };
    let to = starts.get(turn).copied().unwrap_or(entries.len());
    let EntryBody::User { parts, .. } = &entries[from].body else {
        return Trouble::wrong("the message is none");
    };
    let said = clean(&plain_text(parts));
    let mut taken = Taken::default();
    for entry in &entries[from + 1..to] {
        taken.add(entry);
    }
    let title: String = said.chars().take(60).collect();
    Ok(taken.suite(&title, &said, &entries[from].label))
}

#[derive(Default)]
struct Taken {
    /// What the model answered, one after the other.
    answers: Vec<Value>,
    /// Tools with what they gave, in turn.
    tools: Map<String, Value>,
    checks: Vec<Value>,
    ran: Vec<String>,
    reply: Option<(String, String)>,
}

impl Taken {
    fn add(&mut self, entry: &Entry) {
        match &entry.body {
            EntryBody::Assistant {
                text, tool_calls, ..
            } => {
                let text = escaped(&clean(text));
                let mut say = Vec::new();
                if !text.is_empty() {
                    say.push(json!({"text": text}));
                }
                for call in tool_calls {
                    let arguments = tidy(&call.arguments);
                    say.push(json!({"call": {"name": call.name, "arguments": arguments}}));
                }
                if tool_calls.is_empty() {
                    let worst = entry.label.origins.worst().to_owned();
                    self.reply = Some((text, worst));
                }
                self.answers.push(json!({"say": say}));
            }
            EntryBody::ToolResult {
                tool,
                text,
                is_error,
                decision,
                ..
            } => {
                let told = self.tools.entry(tool.clone()).or_insert_with(
                    || json!({"output": from(&entry.label), "returns_in_turn": []}),
                );
                if let Some(Value::Array(returns)) = told.get_mut("returns_in_turn") {
                    returns.push(clean(text).into());
                }
                if *is_error && matches!(decision, ToolDecision::Allowed { .. }) {
                    told["fails"] = Value::Bool(true);
                }
                let word = match decision {
                    ToolDecision::Allowed { .. } => {
                        self.ran.push(tool.clone());
                        "allowed"
                    }
                    ToolDecision::Denied { .. } => "denied",
                    ToolDecision::Asked { .. } => "asked",
                    ToolDecision::Handed => "handed",
                };
                self.checks
                    .push(json!({"type": "agent:call", "value": {"tool": tool, "decision": word}}));
            }
            _ => {}
        }
    }

    fn suite(mut self, title: &str, said: &str, label: &Label) -> Value {
        let planner = json!({
            "when": {"system_contains": "You plan, you do not act"},
            "answer": {"say": [{"text": "{\"steps\":[]}"}]},
        });
        let mut rules = vec![planner];
        let answers = self.answers.into_iter();
        rules.extend(answers.map(|answer| json!({"times": 1, "answer": answer})));
        if !self.ran.is_empty() {
            let steps = json!({"mode": "exact", "steps": self.ran});
            self.checks
                .push(json!({"type": "trajectory:tool-sequence", "value": steps}));
        }
        if let Some((_, worst)) = &self.reply {
            let mut wanted = json!({"status": "ok"});
            // What the machine adds differs from house to house; what others wrote does not.
            if worst != "owner" && worst != "system" {
                wanted["worst"] = worst.as_str().into();
            }
            self.checks
                .push(json!({"type": "agent:reply", "value": wanted}));
        }
        json!({
            "description": "recorded from a conversation, with secrets and identities redacted",
            "providers": ["agent"],
            "tests": [{
                "description": title,
                "agent": {
                    "from": from(label),
                    "tools": self.tools,
                    "model": {"rules": rules},
                    "turns": [said],
                },
                "assert": self.checks,
            }],
        })
    }
}

fn clean(text: &str) -> String {
    redact(text).into_string()
}

/// Braces of an answer are no placeholders of a script.
fn escaped(text: &str) -> String {
    text.replace("{{", "{ {")
}

fn tidy(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped(&clean(text))),
        Value::Array(items) => items.iter().map(tidy).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| (clean(key), tidy(item)))
            .collect(),
        other => other.clone(),
    }
}

/// Whose words these were, the least trusted first; who exactly is left out.
fn from(label: &Label) -> Value {
    let mut worst = json!("owner");
    for origin in label.origins.iter() {
        match origin {
            Origin::Stranger => return json!({"stranger": "somebody"}),
            Origin::Contact(_) => worst = json!({"contact": "somebody"}),
            Origin::System if worst == "owner" => worst = json!({"automation": "machine"}),
            Origin::Owner | Origin::System => {}
        }
    }
    worst
}
