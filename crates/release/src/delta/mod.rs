//! Deltas: the closed set of changes that a candidate can be made of.
//!
//! Each says what it touches ([`Delta::touches`]), is applied to a behaviour ([`Delta::apply`]) and has
//! an inverse over it ([`Delta::inverse`]). How weighty it is, is not its word: [`crate::class`] computes
//! that from what it did.

mod apply;
mod inverse;
mod order;
mod place;
mod section;

use instar_policy::{Posture, Role};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

use crate::heartbeat::Heartbeat;
use crate::mitigation::Mitigation;
use crate::retrieval::Retrieval;
use crate::schedule::Schedule;
use crate::settings::ToolSettings;
use crate::skill::Skill;

pub use apply::apply_all;
pub use order::{Order, compare, parts, rules};
pub use place::{Place, conflicts, overlap, rebase};
pub use section::sections;

/// One change. Its kinds are closed: whoever proposes one finds here all that can be proposed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Delta {
    /// A new text for an identity file, or none.
    SetPrompt {
        agent: String,
        file: String,
        #[serde(deserialize_with = "said")]
        text: Option<String>,
        /// Characters that did not fit when the text was read.
        #[serde(default)]
        cut_chars: u64,
    },
    /// A new text for one section of an identity file: its heading stays, and so do all others.
    SetPromptSection {
        agent: String,
        file: String,
        /// The line of its heading, `## Tone`; empty for what stands before the first.
        section: String,
        /// The section with its heading.
        text: String,
    },
    /// Which models an agent asks.
    SetRoute {
        agent: String,
        primary: String,
        #[serde(default)]
        fallbacks: Vec<String>,
        /// Those that look at pictures, where the others do not.
        #[serde(default)]
        pictures: Vec<String>,
    },
    SetLimit {
        agent: String,
        limit: Limit,
        value: u32,
    },
    /// Adds what is done about a fault, changes it, or (null) takes it away.
    SetMitigation {
        agent: String,
        id: String,
        #[serde(deserialize_with = "said")]
        mitigation: Option<Box<Mitigation>>,
    },
    /// When an agent looks after things by itself, and after what; null for never.
    SetHeartbeat {
        agent: String,
        #[serde(deserialize_with = "said")]
        heartbeat: Option<Heartbeat>,
    },
    /// What an agent does at times that were said beforehand, new or changed; null takes it away.
    SetSchedule {
        agent: String,
        name: String,
        #[serde(deserialize_with = "said")]
        schedule: Option<Schedule>,
    },
    /// How an agent finds again what was said; null for how it is by itself.
    SetRetrieval {
        agent: String,
        #[serde(deserialize_with = "said")]
        retrieval: Option<Retrieval>,
    },
    /// What a tool is set to; null for how it is by itself.
    SetTool {
        agent: String,
        tool: String,
        #[serde(deserialize_with = "said")]
        settings: Option<ToolSettings>,
    },
    /// The whole text of a skill, new or changed; null takes it away.
    SetSkill {
        agent: String,
        name: String,
        #[serde(deserialize_with = "said")]
        skill: Option<Skill>,
    },
    /// Allows less than before; refused if it does not.
    TightenPolicy(PolicyChange),
    /// Allows what was not allowed, or what cannot be compared with it.
    WidenPolicy(PolicyChange),
}

/// The numbers of [`crate::Limits`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    ModelCallsMax,
    ToolCallsMax,
    TimeoutSeconds,
    OutputTokensMax,
}

/// A change of the authority, of one part of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PolicyChange {
    Posture(Posture),
    /// Puts a tool on the list of the denied, or takes it off.
    Deny {
        tool: String,
        denied: bool,
    },
    /// The only tools there are; null for all.
    Allow {
        #[serde(deserialize_with = "said")]
        tools: Option<BTreeSet<String>>,
    },
    /// What a kind of principal may use; null for what holds without a row.
    Profile {
        role: Role,
        #[serde(deserialize_with = "said")]
        tools: Option<BTreeSet<String>>,
    },
    /// Vouches for somebody or some place, or no longer.
    Known {
        list: KnownList,
        value: String,
        known: bool,
    },
    /// A file of the owner's rules; null removes it.
    Rules {
        file: String,
        #[serde(deserialize_with = "said")]
        text: Option<String>,
    },
    /// The settings of the walls around an agent's programs; null for those that hold by themselves.
    Walls {
        agent: String,
        #[serde(deserialize_with = "said")]
        settings: Option<Value>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownList {
    Own,
    Contacts,
    Destinations,
}

/// Why a delta cannot be applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeltaError {
    #[error("there is no agent {0}")]
    Agent(String),
    #[error("{file} of {agent} has {count} sections {section:?}, not one; sections: {}", there.join(", "))]
    Section {
        agent: String,
        file: String,
        section: String,
        count: usize,
        there: Vec<String>,
    },
    #[error(
        "the text is not one section that begins with {0:?} and, unless it is the last, ends with a line end"
    )]
    SectionText(String),
    #[error("the mitigation is called {0}, and it is put in the place of another")]
    Mitigation(String),
    #[error("it changes nothing")]
    Nothing,
    #[error("it does not only take away: {0}; propose it as widen_policy")]
    NotTighter(String),
    #[error("it only takes away; propose it as tighten_policy")]
    Tighter,
    #[error("the rules are not right: {0}")]
    Rules(String),
    #[error("a name is 1 to 200 characters without control characters")]
    Name,
    #[error("it cannot be taken back exactly: {0}")]
    NoInverse(String),
}

/// `null` is said, and not left out.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}
