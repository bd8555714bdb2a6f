//! A rollout played through with made-up episodes, before anybody is served by it.

use serde::Serialize;
use std::collections::BTreeMap;

use super::machine::Rollout;
use super::plan::{Plan, PlanError, SHARED};
use super::stage::{Settled, Stage};
use crate::evidence::{Arm, Coin, Pair};
use crate::gate::Step as Far;

/// What is made up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct World {
    /// The rate of bad episodes under the stable release.
    pub base: f64,
    /// How many times as high it is under the candidate.
    pub effect: f64,
    pub runs: u32,
    pub seed: u64,
}

/// How the runs ended.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Played {
    pub runs: u32,
    pub promoted: u32,
    pub rolled_back: u32,
    pub undecided: u32,
    /// Taken back before anybody was served.
    pub in_shadow: u32,
    /// Pairs of the shadow, in the middle.
    pub median_pairs: u64,
    /// Episodes with an arm up to the end, in the middle and at the ninth tenth of the runs.
    pub median: u64,
    pub p90: u64,
    /// Of them with the candidate, in the middle.
    pub median_canary: u64,
}

/// Plays the plan. The effect is on the metrics that promotion needs; the others are as good as before.
pub fn simulate(plan: &Plan, world: World) -> Result<Played, PlanError> {
    plan.check()?;
    let mut played = Played {
        runs: world.runs,
        ..Played::default()
    };
    let (mut lengths, mut canaries, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..world.runs {
        let one = Run::new(world, run).play(plan)?;
        match one.stage {
            Stage::Promoted => played.promoted += 1,
            Stage::RolledBack { .. } => {
                played.rolled_back += 1;
                played.in_shadow += u32::from(one.units == 0);
            }
            _ => played.undecided += 1,
        }
        lengths.push(one.units);
        canaries.push(one.canary);
        pairs.push(one.pairs);
    }
    for all in [&mut lengths, &mut canaries, &mut pairs] {
        all.sort_unstable();
    }
    played.median = at(&lengths, 50);
    played.p90 = at(&lengths, 90);
    played.median_canary = at(&canaries, 50);
    played.median_pairs = at(&pairs, 50);
    Ok(played)
}

/// One run: its dice, and how it ended.
struct Run {
    world: World,
    key: [u8; 32],
}

struct Ended {
    stage: Stage,
    pairs: u64,
    units: u64,
    canary: u64,
}

impl Run {
    fn new(world: World, run: u32) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&world.seed.to_be_bytes());
        key[8..12].copy_from_slice(&run.to_be_bytes());
        Self { world, key }
    }

    fn throw(&self, dice: &str, unit: &str) -> f64 {
        Coin::of(&self.key, dice).number(unit)
    }

    fn play(&self, plan: &Plan) -> Result<Ended, PlanError> {
        let coin = Coin::new(&self.key);
        let plan = Plan {
            may: Far::Stable,
            ..plan.clone()
        };
        let mut machine = Rollout::begin(plan)?;
        let mut ended = Ended {
            stage: Stage::Shadow,
            pairs: 0,
            units: 0,
            canary: 0,
        };
        while *machine.stage() == Stage::Shadow {
            ended.pairs += 1;
            let unit = format!("pair {}", ended.pairs);
            let _moved = machine.settle_pair(&unit, self.pair(&unit), NEITHER);
        }
        while machine.is_open() {
            ended.units += 1;
            let unit = ended.units.to_string();
            let share = machine.share();
            let arm = coin.throw(&unit, share);
            ended.canary += u64::from(arm == Arm::New);
            let bad = self.bad(machine.plan(), arm, &unit);
            machine.settle(&Settled {
                unit,
                arm,
                share,
                bad,
                is_heard: true,
            });
        }
        ended.stage = machine.stage().clone();
        Ok(ended)
    }

    fn rate(&self, arm: Arm) -> f64 {
        match arm {
            Arm::New => self.world.base * self.world.effect,
            Arm::Old => self.world.base,
        }
    }

    fn pair(&self, unit: &str) -> Pair {
        let luck = self.throw("both", unit);
        let own = if self.throw("together", unit) < SHARED {
            luck
        } else {
            self.throw("own", unit)
        };
        let (new, old) = (own < self.rate(Arm::New), luck < self.rate(Arm::Old));
        Pair {
            new_failed: u32::from(new && !old),
            old_failed: u32::from(old && !new),
            ..NEITHER
        }
    }

    fn bad(&self, plan: &Plan, arm: Arm, unit: &str) -> BTreeMap<String, Option<f64>> {
        let metrics = plan.metrics.iter().map(|(name, metric)| {
            let rate = self.rate(if metric.required { arm } else { Arm::Old });
            let bad = f64::from(self.throw(name, unit) < rate);
            (name.clone(), Some(bad))
        });
        metrics.collect()
    }
}

const NEITHER: Pair = Pair {
    turns: 1,
    new_failed: 0,
    old_failed: 0,
};

fn at(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}
