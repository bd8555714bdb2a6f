//! The behaviour: the value that decides how agents act.

use instar_policy::{Authority, canonical};
use instar_protocol::ReleaseId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::error::ReleaseError;
use crate::heartbeat::Heartbeat;
use crate::mitigation::Mitigation;
use crate::retrieval::Retrieval;
use crate::schedule::Schedules;
use crate::settings::ToolSettings;
use crate::skill::Skills;

/// The files that a prompt is made of; a behaviour holds no others.
pub const PROMPT_FILES: [&str; 8] = [
    "AGENTS.md",
    "SOUL.md",
    "IDENTITY.md",
    "USER.md",
    "TOOLS.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
];

/// Everything that decides how agents act: no code, no secrets, no user data.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    pub agents: BTreeMap<String, AgentBehaviour>,
    pub authority: Authority,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentBehaviour {
    /// Identity files by name, already cut to their limits.
    pub prompt: BTreeMap<String, PromptFile>,
    pub route: Route,
    pub limits: Limits,
    /// What it looks up when a task is of that kind, by name.
    #[serde(with = "crate::skill::lock")]
    pub skills: Skills,
    /// What is done about faults, by id.
    pub mitigations: Vec<Mitigation>,
    /// When it looks after things by itself; never, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
    /// What it does at times that were said beforehand, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: Schedules,
    /// How it finds again what was said, where that is not as it is by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<Retrieval>,
    /// What its tools are set to, where that is not as they are by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolSettings>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptFile {
    pub text: String,
    /// Characters of the file that did not fit.
    pub cut_chars: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub primary: String,
    pub fallbacks: Vec<String>,
    /// The models that look at pictures, in order; none where those above do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<String>,
}

impl Route {
    /// Leads every model of it to one provider, under its own name there; the names.
    pub fn lead_to(&mut self, provider: &str) -> Vec<String> {
        let all = std::iter::once(&mut self.primary).chain(&mut self.fallbacks);
        let mut names = Vec::new();
        for model in all.chain(&mut self.pictures) {
            if model.is_empty() {
                "none".clone_into(model);
            }
            names.push(model.clone());
            *model = format!("{provider}/{model}");
        }
        names
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub model_calls_max: u32,
    pub tool_calls_max: u32,
    pub timeout_seconds: u32,
    pub output_tokens_max: u32,
}

/// What an agent has whose owner says nothing.
impl Default for Limits {
    fn default() -> Self {
        Self {
            model_calls_max: 24,
            tool_calls_max: 64,
            timeout_seconds: 600,
            output_tokens_max: 8_192,
        }
    }
}

impl Limits {
    /// What each may be, its ends included. The configuration keeps to the same.
    pub const MODEL_CALLS: (u32, u32) = (1, 200);
    pub const TOOL_CALLS: (u32, u32) = (0, 1_000);
    pub const TIMEOUT_SECONDS: (u32, u32) = (1, 86_400);
    pub const OUTPUT_TOKENS: (u32, u32) = (1, 1_000_000);

    /// What is wrong with them, if anything is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let all = [
            ("model_calls_max", self.model_calls_max, Self::MODEL_CALLS),
            ("tool_calls_max", self.tool_calls_max, Self::TOOL_CALLS),
            (
                "timeout_seconds",
                self.timeout_seconds,
                Self::TIMEOUT_SECONDS,
            ),
            (
                "output_tokens_max",
                self.output_tokens_max,
                Self::OUTPUT_TOKENS,
            ),
        ];
        let wrong = all
            .into_iter()
            .find(|(_, value, (least, most))| !(least..=most).contains(&value));
        wrong
            .map(|(name, value, (least, most))| format!("{name} is {value}, not {least} to {most}"))
    }
}

impl Behaviour {
    /// The canonical form, whose SHA-256 is the release's id.
    pub fn canonical(&self) -> Result<String, ReleaseError> {
        canonical::of(self).map_err(ReleaseError::canonical)
    }

    /// The id of the release that this behaviour is, stored or not.
    pub fn id(&self) -> Result<ReleaseId, ReleaseError> {
        Ok(id_of(self.canonical()?.as_bytes()))
    }
}

/// The id that a behaviour in canonical form has.
pub(crate) fn id_of(canonical_bytes: &[u8]) -> ReleaseId {
    ReleaseId::from_hex(canonical::sha256(canonical_bytes))
}
