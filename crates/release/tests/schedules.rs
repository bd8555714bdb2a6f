//! Schedules: when the next time comes, held against a clock that is watched minute by minute, and what a
//! behaviour with them is.

use instar_protocol::Timestamp;
use instar_release::schedule::Cron;
use instar_release::{When, build, diff, read_deltas};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::json;

use crate::fixture::{behaviour, main_agent, schedule};

const MINUTE: u64 = 60_000;

/// A field as it was made, to be looked through number by number.
#[derive(Clone, Debug)]
struct Field {
    text: String,
    holds: Vec<i8>,
}

impl Field {
    fn has(&self, number: i8) -> bool {
        self.holds.contains(&number)
    }

    fn is_star(&self) -> bool {
        self.text.starts_with('*')
    }
}

fn field(low: i8, high: i8) -> impl Strategy<Value = Field> {
    let all: Vec<i8> = (low..=high).collect();
    let star = Just(Field {
        text: "*".to_owned(),
        holds: all.clone(),
    });
    let every = (1..6_i8).prop_map(move |step| Field {
        text: format!("*/{step}"),
        holds: all
            .iter()
            .copied()
            .filter(|number| (number - low) % step == 0)
            .collect(),
    });
    let part = (low..=high, low..=high, 1..4_i8).prop_map(|(one, two, step)| {
        let (from, to) = (one.min(two), one.max(two));
        let holds = (from..=to).filter(|number| (number - from) % step == 0);
        (format!("{from}-{to}/{step}"), holds.collect::<Vec<i8>>())
    });
    let list = prop::collection::vec(part, 1..3).prop_map(|parts| Field {
        text: parts
            .iter()
            .map(|(text, _)| text.as_str())
            .collect::<Vec<_>>()
            .join(","),
        holds: parts.into_iter().flat_map(|(_, holds)| holds).collect(),
    });
    prop_oneof![2 => star, 1 => every, 2 => list]
}

fn at(text: &str) -> Timestamp {
    let at: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_millis(u64::try_from(at.as_millisecond()).unwrap())
}

fn shown(at: Timestamp, zone: &TimeZone) -> jiff::civil::DateTime {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.millis()).unwrap()).unwrap();
    at.to_zoned(zone.clone()).datetime()
}

/// Watches the clock on the wall, minute by minute: a time that it leaves out counts when it has gone past
/// it, and a time that it has shown before does not count again.
fn watched(
    after: Timestamp,
    zone: &TimeZone,
    minutes: u64,
    is_due: impl Fn(jiff::civil::DateTime) -> bool,
) -> Option<Timestamp> {
    let minute = jiff::SignedDuration::from_mins(1);
    let day = 24 * 60;
    let start = after.millis() / MINUTE - day;
    let mut latest = shown(Timestamp::from_millis(start * MINUTE), zone);
    for now in start + 1..start + day + minutes {
        let at = Timestamp::from_millis(now * MINUTE);
        let wall = shown(at, zone);
        let mut next = latest + minute;
        let mut due = false;
        while next <= wall {
            due |= is_due(next);
            next += minute;
        }
        latest = latest.max(wall);
        if due && at > after {
            return Some(at);
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_next_time_is_that_of_a_clock_watched_minute_by_minute(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31),
        month in field(1, 12), weekday in field(0, 6),
        zone in prop_oneof![
            Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("UTC")
        ],
        start in prop_oneof![
            // The nights in which clocks are changed, and others.
            Just("2026-03-28T20:00:00Z"), Just("2026-10-24T20:00:00Z"), Just("2026-03-08T02:00:00Z"),
            Just("2026-11-01T02:00:00Z"), Just("2026-04-04T10:00:00Z"), Just("2026-10-03T10:00:00Z"),
            Just("2026-12-31T20:00:00Z"), Just("2028-02-28T12:00:00Z")
        ],
        later in 0..900_u64, seconds in 0..60_u64,
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let after = Timestamp::from_millis(at(start).millis() + later * MINUTE + seconds * 1_000);
        let text = [&minute, &hour, &day, &month, &weekday].map(|field| field.text.as_str()).join(" ");
        let Ok(when) = When::parse(&format!("cron {text}")) else {
            prop_assert!(!day.has(1), "{} comes", text);
            return Ok(());
        };
        let is_due = |wall: jiff::civil::DateTime| {
            let (of_month, of_week) = (
                day.has(wall.day()),
                weekday.has(wall.weekday().to_sunday_zero_offset()),
            );
            let is_day = if day.is_star() || weekday.is_star() {
                of_month && of_week
            } else {
                of_month || of_week
            };
            is_day && minute.has(wall.minute()) && hour.has(wall.hour()) && month.has(wall.month())
        };
        let found = when.next_after(after, &zone);
        let minutes = 3 * 24 * 60;
        match watched(after, &zone, minutes, is_due) {
            Some(next) => prop_assert_eq!(found, Some(next), "{}", text),
            None => prop_assert!(
                found.is_none_or(|found| found.millis() >= after.millis() + (minutes - 2) * MINUTE),
                "{}: {:?}", text, found
            ),
        }
    }
}

#[test]
fn a_time_that_is_left_out_comes_after_the_gap_and_one_that_comes_twice_comes_once() {
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    let next = |when: &str, after: &str| {
        let when = When::parse(when).unwrap();
        when.next_after(at(after), &berlin)
    };
    let night = "cron 30 2 * * *";
    assert_eq!(
        next(night, "2026-03-28T12:00:00Z"),
        Some(at("2026-03-29T01:00:00Z")),
        "02:30 is left out, and 03:00 is the first moment after it"
    );
    assert_eq!(
        next(night, "2026-03-29T01:00:00Z"),
        Some(at("2026-03-30T00:30:00Z"))
    );
    assert_eq!(
        next(night, "2026-10-24T12:00:00Z"),
        Some(at("2026-10-25T00:30:00Z"))
    );
    assert_eq!(
        next(night, "2026-10-25T00:30:00Z"),
        Some(at("2026-10-26T01:30:00Z")),
        "the second 02:30 of the night"
    );
    let eve = "at 2026-12-24T18:00";
    assert_eq!(
        next(eve, "2026-01-01T00:00:00Z"),
        Some(at("2026-12-24T17:00:00Z"))
    );
    assert_eq!(next(eve, "2026-12-24T17:00:00Z"), None);
    assert_eq!(
        next("every 2h", "2026-01-01T00:00:00Z"),
        Some(at("2026-01-01T02:00:00Z"))
    );
    // Days of both kinds: either of them.
    assert_eq!(
        next("cron 0 8 13 * fri", "2026-02-13T08:00:00Z"),
        Some(at("2026-02-20T07:00:00Z"))
    );
    assert_eq!(
        next("cron 0 0 29 2 *", "2096-03-01T00:00:00Z"),
        Some(at("2104-02-28T23:00:00Z"))
    );
}

#[test]
fn what_says_no_time_is_refused_with_the_field_that_is_wrong() {
    for (text, told) in [
        ("* * * *", "has 5 fields"),
        ("* * * * * *", "and not 6"),
        ("60 * * * *", "\"60\" is no minute: numbers from 0 to 59"),
        ("* 24 * * *", "no hour"),
        ("* * 0 * *", "no day of the month"),
        (
            "* * * foo *",
            "no month: numbers from 1 to 12, or jan to dec",
        ),
        ("* * * * 8", "no day of the week"),
        ("5-1 * * * *", "no minute"),
        ("*/0 * * * *", "no minute"),
        ("1,,2 * * * *", "no minute"),
        ("-1 * * * *", "no minute"),
        ("+1 * * * *", "no minute"),
        ("1-5-9 * * * *", "no minute"),
        ("0 0 30 2 *", "a day that never comes"),
        ("0 0 31 4,6 *", "a day that never comes"),
        ("", "has 5 fields"),
    ] {
        let why = Cron::parse(text).unwrap_err();
        assert!(why.contains(told), "{text}: {why}");
    }
    let same = |one: &str, two: &str| {
        let next = |text: &str| {
            let mut at = at("2026-01-01T00:00:00Z");
            let when = When::parse(&format!("cron {text}")).unwrap();
            (0..40).map(move |_| {
                at = when.next_after(at, &TimeZone::UTC).unwrap();
                at
            })
        };
        assert!(next(one).eq(next(two)), "{one} and {two}");
    };
    same("0 8 * * MON-Fri", "0 8 * * 1-5");
    same("0 8 * * sat-sun", "0 8 * * 0,6");
    same("0 8 * * 7", "0 8 * * 0");
    same("0 8 1 jan,Dec *", "0 8 1 1,12 *");
    same("20/20 8 * * *", "20,40 8 * * *");
    for wrong in [
        "every 0m",
        "every 367d",
        "every 1.5h",
        "every",
        "at 2026-02-30T08:00",
        "at 2026-12-24T18:00:30",
        "at 2026-12-24T18:00Z",
        "at 2026-12-24 18:00",
        "at 2026-12-24T8:00",
        "daily",
        "",
    ] {
        assert!(When::parse(wrong).is_err(), "{wrong}");
    }
    for (text, same) in [
        ("every 120m", "every 2h"),
        ("every 48h", "every 2d"),
        ("every 90m", "every 90m"),
        ("cron  0 8 * *  1-5 ", "cron 0 8 * * 1-5"),
        ("at 2026-12-24T18:00", "at 2026-12-24T18:00"),
    ] {
        assert_eq!(When::parse(text).unwrap().to_string(), same);
    }
}

#[test]
fn a_behaviour_without_schedules_is_what_it_was_before_there_were_any() {
    let plain = behaviour("I am calm.");
    assert!(!plain.canonical().unwrap().contains("schedules"));
    let delta = json!({ "set_schedule": { "agent": "main", "name": "morning", "schedule": {
        "when": "cron 0 8 * * 1-5", "zone": "Europe/Berlin", "text": "Tell the weather." } } });
    let deltas = read_deltas(delta).unwrap();
    let with = build(&plain, &deltas).unwrap();
    let changes = diff(&plain, &with);
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].path, "agents.main.schedules.morning");
    let told = changes[0].after.as_ref().unwrap();
    assert_eq!(told["when"], "cron 0 8 * * 1-5");
    let back = deltas[0].inverse(&plain).unwrap().apply(&with).unwrap();
    assert_eq!(back.id().unwrap(), plain.id().unwrap());
    let read = serde_json::from_str(&with.canonical().unwrap()).unwrap();
    assert_eq!(with, read);
}

#[test]
fn what_cannot_be_a_schedule_is_refused_where_it_stands() {
    let base = behaviour("I am calm.");
    let made = |name: &str, schedule: serde_json::Value| {
        let delta =
            json!({ "set_schedule": { "agent": "main", "name": name, "schedule": schedule } });
        let deltas = read_deltas(delta).map_err(|error| error.to_string())?;
        build(&base, &deltas).map_err(|error| error.to_string())
    };
    let why = made("a", json!({ "when": "cron 0 25 * * *", "text": "x" })).unwrap_err();
    assert!(
        why.contains("set_schedule.schedule.when") && why.contains("\"25\" is no hour"),
        "{why}"
    );
    for (name, zone, text) in [
        ("A b", "UTC", "x"),
        ("a", "no zone", "x"),
        ("a", "UTC", " "),
    ] {
        let schedule = json!({ "when": "every 2h", "zone": zone, "text": text });
        let why = made(name, schedule).unwrap_err();
        assert!(why.contains("agents.main.schedules."), "{why}");
    }
    let key = ["sk-ant-api03-", &"a1B2".repeat(24)].concat();
    let why = made("a", json!({ "when": "every 2h", "text": key })).unwrap_err();
    assert!(why.contains("secrets set") && !why.contains(&key), "{why}");
    let mut many = base.clone();
    for number in 0..33 {
        let one = schedule("every 2h", "x");
        main_agent(&mut many)
            .schedules
            .insert(format!("s{number}"), one);
    }
    let why = instar_release::check(&many).unwrap_err().to_string();
    assert!(why.contains("more than 32 schedules"), "{why}");
}
