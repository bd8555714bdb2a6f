//! Who and what a fault reached, and what the turns cost in which it showed.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::sum;
use crate::event::{Event, EventKind};
use crate::{SessionId, Standing};

/// Conversations that are told apart; more count as more.
pub const SESSIONS_MAX: usize = 64;
/// People that are told apart; more count as more.
pub const PEOPLE_MAX: usize = 64;

/// Who and what a fault reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Blast {
    /// Who had asked for the runs: `owner`, or a name made of a contact's or stranger's id. A schedule is nobody.
    #[serde(default)]
    pub people: BTreeSet<String>,
    /// There were more people than are told apart.
    #[serde(default)]
    pub more_people: bool,
    pub sessions: BTreeSet<SessionId>,
    /// There were more conversations than are told apart.
    #[serde(default)]
    pub more_sessions: bool,
    /// Whose words the runs had seen: `owner`, `contact`, `stranger`.
    pub origins: BTreeMap<String, u64>,
    /// Who had asked for the runs.
    #[serde(default)]
    pub askers: BTreeMap<Standing, u64>,
    /// Turns that met it and are over, and what they cost, each once.
    #[serde(default)]
    pub turns: u64,
    pub cost_micros: u64,
}

impl Blast {
    /// It was seen in runs of contacts and strangers, and in no run of the house.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        !self.askers.is_empty() && self.askers.keys().all(|asker| asker.is_outside())
    }

    /// Words or runs of somebody else than the house took part.
    #[must_use]
    pub fn is_tainted(&self) -> bool {
        let is_strange = |origin: &String| origin == "contact" || origin == "stranger";
        self.origins.keys().any(is_strange) || self.askers.keys().any(|asker| asker.is_outside())
    }

    /// Somebody had asked for a run that met it.
    pub fn met(&mut self, person: &str) {
        self.more_people |= !room_for(&mut self.people, PEOPLE_MAX, person.to_owned());
    }

    /// A turn that met it is over.
    pub fn cost(&mut self, micros: u64) {
        self.turns += 1;
        self.cost_micros += micros;
    }

    pub(super) fn reached(&mut self, event: &Event) {
        if let Some(session) = &event.session {
            self.more_sessions |= !room_for(&mut self.sessions, SESSIONS_MAX, session.clone());
        }
        if let Some(asker) = event.asker {
            *self.askers.entry(asker).or_default() += 1;
        }
        let worst = event.label.origins.worst();
        *self.origins.entry(worst.to_owned()).or_default() += 1;
        // What belongs to a run is paid for with its turn.
        if let (None, EventKind::ModelCall { cost_micros, .. }) = (&event.run, &event.kind) {
            self.cost_micros += cost_micros;
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for person in &other.people {
            self.met(person);
        }
        self.more_people |= other.more_people;
        self.sessions.extend(other.sessions.iter().cloned());
        self.more_sessions |= other.more_sessions;
        sum(&mut self.origins, &other.origins);
        sum(&mut self.askers, &other.askers);
        self.turns += other.turns;
        self.cost_micros += other.cost_micros;
    }
}

/// False where it is a new one and there is no room for it.
fn room_for<T: Ord>(all: &mut BTreeSet<T>, most: usize, one: T) -> bool {
    if all.len() >= most && !all.contains(&one) {
        return false;
    }
    all.insert(one);
    true
}
