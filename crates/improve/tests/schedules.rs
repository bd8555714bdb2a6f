//! Faults of heartbeats that keep to certain hours, what is proposed about them, and what only looks so.

use instar_improve::heal::{Told, choose, explain};
use instar_protocol::beats::Beats;
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::Case;
use instar_protocol::{AgentId, Timestamp};
use instar_release::{AgentBehaviour, Behaviour, Heartbeat, Hours, Route};
use serde_json::json;
use std::collections::BTreeMap;

const GENE: &str = "move-heartbeat";
const HOUR_MS: u64 = 3_600_000;

/// The beats of so many days, those of them that failed, and the heartbeat in service.
fn case(
    heartbeat: Option<Heartbeat>,
    days: u64,
    minutes: u64,
    fails: impl Fn(u64, u64) -> bool,
) -> Case {
    let (mut all, mut failed) = (Beats::default(), Beats::default());
    for minute in (0..days * 24 * 60).step_by(usize::try_from(minutes).unwrap()) {
        let hour = minute / 60 % 24;
        let at = Timestamp::from_millis(minute / 60 * HOUR_MS);
        let of_day = u8::try_from(hour).unwrap();
        all.take(of_day, at);
        if fails(minute / 1_440, hour) {
            failed.take(of_day, at);
        }
    }
    let mut fault = Fault::new(
        "flt_1".to_owned(),
        SignalKind::RateLimit,
        "tool:search".to_owned(),
        Timestamp::from_millis(1),
    );
    fault.template = "429 too many requests".to_owned();
    fault.failures = failed.total();
    fault.beats = BTreeMap::from([(AgentId::main(), failed)]);
    let agent = AgentBehaviour {
        heartbeat,
        route: Route {
            primary: "a/one".to_owned(),
            ..Route::default()
        },
        ..AgentBehaviour::default()
    };
    let behaviour = Behaviour {
        agents: BTreeMap::from([("main".to_owned(), agent)]),
        ..Behaviour::default()
    };
    Case {
        agent: "main".to_owned(),
        behaviour: serde_json::to_value(behaviour).unwrap(),
        faults: vec![fault],
        beats: BTreeMap::from([("tool:search".to_owned(), all)]),
        strategy: "repair-only".to_owned(),
        most: 3,
        ..Case::default()
    }
}

fn every(minutes: u32, hours: Option<Hours>) -> Option<Heartbeat> {
    Some(Heartbeat {
        every_minutes: minutes,
        offset_minutes: 0,
        hours,
        text: "Mind the tides.".to_owned(),
    })
}

fn told(case: &Case) -> Told {
    let all = explain(case, "flt_1").unwrap();
    all.into_iter().find(|one| one.gene == GENE).unwrap()
}

fn moved(case: &Case) -> serde_json::Value {
    told(case).delta.unwrap_or_default()["set_heartbeat"]["heartbeat"].clone()
}

#[test]
fn a_quota_at_noon_moves_the_heartbeat_and_a_person_decides_it() {
    let noon = case(every(30, None), 4, 30, |_, hour| hour == 12);
    let one = told(&noon);
    assert_eq!(one.class, Some(instar_release::Class::C), "{one:?}");
    let would = one.would.unwrap();
    assert!(would.contains("from 13:00 until 12:00"), "{would}");
    assert_eq!(
        moved(&noon),
        json!({"every_minutes": 30, "offset_minutes": 0, "hours": {"from": 780, "until": 720}, "text": "Mind the tides."})
    );
    // Nothing of the kind is tried unasked.
    let chosen = choose(&noon).unwrap();
    assert!(chosen.proposed.iter().all(|one| one.gene != GENE));
}

#[test]
fn hours_that_are_there_stay_the_bounds_and_a_rare_heartbeat_keeps_its_number() {
    let day = Hours::parse("08:00", "14:00");
    let late = case(every(30, day), 6, 30, |_, hour| hour == 13);
    assert_eq!(moved(&late)["hours"], json!({"from": 480, "until": 780}));
    // Every four hours, and the one at noon fails: an hour later each time.
    let rare = case(every(240, None), 12, 240, |_, hour| hour == 12);
    assert_eq!(moved(&rare)["offset_minutes"], 60);
    assert_eq!(moved(&rare).get("hours"), None);
    // What is left of the day would be two spans.
    let middle = case(every(30, day), 6, 30, |_, hour| hour == 10);
    let why = told(&middle).why_not.unwrap();
    assert!(why.contains("nothing else to turn to"), "{why}");
}

#[test]
fn what_only_looks_like_a_quota_at_noon_moves_nothing() {
    let half = || every(30, None);
    let alike = [
        (
            "at all hours",
            case(half(), 6, 30, |day, hour| (day * 24 + hour) % 9 == 0),
        ),
        (
            "at five times",
            case(half(), 6, 30, |_, hour| hour % 5 == 0),
        ),
        (
            "one outage",
            case(half(), 6, 10, |day, hour| day == 3 && hour == 12),
        ),
        (
            "two days of it",
            case(half(), 6, 10, |day, hour| day < 2 && hour == 12),
        ),
        (
            "no other hours to compare",
            case(every(1_440, None), 20, 1_440, |_, _| true),
        ),
        (
            "more often at noon, and often else",
            case(half(), 6, 30, |day, hour| hour == 12 || day % 2 == 0),
        ),
        (
            "the agent has no heartbeat",
            case(None, 6, 30, |_, hour| hour == 12),
        ),
    ];
    for (name, case) in alike {
        let one = told(&case);
        assert!(
            one.delta.is_none() && one.why_not.is_some(),
            "{name}: {one:?}"
        );
    }
    // The owner's own calls at noon are none of a heartbeat.
    let mut others = case(half(), 4, 30, |_, hour| hour == 12);
    others.faults[0].beats.clear();
    assert!(told(&others).delta.is_none());
}
