//! What a verdict rests on besides the fix: the program, the tools that the fix is about, and the models
//! that are asked. Where one of these changes, what was found says nothing of what there is now.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use crate::behaviour::{AgentBehaviour, Behaviour};
use crate::mitigation::{Mitigation, Site};
use crate::releases::canonical;

const PROGRAM: &str = "program";
const MODELS: &str = "models";
const TOOL: &str = "tool:";
const GONE: &str = "gone";
const HASH_CHARS: usize = 16;

/// What there is now.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    pub behaviour: &'a Behaviour,
    /// That of the release which is let out just now.
    pub let_out: Option<&'a Behaviour>,
    /// What tools take, by name: their JSON schemas.
    pub schemas: &'a BTreeMap<String, Value>,
    /// The version of the program.
    pub program: &'a str,
}

/// The parts of the world that a trial rests on, each as it was.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn of(world: &World<'_>, agent: &str, mitigation: &Mitigation) -> Self {
        let mut names = vec![PROGRAM.to_owned(), MODELS.to_owned()];
        let mut tools = mitigation.act.read_from();
        if let Site::Tool(tool) = mitigation.act.site() {
            tools.push(tool);
        }
        names.extend(tools.into_iter().map(|tool| format!("{TOOL}{tool}")));
        let part = |name: String| {
            let now = world.part(agent, &name);
            (name, now)
        };
        Self(names.into_iter().map(part).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes up what there is now. Returns the parts that changed.
    pub(super) fn renew(&mut self, world: &World<'_>, agent: &str) -> Vec<String> {
        let mut changed = Vec::new();
        for (name, was) in &mut self.0 {
            let now = world.part(agent, name);
            if *was != now {
                *was = now;
                changed.push(name.clone());
            }
        }
        changed
    }
}

impl World<'_> {
    /// The class of what a fault at a place shows in: program, models, and the tool where it is one's.
    #[must_use]
    pub fn class(&self, agent: &str, place: &str) -> String {
        let tool = Some(place).filter(|place| place.starts_with(TOOL));
        let names = [PROGRAM, MODELS].into_iter().chain(tool);
        let parts: Vec<String> = names.map(|name| self.part(agent, name)).collect();
        parts.join("/")
    }

    /// The fix of an experiment, where somebody has it.
    pub(super) fn served(&self, agent: &str, experiment: &str, id: &str) -> Option<&Mitigation> {
        let all = [Some(self.behaviour), self.let_out].into_iter().flatten();
        let mut fixes = all
            .filter_map(|behaviour| behaviour.agents.get(agent))
            .flat_map(|agent| &agent.mitigations);
        fixes.find(|one| one.id == id && one.experiment(agent) == experiment)
    }

    fn agent(&self, agent: &str) -> Option<&AgentBehaviour> {
        self.behaviour.agents.get(agent)
    }

    fn part(&self, agent: &str, name: &str) -> String {
        if let Some(tool) = name.strip_prefix(TOOL) {
            let annotation = self.behaviour.authority.annotations.get(tool);
            let schema = self.schemas.get(tool);
            return match annotation {
                Some(annotation) => hash(&json!({"annotation": annotation, "takes": schema})),
                None => GONE.to_owned(),
            };
        }
        match (name, self.agent(agent)) {
            (PROGRAM, _) => self.program.to_owned(),
            (MODELS, Some(agent)) => {
                let route = &agent.route;
                hash(&json!({"primary": route.primary, "fallbacks": route.fallbacks}))
            }
            _ => GONE.to_owned(),
        }
    }
}

fn hash(value: &Value) -> String {
    let text = canonical(value).unwrap_or_default();
    let whole = hex::encode(Sha256::digest(text.as_bytes()));
    whole.chars().take(HASH_CHARS).collect()
}
