//! What the gateway and the lab say to each other. The lab's words are a proposal: they name what was
//! seen in an event, and the gateway counts it from its own copy of that event.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::amend::NoteUse;
use crate::beats::Beats;
use crate::event::Event;
use crate::fault::{Fault, SignalKind};
use crate::id::EventId;
use crate::reads::Reads;
use crate::time::Timestamp;

/// The role under which the lab is started.
pub const ROLE: &str = "lab";
/// The role of a job with the same walls that tries what the lab may not do.
pub const PROBE_ROLE: &str = "lab-probe";
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
    /// What each recipe would do about a fault; answered by a list of values for people.
    Explain { case: Box<Case>, fault: String },
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
    /// Which of them skills brought, those that rest with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<Brought>,
    pub known: Vec<Known>,
    /// Heartbeats of the agent that came by each place where a fault shows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beats: BTreeMap<String, Beats>,
    /// Turns of the agent by the skills that they read, of the texts that are still there to go back to.
    #[serde(default)]
    pub reads: Reads,
    /// Notes that may be proposed to be taken away, as far as the answers of turns that read them were
    /// corrected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteUse>,
    /// What there is now at each place where a fault shows: program, models, tool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<String, String>,
    /// Faults about which nothing else is proposed now: something is, or was taken back and nothing happened
    /// since.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub waiting: BTreeSet<String>,
    /// What other houses say of recipes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignPrior>,
    pub strategy: String,
    /// What was spent on what, as it was said the last time.
    pub spent: serde_json::Value,
    pub seed: u64,
    /// How many changes may be proposed now.
    pub most: usize,
}

/// A recipe that a skill brought and the owner allowed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brought {
    pub gene: String,
    pub skill: String,
    /// Why it is not among the recipes now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests: Option<String>,
}

/// How often a recipe helped elsewhere, as somebody says. A hash shows that the words were not changed, not
/// that they are true.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignPrior {
    pub gene: String,
    pub helped: u32,
    pub hurt: u32,
}

/// Something of a folder of another engine, as it is kept here. None of it acts by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foreign {
    /// Its content address.
    pub address: String,
    pub id: String,
    pub what: ForeignKind,
    pub summary: String,
    /// The signs that it is for, as it says them.
    pub signals: Vec<String>,
    /// The recipe in our form, where it has one. It is proposed, and acts after the owner allowed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene: Option<serde_json::Value>,
    /// The gene that it tells of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// `helped` or `hurt`, where it names evidence for that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignKind {
    Gene,
    Capsule,
    FailedCapsule,
}

/// What is taken over of a folder.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takeover {
    pub assets: Vec<Foreign>,
}

/// Records that are kept, and how long the words of one may be.
pub const FOREIGN_MAX: usize = 500;
pub const FOREIGN_CHARS_MAX: usize = 300;

/// How a trial of a recipe ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Whose fix it was; nothing for what was found before that was told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub agent: String,
    pub gene: String,
    pub fault: String,
    pub mitigation: String,
    /// The stage that the trial came to.
    pub outcome: String,
    /// Units with and without the fix, and how many were bad.
    pub treated: (u64, f64),
    pub control: (u64, f64),
    pub evidence: f64,
    /// The time before against the time after: the units without the fix are those before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_coin: bool,
    /// What the popular rule says.
    pub classic: Option<String>,
    /// The release that it was found under.
    pub release: String,
    pub at: Timestamp,
    /// What the fault looked like. It stays when the fault itself is no longer told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// What a fault looked like when the trial of a fix came to a verdict.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub kind: SignalKind,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also: BTreeSet<SignalKind>,
    pub place: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The newest example, or the template where there is none.
    pub text: String,
    /// The program, the models and the tool that it was found with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub environment: String,
}

impl Seen {
    #[must_use]
    pub fn of(fault: &Fault, environment: &str) -> Self {
        let example = fault.examples.last().map(|example| example.text.as_str());
        let text = example.filter(|text| !text.is_empty());
        Self {
            kind: fault.kind,
            also: fault.also.clone(),
            place: fault.place.clone(),
            detail: fault.detail.clone(),
            text: text.unwrap_or(&fault.template).to_owned(),
            environment: environment.to_owned(),
        }
    }
}

/// In the place of a delta: the note that could be taken away. It is no change of the behaviour.
pub const TAKE_NOTE: &str = "take_note";

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
