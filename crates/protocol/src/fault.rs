//! Faults: failures of one kind in one place, and what was counted of them.
//!
//! A fault is counted from the event log alone. What names its kind and its template is a proposal of
//! the improvement plane; when it was seen, where and how often is not.

mod blast;

pub use blast::{Blast, PEOPLE_MAX, SESSIONS_MAX};

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::beats::Beats;
use crate::event::{Arm, Event, EventKind};
use crate::id::{EventId, ReleaseId, SessionId};
use crate::reads::Reads;
use crate::session::AgentId;
use crate::time::Timestamp;

/// The nineteen kinds of signs that something went wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalKind {
    /// A program ended with another code than zero, or by a signal.
    ExitCode,
    /// An exception or panic, by its class.
    Exception,
    /// A tool did not take the shape of its arguments.
    ArgumentShape,
    /// An HTTP status of 400 or above.
    HttpStatus,
    /// A model's vendor failed, by the class of its error.
    ProviderError,
    Timeout,
    /// It worked, but not at the first try.
    Retries,
    /// The user said that it was wrong.
    Correction,
    /// The turn was cut off before it had answered.
    Abandoned,
    /// A turn cost many times what turns cost here.
    CostSpike,
    /// The same call again and again.
    RepeatedCall,
    /// A tool failed in a way that no other kind names.
    ToolError,
    /// A call that policy refused.
    RefusedCall,
    /// A limit on requests or a quota was reached.
    RateLimit,
    /// No connection, no name, no route.
    Network,
    /// More than the model's window holds.
    ContextLength,
    /// A file, page or thing that is not there.
    NotFound,
    /// Something may not be read, written or run.
    Permission,
    /// A disk is full, or what was stored cannot be read.
    Storage,
}

impl SignalKind {
    pub const ALL: [Self; 19] = [
        Self::ExitCode,
        Self::Exception,
        Self::ArgumentShape,
        Self::HttpStatus,
        Self::ProviderError,
        Self::Timeout,
        Self::Retries,
        Self::Correction,
        Self::Abandoned,
        Self::CostSpike,
        Self::RepeatedCall,
        Self::ToolError,
        Self::RefusedCall,
        Self::RateLimit,
        Self::Network,
        Self::ContextLength,
        Self::NotFound,
        Self::Permission,
        Self::Storage,
    ];

    /// The name as it is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ExitCode => "exit_code",
            Self::Exception => "exception",
            Self::ArgumentShape => "argument_shape",
            Self::HttpStatus => "http_status",
            Self::ProviderError => "provider_error",
            Self::Timeout => "timeout",
            Self::Retries => "retries",
            Self::Correction => "correction",
            Self::Abandoned => "abandoned",
            Self::CostSpike => "cost_spike",
            Self::RepeatedCall => "repeated_call",
            Self::ToolError => "tool_error",
            Self::RefusedCall => "refused_call",
            Self::RateLimit => "rate_limit",
            Self::Network => "network",
            Self::ContextLength => "context_length",
            Self::NotFound => "not_found",
            Self::Permission => "permission",
            Self::Storage => "storage",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Days that are counted one by one; older ones are only in the sums.
pub const DAYS_MAX: usize = 400;
/// Examples that are kept of a fault: the first, and the latest.
pub const EXAMPLES_MAX: usize = 5;
/// Releases that are told apart.
pub const RELEASES_MAX: usize = 32;
/// Characters of a template or of an example.
pub const TEXT_CHARS_MAX: usize = 400;
/// Characters of what tells faults of one kind and place apart.
pub const DETAIL_CHARS_MAX: usize = 200;

const DAY_MILLIS: u64 = 86_400_000;

/// What was counted of one fault. A fault that went into another keeps its own counts, so that it can
/// be taken out again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    pub id: String,
    pub kind: SignalKind,
    /// Where it shows: `tool:NAME`, `model:NAME`, `turn`, `gateway`.
    pub place: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The template under which it was first known; with kind, place and detail it makes the id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub born: String,
    /// The text of it, values as `<*>`.
    pub template: String,
    /// What else its text speaks of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub also: BTreeSet<SignalKind>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub failures: u64,
    /// Failures by day since the epoch, UTC.
    pub days: BTreeMap<u64, u64>,
    pub examples: Vec<Example>,
    pub releases: BTreeMap<ReleaseId, u64>,
    pub arms: BTreeMap<String, u64>,
    pub blast: Blast,
    /// Failures by agent, where it is known whose they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<AgentId, u64>,
    /// Heartbeats in which it showed, by agent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beats: BTreeMap<AgentId, Beats>,
    /// Turns in which it showed, by agent, with the skills that they had read before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<AgentId, Reads>,
    /// A person said by what its failures are told apart; each value has a fault of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divided: Option<Divided>,
    /// The fault that it is a part of, since that was divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
}

/// By what the failures of one fault are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Divided {
    /// The names of the arguments of the call.
    Arguments,
    /// The value at a place of the template, the first being 0.
    Value { place: usize },
}

/// One time that it happened, in redacted words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Example {
    pub event: EventId,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Occasions on which faults of one place could have shown themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Occasions {
    pub place: String,
    pub count: u64,
    pub days: BTreeMap<u64, u64>,
    pub releases: BTreeMap<ReleaseId, u64>,
    pub arms: BTreeMap<String, u64>,
    /// Heartbeats that came by, by agent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beats: BTreeMap<AgentId, Beats>,
    /// Turns that came by, by agent, with the skills that they read; only told of turns as such.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reads: BTreeMap<AgentId, Reads>,
}

/// A change of the register by a person or by the lab. The number of the last one is its version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "edit")]
pub enum FaultEdit {
    /// From now on this one counts as a part of the other.
    Merge { fault: String, into: String },
    /// It stands by itself again; the lab does not merge it any more.
    Split { fault: String },
    /// From now on its failures are told apart by this, each with a fault of its own.
    Divide {
        fault: String,
        #[serde(deserialize_with = "divided")]
        by: Divided,
    },
    /// They are not told apart any more, and the parts count as parts of it again.
    Unite { fault: String },
    /// A name for people; an empty one goes back to the template.
    Name { fault: String, name: String },
    Mute {
        fault: String,
        #[serde(deserialize_with = "truth")]
        muted: bool,
    },
}

/// A yes or no as JSON has it, or as a form does.
pub fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Plain(bool),
        Word(String),
    }
    match Said::deserialize(deserializer)? {
        Said::Plain(truth) => Ok(truth),
        Said::Word(word) => word.parse().map_err(serde::de::Error::custom),
    }
}

/// As JSON has it; a form says `arguments` or the place of a value, counted from 1.
fn divided<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Divided, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Plain(Divided),
        Word(String),
    }
    let word = match Said::deserialize(deserializer)? {
        Said::Plain(by) => return Ok(by),
        Said::Word(word) => word,
    };
    let place = word
        .parse::<usize>()
        .ok()
        .and_then(|place| place.checked_sub(1));
    match place {
        Some(place) => Ok(Divided::Value { place }),
        None => Err(serde::de::Error::custom(
            "by: arguments, or the place of a value from 1 on",
        )),
    }
}

impl FaultEdit {
    #[must_use]
    pub fn fault(&self) -> &str {
        match self {
            Self::Merge { fault, .. }
            | Self::Split { fault }
            | Self::Divide { fault, .. }
            | Self::Unite { fault }
            | Self::Name { fault, .. }
            | Self::Mute { fault, .. } => fault,
        }
    }
}

/// The day of a moment, counted from the epoch.
#[must_use]
pub fn day(at: Timestamp) -> u64 {
    at.millis() / DAY_MILLIS
}

/// Where an event belongs.
#[must_use]
pub fn place(event: &Event) -> String {
    match &event.kind {
        EventKind::ToolCall { tool, .. } => format!("tool:{tool}"),
        EventKind::ModelCall { model, .. } => format!("model:{model}"),
        EventKind::Gateway { .. } | EventKind::Config { .. } | EventKind::Release { .. } => {
            "gateway".to_owned()
        }
        _ => "turn".to_owned(),
    }
}

/// Whether an event is an occasion on which faults of its place could show: a call, or a turn.
#[must_use]
pub fn is_occasion(event: &Event) -> bool {
    matches!(
        event.kind,
        EventKind::ToolCall { .. } | EventKind::ModelCall { .. } | EventKind::Turn { .. }
    )
}

impl Fault {
    /// One that has not happened yet.
    #[must_use]
    pub fn new(id: String, kind: SignalKind, place: String, at: Timestamp) -> Self {
        Self {
            id,
            kind,
            place,
            detail: String::new(),
            born: String::new(),
            template: String::new(),
            also: BTreeSet::new(),
            first_seen: at,
            last_seen: at,
            failures: 0,
            days: BTreeMap::new(),
            examples: Vec::new(),
            releases: BTreeMap::new(),
            arms: BTreeMap::new(),
            blast: Blast::default(),
            agents: BTreeMap::new(),
            beats: BTreeMap::new(),
            reads: BTreeMap::new(),
            divided: None,
            part_of: None,
        }
    }

    /// Counts one time that it happened; `text` is redacted.
    pub fn happened(&mut self, event: &Event, text: &str) {
        self.failures += 1;
        self.first_seen = self.first_seen.min(event.at);
        self.last_seen = self.last_seen.max(event.at);
        count_day(&mut self.days, event.at);
        count_release(&mut self.releases, event);
        *self.arms.entry(arm(event).to_owned()).or_default() += 1;
        if self.examples.len() >= EXAMPLES_MAX {
            self.examples.remove(1);
        }
        self.examples.push(Example {
            event: event.id.clone(),
            at: event.at,
            session: event.session.clone(),
            text: text.chars().take(TEXT_CHARS_MAX).collect(),
        });
        self.blast.reached(event);
    }

    /// The sum of two, under the name of the first.
    pub fn add(&mut self, other: &Self) {
        self.failures += other.failures;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        sum(&mut self.days, &other.days);
        sum(&mut self.releases, &other.releases);
        sum(&mut self.arms, &other.arms);
        sum(&mut self.agents, &other.agents);
        for (agent, beats) in &other.beats {
            self.beats.entry(agent.clone()).or_default().add(beats);
        }
        for (agent, reads) in &other.reads {
            self.reads.entry(agent.clone()).or_default().add(reads);
        }
        self.also.extend(other.also.iter().copied());
        self.blast.add(&other.blast);
    }
}

impl Occasions {
    pub fn take(&mut self, event: &Event) {
        self.count += 1;
        count_day(&mut self.days, event.at);
        count_release(&mut self.releases, event);
        *self.arms.entry(arm(event).to_owned()).or_default() += 1;
    }
}

fn arm(event: &Event) -> &'static str {
    match event.arm {
        Arm::Stable => "stable",
        Arm::Canary => "canary",
        Arm::Shadow => "shadow",
    }
}

fn count_day(days: &mut BTreeMap<u64, u64>, at: Timestamp) {
    *days.entry(day(at)).or_default() += 1;
    while days.len() > DAYS_MAX {
        days.pop_first();
    }
}

/// Of very many releases those go that had the least.
fn count_release(releases: &mut BTreeMap<ReleaseId, u64>, event: &Event) {
    let Some(release) = &event.release else {
        return;
    };
    if !releases.contains_key(release) && releases.len() >= RELEASES_MAX {
        let least = releases.iter().min_by_key(|(_, count)| **count);
        if let Some(least) = least.map(|(release, _)| release.clone()) {
            releases.remove(&least);
        }
    }
    *releases.entry(release.clone()).or_default() += 1;
}

fn sum<K: Ord + Clone>(mine: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
    for (key, count) in other {
        *mine.entry(key.clone()).or_default() += count;
    }
}
