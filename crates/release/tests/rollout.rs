//! The controller over settled units: each counted once, nothing decided by silence.

use instar_release::evidence::Arm;
use instar_release::gate::Step as Far;
use instar_release::rollout::{
    Caps, EpisodeRules, Hold, Metric, Plan, PlanError, Reason, Rollout, Settled, Stage, Step,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PRIMARY: &str = "failed";

fn plan() -> Plan {
    let metric = Metric {
        weight: 1.0,
        margin: 0.1,
        required: true,
    };
    Plan {
        steps: vec![
            Step {
                share: 0.2,
                units_min: 40,
            },
            Step {
                share: 0.5,
                units_min: 100,
            },
        ],
        metrics: BTreeMap::from([(PRIMARY.to_owned(), metric)]),
        level: 0.05,
        horizon: 5_000,
        shadow: None,
        episode: EpisodeRules::default(),
        caps: Caps::default(),
        is_ab: false,
        may: Far::Stable,
        watch: None,
        objective: None,
        fast: None,
    }
}

/// The n-th of a row of units whose arms and outcomes follow from their number alone.
fn unit(n: u64, share: f64, new: u64, old: u64) -> Settled {
    let mixed = n
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(29)
        .wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let coin = f64::from(u32::try_from(mixed >> 32).unwrap_or_default()) / f64::from(u32::MAX);
    let arm = if coin < share { Arm::New } else { Arm::Old };
    let percent = if arm == Arm::New { new } else { old };
    let bad = f64::from(u8::from((mixed & 0xffff) % 100 < percent));
    Settled {
        unit: format!("episode-{n}"),
        arm,
        share,
        bad: BTreeMap::from([(PRIMARY.to_owned(), Some(bad))]),
    }
}

fn run(rollout: &mut Rollout, new: u64, old: u64) -> u64 {
    for n in 0..6_000 {
        let settled = unit(n, rollout.share(), new, old);
        let _moved = rollout.settle(&settled);
        if !matches!(rollout.stage(), Stage::Canary { .. }) {
            return n + 1;
        }
    }
    6_000
}

#[test]
fn a_bad_candidate_is_taken_back_and_a_sound_one_promoted() {
    let mut bad = Rollout::begin(plan()).unwrap();
    let units = run(&mut bad, 40, 5);
    assert_eq!(bad.stage(), &Stage::RolledBack { why: Reason::Worse });
    assert!(units < 400, "{units}");
    assert_eq!(bad.share().to_bits(), 0.0_f64.to_bits());
    let mut sound = Rollout::begin(plan()).unwrap();
    let _units = run(&mut sound, 5, 5);
    assert_eq!(sound.stage(), &Stage::Promoted);
    assert!(sound.evidence_sound() >= 20.0);
}

#[test]
fn what_gives_no_data_is_never_promoted() {
    let mut silent = Rollout::begin(plan()).unwrap();
    for n in 0..4_000 {
        let mut settled = unit(n, silent.share(), 0, 0);
        settled.bad.clear();
        let _moved = silent.settle(&settled);
    }
    assert!(
        matches!(silent.stage(), Stage::Canary { .. }),
        "{:?}",
        silent.stage()
    );
    assert_eq!(silent.hold(), Some(Hold::Coverage));
    assert_eq!(
        silent.evidence_worse().to_bits(),
        1.0_f64.to_bits(),
        "no data, no evidence"
    );
    // Data that are missing on one arm only keep the candidate back, whatever the rest says.
    let mut uneven = Rollout::begin(plan()).unwrap();
    for n in 0..4_000 {
        let mut settled = unit(n, uneven.share(), 1, 5);
        if settled.arm == Arm::New && n % 6 == 0 {
            settled.bad = BTreeMap::from([(PRIMARY.to_owned(), None)]);
        }
        let _moved = uneven.settle(&settled);
        if uneven.hold() == Some(Hold::UnevenCoverage) {
            break;
        }
    }
    assert_eq!(uneven.hold(), Some(Hold::UnevenCoverage));
}

#[test]
fn a_violation_ends_a_canary_before_everything_else_and_an_end_stays_one() {
    let mut rollout = Rollout::begin(plan()).unwrap();
    let _moved = rollout.violated("a secret in an answer").unwrap();
    let ended = rollout.stage().clone();
    assert!(
        matches!(&ended, Stage::RolledBack { why: Reason::Violation { what } } if what.contains("secret"))
    );
    assert_eq!(rollout.supersede(), None);
    assert_eq!(rollout.abort(), None);
    assert_eq!(rollout.settle(&unit(1, 0.5, 50, 50)), None);
    assert_eq!(rollout.stage(), &ended);
}

#[test]
fn the_horizon_ends_in_no_verdict() {
    let mut plan = plan();
    plan.horizon = 50;
    let mut rollout = Rollout::begin(plan).unwrap();
    let units = run(&mut rollout, 6, 5);
    assert_eq!((units, rollout.stage()), (50, &Stage::Undecided));
}

#[test]
fn a_plan_that_cannot_be_kept_is_refused() {
    let refused = |change: fn(&mut Plan)| {
        let mut plan = plan();
        change(&mut plan);
        Rollout::begin(plan).unwrap_err()
    };
    assert_eq!(refused(|plan| plan.steps.clear()), PlanError::NoStep);
    assert_eq!(
        refused(|plan| plan.steps[1].share = 0.1),
        PlanError::Share(1)
    );
    assert_eq!(refused(|plan| plan.level = 0.0), PlanError::Level);
    assert_eq!(
        refused(|plan| plan.metrics.get_mut(PRIMARY).unwrap().required = false),
        PlanError::NothingRequired
    );
    assert_eq!(
        refused(|plan| plan.metrics.get_mut(PRIMARY).unwrap().weight = 0.4),
        PlanError::Metric(PRIMARY.to_owned())
    );
}

proptest! {
    #[test]
    fn restarts_and_second_deliveries_change_nothing(cut in 0_u64..400, again in 0_u64..400) {
        let mut whole = Rollout::begin(plan()).unwrap();
        let mut broken = Rollout::begin(plan()).unwrap();
        for n in 0..400 {
            let settled = unit(n, whole.share(), 12, 10);
            let _moved = whole.settle(&settled);
            if n == cut {
                broken = serde_json::from_str(&serde_json::to_string(&broken).unwrap()).unwrap();
            }
            let _moved = broken.settle(&settled);
            if n > again {
                let _nothing = broken.settle(&unit(again, 0.2, 99, 0));
            }
        }
        prop_assert_eq!(whole, broken);
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
    };
    assert_eq!(rollout.settle(&last), Some(&Stage::Undecided));
}
