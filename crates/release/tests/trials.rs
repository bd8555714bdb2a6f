//! A trial is a fold over settled units, whatever happens on the way.

use instar_release::evidence::{Arm, Baseline, Coin, lower_bound};
use instar_release::trial::{Hold, Month, Plan, SLOTS, Settled, Stage, Trial, Verdict};
use proptest::prelude::*;

const KEY: [u8; 32] = [7; 32];

/// A small generator, so that a run can be told by its number.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or_default();
        f64::from(bits) / f64::from(u32::MAX)
    }
}

fn units(seed: u64, count: u32, treated: f64, control: f64) -> Vec<Settled> {
    let (mut dice, coin) = (Dice(seed), Coin::of(&KEY, &seed.to_string()));
    let unit = |number: u32| {
        let unit = format!("exposure-{number}");
        let arm = coin.throw(&unit, 0.5);
        let rate = if arm == Arm::New { treated } else { control };
        let bad = Some(f64::from(u8::from(dice.throw() < rate)));
        Settled {
            unit,
            arm,
            share: 0.5,
            bad,
        }
    };
    (0..count).map(unit).collect()
}

fn fold(units: &[Settled]) -> Trial {
    let mut trial = Trial::begin(Plan::coin()).unwrap();
    for unit in units {
        trial.settle(unit);
    }
    trial
}

/// The evidence to the last bit.
fn weights(trial: &Trial) -> [u64; 2] {
    [trial.evidence_proven(), trial.evidence_harmful()].map(f64::to_bits)
}

proptest! {
    #[test]
    fn a_restart_and_a_second_delivery_change_nothing(
        seed in any::<u64>(), cut in 0_usize..400, again in 0_usize..400, treated in 0.0..0.4,
    ) {
        let units = units(seed, 400, treated, 0.2);
        let whole = fold(&units);
        let first = serde_json::to_string(&fold(&units[..cut])).unwrap();
        let mut second: Trial = serde_json::from_str(&first).unwrap();
        for unit in &units[..again.min(cut)] {
            let before = second.clone();
            prop_assert_eq!(second.settle(unit), None);
            prop_assert_eq!(&second, &before, "a unit is counted once");
        }
        units[cut..].iter().for_each(|unit| drop(second.settle(unit).cloned()));
        prop_assert_eq!(whole, second);
    }

    #[test]
    fn what_nothing_is_known_of_leaves_the_evidence_alone(seed in any::<u64>(), every in 2_usize..7) {
        let (mut plain, mut gaps) = (fold(&[]), fold(&[]));
        for (number, unit) in units(seed, 60, 0.2, 0.2).iter().enumerate() {
            plain.settle(unit);
            gaps.settle(unit);
            if number % every == 0 {
                let evidence = weights(&gaps);
                let unit = Settled { unit: format!("lost-{number}"), bad: None, ..unit.clone() };
                gaps.settle(&unit);
                prop_assert_eq!(evidence, weights(&gaps));
            }
            // What is held for its gaps may end where the other has long been proven.
            if plain.stage() != gaps.stage() {
                break;
            }
            prop_assert_eq!(weights(&plain), weights(&gaps));
        }
        let unknown = gaps.treated().unknown + gaps.control().unknown;
        prop_assert!(unknown > 0 && plain.treated().unknown == 0);
    }

    #[test]
    fn the_coin_of_one_fix_says_nothing_of_the_coin_of_another(seed in any::<u64>()) {
        let coins = ["one", "two"].map(|name| Coin::of(&KEY, &format!("{name}-{seed}")));
        let both = (0..400).filter(|number| {
            let unit = format!("exposure-{number}");
            coins.iter().all(|coin| coin.throw(&unit, 0.5) == Arm::New)
        });
        // A quarter of 400; six standard errors around it.
        let both = both.count();
        prop_assert!((48..=152).contains(&both), "{}", both);
    }
}

/// How many of so many seeds end so.
fn ended(runs: u64, treated: f64, count: u32, is: impl Fn(&Trial) -> bool) -> usize {
    (0..runs)
        .filter(|seed| is(&fold(&units(seed * 7_919, count, treated, 0.2))))
        .count()
}

#[test]
fn a_good_fix_is_proven_a_useless_one_seldom_and_a_bad_one_is_taken_back() {
    let proven = |trial: &Trial| *trial.stage() == Stage::Proven;
    assert!(ended(100, 0.02, 400, proven) >= 95);
    // 0.05 of 400 is 20; three standard errors above that would be 33.
    let falsely = ended(400, 0.2, 600, proven);
    assert!(falsely <= 33, "{falsely} of 400");
    // What does harm is out of service long before anybody could name it with certainty.
    let gone = |trial: &Trial| trial.share() < 0.01 && trial.settled() < 150;
    let gone = ended(100, 0.6, 400, gone);
    assert!(gone >= 95, "{gone} of 100");
    // What takes half away is found as well, only later.
    let found = |trial: &Trial| !matches!(trial.stage(), Stage::Running) && trial.share() > 0.5;
    let found = ended(50, 0.1, 1_500, found);
    assert!(found >= 30, "{found} of 50");
}

#[test]
fn a_fix_is_given_up_with_the_first_unit_that_leaves_a_tenth_of_evidence() {
    let mut given_up = 0;
    for seed in 0..30 {
        let mut trial = Trial::begin(Plan::coin()).unwrap();
        let mut before = trial.evidence_proven();
        for unit in units(seed, 600, 0.2, 0.2) {
            if trial.settle(&unit).is_some() {
                break;
            }
            before = trial.evidence_proven();
            assert!(before > 0.1, "seed {seed} runs on at {before}");
        }
        let verdict = Verdict::Undecided;
        if *trial.stage() == (Stage::Ended { verdict }) {
            given_up += 1;
            let at = trial.evidence_proven();
            assert!(
                at <= 0.1 && before > 0.1,
                "seed {seed}: {before}, then {at}"
            );
            assert!(trial.share().abs() < f64::EPSILON, "its place is free");
        }
    }
    assert!(given_up >= 20, "{given_up} of 30");
}

/// Twelve units of a fault that half of them meet, whatever is done; after that it is gone.
#[test]
fn a_fault_that_heals_by_itself_leaves_a_fix_undecided_and_hardly_ever_proven() {
    let plan = Plan {
        horizon: 400,
        ..Plan::coin()
    };
    let (mut proven, mut at_horizon) = (0, 0);
    for seed in 0..40 {
        let mut trial = Trial::begin(plan.clone()).unwrap();
        let healed = units(seed + 1_000, 400, 0.0, 0.0).into_iter().skip(12);
        for unit in units(seed, 12, 0.5, 0.5).into_iter().chain(healed) {
            if trial.settle(&unit).is_some() {
                break;
            }
        }
        match trial.stage() {
            Stage::Proven => proven += 1,
            Stage::Ended { verdict } => {
                let is_late = *verdict == Verdict::Undecided && trial.settled() == 400;
                at_horizon += u32::from(is_late);
            }
            stage => panic!("seed {seed}: {stage:?}"),
        }
    }
    // 0.05 of 40 is 2; three standard errors above that would be 6.
    assert!(proven <= 6, "{proven} of 40");
    // Where nothing fails next to nothing is learned: who has not been given up by then stays.
    assert!(at_horizon >= 5, "{at_horizon} of 40");
}

#[test]
fn harm_that_begins_after_the_verdict_is_found() {
    let (mut found, runs) = (0, 40);
    for seed in 0..runs {
        let mut trial = Trial::begin(Plan::coin()).unwrap();
        let mut units = units(seed, 300, 0.02, 0.2).into_iter();
        while *trial.stage() != Stage::Proven {
            let Some(unit) = units.next() else { break };
            trial.settle(&unit);
        }
        if *trial.stage() != Stage::Proven {
            continue;
        }
        assert!(trial.adopt().is_some());
        let mut dice = Dice(seed);
        for number in 0..1_500 {
            let unit = format!("later-{number}");
            let arm = if dice.throw() < trial.share() {
                Arm::New
            } else {
                Arm::Old
            };
            let rate = if arm == Arm::New { 0.6 } else { 0.2 };
            let bad = Some(f64::from(u8::from(dice.throw() < rate)));
            let share = trial.share();
            trial.settle(&Settled {
                unit,
                arm,
                share,
                bad,
            });
            if matches!(trial.stage(), Stage::Ended { .. }) {
                break;
            }
        }
        let harmed = Stage::Ended {
            verdict: Verdict::HarmedLater,
        };
        found += u64::from(*trial.stage() == harmed);
        assert!(trial.share() < 0.01);
    }
    assert!(found >= runs * 9 / 10, "{found} of {runs}");
}

/// A fix that was proven, and then the same world without a failure for so many units.
fn watched(trial: &mut Trial, units: u64) {
    for number in 0..units {
        let arm = if number % 10 == 0 { Arm::Old } else { Arm::New };
        trial.settle(&Settled {
            unit: format!("watched-{}-{number}", trial.settled()),
            arm,
            share: 0.9,
            bad: Some(f64::from(u8::from(arm == Arm::Old))),
        });
    }
}

#[test]
fn what_is_proven_is_kept_after_its_watch_if_it_was_adopted_and_not_otherwise() {
    let mut trial = fold(&units(3, 300, 0.0, 0.4));
    watched(&mut trial, 3_000);
    assert_eq!(*trial.stage(), Stage::Proven, "nobody adopted it");
    assert!((trial.share() - 0.8).abs() < 1e-9);
    // The watch over what is adopted begins with its adoption.
    assert!(trial.adopt().is_some());
    watched(&mut trial, 1_999);
    assert!(matches!(trial.stage(), Stage::Adopted { .. }));
    assert!((trial.share() - 0.9).abs() < 1e-9);
    watched(&mut trial, 1);
    let kept = Stage::Ended {
        verdict: Verdict::Kept,
    };
    assert_eq!(*trial.stage(), kept);
    assert!((trial.share() - 1.0).abs() < 1e-9 && !trial.is_in_vain());
}

#[test]
fn without_a_coin_it_is_supported_and_never_proven() {
    let before = Baseline {
        exposures: 200,
        bad: 60,
    };
    assert!((0.22..0.24).contains(&lower_bound(60, 200, 0.01)));
    assert!(lower_bound(0, 50, 0.01) < 1e-12);
    let mut trial = Trial::begin(Plan::window(before)).unwrap();
    for number in 0..500 {
        let unit = Settled {
            unit: number.to_string(),
            arm: Arm::New,
            share: 1.0,
            bad: Some(0.0),
        };
        trial.settle(&unit);
        assert_ne!(*trial.stage(), Stage::Proven);
    }
    let supported = Stage::Ended {
        verdict: Verdict::Supported,
    };
    assert_eq!(*trial.stage(), supported);
    assert!(trial.evidence_proven() < 1e-12 && trial.adopt().is_none());
}

/// A fix that always helps, in a world where nothing ever helps without it. So many of a hundred units of an
/// arm are missing, of each ten the first.
fn with_missing(treated: u64, control: u64) -> Trial {
    let mut trial = Trial::begin(Plan::coin()).unwrap();
    for number in 0..600_u64 {
        let arm = if number % 2 == 0 { Arm::New } else { Arm::Old };
        let (rate, bad) = match arm {
            Arm::New => (treated, 0.0),
            Arm::Old => (control, 1.0),
        };
        let is_missing = number / 2 % 10 < rate / 10;
        let unit = number.to_string();
        if is_missing {
            trial.settle_missing(unit, arm, 0.5);
        } else {
            trial.settle(&Settled {
                unit,
                arm,
                share: 0.5,
                bad: Some(bad),
            });
        }
        if *trial.stage() != Stage::Running {
            break;
        }
    }
    trial
}

#[test]
fn nothing_is_proven_where_too_much_is_missing_or_more_on_one_arm() {
    assert_eq!(*with_missing(0, 0).stage(), Stage::Proven);
    assert_eq!(*with_missing(10, 10).stage(), Stage::Proven);
    // Units without the fix that are lost look as if it helped.
    let thin = with_missing(0, 30);
    assert_eq!(
        (thin.stage(), thin.hold()),
        (&Stage::Running, Some(Hold::Coverage))
    );
    assert!(thin.evidence_proven() >= thin.bound() && thin.control().unknown > 60);
    let mut uneven = with_missing(0, 0);
    assert_eq!(uneven.hold(), None);
    for number in 0..200 {
        let arm = if number % 2 == 0 { Arm::New } else { Arm::Old };
        let unit = format!("later-{number}");
        let bad = Some(0.0);
        if arm == Arm::Old && number % 10 == 1 {
            uneven.settle_missing(unit, arm, 0.5);
        } else {
            uneven.settle(&Settled {
                unit,
                arm,
                share: 0.5,
                bad,
            });
        }
    }
    let control = uneven.control();
    assert!(control.unknown * 5 < control.units + 5, "{control:?}");
    assert_eq!(uneven.hold(), Some(Hold::UnevenCoverage));
    // What speaks against a fix is not held back: one that makes turns end without an end does harm.
    let harmful = with_missing(100, 0);
    assert_ne!(*harmful.stage(), Stage::Proven);
    let mut trial = Trial::begin(Plan::coin()).unwrap();
    for number in 0..60 {
        let arm = if number % 2 == 0 { Arm::New } else { Arm::Old };
        let unit = number.to_string();
        match arm {
            Arm::New => trial.settle_missing(unit, arm, 0.5),
            Arm::Old => trial.settle(&Settled {
                unit,
                arm,
                share: 0.5,
                bad: Some(0.0),
            }),
        };
    }
    assert!(
        trial.is_in_vain() && trial.share() < 0.01,
        "{:?}",
        trial.stage()
    );
}

#[test]
fn another_chapter_starts_at_nothing_and_asks_for_more() {
    let trial = fold(&units(3, 300, 0.0, 0.4));
    assert_eq!(*trial.stage(), Stage::Proven);
    let next = trial.reopened();
    assert_eq!((next.chapter(), next.settled()), (2, 0));
    assert!((next.level() - 0.025).abs() < 1e-12 && (next.evidence_proven() - 1.0).abs() < 1e-9);
    assert_eq!(*next.stage(), Stage::Running);
}

#[test]
fn many_at_once_need_more_than_one_alone() {
    let mut month = Month::new("2026-03");
    for number in 0..SLOTS {
        month.enter(&number.to_string()).unwrap();
    }
    assert!(month.enter("0").is_ok() && month.enter("one more").is_err());
    month.note("0", 150.0);
    assert!(month.adopt().is_empty(), "alone it needs 200");
    month.note("1", 120.0);
    assert_eq!(month.adopt(), ["0", "1"], "as one of two it needs 100");
    month.note("0", 0.1);
    month.note("2", 67.0);
    assert_eq!(month.adopt(), ["2"], "adopted ones count on, frozen");
}

#[test]
fn the_popular_rule_stands_beside_it() {
    let trial = |bad: &[u8]| {
        let unit = |(number, bad): (usize, &u8)| Settled {
            unit: number.to_string(),
            arm: Arm::New,
            share: 0.5,
            bad: Some(f64::from(*bad)),
        };
        let units: Vec<Settled> = bad.iter().enumerate().map(unit).collect();
        fold(&units).classic().label()
    };
    assert_eq!(trial(&[0, 0]), None);
    assert_eq!(trial(&[0, 0, 0]), Some("proven"));
    assert_eq!(trial(&[0, 1, 0]), Some("failed"));
    assert_eq!(trial(&[0, 0, 0, 1]), Some("proven, then failed"));
    assert_eq!(trial(&[0, 0, 0, 0, 0, 1]), Some("proven"));
}
