//! `skill`: the text of a skill, as the release has it that serves the turn.

use futures_util::FutureExt as _;
use instar_policy::{Annotation, Kind, SlotRole};
use instar_protocol::{AgentId, Label};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::reads_own;
use crate::annotate::slots;
use crate::plain::{Plain, spec, text};
use crate::tool::{Output, Tool, ToolError};

/// The tool's name: it is offered where there are skills to read.
pub const SKILL: &str = "skill";
/// What is read where no file is named.
const FIRST: &str = "SKILL.md";
const NAME_CHARS_MAX: usize = 64;
const FILE_CHARS_MAX: usize = 160;

/// The skills of the release that serves a turn. Nothing of them is read from the disk.
pub trait SkillsPort: Send + Sync + fmt::Debug {
    /// The names of an agent's skills.
    fn names(&self, agent: &AgentId) -> Vec<String>;

    /// The files of one, by path.
    fn files<'a>(&'a self, agent: &AgentId, name: &str) -> Option<&'a BTreeMap<String, String>>;
}

pub(crate) fn tool() -> Arc<dyn Tool> {
    Arc::new(Plain {
        spec: spec(
            SKILL,
            "Reads one of your skills: what to do for a task of its kind. Read it before you begin \
             such a task.",
            &json!({
                "name": { "type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX,
                    "description": "As it is listed under Skills." },
                "file": { "type": "string", "minLength": 1, "maxLength": FILE_CHARS_MAX,
                    "description": "A further file of the skill; SKILL.md if left out." },
            }),
            &["name"],
        ),
        annotation: Annotation {
            connector: "skills".to_owned(),
            slots: slots(&[
                ("name", SlotRole::Which, Kind::Id),
                ("file", SlotRole::Which, Kind::Path),
            ]),
            ..reads_own()
        },
        port: Arc::new(()),
        run: |(), arguments, caller| {
            async move {
                let name = text(arguments, "name").unwrap_or_default();
                let skills = caller.skills.as_deref();
                let Some(files) = skills.and_then(|skills| skills.files(&caller.agent, name))
                else {
                    let names = skills.map(|skills| skills.names(&caller.agent));
                    return Err(no_such("skill", name, &names.unwrap_or_default()));
                };
                let file = text(arguments, "file").unwrap_or(FIRST);
                let Some(found) = files.get(file) else {
                    let names: Vec<String> = files.keys().cloned().collect();
                    return Err(no_such("file", file, &names));
                };
                let mut whole = found.clone();
                let others: Vec<&str> = files
                    .keys()
                    .map(String::as_str)
                    .filter(|one| *one != file)
                    .collect();
                if file == FIRST && !others.is_empty() {
                    whole.push_str(&format!(
                        "\n[further files of {name}: {}]",
                        others.join(", ")
                    ));
                }
                // The owner put it there or said yes to it, to these very bytes.
                Ok(Output::words(whole, Label::owner()))
            }
            .boxed()
        },
    })
}

fn no_such(what: &str, name: &str, there: &[String]) -> ToolError {
    let there = if there.is_empty() {
        "none".to_owned()
    } else {
        there.join(", ")
    };
    ToolError::Failed(format!("there is no {what} {name}; there is: {there}"))
}
