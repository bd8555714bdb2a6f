//! What the gateway and the lab say to each other. The lab's words are a proposal: they name what was
//! seen in an event, and the gateway counts it from its own copy of that event.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::fault::SignalKind;
use crate::id::EventId;

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
