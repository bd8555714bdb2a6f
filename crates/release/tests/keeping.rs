//! Trials from the event log: what is told of exposures, folded.

use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::{EventId, Label, Timestamp};
use instar_release::trial::{Keeper, STATE, Stage, TRIAL, Verdict};
use instar_store::{HealingRow, Op};

const MINUTE: u64 = 60_000;

fn event(number: u64, at: u64, kind: EventKind) -> Event {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    Event {
        id: EventId::new(Timestamp::from_millis(at), random),
        at: Timestamp::from_millis(at),
        session: None,
        run: None,
        release: None,
        arm: Arm::Stable,
        label: Label::system(),
        kind,
    }
}

fn exposure(unit: &str, with_fix: bool) -> EventKind {
    EventKind::Exposure {
        fault: "f1".to_owned(),
        mitigation: "again".to_owned(),
        experiment: "fix/main/again/1".to_owned(),
        unit: unit.to_owned(),
        with_fix,
        share_permille: 500,
    }
}

fn end(unit: &str, bad: Option<bool>) -> EventKind {
    EventKind::ExposureEnd {
        experiment: "fix/main/again/1".to_owned(),
        unit: unit.to_owned(),
        bad,
    }
}

/// Turns of which every second one has the fix; without it so many in ten fail.
fn turns(count: u64, bad_of_ten: u64) -> Vec<Event> {
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

fn kept(keeper: &mut Keeper) -> Keeper {
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

#[test]
fn what_never_ended_is_counted_and_says_nothing() {
    let mut keeper = Keeper::default();
    let _none = keeper.take(&event(1, 0, exposure("run_1", true)));
    let _none = keeper.settle(Timestamp::from_millis(23 * 60 * MINUTE));
    assert_eq!(keeper.trials().next().unwrap().waiting(), 1);
    let _none = keeper.settle(Timestamp::from_millis(25 * 60 * MINUTE));
    let told = keeper.trials().next().unwrap();
    assert_eq!((told.waiting(), told.trial.treated().unknown), (0, 1));
    assert!((told.trial.evidence_proven() - 1.0).abs() < 1e-9);
}
