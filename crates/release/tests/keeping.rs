//! Trials from the event log: what is told of exposures, folded.

use crate::fixture::behaviour;
use crate::reopening::looked_at;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::{EventId, Timestamp};
use instar_release::trial::{Keeper, STATE, Stage, TRIAL, TRIALS_MAX, Verdict};
use instar_store::{HealingRow, Op};
use serde_json::json;

pub(crate) const MINUTE: u64 = 60_000;

pub(crate) fn event(number: u64, at: u64, kind: EventKind) -> Event {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    Event::of_house(
        EventId::new(Timestamp::from_millis(at), random),
        Timestamp::from_millis(at),
        kind,
    )
}

pub(crate) fn exposure(unit: &str, with_fix: bool) -> EventKind {
    EventKind::Exposure {
        fault: "f1".to_owned(),
        mitigation: "again".to_owned(),
        experiment: "fix/main/again/1".to_owned(),
        unit: unit.to_owned(),
        with_fix,
        share_permille: 500,
    }
}

pub(crate) fn end(unit: &str, bad: Option<bool>) -> EventKind {
    EventKind::ExposureEnd {
        experiment: "fix/main/again/1".to_owned(),
        unit: unit.to_owned(),
        bad,
    }
}

/// Turns of which every second one has the fix; without it so many in ten fail.
pub(crate) fn turns(count: u64, bad_of_ten: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in 0..count {
        let (unit, at) = (format!("run_{number}"), number * MINUTE);
        let with_fix = number % 2 == 0;
        let bad = !with_fix && number / 2 % 10 < bad_of_ten;
        events.push(event(2 * number, at, exposure(&unit, with_fix)));
        events.push(event(2 * number + 1, at + 1, end(&unit, Some(bad))));
    }
    events
}

pub(crate) fn kept(keeper: &mut Keeper) -> Keeper {
    let rows = |ops: Vec<Op>, kind: &str| -> Vec<HealingRow> {
        let rows = ops.into_iter().filter_map(|op| match op {
            Op::PutHealing(row) => Some(row),
            _ => None,
        });
        rows.filter(|row| row.kind == kind).collect()
    };
    let ops = keeper.ops(Timestamp::from_millis(1)).unwrap();
    Keeper::open(rows(ops.clone(), TRIAL), rows(ops, STATE)).unwrap()
}

#[test]
fn a_fix_is_proven_and_then_adopted_by_the_month() {
    let mut keeper = Keeper::default();
    let mut stages = Vec::new();
    for event in turns(400, 4) {
        let moved = keeper.take(&event);
        stages.extend(moved.into_iter().map(|moved| moved.stage));
    }
    assert_eq!(stages.first(), Some(&Stage::Proven));
    assert!(matches!(stages.get(1), Some(Stage::Adopted { evidence }) if *evidence >= 200.0));
    assert_eq!(keeper.share_permille("fix/main/again/1"), Some(900));
    assert_eq!(keeper.share_permille("another"), None);
    let told = keeper.trials().next().unwrap();
    assert_eq!((told.fault.as_str(), told.waiting()), ("f1", 0));
}

/// With a half level the bound is 40. Among many that were adopted less would do, and what is not proven
/// yet must not use up a place by that.
#[test]
fn a_fix_that_is_still_on_trial_takes_no_place_among_the_adopted() {
    let mut keeper = Keeper::default();
    let adopted = |keeper: &Keeper| {
        let on = |kept: &&instar_release::trial::Kept| {
            matches!(kept.trial.stage(), Stage::Adopted { .. })
        };
        keeper.trials().filter(on).count()
    };
    for number in 0..6 {
        for event in turns(400, 4) {
            let _moved = keeper.take(&named(&format!("fix/main/f{number}/1"), event));
        }
    }
    assert_eq!(adopted(&keeper), 6);
    // The seventh would be adopted with 200 / 7, which is less than its own bound of 40.
    let mut adopted_at = None;
    for event in turns(200, 4) {
        let moved = keeper.take(&named("fix/main/f7/2", event));
        let seventh = keeper
            .trials()
            .find(|kept| kept.mitigation == "again" && kept.experiment.ends_with("f7/2"));
        let trial = &seventh.unwrap().trial;
        assert_eq!(trial.chapter(), 2);
        if moved
            .iter()
            .any(|moved| matches!(moved.stage, Stage::Adopted { .. }))
        {
            adopted_at = Some(trial.evidence_proven());
        }
    }
    assert!(
        adopted_at.is_some_and(|evidence| evidence >= 40.0),
        "{adopted_at:?}"
    );
}

#[test]
fn a_fix_that_does_nothing_is_out_of_service() {
    let mut keeper = Keeper::default();
    let mut events = turns(400, 0);
    // Both arms fail alike.
    for (number, event) in events.iter_mut().enumerate() {
        if let EventKind::ExposureEnd { bad, .. } = &mut event.kind {
            *bad = Some(number / 4 % 3 == 0);
        }
    }
    for event in &events {
        let _moved = keeper.take(event);
    }
    let told = keeper.trials().next().unwrap();
    let is_gone = matches!(
        told.trial.stage(),
        Stage::Ended {
            verdict: Verdict::Undecided | Verdict::Failed
        }
    );
    assert!(is_gone, "{:?}", told.trial.stage());
    assert_eq!(keeper.share_permille("fix/main/again/1"), Some(0));
}

#[test]
fn stored_in_the_middle_it_goes_on_as_if_nothing_had_been() {
    let events = turns(120, 3);
    for cut in [1, 60, 101, 239] {
        let (mut whole, mut first) = (Keeper::default(), Keeper::default());
        events.iter().for_each(|event| drop(whole.take(event)));
        events[..cut]
            .iter()
            .for_each(|event| drop(first.take(event)));
        let mut second = kept(&mut first);
        assert_eq!(second.cursor(), Some(&events[cut - 1].id));
        events[cut..]
            .iter()
            .for_each(|event| drop(second.take(event)));
        assert_eq!(kept(&mut whole), kept(&mut second), "{cut}");
    }
}

#[test]
fn a_block_and_an_episode_are_one_unit_each_and_settle_when_they_are_over() {
    let mut keeper = Keeper::default();
    let block = "block-0-30";
    for number in 0..4 {
        let at = (6 + number) * MINUTE;
        let _none = keeper.take(&event(10 * number, at, exposure(block, true)));
        let bad = Some(number == 2);
        let _none = keeper.take(&event(10 * number + 1, at + 1, end(block, bad)));
    }
    let at = 8 * MINUTE;
    let _none = keeper.take(&event(100, at, exposure("ses_a-0", false)));
    let _none = keeper.take(&event(101, at, end("ses_a-0", Some(false))));
    let settled = |keeper: &Keeper| keeper.trials().next().unwrap().trial.settled();
    assert_eq!(settled(&keeper), 0);
    let _none = keeper.settle(Timestamp::from_millis(46 * MINUTE));
    assert_eq!(settled(&keeper), 1, "the block");
    let _none = keeper.settle(Timestamp::from_millis(49 * MINUTE));
    assert_eq!(settled(&keeper), 2, "the episode");
    let told = keeper.trials().next().unwrap();
    assert!(
        (told.trial.treated().bad - 1.0).abs() < 1e-9,
        "bad once is bad"
    );
}

/// What is missing is no success: neither what was cut off nor what nobody heard of again.
#[test]
fn what_never_ended_or_was_cut_off_is_as_bad_as_what_failed() {
    let mut keeper = Keeper::default();
    let counted = |keeper: &Keeper| {
        let told = keeper.trials().next().unwrap();
        let (treated, control) = (told.trial.treated(), told.trial.control());
        let bad = (treated.bad + control.bad).round();
        let unknown = treated.unknown + control.unknown;
        (told.waiting(), treated.units, control.units, bad, unknown)
    };
    let _none = keeper.take(&event(1, 0, exposure("run_lost", true)));
    let _none = keeper.settle(Timestamp::from_millis(23 * 60 * MINUTE));
    assert_eq!(counted(&keeper), (1, 0, 0, 0.0, 0));
    let _none = keeper.settle(Timestamp::from_millis(25 * 60 * MINUTE));
    assert_eq!(counted(&keeper), (0, 1, 0, 1.0, 1));
    // The gateway stopped in the middle of a turn: the turn is over, and was not answered.
    let at = 26 * 60 * MINUTE;
    let _none = keeper.take(&event(2, at, exposure("run_cut", false)));
    let _none = keeper.take(&event(3, at + 1, end("run_cut", None)));
    assert_eq!(counted(&keeper), (0, 1, 1, 2.0, 2));
    // One turn of an episode was answered and one was not; of another the last one was lost.
    for (unit, ends) in [
        ("ses_a-0", [Some(false), None].as_slice()),
        ("ses_b-0", &[Some(false)]),
    ] {
        for turn in 0..2 {
            let number = 10 + turn;
            let _none = keeper.take(&event(number, at + turn, exposure(unit, unit == "ses_a-0")));
            if let Some(bad) = ends.get(usize::try_from(turn).unwrap()) {
                let _none = keeper.take(&event(number, at + turn, end(unit, *bad)));
            }
        }
    }
    let _none = keeper.settle(Timestamp::from_millis(at + 60 * MINUTE));
    assert_eq!(counted(&keeper), (0, 2, 2, 4.0, 4));
    // What is known to be bad is no less known for that.
    let _none = keeper.take(&event(20, at, exposure("ses_c-0", false)));
    let _none = keeper.take(&event(21, at, end("ses_c-0", Some(true))));
    let _none = keeper.take(&event(22, at, exposure("ses_c-0", false)));
    let _none = keeper.settle(Timestamp::from_millis(at + 60 * MINUTE));
    assert_eq!(counted(&keeper), (0, 2, 3, 5.0, 4));
}

/// Turns after a change that no coin decides, none of them bad.
fn after_a_change(experiment: &str, first: u64, count: u64) -> Vec<Event> {
    let mut events = Vec::new();
    for number in first..first + count {
        let (unit, at) = (format!("run_{number}"), number * MINUTE);
        let begun = EventKind::Exposure {
            fault: "f1".to_owned(),
            mitigation: "moved".to_owned(),
            experiment: experiment.to_owned(),
            unit: unit.clone(),
            with_fix: true,
            share_permille: 1_000,
        };
        let ended = EventKind::ExposureEnd {
            experiment: experiment.to_owned(),
            unit,
            bad: Some(false),
        };
        events.push(event(2 * number, at, begun));
        events.push(event(2 * number + 1, at + 1, ended));
    }
    events
}

#[test]
fn a_window_is_supported_at_the_most_takes_no_slot_and_asks_for_more_the_next_time() {
    let supported = Stage::Ended {
        verdict: Verdict::Supported,
    };
    let mut decided = Vec::new();
    for chapter in 1..=2 {
        let experiment = format!("window/main/moved/{chapter}");
        let mut keeper = Keeper::default();
        // Without what was before it there is nothing to hold it against.
        for event in after_a_change(&experiment, 0, 5) {
            assert!(keeper.take(&event).is_empty());
        }
        assert_eq!(keeper.trials().count(), 0);
        let begins = EventKind::Window {
            fault: "f1".to_owned(),
            mitigation: "moved".to_owned(),
            gene: "move-heartbeat@0123".to_owned(),
            experiment: experiment.clone(),
            exposures: 200,
            bad: 60,
        };
        let mut moved = keeper.take(&event(0, 9 * MINUTE, begins));
        for event in after_a_change(&experiment, 10, 3_000) {
            moved.extend(keeper.take(&event));
        }
        let stages: Vec<&Stage> = moved.iter().map(|moved| &moved.stage).collect();
        assert_eq!(stages, [&supported], "never more, and never again");
        let kept = keeper.trials().next().unwrap();
        assert!(kept.trial.evidence_proven() < 1e-9 && kept.trial.evidence_supported() >= 25.0);
        assert_eq!(kept.gene, "move-heartbeat@0123");
        assert!(kept.trusted_since().is_some());
        decided.push(kept.trial.settled());
        // The slots of the month are for what can be proven.
        for event in turns(60, 10) {
            let _moved = keeper.take(&event);
        }
        let coin = keeper
            .trials()
            .find(|kept| kept.experiment.starts_with("fix/"));
        assert!(matches!(coin.unwrap().trial.stage(), Stage::Adopted { .. }));
    }
    assert!(decided[0] < decided[1], "{decided:?}");
}

fn named(experiment: &str, mut event: Event) -> Event {
    match &mut event.kind {
        EventKind::Exposure {
            experiment: its, ..
        }
        | EventKind::ExposureEnd {
            experiment: its, ..
        } => experiment.clone_into(its),
        _ => {}
    }
    event
}

#[test]
fn trials_that_are_over_are_put_away_and_one_too_many_is_refused_aloud() {
    let mut keeper = Keeper::default();
    let mut ended = turns(200, 0);
    for (number, event) in ended.iter_mut().enumerate() {
        if let EventKind::ExposureEnd { bad, .. } = &mut event.kind {
            *bad = Some(number / 4 % 3 == 0);
        }
    }
    for number in 0..60 {
        for event in &ended {
            let _moved = keeper.take(&named(&format!("fix/main/over-{number}/1"), event.clone()));
        }
    }
    let is_over = |kept: &instar_release::trial::Kept| kept.trial.is_in_vain();
    assert_eq!(keeper.trials().filter(|kept| is_over(kept)).count(), 60);
    // As long as the release has them they stay at hand.
    let _ops = keeper.ops(Timestamp::from_millis(1)).unwrap();
    assert_eq!(keeper.trials().count(), 60);
    let bare = behaviour("one");
    let _none = looked_at(&mut keeper, &bare, &json!({}), "1");
    let ops = keeper.ops(Timestamp::from_millis(1)).unwrap();
    assert_eq!(keeper.trials().count(), 50);
    let removed = ops
        .iter()
        .filter(|op| matches!(op, Op::RemoveHealing { .. }));
    assert_eq!(removed.count(), 10);
    let size = |op: &Op| match op {
        Op::PutHealing(row) => row.body.len(),
        _ => 0,
    };
    let most = ops.iter().map(size).max().unwrap();
    assert!(
        most < 20_000,
        "units of what has ended are not kept: {most}"
    );

    for number in 0..TRIALS_MAX {
        let experiment = format!("fix/main/more-{number}/1");
        let _moved = keeper.take(&named(&experiment, turns(1, 0).remove(0)));
    }
    assert_eq!(keeper.trials().count(), TRIALS_MAX);
    assert_eq!(keeper.refused().count(), 20);
}

#[test]
fn somebody_who_tries_again_begins_another_chapter_at_half_the_level() {
    let mut keeper = Keeper::default();
    for event in &turns(60, 10) {
        let _moved = keeper.take(event);
    }
    let mut again = exposure("run_again", true);
    if let EventKind::Exposure { experiment, .. } = &mut again {
        "fix/main/again/2".clone_into(experiment);
    }
    let _moved = keeper.take(&event(1_000, 100 * MINUTE, again));
    let second = keeper
        .trials()
        .find(|kept| kept.experiment.ends_with("/2"))
        .unwrap();
    assert_eq!((second.trial.chapter(), second.trial.settled()), (2, 0));
    assert!((second.trial.level() - 0.025).abs() < 1e-12);
}
