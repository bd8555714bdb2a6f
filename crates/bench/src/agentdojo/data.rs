//! The files of a suite: tools, tasks and attacks with the output that each call gave.

use anyhow::Context;
use instar_policy::Server;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) suite: String,
    pub(crate) attack_text_template: String,
    pub(crate) tools: Vec<Tool>,
    pub(crate) user_tasks: Vec<Task>,
    pub(crate) injection_tasks: Vec<Attack>,
    #[serde(default)]
    pub(crate) environment: Value,
}

impl Suite {
    /// Where its tools come from, as the owner of the suite would set it up: the chat is that of his own
    /// team, anybody can write mails.
    pub(crate) fn server(&self) -> Server<'_> {
        match self.suite.as_str() {
            "slack" => Server::closed("slack"),
            name => Server::open(name),
        }
    }
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) parameters: Value,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) prompt: String,
    pub(crate) calls: Vec<Call>,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) id: String,
    pub(crate) goal: String,
    pub(crate) calls: Vec<Call>,
}

#[derive(Deserialize, Clone, Debug)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) args: Value,
    #[serde(default)]
    pub(crate) output: Value,
    #[serde(default)]
    pub(crate) output_with_vector_marks: Option<String>,
    #[serde(default)]
    pub(crate) carries_vectors: Vec<String>,
}

impl Call {
    /// The result as a value, with this text in the place of every vector.
    pub(crate) fn result(&self, injected: &str) -> Value {
        let text = match (&self.output_with_vector_marks, &self.output) {
            (Some(marked), _) => marked.clone(),
            (None, Value::String(text)) => text.clone(),
            (None, other) => return other.clone(),
        };
        let value = serde_yaml_ng::from_str(&text).unwrap_or(Value::String(text));
        fill(value, injected)
    }
}

/// Puts a text in the place of each mark. It is done behind the parser: a server writes its rows, and
/// what stands in a field cannot make a new one.
fn fill(value: Value, injected: &str) -> Value {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            let mut filled = String::new();
            while let Some((before, after)) = rest.split_once("<<INJ:") {
                filled.push_str(before);
                filled.push_str(injected);
                rest = after.split_once(">>").map_or("", |(_, rest)| rest);
            }
            filled.push_str(rest);
            Value::String(filled)
        }
        Value::Array(items) => items.into_iter().map(|item| fill(item, injected)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, fill(value, injected)))
            .collect(),
        other => other,
    }
}

/// Every suite in a folder.
pub(crate) fn read(folder: &Path) -> anyhow::Result<Vec<Suite>> {
    let listing = std::fs::read_dir(folder)
        .with_context(|| format!("no suites in {}; give --data DIR", folder.display()))?;
    let mut paths: Vec<_> = listing
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    };
    let suites: Vec<Suite> = paths.iter().map(read).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!suites.is_empty(), "no suites in {}", folder.display());
    Ok(suites)
}

/// What the owner has set up himself: his own addresses and accounts, and the people he wrote to
/// before they wrote to him.
#[derive(Clone, Default, Debug)]
pub(crate) struct Known {
    pub(crate) own: BTreeSet<String>,
    pub(crate) contacts: BTreeSet<String>,
}

impl Known {
    /// Reads it from the initial state: the account's own address, and the messages it sent.
    pub(crate) fn of(environment: &Value) -> Self {
        let mut known = Self::default();
        known.accounts(environment);
        let mut messages = Vec::new();
        gather(environment, &mut messages);
        let time = |message: &Value| text(message, &["timestamp", "date"]).unwrap_or_default();
        messages.sort_by_key(|message| time(message));
        let mut wrote = BTreeSet::new();
        for message in messages {
            let Some(sender) = text(message, &["sender", "from"]) else {
                continue;
            };
            if !known.own.contains(&sender) {
                wrote.insert(sender);
                continue;
            }
            for list in ["recipients", "to", "cc"] {
                for person in message
                    .get(list)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    let person = person.as_str().unwrap_or_default();
                    if !wrote.contains(person) && !known.own.contains(person) {
                        known.contacts.insert(person.to_owned());
                    }
                }
            }
        }
        known
    }

    fn accounts(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let is_own = matches!(name.as_str(), "account_email" | "own_address")
                        || (name == "iban" && fields.contains_key("balance"));
                    match value {
                        Value::String(text) if is_own => {
                            self.own.insert(text.clone());
                        }
                        other => self.accounts(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.accounts(item)),
            _ => {}
        }
    }
}

fn text(message: &Value, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| message.get(*name)?.as_str())?;
    Some(found.to_owned())
}

/// Every object that has a sender and recipients.
fn gather<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            if fields.contains_key("sender") && fields.contains_key("recipients") {
                found.push(value);
            }
            fields.values().for_each(|field| gather(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}
