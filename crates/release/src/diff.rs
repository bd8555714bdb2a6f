//! A readable difference between two behaviours.

use serde::Serialize;
use serde_json::{Value, json};
use similar::{Algorithm, TextDiff};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::behaviour::{Behaviour, PromptFile};
use crate::skill::Skill;

/// After this time a text diff may be longer than need be, but is still right.
const TEXT_DIFF_PATIENCE: Duration = Duration::from_millis(200);

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// Where, for example `agents.main.route.primary`.
    pub path: String,
    /// `None` if it is new. A prompt file is shown by its size here, and by `text`.
    pub before: Option<Value>,
    /// `None` if it is gone.
    pub after: Option<Value>,
    /// Unified diff, for prompt texts.
    pub text: Option<String>,
}

/// The difference between two behaviours: one entry per changed path, prompts as text diff.
#[must_use]
pub fn diff(old: &Behaviour, new: &Behaviour) -> Vec<Change> {
    let mut changes = Vec::new();
    values(
        "",
        Some(&without_texts(old)),
        Some(&without_texts(new)),
        &mut changes,
    );
    prompts(old, new, &mut changes);
    skills(old, new, &mut changes);
    changes.sort_by(|one, two| one.path.cmp(&two.path));
    changes
}

fn prompts(old: &Behaviour, new: &Behaviour, changes: &mut Vec<Change>) {
    let names = |behaviour: &Behaviour| -> BTreeSet<(String, String)> {
        let agents = behaviour.agents.iter();
        agents
            .flat_map(|(agent, of)| of.prompt.keys().map(|file| (agent.clone(), file.clone())))
            .collect()
    };
    for (agent, file) in names(old).union(&names(new)) {
        let of = |behaviour: &Behaviour| -> Option<PromptFile> {
            behaviour.agents.get(agent)?.prompt.get(file).cloned()
        };
        let (before, after) = (of(old), of(new));
        if before == after {
            continue;
        }
        let text = |of: &Option<PromptFile>| of.as_ref().map_or("", |of| &of.text).to_owned();
        changes.push(Change {
            path: format!("agents.{agent}.prompt.{file}"),
            text: text_diff(file, &text(&before), &text(&after)),
            before: before.as_ref().map(size),
            after: after.as_ref().map(size),
        });
    }
}

fn skills(old: &Behaviour, new: &Behaviour, changes: &mut Vec<Change>) {
    let names = |behaviour: &Behaviour| -> BTreeSet<(String, String)> {
        let agents = behaviour.agents.iter();
        agents
            .flat_map(|(agent, of)| of.skills.keys().map(|name| (agent.clone(), name.clone())))
            .collect()
    };
    let none = Skill::default();
    for (agent, name) in names(old).union(&names(new)) {
        let of = |behaviour: &'_ Behaviour| -> Option<Skill> {
            behaviour.agents.get(agent)?.skills.get(name).cloned()
        };
        let (before, after) = (of(old), of(new));
        if before == after {
            continue;
        }
        changes.push(Change {
            path: format!("agents.{agent}.skills.{name}"),
            text: texts(
                name,
                before.as_ref().unwrap_or(&none),
                after.as_ref().unwrap_or(&none),
            ),
            before: before.as_ref().map(shown),
            after: after.as_ref().map(shown),
        });
    }
}

/// All files of a skill that differ, one after the other.
fn texts(name: &str, before: &Skill, after: &Skill) -> Option<String> {
    let files: BTreeSet<&String> = before.files.keys().chain(after.files.keys()).collect();
    let text = |of: &Skill, file: &String| of.files.get(file).cloned().unwrap_or_default();
    let differing: Vec<String> = files
        .into_iter()
        .filter_map(|file| {
            text_diff(
                &format!("{name}/{file}"),
                &text(before, file),
                &text(after, file),
            )
        })
        .collect();
    (!differing.is_empty()).then(|| differing.concat())
}

/// A skill without its text.
#[must_use]
pub fn shown(skill: &Skill) -> Value {
    json!({
        "description": skill.description(),
        "digest": skill.digest(),
        "files": skill.files.len(),
        "bytes": skill.bytes(),
    })
}

fn size(file: &PromptFile) -> Value {
    json!({ "chars": file.text.chars().count(), "cut_chars": file.cut_chars })
}

/// Two texts as a unified diff; nothing where they are equal.
#[must_use]
pub fn text_diff(file: &str, before: &str, after: &str) -> Option<String> {
    if before == after {
        return None;
    }
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .timeout(TEXT_DIFF_PATIENCE)
        .diff_lines(before, after);
    Some(
        diff.unified_diff()
            .context_radius(3)
            .header(file, file)
            .to_string(),
    )
}

/// Everything but the texts of prompts and skills, as plain JSON.
fn without_texts(behaviour: &Behaviour) -> Value {
    let mut agents = json!(behaviour.agents);
    for agent in agents
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        if let Some(parts) = agent.as_object_mut() {
            let _texts = parts.shift_remove("prompt");
            parts.insert("skills".to_owned(), json!([]));
            // The first schedule is told by its name, as all after it are.
            parts.entry("schedules").or_insert_with(|| json!({}));
        }
    }
    json!({ "agents": agents, "authority": behaviour.authority })
}

/// Goes down objects as long as both sides have one, and notes what differs below.
fn values(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            values(&path, old.get(key), new.get(key), changes);
        }
        return;
    }
    changes.push(Change {
        path: path.to_owned(),
        before: old.cloned(),
        after: new.cloned(),
        text: None,
    });
}
