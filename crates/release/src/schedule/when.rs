//! When a schedule comes: every so often, once at a certain time, or by a cron expression.

use instar_protocol::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;

use super::{Cron, EVERY_MINUTES_MAX};

const MINUTE_MILLIS: u64 = 60_000;
const AT_FORM: &str = "%Y-%m-%dT%H:%M";
const SECOND: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// Times of one expression on the clock on the wall that may be over already when they are looked at: an
/// hour that comes twice, and then some.
const OVER_MAX: usize = 48 * 60;

/// When a schedule comes. As text, in a release and to people, it is `every 2h`, `at 2026-12-24T18:00` or
/// `cron 0 8 * * 1-5`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum When {
    /// At the even times of that many minutes since 1970.
    Every(u32),
    /// Once, on the clock on the wall of the zone.
    At(DateTime),
    Cron(Cron),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(minutes) if minutes % (24 * 60) == 0 => {
                write!(f, "every {}d", minutes / (24 * 60))
            }
            Self::Every(minutes) if minutes % 60 == 0 => write!(f, "every {}h", minutes / 60),
            Self::Every(minutes) => write!(f, "every {minutes}m"),
            Self::At(at) => write!(f, "at {}", at.strftime(AT_FORM)),
            Self::Cron(cron) => write!(f, "cron {cron}"),
        }
    }
}

impl From<When> for String {
    fn from(when: When) -> Self {
        when.to_string()
    }
}

impl TryFrom<String> for When {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl When {
    /// Reads what [`When`] writes.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().split_once(char::is_whitespace) {
            Some(("every", span)) => Self::every(span.trim()),
            Some(("at", at)) => Self::at(at.trim()),
            Some(("cron", expression)) => Cron::parse(expression).map(Self::Cron),
            _ => Err(
                "it is `every 2h`, `at 2026-12-24T18:00` or `cron 0 8 * * 1-5`, and nothing else"
                    .to_owned(),
            ),
        }
    }

    /// `30m`, `2h` or `1d`.
    pub fn every(span: &str) -> Result<Self, String> {
        let minutes = minutes(span).filter(|minutes| (1..=EVERY_MINUTES_MAX).contains(minutes));
        minutes.map(Self::Every).ok_or_else(|| {
            "minutes, hours or days from a minute to a year: 30m, 2h or 1d".to_owned()
        })
    }

    /// `2026-12-24T18:00`.
    pub fn at(text: &str) -> Result<Self, String> {
        let at = DateTime::strptime(AT_FORM, text).ok();
        // What is read leniently must not be another time than was written.
        let at = at.filter(|at| at.strftime(AT_FORM).to_string() == text);
        at.map(Self::At)
            .ok_or_else(|| "a day and a time, without a zone: 2026-12-24T18:00".to_owned())
    }

    /// The first time after this moment; none if there is none any more.
    ///
    /// A time that the clock on the wall leaves out comes at the first moment after the gap, and one that it
    /// shows twice comes at the first of the two.
    #[must_use]
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(minutes) => {
                let span = u64::from(*minutes) * MINUTE_MILLIS;
                let next = (after.millis() / span + 1).checked_mul(span)?;
                Some(Timestamp::from_millis(next))
            }
            Self::At(at) => moment(*at, zone).filter(|at| *at > after),
            Self::Cron(cron) => {
                let millis = i64::try_from(after.millis()).ok()?;
                let now = jiff::Timestamp::from_millisecond(millis).ok()?;
                let mut from = now.to_zoned(zone.clone()).datetime();
                for _ in 0..OVER_MAX {
                    let wall = cron.from(from)?;
                    let at = moment(wall, zone)?;
                    if at > after {
                        return Some(at);
                    }
                    from = wall.checked_add(jiff::SignedDuration::from_mins(1)).ok()?;
                }
                None
            }
        }
    }
}

/// When a clock on the wall of the zone first shows a time, or has gone past it.
fn moment(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    let at = match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?.checked_sub(SECOND).ok()?;
            zone.following(before).next()?.timestamp()
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => {
            ambiguous.earlier().ok()?
        }
    };
    u64::try_from(at.as_millisecond())
        .ok()
        .map(Timestamp::from_millis)
}

/// `30m`, `2h`, `1d` in minutes.
fn minutes(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let scale = match unit {
        "m" => 1,
        "h" => 60,
        "d" => 24 * 60,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<u32>().ok()?.checked_mul(scale)
}
