//! A rollout played through with made-up episodes, before anybody is served by it.

use serde::Serialize;
use std::collections::BTreeMap;

use super::machine::{Rollout, Settled, Stage};
use super::outcome::TASK;
use super::plan::{Metric, Plan, PlanError};
use crate::evidence::{Arm, Coin};

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
    /// Episodes up to the end, in the middle and at the ninth tenth of the runs.
    pub median: u64,
    pub p90: u64,
    /// Of them with the candidate, in the middle.
    pub median_canary: u64,
}

/// Plays the plan, with its primary metric alone: made-up episodes have no cost and ask nothing.
pub fn simulate(plan: &Plan, world: World) -> Result<Played, PlanError> {
    let mut plan = plan.clone();
    plan.shadow = None;
    plan.metrics.retain(|name, _| name == TASK);
    plan.metrics = plan
        .metrics
        .into_iter()
        .map(|(name, metric)| {
            (
                name,
                Metric {
                    weight: 1.0,
                    ..metric
                },
            )
        })
        .collect();
    plan.check()?;
    let mut played = Played {
        runs: world.runs,
        ..Played::default()
    };
    let (mut lengths, mut canaries) = (Vec::new(), Vec::new());
    for run in 0..world.runs {
        let (stage, length, canary) = one(&plan, world, run)?;
        match stage {
            Stage::Promoted => played.promoted += 1,
            Stage::RolledBack { .. } => played.rolled_back += 1,
            _ => played.undecided += 1,
        }
        lengths.push(length);
        canaries.push(canary);
    }
    lengths.sort_unstable();
    canaries.sort_unstable();
    played.median = at(&lengths, 50);
    played.p90 = at(&lengths, 90);
    played.median_canary = at(&canaries, 50);
    Ok(played)
}

fn one(plan: &Plan, world: World, run: u32) -> Result<(Stage, u64, u64), PlanError> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&world.seed.to_be_bytes());
    key[8..12].copy_from_slice(&run.to_be_bytes());
    let coin = Coin::new(&key);
    let dice = Coin::of(&key, "outcomes");
    let mut machine = Rollout::begin(plan.clone())?;
    let (mut unit, mut canary) = (0_u64, 0);
    while machine.is_open() {
        unit += 1;
        let name = unit.to_string();
        let share = machine.share();
        let arm = coin.throw(&name, share);
        let rate = match arm {
            Arm::New => world.base * world.effect,
            Arm::Old => world.base,
        };
        canary += u64::from(arm == Arm::New);
        let bad = f64::from(dice.number(&name) < rate);
        machine.settle(&Settled {
            unit: name,
            arm,
            share,
            bad: BTreeMap::from([(TASK.to_owned(), Some(bad))]),
        });
    }
    Ok((machine.stage().clone(), unit, canary))
}

fn at(sorted: &[u64], percent: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get(last * percent / 100).copied().unwrap_or(0)
}
