//! What the gateway and the lab say to each other. The lab's words are a proposal: they name what was
//! seen in an event, and the gateway counts it from its own copy of that event.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::fault::{Fault, SignalKind};
use crate::id::EventId;
use crate::time::Timestamp;

/// The role under which the lab is started.
pub const ROLE: &str = "lab";
/// Events that are told at a time.
pub const PAGE: usize = 500;
/// Signs that one event can have.
pub const SIGNS_MAX: usize = 4;

/// To the lab.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToLab {
    /// What it said when it closed the last time, as it said it. Comes first, if at all.
    Remember(serde_json::Value),
    /// Answered by a list of [`Found`].
    Events(Vec<Event>),
    /// Answered by [`Chosen`].
    Choose(Box<Case>),
    /// Answered by [`Closing`].
    Close,
}

/// A sign of a fault in an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub event: EventId,
    pub kind: SignalKind,
    #[serde(default)]
    pub detail: String,
    /// The template under which the fault was first known: its name for good.
    pub born: String,
    /// The template as it is known now.
    pub template: String,
    #[serde(default)]
    pub also: Vec<SignalKind>,
    /// The line that says it.
    #[serde(default)]
    pub text: String,
}

/// What the lab says last.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Templates that turned out to be one: born of the one that is gone, born of the one that stays.
    pub joined: Vec<(String, String)>,
    /// What it wants to be told the next time.
    pub memory: serde_json::Value,
}

/// Faults that are told at a time when the lab is to choose.
pub const CASE_FAULTS_MAX: usize = 100;
/// Changes that it may propose at a time.
pub const PROPOSED_MAX: usize = 3;

/// What a choice is made from: faults, what is in service against them, and what was learned.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub agent: String,
    /// The behaviour in service, as JSON.
    pub behaviour: serde_json::Value,
    pub faults: Vec<Fault>,
    /// Recipes that the owner brought.
    pub genes: Vec<serde_json::Value>,
    pub banned: Vec<String>,
    pub known: Vec<Known>,
    pub strategy: String,
    /// What was spent on what, as it was said the last time.
    pub spent: serde_json::Value,
    pub seed: u64,
    /// How many changes may be proposed now.
    pub most: usize,
}

/// How a trial of a recipe ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    pub gene: String,
    pub fault: String,
    pub mitigation: String,
    /// The stage that the trial came to.
    pub outcome: String,
    /// Units with and without the fix, and how many were bad.
    pub treated: (u64, f64),
    pub control: (u64, f64),
    pub evidence: f64,
    /// What the popular rule says.
    pub classic: Option<String>,
    /// The release that it was found under.
    pub release: String,
    pub at: Timestamp,
}

/// A change that the lab proposes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    pub fault: String,
    pub gene: String,
    pub delta: serde_json::Value,
    pub because: Vec<String>,
}

/// What it says when it was told a case.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    pub proposed: Vec<Proposed>,
    pub spent: serde_json::Value,
}
