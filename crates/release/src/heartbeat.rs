//! The heartbeat of an agent: when it looks after things by itself, and what it looks after.

use serde::{Deserialize, Serialize};

/// The longest time between two beats: a week.
pub const EVERY_MINUTES_MAX: u32 = 7 * 24 * 60;
/// The most characters of what an agent looks after.
pub const TEXT_CHARS_MAX: usize = 4_000;
const DAY_MINUTES: u16 = 24 * 60;

/// A part of a release, so that it is changed, judged and taken back as one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub every_minutes: u32,
    /// Beats come this much after the even times: 7 of every 30 is at :07 and :37.
    #[serde(default)]
    pub offset_minutes: u32,
    /// The hours in which there are beats; always, if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// What the agent is told to look after.
    pub text: String,
}

/// A span of the owner's day, in minutes after midnight. It may go over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    pub from: u16,
    /// The first minute after it.
    pub until: u16,
}

impl Hours {
    /// Reads `08:00` and `22:30`; the end may be `24:00`.
    #[must_use]
    pub fn parse(from: &str, until: &str) -> Option<Self> {
        let hours = Self {
            from: minute(from).filter(|minute| *minute < DAY_MINUTES)?,
            until: minute(until)?,
        };
        hours.is_sound().then_some(hours)
    }

    fn is_sound(self) -> bool {
        self.from < DAY_MINUTES && self.until <= DAY_MINUTES && self.from != self.until
    }

    /// True if a minute of the day lies in it.
    #[must_use]
    pub fn holds(self, minute: u16) -> bool {
        if self.from < self.until {
            (self.from..self.until).contains(&minute)
        } else {
            minute >= self.from || minute < self.until
        }
    }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str| -> Option<u16> {
        let is_number = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok())?
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

impl Heartbeat {
    /// The number of the beat that a minute since 1970 belongs to: a new number is a new beat.
    #[must_use]
    pub fn beat_at(&self, minute: u64) -> u64 {
        let every = u64::from(self.every_minutes.max(1));
        minute.saturating_sub(u64::from(self.offset_minutes)) / every
    }

    /// The minute since 1970 in which the beat after that of this minute begins.
    #[must_use]
    pub fn next_after(&self, minute: u64) -> u64 {
        let every = u64::from(self.every_minutes.max(1));
        (self.beat_at(minute) + 1) * every + u64::from(self.offset_minutes)
    }

    /// True if the other one comes at the same times.
    #[must_use]
    pub fn is_in_time_with(&self, other: &Self) -> bool {
        (self.every_minutes, self.offset_minutes, self.hours)
            == (other.every_minutes, other.offset_minutes, other.hours)
    }

    /// True if the other one looks after the same things as often, at other times, and at none of the day
    /// at which this one has no beats.
    #[must_use]
    pub fn may_move_to(&self, other: &Self) -> bool {
        let is_held = |minute: u16, of: &Self| of.hours.is_none_or(|hours| hours.holds(minute));
        let stays_inside =
            (0..DAY_MINUTES).all(|minute| !is_held(minute, other) || is_held(minute, self));
        self.text == other.text
            && self.every_minutes == other.every_minutes
            && !self.is_in_time_with(other)
            && other.problem().is_none()
            && stays_inside
    }

    /// Why it cannot be served.
    pub(crate) fn problem(&self) -> Option<String> {
        let every = self.every_minutes;
        if !(1..=EVERY_MINUTES_MAX).contains(&every) {
            return Some(format!("every_minutes is 1 to {EVERY_MINUTES_MAX}"));
        }
        if self.offset_minutes >= every {
            return Some(format!(
                "offset_minutes is below every_minutes, which is {every}"
            ));
        }
        if self.hours.is_some_and(|hours| !hours.is_sound()) {
            return Some("hours are two different times of a day".to_owned());
        }
        let chars = self.text.chars().count();
        if self.text.trim().is_empty() || chars > TEXT_CHARS_MAX {
            return Some(format!("the text has 1 to {TEXT_CHARS_MAX} characters"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_go_over_midnight() {
        let day = Hours::parse("08:00", "22:30").unwrap();
        assert!(day.holds(480) && day.holds(1_349) && !day.holds(1_350) && !day.holds(479));
        let night = Hours::parse("22:00", "06:00").unwrap();
        assert!(night.holds(1_400) && night.holds(0) && !night.holds(360) && !night.holds(720));
        assert!(Hours::parse("00:00", "24:00").unwrap().holds(1_439));
        for (from, until) in [
            ("8:00", "22:00"),
            ("08:60", "09:00"),
            ("24:00", "06:00"),
            ("08:00", "08:00"),
            ("+8:00", "09:00"),
            ("", ""),
        ] {
            assert_eq!(Hours::parse(from, until), None, "{from} {until}");
        }
    }

    #[test]
    fn a_beat_is_one_span_between_two_even_times() {
        let beat = |every_minutes, offset_minutes| Heartbeat {
            every_minutes,
            offset_minutes,
            hours: None,
            text: "look".to_owned(),
        };
        let half = beat(30, 7);
        assert_eq!(half.beat_at(37), half.beat_at(66));
        assert_ne!(half.beat_at(36), half.beat_at(37));
        assert_eq!((half.next_after(36), half.next_after(37)), (37, 67));
        assert_eq!(beat(1, 0).beat_at(5), 5);
        assert!(half.problem().is_none());
        assert!(beat(30, 30).problem().is_some());
        assert!(beat(0, 0).problem().is_some());
        assert!(beat(EVERY_MINUTES_MAX + 1, 0).problem().is_some());
        let blank = Heartbeat {
            text: " ".to_owned(),
            ..half
        };
        assert!(blank.problem().is_some());
    }

    #[test]
    fn a_heartbeat_is_moved_within_its_hours_and_nothing_else_of_it_changes() {
        let day = Heartbeat {
            every_minutes: 60,
            offset_minutes: 0,
            hours: Hours::parse("08:00", "20:00"),
            text: "look".to_owned(),
        };
        let moved = |change: fn(&mut Heartbeat)| {
            let mut other = day.clone();
            change(&mut other);
            day.may_move_to(&other)
        };
        assert!(moved(|one| one.offset_minutes = 20));
        assert!(moved(|one| one.hours = Hours::parse("13:00", "20:00")));
        assert!(!moved(|_| {}), "nothing is moved");
        assert!(!moved(|one| one.offset_minutes = 60));
        assert!(!moved(|one| one.hours = Hours::parse("07:00", "12:00")));
        assert!(!moved(|one| one.hours = None));
        assert!(!moved(|one| {
            one.offset_minutes = 20;
            one.every_minutes = 30;
        }));
        assert!(!moved(|one| {
            one.offset_minutes = 20;
            one.text = "send".to_owned();
        }));
    }
}
