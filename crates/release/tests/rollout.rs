//! The controller over settled units: each counted once, nothing decided by silence.

use instar_release::evidence::{Arm, Coin, Pair};
use instar_release::gate::Step as Far;
use instar_release::rollout::{
    Caps, EpisodeRules, Hold, Metric, Plan, PlanError, Reason, Rollout, Settled, Shadow, Stage,
    Step, TASK, Tries, World, simulate,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) const PRIMARY: &str = "failed";

pub(crate) fn plan() -> Plan {
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
        heard_min: 1,
        tries: Tries::default(),
    }
}

/// The n-th of a row of units whose arms and outcomes follow from their number alone.
pub(crate) fn unit(n: u64, share: f64, new: u64, old: u64) -> Settled {
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
        is_heard: true,
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
fn silence_promotes_nothing_however_long_it_lasts_and_a_few_words_of_each_arm_do() {
    let plan = Plan {
        heard_min: 10,
        ..plan()
    };
    let mut silent = Rollout::begin(plan).unwrap();
    for n in 0..4_000 {
        let mut settled = unit(n, silent.share(), 5, 5);
        settled.is_heard = settled.arm == Arm::Old;
        let _moved = silent.settle(&settled);
    }
    assert_eq!(silent.stage(), &Stage::Canary { step: 1 });
    assert!(silent.evidence_sound() >= silent.view().sound_at);
    assert_eq!(silent.hold(), Some(Hold::Silence));
    let (new, old) = silent.view().heard;
    assert!(new == 0 && old > 1_000, "{new} {old}");
    let mut words = 0;
    for n in 4_000..4_200 {
        let settled = unit(n, 0.5, 5, 5);
        words += u64::from(settled.arm == Arm::New);
        if silent.settle(&settled).is_some() {
            break;
        }
    }
    assert_eq!((words, silent.stage()), (10, &Stage::Promoted));
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
    assert_eq!(refused(|plan| plan.level = 0.5), PlanError::Level);
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

/// The plan as it is shipped, with everything that can be measured, at one share.
fn shipped(share: f64) -> Plan {
    let caps = Caps {
        cost_micros: Some(1),
        millis: Some(1),
    };
    Plan::over(&[share], 0, caps)
}

/// Both arms answer with so many failures of a hundred; they share their luck in four of five.
fn in_shadow(rollout: &mut Rollout, run: u32, new: f64, old: f64) -> u32 {
    let mut key = [7; 32];
    key[..4].copy_from_slice(&run.to_be_bytes());
    let luck = |what: &str, number: u32| Coin::of(&key, what).number(&number.to_string());
    let neither = Pair {
        turns: 1,
        new_failed: 0,
        old_failed: 0,
    };
    for number in 1..=600 {
        let shared = luck("both", number);
        let own = if luck("apart", number) < 0.8 {
            shared
        } else {
            luck("own", number)
        };
        let (is_new_bad, is_old_bad) = (own < new, shared < old);
        let pair = Pair {
            new_failed: u32::from(is_new_bad && !is_old_bad),
            old_failed: u32::from(is_old_bad && !is_new_bad),
            ..neither
        };
        let name = format!("pair{number}");
        if rollout.settle_pair(&name, pair, neither).is_some() {
            return number;
        }
    }
    600
}

/// Units of the candidate until it was taken back; all metrics but the first are as good as before.
fn served(rollout: &mut Rollout, run: u32, new: f64, old: f64) -> u32 {
    let mut key = [9; 32];
    key[..4].copy_from_slice(&run.to_be_bytes());
    let coin = Coin::new(&key);
    let mut of_candidate = 0;
    for number in 0..4_000 {
        let name = number.to_string();
        let share = rollout.share();
        let arm = coin.throw(&name, share);
        of_candidate += u32::from(arm == Arm::New);
        let names = rollout.plan().metrics.keys().cloned();
        let bad = names.map(|metric| {
            let rate = match (metric == TASK, arm) {
                (true, Arm::New) => new,
                (true, Arm::Old) => old,
                (false, _) => 0.05,
            };
            let is_bad = Coin::of(&key, &metric).number(&name) < rate;
            (metric, Some(f64::from(u8::from(is_bad))))
        });
        let settled = Settled {
            unit: name.clone(),
            arm,
            share,
            bad: bad.collect(),
            is_heard: true,
        };
        match rollout.settle(&settled) {
            Some(Stage::RolledBack { .. }) => return of_candidate,
            Some(_) => return u32::MAX,
            None => {}
        }
    }
    u32::MAX
}

fn middle(mut all: Vec<u32>) -> u32 {
    all.sort_unstable();
    all[all.len() / 2]
}

#[test]
fn the_shadow_that_is_shipped_sees_five_become_ten_and_lets_a_sound_one_go_early() {
    let plan = Plan {
        shadow: Some(Shadow::of(600)),
        ..shipped(0.5)
    };
    let played = |new: f64, runs: u32| -> Vec<(Stage, u32)> {
        let one = |run| {
            let mut rollout = Rollout::begin(plan.clone()).unwrap();
            let pairs = in_shadow(&mut rollout, run, new, 0.05);
            (rollout.stage().clone(), pairs)
        };
        (0..runs).map(one).collect()
    };
    let back = Stage::RolledBack { why: Reason::Worse };
    let worse = played(0.10, 60);
    let caught = worse.iter().filter(|(stage, _)| *stage == back).count();
    assert!(caught >= 58, "{caught} of 60");
    let after = middle(worse.iter().map(|(_, pairs)| *pairs).collect());
    assert!(after <= 190, "{after}");
    let sound = played(0.05, 60);
    let caught = sound.iter().filter(|(stage, _)| *stage == back).count();
    assert!(caught <= 5, "{caught} of 60");
    let after = middle(sound.iter().map(|(_, pairs)| *pairs).collect());
    assert!(
        after < 300,
        "it goes as soon as it has shown itself: {after}"
    );
}

#[test]
fn five_to_thirty_per_cent_at_a_share_of_five_is_taken_back_after_fifteen_units_also_after_a_shadow()
 {
    let runs = |shadow: Option<Shadow>| {
        let one = |run| {
            let plan = Plan {
                shadow,
                ..shipped(0.05)
            };
            let mut rollout = Rollout::begin(plan).unwrap();
            if shadow.is_some() {
                // The harm does not show there.
                let _pairs = in_shadow(&mut rollout, run, 0.05, 0.05);
                if !rollout.is_open() {
                    return (0, 0.0);
                }
            }
            let bound = rollout.view().worse_at;
            (served(&mut rollout, run, 0.30, 0.05), bound)
        };
        let (units, mut bounds): (Vec<u32>, Vec<f64>) = (0..61).map(one).unzip();
        bounds.sort_by(f64::total_cmp);
        (middle(units), bounds[30])
    };
    let ((at_once, bound), (after, later)) = (runs(None), runs(Some(Shadow::of(600))));
    assert!((bound - 20.0).abs() < 1e-9, "{bound}");
    assert!(
        (25.0..60.0).contains(&later),
        "a part of the stake is gone: {later}"
    );
    assert!(at_once <= 15, "{at_once}");
    assert!(after <= 17, "{after}");
}

#[test]
fn one_bet_goes_on_where_the_shadow_left_it() {
    let plan = Plan {
        shadow: Some(Shadow::of(3)),
        ..shipped(0.5)
    };
    let pair = |new_failed, old_failed| Pair {
        turns: 1,
        new_failed,
        old_failed,
    };
    let after = |pairs: [Pair; 3]| {
        let mut rollout = Rollout::begin(plan.clone()).unwrap();
        for (number, one) in pairs.into_iter().enumerate() {
            let _moved = rollout.settle_pair(&number.to_string(), one, pair(0, 0));
        }
        assert_eq!(rollout.stage(), &Stage::Canary { step: 0 });
        rollout.view().worse_at
    };
    let (worse, same, better) = (
        after([pair(1, 0), pair(1, 0), pair(0, 0)]),
        after([pair(0, 0); 3]),
        after([pair(0, 1), pair(0, 1), pair(0, 1)]),
    );
    assert!(worse < same && same < better, "{worse} {same} {better}");
    assert!((same - 20.0).abs() < 1e-9);
    assert!(better <= 20.0 / (1.0 - Shadow::of(3).stake) + 1e-9);
}

#[test]
fn what_is_told_before_the_start_is_what_the_shipped_plan_does() {
    let plan = shipped(0.5);
    let told = plan.forecast(0.05, 10.0).steps[0].units.unwrap();
    // With one metric alone it would be 599.
    assert!(told > 610.0, "{told}");
    let world = World {
        base: 0.05,
        effect: 2.0,
        runs: 60,
        seed: 3,
    };
    let played = simulate(&plan, world).unwrap();
    let median = f64::from(u32::try_from(played.median).unwrap());
    assert!((median / told - 1.0).abs() < 0.35, "{median} {told}");
    let shadowed = Plan {
        shadow: Some(Shadow::of(600)),
        ..shipped(0.5)
    };
    let forecast = shadowed.forecast(0.05, 10.0);
    assert!(
        forecast.steps[0].units.unwrap() > told,
        "a part of the stake is bet before"
    );
    let pairs = forecast.pairs.unwrap();
    assert!((120.0..180.0).contains(&pairs), "{pairs}");
    assert!(forecast.pairs_apart.unwrap() > 2.0 * pairs);
    let played = simulate(&shadowed, world).unwrap();
    assert!(played.in_shadow >= 56, "{played:?}");
    let median = f64::from(u32::try_from(played.median_pairs).unwrap());
    assert!((median / pairs - 1.0).abs() < 0.35, "{median} {pairs}");
}

#[test]
fn each_candidate_that_is_tried_has_less_of_the_level_and_more_again_for_what_was_promoted() {
    let after = |before, promoted| {
        let plan = Plan {
            tries: Tries { before, promoted },
            ..plan()
        };
        Rollout::begin(plan).unwrap().view().sound_at
    };
    for (tries, bound) in [
        ((0, 0), 40.0),
        ((1, 0), 120.0),
        ((1, 1), 60.0),
        ((3, 1), 200.0),
    ] {
        assert!((after(tries.0, tries.1) - bound).abs() < 1e-9, "{tries:?}");
    }
}
