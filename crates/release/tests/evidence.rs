//! Evidence is worth what it promises: on average at most 1 while the null holds, whatever is bet.

use instar_release::evidence::{
    Arm, Belief, Bet, Null, Objective, Pair, Paired, Process, Test, Unit, units_to_decide,
};
use proptest::prelude::*;

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

    fn unit(&mut self, share: f64, new: f64, old: f64) -> Unit {
        let arm = if self.throw() < share {
            Arm::New
        } else {
            Arm::Old
        };
        let rate = if arm == Arm::New { new } else { old };
        let bad = f64::from(u8::from(self.throw() < rate));
        Unit { arm, share, bad }
    }
}

fn null() -> impl Strategy<Value = Null> {
    prop_oneof![
        (0.05..=1.0).prop_map(|k| Null::AtMost { k }),
        (0.05..=1.0).prop_map(|k| Null::AtLeast { k }),
        (0.005..0.5).prop_map(|d| Null::Margin { d }),
    ]
}

/// Rates of a grid that are in the null.
fn rates(null: Null) -> impl Iterator<Item = (f64, f64)> {
    let steps = || (0..=40).map(|step| f64::from(step) / 40.0);
    let border = steps().map(move |p0| match null {
        Null::AtMost { k } | Null::AtLeast { k } => (k * p0, p0),
        Null::Margin { d } => ((p0 + d).min(1.0), (p0 + d).min(1.0) - d),
    });
    let grid = steps().flat_map(move |p1| steps().map(move |p0| (p1, p0)));
    let inside = grid.filter(move |(p1, p0)| null.holds(*p1, *p0));
    inside.chain(border)
}

proptest! {
    #[test]
    fn no_bet_pays_on_average_while_the_null_holds(null in null(), r1 in 0.0..=1.0, r0 in 0.0..=1.0) {
        if let Some(bet) = Bet::valid(null, r1, r0) {
            for (p1, p0) in rates(null) {
                let expected = bet.expected(p1, p0);
                prop_assert!(expected <= 1.0 + 1e-9, "{expected} at {p1}, {p0}");
            }
        }
    }

    #[test]
    fn the_best_bet_is_a_valid_one_and_grows_where_the_belief_is_right(
        null in null(), new in 0.01..0.9, old in 0.01..0.9, share in 0.02..0.98,
    ) {
        let belief = Belief::new(new, old);
        let bet = Bet::best(null, belief, share);
        for (p1, p0) in rates(null) {
            prop_assert!(bet.expected(p1, p0) <= 1.0 + 1e-9);
        }
        let growth: f64 = [(Arm::New, share, belief.new), (Arm::Old, 1.0 - share, belief.old)]
            .into_iter()
            .flat_map(|(arm, chance, rate)| [(arm, chance * rate, 1.0), (arm, chance * (1.0 - rate), 0.0)])
            .map(|(arm, chance, bad)| chance * bet.factor(&Unit { arm, share, bad }).ln())
            .sum();
        prop_assert!(growth >= -1e-9, "{growth}");
    }

    #[test]
    fn a_process_that_was_stored_goes_on_as_if_nothing_had_been(seed in any::<u64>(), cut in 0_usize..300) {
        let mut dice = Dice(seed);
        let units: Vec<Unit> = (0..300).map(|_| dice.unit(0.3, 0.2, 0.1)).collect();
        for test in [Test::worse(), Test::within(0.05), Test::proven(), Test::failed(), Test::harmful()] {
            let mut whole = Process::new(test.clone());
            let mut first = Process::new(test);
            units.iter().for_each(|unit| whole.settle(unit));
            units[..cut].iter().for_each(|unit| first.settle(unit));
            let stored = serde_json::to_string(&first).unwrap();
            let mut second: Process = serde_json::from_str(&stored).unwrap();
            units[cut..].iter().for_each(|unit| second.settle(unit));
            prop_assert_eq!(whole, second);
        }
    }
}

/// How many of so many runs ever reach 20, looked at after every unit.
fn reached(runs: u64, mut run: impl FnMut(&mut Dice) -> bool) -> u64 {
    (0..runs)
        .map(|seed| u64::from(run(&mut Dice(seed * 7_919))))
        .sum()
}

fn splits(test: &Test, dice: &mut Dice, units: u32, new: f64, old: f64) -> bool {
    let mut process = Process::new(test.clone());
    (0..units).any(|_| {
        process.settle(&dice.unit(0.5, new, old));
        process.evidence() >= 20.0
    })
}

#[test]
fn what_is_no_worse_is_seldom_called_worse_and_what_is_twice_as_bad_is_caught() {
    let falsely = reached(2_000, |dice| {
        splits(&Test::worse(), dice, 1_200, 0.05, 0.05)
    });
    // 0.05 of 2,000 is 100; three standard errors above that would be 129.
    assert!(falsely <= 129, "{falsely} of 2,000");
    let caught = reached(400, |dice| splits(&Test::worse(), dice, 1_200, 0.10, 0.05));
    assert!(caught >= 300, "{caught} of 400");
}

#[test]
fn what_is_worse_by_the_margin_is_seldom_called_sound() {
    let falsely = reached(1_000, |dice| {
        splits(&Test::within(0.05), dice, 1_200, 0.10, 0.05)
    });
    assert!(falsely <= 71, "{falsely} of 1,000");
    let sound = reached(200, |dice| {
        splits(&Test::within(0.05), dice, 1_200, 0.05, 0.05)
    });
    assert!(sound >= 150, "{sound} of 200");
}

#[test]
fn pairs_are_judged_by_what_they_differ_in() {
    let run = |dice: &mut Dice, new: f64, old: f64, of: &Paired| {
        let mut process = of.clone();
        (0..600).any(|_| {
            let shared = dice.throw();
            let own = if dice.throw() < 0.8 {
                shared
            } else {
                dice.throw()
            };
            let (new, old) = (own < new, shared < old);
            process.settle(Pair {
                turns: 1,
                new_failed: u32::from(new && !old),
                old_failed: u32::from(old && !new),
            });
            process.evidence() >= 20.0
        })
    };
    let caught = reached(400, |dice| run(dice, 0.10, 0.05, &Paired::worse()));
    assert!(caught >= 390, "{caught} of 400");
    let falsely = reached(2_000, |dice| run(dice, 0.05, 0.05, &Paired::worse()));
    assert!(falsely <= 129, "{falsely} of 2,000");
    let falsely = reached(1_000, |dice| run(dice, 0.10, 0.05, &Paired::within(0.05)));
    assert!(falsely <= 71, "{falsely} of 1,000");
    let mut nothing = Paired::worse();
    nothing.settle(Pair {
        turns: 0,
        new_failed: 0,
        old_failed: 0,
    });
    nothing.settle(Pair {
        turns: 1,
        new_failed: 1,
        old_failed: 1,
    });
    assert_eq!(
        (nothing.settled(), nothing.evidence().to_bits()),
        (0, 1.0_f64.to_bits())
    );
}

#[test]
fn an_objective_alarms_where_it_is_missed() {
    let run = |dice: &mut Dice, rate: f64, units: u32| {
        let mut objective = Objective::new(0.08).unwrap();
        (0..units).any(|_| {
            objective.settle(f64::from(u8::from(dice.throw() < rate)));
            objective.evidence() >= 20.0
        })
    };
    let falsely = reached(2_000, |dice| run(dice, 0.08, 1_000));
    assert!(falsely <= 129, "{falsely} of 2,000");
    let caught = reached(200, |dice| run(dice, 0.16, 300));
    assert!(caught >= 190, "{caught} of 200");
    assert_eq!(Objective::new(0.0), None);
}

#[test]
fn the_time_to_a_decision_is_told_before() {
    let days = |share| units_to_decide(Belief::new(0.10, 0.05), share, 0.05).unwrap();
    assert!((550.0..700.0).contains(&days(0.5)), "{}", days(0.5));
    assert!((12_500.0..16_500.0).contains(&days(0.01)), "{}", days(0.01));
    assert_eq!(units_to_decide(Belief::new(0.1, 0.1), 0.5, 0.05), None);
}
