//! A rollout as a pure state machine: settled units and facts go in, moves come out.
//!
//! It holds no clock, no store and no coin. Whoever drives it gives each unit an arm with a secret coin,
//! settles it at its maturity, and stores the machine together with the settlement, so that a crash
//! leaves the one or the other and never a mixture.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::judged::Judged;
use super::plan::{Plan, PlanError};
use crate::evidence::{Arm, Pair, Paired};

/// Where a rollout stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Stage {
    /// Both arms answer, and only stable's answer is sent.
    Shadow,
    Canary {
        step: usize,
    },
    Promoted,
    RolledBack {
        why: Reason,
    },
    /// Neither shown worse nor shown sound within the horizon; the owner is told.
    Undecided,
    /// Another stable release came into force.
    Superseded,
}

impl Stage {
    /// As it stands in events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary { .. } => "canary",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled_back",
            Self::Undecided => "undecided",
            Self::Superseded => "superseded",
        }
    }
}

/// Why a candidate was taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// A detector fired whose rate under a sound release is zero.
    Violation { what: String },
    /// The evidence that it is worse reached its bound.
    Worse,
    /// The owner's word.
    Owner,
}

impl Reason {
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Violation { what } => what.clone(),
            Self::Worse => "the evidence that it is worse reached its bound".to_owned(),
            Self::Owner => "the owner took it back".to_owned(),
        }
    }
}

/// What a settled unit brought: the badness by metric; none where the source gave nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Counted once, however often it is delivered.
    pub unit: String,
    pub arm: Arm,
    /// The share at its assignment.
    pub share: f64,
    pub bad: BTreeMap<String, Option<f64>>,
}

/// Why a rollout stays where it is although its evidence would let it go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// An arm has too few units with data.
    Coverage,
    /// One arm has data more often than the other.
    UnevenCoverage,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    pub(super) plan: Plan,
    pub(super) stage: Stage,
    pub(super) judged: BTreeMap<String, Judged>,
    /// Units of the present step.
    pub(super) in_step: u64,
    pub(super) settled: u64,
    pub(super) seen: BTreeSet<String>,
    /// Of pairs that both arms answered.
    #[serde(default = "Paired::worse")]
    pub(super) paired: Paired,
    /// The same for who asked for something that leaves traces.
    #[serde(default = "Paired::worse")]
    pub(super) reach: Paired,
    /// New units go to stable meanwhile; those that have an arm keep it, and are counted.
    #[serde(default)]
    pub(super) is_paused: bool,
}

impl Rollout {
    pub fn begin(plan: Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let judged = plan
            .metrics
            .iter()
            .map(|(name, metric)| (name.clone(), Judged::new(metric)))
            .collect();
        let stage = match plan.shadow {
            Some(_) => Stage::Shadow,
            None => Stage::Canary { step: 0 },
        };
        Ok(Self {
            plan,
            stage,
            paired: Paired::worse(),
            reach: Paired::worse(),
            is_paused: false,
            judged,
            in_step: 0,
            settled: 0,
            seen: BTreeSet::new(),
        })
    }

    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// True while it can still become something else.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Shadow | Stage::Canary { .. })
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Gives new units to stable alone, or no longer.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused && self.is_open();
    }

    /// The share of new units that the candidate is given now.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.is_paused {
            return 0.0;
        }
        match self.stage {
            Stage::Shadow => 0.0,
            Stage::Canary { step } => self.plan.steps.get(step).map_or(0.0, |step| step.share),
            Stage::Promoted => 1.0,
            Stage::RolledBack { .. } | Stage::Undecided | Stage::Superseded => 0.0,
        }
    }

    /// Units that were taken, each once.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// The evidence that the candidate is worse, over all metrics.
    #[must_use]
    pub fn evidence_worse(&self) -> f64 {
        let by_metric = self.judged.iter().map(|(name, judged)| {
            let weight = self.plan.metrics.get(name).map_or(0.0, |one| one.weight);
            weight * judged.worse.evidence()
        });
        by_metric.sum()
    }

    /// The evidence that the candidate is sound: the least of the metrics that promotion needs.
    #[must_use]
    pub fn evidence_sound(&self) -> f64 {
        self.required()
            .map(|judged| judged.within.evidence())
            .fold(f64::INFINITY, f64::min)
    }

    /// What keeps the candidate from being promoted besides evidence.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        self.required()
            .find_map(|judged| judged.hold(self.plan.level))
    }

    fn required(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter_map(|(name, judged)| {
            let metric = self.plan.metrics.get(name)?;
            metric.required.then_some(judged)
        })
    }

    /// Takes a settled unit; the move that follows, if one does.
    pub fn settle(&mut self, settled: &Settled) -> Option<&Stage> {
        let Stage::Canary { step } = self.stage else {
            return None;
        };
        if !self.seen.insert(settled.unit.clone()) {
            return None;
        }
        for (name, judged) in &mut self.judged {
            let bad = settled.bad.get(name).copied().flatten();
            judged.settle(settled.arm, settled.share, bad);
        }
        self.settled += 1;
        self.in_step += 1;
        let next = self.next(step)?;
        self.in_step = 0;
        self.stage = next;
        Some(&self.stage)
    }

    /// Takes an episode that both arms answered: what failed, and who asked for something that leaves
    /// traces. The move that follows, if one does.
    pub fn settle_pair(&mut self, unit: &str, pair: Pair, reach: Pair) -> Option<&Stage> {
        if self.stage != Stage::Shadow || !self.seen.insert(unit.to_owned()) {
            return None;
        }
        let shadow = self.plan.shadow?;
        self.paired.settle(pair);
        self.reach.settle(reach);
        if self.evidence_paired() >= 1.0 / shadow.level {
            self.stage = Stage::RolledBack { why: Reason::Worse };
        } else if self.paired.settled() >= shadow.pairs_min {
            self.stage = Stage::Canary { step: 0 };
        } else {
            return None;
        }
        Some(&self.stage)
    }

    /// The evidence of the shadow that the candidate is worse.
    #[must_use]
    pub fn evidence_paired(&self) -> f64 {
        f64::midpoint(self.paired.evidence(), self.reach.evidence())
    }

    /// Rollback goes before promotion, and promotion before the horizon.
    fn next(&self, step: usize) -> Option<Stage> {
        if self.plan.is_ab {
            return (self.settled >= self.plan.horizon).then_some(Stage::Undecided);
        }
        let bound = 1.0 / self.plan.level;
        if self.evidence_worse() >= 1.0 / self.plan.level_of_steps() {
            return Some(Stage::RolledBack { why: Reason::Worse });
        }
        let is_ripe = self
            .plan
            .steps
            .get(step)
            .is_none_or(|step| self.in_step >= step.units_min);
        if is_ripe && self.evidence_sound() >= bound && self.hold().is_none() {
            return Some(Stage::Promoted);
        }
        if self.settled >= self.plan.horizon {
            return Some(Stage::Undecided);
        }
        (is_ripe && step + 1 < self.plan.steps.len()).then_some(Stage::Canary { step: step + 1 })
    }

    /// A detector fired that never fires under a sound release. Before everything else.
    pub fn violated(&mut self, what: &str) -> Option<&Stage> {
        let what = what.to_owned();
        self.end(Stage::RolledBack {
            why: Reason::Violation { what },
        })
    }

    /// The owner takes the candidate back.
    pub fn abort(&mut self) -> Option<&Stage> {
        self.end(Stage::RolledBack { why: Reason::Owner })
    }

    /// Another stable release came into force.
    pub fn supersede(&mut self) -> Option<&Stage> {
        self.end(Stage::Superseded)
    }

    /// The owner makes the candidate stable, on his own judgement.
    pub fn promote(&mut self) -> Option<&Stage> {
        self.end(Stage::Promoted)
    }

    /// Goes on with what was counted, after an end that was no verdict about the candidate.
    #[must_use]
    pub fn resumed(mut self) -> Option<Self> {
        let is_open_again = match &self.stage {
            Stage::Undecided => true,
            Stage::RolledBack { why } => *why == Reason::Owner,
            Stage::Shadow | Stage::Canary { .. } | Stage::Promoted | Stage::Superseded => false,
        };
        if !is_open_again {
            return None;
        }
        self.plan.horizon = self.plan.horizon.saturating_add(self.settled);
        self.stage = Stage::Canary { step: 0 };
        self.in_step = 0;
        Some(self)
    }

    fn end(&mut self, stage: Stage) -> Option<&Stage> {
        if !self.is_open() {
            return None;
        }
        self.is_paused = false;
        self.stage = stage;
        Some(&self.stage)
    }
}
