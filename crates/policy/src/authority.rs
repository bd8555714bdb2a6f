//! The authority: every fact that a decision reads, as one value with one hash.

use instar_protocol::{AgentId, Principal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use crate::annotation::Annotation;
use crate::canonical::{self, CanonicalError};
use crate::cedar::Rules;

/// Every fact that a decision reads, hashed as one part of the behaviour.
///
/// The default value knows no tool and therefore allows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    pub annotations: BTreeMap<String, Annotation>,
    /// The only tools there are, if the owner made a list; `None` leaves it to the profile. `*`
    /// stands for every tool.
    pub allow: Option<BTreeSet<String>>,
    /// A denied tool stays denied whatever allows it. `*` stands for every tool.
    pub deny: BTreeSet<String>,
    /// What each kind of principal may use. Without a row the owner may use every tool, and
    /// nobody else any.
    pub profiles: BTreeMap<Role, Profile>,
    /// Lists beside these, for some agents and some people alone. Every one that fits has to have the
    /// tool.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<ToolList>,
    /// How much is let through without a question.
    #[serde(default)]
    pub posture: Posture,
    /// The digest of the built-in rules that this was made over: a version of the program with others
    /// makes another authority. Empty in what was stored before it was part of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// The owner's own rules beside the built-in ones.
    #[serde(default, skip_serializing_if = "Rules::is_built_in")]
    pub rules: Rules,
    #[serde(default)]
    pub known: Known,
    /// The walls around the programs of each agent, as its owner set them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sandbox: BTreeMap<String, Value>,
}

/// Whom and what the owner vouches for, by himself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The owner's own addresses, numbers and accounts.
    pub own: BTreeSet<String>,
    /// People whom he knows.
    pub contacts: BTreeSet<String>,
    /// Places where things may go without a word of his.
    pub destinations: BTreeSet<String>,
}

/// The tools of some agent, or those that somebody may use. It narrows and allows nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolList {
    pub of: ListOf,
    /// The only ones; `None` for all that there are.
    pub allow: Option<BTreeSet<String>>,
    pub deny: BTreeSet<String>,
}

/// Whom a list is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListOf {
    Agent(String),
    /// A role (`owner`, `contact`, `stranger`, `automation`), a person's id, `CHANNEL:*` for everybody on a
    /// channel, or `*` for everybody.
    Sender(String),
}

impl ListOf {
    /// True if the list is for a run of this agent under this principal.
    #[must_use]
    pub fn fits(&self, agent: &AgentId, principal: &Principal) -> bool {
        let pattern = match self {
            Self::Agent(id) => return id == agent.as_str(),
            Self::Sender(pattern) => pattern.as_str(),
        };
        let (role, id) = match principal {
            Principal::Owner { .. } => ("owner", ""),
            Principal::Contact { id } => ("contact", id.as_str()),
            Principal::Stranger { id } => ("stranger", id.as_str()),
            Principal::Automation { source } => ("automation", source.as_str()),
        };
        let on_channel = |start: &str| {
            let rest = id.strip_prefix(start);
            rest.is_some_and(|rest| start.ends_with(':') && !rest.is_empty())
        };
        pattern == "*"
            || pattern == role
            || (!id.is_empty() && pattern == id)
            || pattern.strip_suffix('*').is_some_and(on_channel)
    }
}

/// How much is let through without a question.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Posture {
    /// Reading is free, every effect asks.
    #[default]
    Careful,
    /// Plan and provenance decide; only what they cannot settle asks.
    Balanced,
    /// Only the hard rules.
    Open,
}

/// The kinds of principals that profiles are written for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Owner,
    Contact,
    Stranger,
    Automation,
}

impl Role {
    #[must_use]
    pub fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Owner { .. } => Self::Owner,
            Principal::Contact { .. } => Self::Contact,
            Principal::Stranger { .. } => Self::Stranger,
            Principal::Automation { .. } => Self::Automation,
        }
    }
}

/// One row: the tools that a kind of principal may use.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// `*` stands for every tool.
    pub tools: BTreeSet<String>,
}

impl Authority {
    /// The authority of a fresh install: these tools for the owner, nothing for anybody else.
    #[must_use]
    pub fn over(annotations: BTreeMap<String, Annotation>) -> Self {
        Self {
            annotations,
            base: Rules::base_digest(),
            ..Self::default()
        }
    }

    /// SHA-256 in hex over the canonical form.
    pub fn hash(&self) -> Result<String, CanonicalError> {
        Ok(canonical::sha256(canonical::of(self)?.as_bytes()))
    }

    /// The same with these tools alone, as far as it has them: nothing that was denied is allowed.
    #[must_use]
    pub fn narrowed(&self, tools: &BTreeSet<String>) -> Self {
        let kept = |tool: &&String| self.lists(tool);
        let allow = if tools.contains("*") {
            self.allow.clone()
        } else {
            Some(tools.iter().filter(kept).cloned().collect())
        };
        Self {
            allow,
            ..self.clone()
        }
    }

    /// The lists that keep a tool from a run of this agent under this principal; the first of them.
    pub(crate) fn kept_by(
        &self,
        tool: &str,
        agent: &AgentId,
        principal: &Principal,
    ) -> Option<&ToolList> {
        self.lists
            .iter()
            .filter(|list| list.of.fits(agent, principal))
            .find(|list| {
                let listed = |allow: &BTreeSet<String>| names(allow, tool);
                names(&list.deny, tool) || !list.allow.as_ref().is_none_or(listed)
            })
    }

    pub(crate) fn denies(&self, tool: &str) -> bool {
        names(&self.deny, tool)
    }

    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.allow.as_ref().is_none_or(|list| names(list, tool))
    }

    pub(crate) fn profile_has(&self, role: Role, tool: &str) -> bool {
        self.profiles
            .get(&role)
            .map_or(role == Role::Owner, |profile| names(&profile.tools, tool))
    }
}

fn names(set: &BTreeSet<String>, tool: &str) -> bool {
    set.contains(tool) || set.contains("*")
}
