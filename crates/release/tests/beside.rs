//! Two answers beside each other: what is told of them, and that nothing follows from it by itself.

use instar_release::evidence::{Arm, Pair};
use instar_release::gate::Step as Far;
use instar_release::rollout::{Plan, Rollout, Settled, Shadow, Stage};
use std::collections::BTreeMap;

use crate::rollout::{PRIMARY, plan, unit};

fn beside() -> Plan {
    Plan {
        is_ab: true,
        ..plan()
    }
}

#[test]
fn of_two_good_answers_nobody_wins_by_itself_and_a_violation_still_ends_it() {
    let ab = Plan {
        is_ab: true,
        horizon: 300,
        ..plan()
    };
    let mut rollout = Rollout::begin(ab).unwrap();
    for number in 0..299 {
        let arm = if number % 2 == 0 { Arm::New } else { Arm::Old };
        let bad = if arm == Arm::New { 1.0 } else { 0.0 };
        let settled = Settled {
            unit: number.to_string(),
            arm,
            share: 0.5,
            bad: BTreeMap::from([(PRIMARY.to_owned(), Some(bad))]),
            is_heard: true,
        };
        assert_eq!(rollout.settle(&settled), None, "{number}");
    }
    assert!(rollout.evidence_worse() > 1e6, "it is shown all the same");
    let mut other = rollout.clone();
    assert!(other.violated("a secret was said").is_some());
    let last = Settled {
        unit: "last".to_owned(),
        arm: Arm::Old,
        share: 0.5,
        bad: BTreeMap::new(),
        is_heard: true,
    };
    assert_eq!(rollout.settle(&last), Some(&Stage::Undecided));
}

#[test]
fn of_two_good_answers_none_is_named_and_none_is_promoted_however_long_it_goes_on() {
    let mut rollout = Rollout::begin(beside()).unwrap();
    for n in 0..4_999 {
        assert_eq!(rollout.settle(&unit(n, 0.2, 3, 3)), None, "{n}");
        assert_eq!(rollout.leads(), None, "{n}");
    }
    // Without the two beside each other, the same episodes promote.
    let mut alone = Rollout::begin(plan()).unwrap();
    let promoted = (0..4_999).any(|n| {
        let _moved = alone.settle(&unit(n, 0.2, 3, 3));
        *alone.stage() == Stage::Promoted
    });
    assert!(promoted, "{:?}", alone.stage());
    assert_eq!(
        rollout.settle(&unit(4_999, 0.2, 3, 3)),
        Some(&Stage::Undecided)
    );
    assert!(rollout.words().contains("neither arm is clearly better"));
}

#[test]
fn the_arm_that_is_clearly_better_is_told_and_neither_promoted_nor_taken_back() {
    for (new, old, leader, words) in [
        (2, 30, Arm::New, "the candidate is clearly better"),
        (30, 2, Arm::Old, "the stable release is clearly better"),
    ] {
        let waits = Plan {
            may: Far::Canary,
            ..beside()
        };
        for plan in [beside(), waits] {
            let mut rollout = Rollout::begin(plan).unwrap();
            for n in 0..2_000 {
                assert_eq!(rollout.settle(&unit(n, 0.2, new, old)), None, "{n}");
                assert_eq!(rollout.awaits(), None);
            }
            assert_eq!(rollout.leads(), Some(leader));
            assert!(rollout.words().contains(words), "{}", rollout.words());
            // A yes to the candidate is no word about which of the two is better.
            assert_eq!(rollout.let_go(Far::Stable), None);
            assert_eq!(rollout.promote(), Some(&Stage::Promoted));
        }
    }
}

#[test]
fn pairs_of_two_good_answers_take_none_back() {
    let mut rollout = Rollout::begin(Plan {
        shadow: Some(Shadow::of(30)),
        ..beside()
    })
    .unwrap();
    let worse = Pair {
        turns: 1,
        new_failed: 1,
        old_failed: 0,
    };
    for n in 0..29 {
        let moved = rollout.settle_pair(&n.to_string(), worse, worse);
        assert_eq!(moved, None, "{n}");
    }
    let moved = rollout.settle_pair("last", worse, worse);
    assert_eq!(moved, Some(&Stage::Canary { step: 0 }));
}
