//! Heartbeats by the hour of the owner's day: how many came by a place, and in how many a fault showed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::fault::day;
use crate::session::AgentId;
use crate::time::Timestamp;

/// Agents whose heartbeats are told apart.
pub const AGENTS_MAX: usize = 32;

/// Beats of one agent. A beat is one, however often it called or failed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Beats {
    /// By the hour of the owner's day, 0 to 23.
    pub hours: BTreeMap<u8, u64>,
    /// Different days on which there were any.
    pub days: u64,
    /// The latest of them.
    pub last_day: u64,
}

impl Beats {
    pub fn take(&mut self, hour: u8, at: Timestamp) {
        *self.hours.entry(hour.min(23)).or_default() += 1;
        let day = day(at);
        if self.days == 0 || day > self.last_day {
            self.days += 1;
            self.last_day = day;
        }
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.hours.values().sum()
    }

    /// The sum of two. Of days only the larger number is known.
    pub fn add(&mut self, other: &Self) {
        for (hour, count) in &other.hours {
            *self.hours.entry(*hour).or_default() += count;
        }
        self.days = self.days.max(other.days);
        self.last_day = self.last_day.max(other.last_day);
    }
}

/// The beats of an agent in a map of several; none where there are too many agents already.
pub fn of_agent<'a>(
    all: &'a mut BTreeMap<AgentId, Beats>,
    agent: &AgentId,
) -> Option<&'a mut Beats> {
    let has_room = all.len() < AGENTS_MAX || all.contains_key(agent);
    has_room.then(|| all.entry(agent.clone()).or_default())
}
