//! Schedules of an agent: what it does by itself at times that were said beforehand.
//!
//! A schedule says when ([`When`]), in which zone, and what. When the next time comes is a plain function
//! of the moment and the zone ([`When::next_after`]); who keeps the clock is not this crate's business.

mod cron;
mod when;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use cron::Cron;
pub use when::When;

/// The most schedules of one agent.
pub const SCHEDULES_MAX: usize = 32;
/// The most characters of what an agent is to do.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// The longest span between two times: a year.
pub const EVERY_MINUTES_MAX: u32 = 366 * 24 * 60;
const NAME_CHARS_MAX: usize = 40;
const ZONE_CHARS_MAX: usize = 64;

/// The schedules of one agent by name.
pub type Schedules = BTreeMap<String, Schedule>;

/// A part of a release, so that it is changed, judged and taken back as one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    pub when: When,
    /// The zone of its times, `Europe/Berlin`; without one, that of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What the agent is to do.
    pub text: String,
}

impl Schedule {
    /// Why it cannot be served under this name.
    pub(crate) fn problem(&self, name: &str) -> Option<String> {
        if !is_name(name) {
            return Some(format!(
                "its name is not 1 to {NAME_CHARS_MAX} small letters, digits and single hyphens"
            ));
        }
        if self.zone.as_deref().is_some_and(|zone| !is_zone(zone)) {
            return Some("its zone is no name of a time zone, such as Europe/Berlin".to_owned());
        }
        let chars = self.text.chars().count();
        if self.text.trim().is_empty() || chars > TEXT_CHARS_MAX {
            return Some(format!("its text has 1 to {TEXT_CHARS_MAX} characters"));
        }
        None
    }

    /// True if the other one comes at the same times.
    #[must_use]
    pub fn is_in_time_with(&self, other: &Self) -> bool {
        (&self.when, &self.zone) == (&other.when, &other.zone)
    }
}

/// Small letters, digits and single hyphens between them, so that it is a part of a conversation's key.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX && crate::skill::is_name(name)
}

/// The form of a zone's name. Whether there is one of that name, a machine's own tables say.
fn is_zone(zone: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
    (1..=ZONE_CHARS_MAX).contains(&zone.len()) && zone.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_has_a_plain_name_and_something_to_do() {
        let made = Schedule {
            when: When::parse("every 2h").unwrap(),
            zone: Some("Europe/Berlin".to_owned()),
            text: "Look.".to_owned(),
        };
        assert_eq!(made.problem("morning-look"), None);
        for name in ["", "Morning", "a:b", "a--b", "-", &"x".repeat(41)] {
            assert!(made.problem(name).is_some(), "{name}");
        }
        let other = |text: &str, zone: &str| Schedule {
            text: text.to_owned(),
            zone: Some(zone.to_owned()),
            ..made.clone()
        };
        assert!(other(" ", "UTC").problem("a").is_some());
        assert!(other(&"x".repeat(4_001), "UTC").problem("a").is_some());
        assert!(other("Look.", "../etc/passwd").problem("a").is_some());
        assert!(other("Look.", "").problem("a").is_some());
    }
}
