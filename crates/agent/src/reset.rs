//! When a conversation starts over by itself. Asked when the next message arrives.

use instar_protocol::Timestamp;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};

use crate::config::{ResetConfig, ResetMode};

/// The reason to start over before a message of `now`, if the rule wants it.
pub(crate) fn due(
    config: &ResetConfig,
    zone: &TimeZone,
    last: Timestamp,
    now: Timestamp,
) -> Option<String> {
    match config.mode {
        ResetMode::None => None,
        ResetMode::Idle => {
            let pause = std::time::Duration::from_secs(u64::from(config.idle_minutes) * 60);
            (now.since(last) >= pause)
                .then(|| format!("nothing was said for {} minutes", config.idle_minutes))
        }
        ResetMode::Daily => {
            let boundary = latest_boundary(config.at_hour, &local(now, zone)?)?;
            (local(last, zone)? < boundary)
                .then(|| format!("a new day begins at {}:00", config.at_hour))
        }
    }
}

fn local(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let millis = i64::try_from(at.millis()).ok()?;
    let time = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(time.to_zoned(zone.clone()))
}

/// The newest moment at or before `now` at which the clock showed the hour.
fn latest_boundary(hour: u8, now: &Zoned) -> Option<Zoned> {
    let hour = i8::try_from(hour).ok()?;
    let today = now
        .date()
        .at(hour, 0, 0, 0)
        .to_zoned(now.time_zone().clone())
        .ok()?;
    if &today <= now {
        return Some(today);
    }
    let yesterday = now.date().checked_sub(1.day()).ok()?;
    yesterday
        .at(hour, 0, 0, 0)
        .to_zoned(now.time_zone().clone())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(u64::try_from(time.as_millisecond()).unwrap())
    }

    fn check(mode: ResetMode, last: &str, now: &str, expected: bool) {
        let config = ResetConfig {
            mode,
            ..ResetConfig::default()
        };
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let reason = due(&config, &zone, at(last), at(now));
        assert_eq!(
            reason.is_some(),
            expected,
            "{mode:?} {last} {now}: {reason:?}"
        );
    }

    #[test]
    fn resets_come_when_the_rule_says() {
        use ResetMode::{Daily, Idle, None};
        check(None, "2026-01-01T00:00:00Z", "2026-11-21T00:00:00Z", false);
        check(Idle, "2026-11-21T10:00:00Z", "2026-11-21T10:59:59Z", false);
        check(Idle, "2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z", true);
        // Four in the morning in Berlin is three in winter UTC.
        check(Daily, "2026-11-21T02:59:00Z", "2026-11-21T03:00:00Z", true);
        check(Daily, "2026-11-21T03:00:00Z", "2026-11-22T02:59:00Z", false);
        check(Daily, "2026-11-20T12:00:00Z", "2026-11-21T02:00:00Z", false);
        // A clock that went backwards resets nothing.
        check(Idle, "2026-11-21T10:00:00Z", "2026-11-21T09:00:00Z", false);
    }
}
