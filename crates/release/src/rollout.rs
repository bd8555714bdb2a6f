//! A rollout as a pure state machine: settled units and facts go in, moves come out.
//!
//! It holds no clock, no store and no coin. Whoever drives it gives each unit an arm with a secret coin,
//! settles it at its maturity, and stores the machine together with the settlement, so that a crash
//! leaves the one or the other and never a mixture.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{Arm, Null, Process, Rates, Test, Unit};

/// What the owner agreed to before the first unit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Shares of new units that the candidate is given, one after the other.
    pub steps: Vec<Step>,
    /// By name. The weights sum to 1; the primary one has half.
    pub metrics: BTreeMap<String, Metric>,
    /// The chance of taking back a candidate that is no worse, and of promoting one that is worse by a
    /// margin.
    pub level: f64,
    /// Units after which the rollout stops being undecided for ever: it holds, and says so.
    pub horizon: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub share: f64,
    /// Settled units of this step before the next one. They hold back no rollback.
    pub units_min: u64,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Metric {
    pub weight: f64,
    /// How much worse a candidate that is promoted may be.
    pub margin: f64,
    /// Promotion needs this one.
    pub required: bool,
}

/// Where a rollout stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Stage {
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
    plan: Plan,
    stage: Stage,
    judged: BTreeMap<String, Judged>,
    /// Units of the present step.
    in_step: u64,
    settled: u64,
    seen: BTreeSet<String>,
}

/// The processes of one metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Judged {
    worse: Process,
    within: Process,
    /// Is data missing more often on the new arm, and on the old one?
    missing: [Process; 2],
    units: Tally,
    covered: Tally,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Tally {
    new: u64,
    old: u64,
}

/// Data are needed for this share of an arm's units.
const COVERAGE_MIN: f64 = 0.8;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the rollout has no step")]
    NoStep,
    #[error(
        "step {0}: a share is more than 0 and at most 1, and none is smaller than the one before"
    )]
    Share(usize),
    #[error("the rollout has no metric that promotion needs")]
    NothingRequired,
    #[error(
        "metric {0}: weight and margin are more than 0 and less than 1, and the weights sum to 1"
    )]
    Metric(String),
    #[error("the level is more than 0 and less than 1")]
    Level,
}

impl Plan {
    pub fn check(&self) -> Result<(), PlanError> {
        let mut before = 0.0;
        for (at, step) in self.steps.iter().enumerate() {
            if !(step.share > 0.0 && step.share <= 1.0 && step.share >= before) {
                return Err(PlanError::Share(at));
            }
            before = step.share;
        }
        if self.steps.is_empty() {
            return Err(PlanError::NoStep);
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(PlanError::Level);
        }
        let sum: f64 = self.metrics.values().map(|metric| metric.weight).sum();
        for (name, metric) in &self.metrics {
            let sound = metric.weight > 0.0 && metric.margin > 0.0 && metric.margin < 1.0;
            if !sound || (sum - 1.0).abs() > 1e-9 {
                return Err(PlanError::Metric(name.clone()));
            }
        }
        if self.metrics.values().any(|metric| metric.required) {
            Ok(())
        } else {
            Err(PlanError::NothingRequired)
        }
    }
}

impl Judged {
    fn new(metric: &Metric) -> Self {
        Self {
            worse: Process::new(Test::worse()),
            within: Process::new(Test::within(metric.margin)),
            missing: [Test::worse(), Test::less_often()].map(Process::new),
            units: Tally::default(),
            covered: Tally::default(),
        }
    }

    fn settle(&mut self, arm: Arm, share: f64, bad: Option<f64>) {
        self.units.count(arm);
        let missing = if bad.is_some() { 0.0 } else { 1.0 };
        let unit = |bad| Unit { arm, share, bad };
        for process in &mut self.missing {
            process.settle(&unit(missing));
        }
        if let Some(bad) = bad {
            self.covered.count(arm);
            self.worse.settle(&unit(bad));
            self.within.settle(&unit(bad));
        }
    }

    fn hold(&self, level: f64) -> Option<Hold> {
        let is_covered =
            |units: u64, covered: u64| units > 0 && ratio(covered, units) >= COVERAGE_MIN;
        if !is_covered(self.units.new, self.covered.new)
            || !is_covered(self.units.old, self.covered.old)
        {
            return Some(Hold::Coverage);
        }
        let uneven = |process: &Process| process.evidence() >= 1.0 / level;
        self.missing
            .iter()
            .any(uneven)
            .then_some(Hold::UnevenCoverage)
    }
}

impl Tally {
    fn count(&mut self, arm: Arm) {
        match arm {
            Arm::New => self.new += 1,
            Arm::Old => self.old += 1,
        }
    }
}

impl Test {
    /// Is the new arm's rate smaller? For rates that are neither good nor bad.
    fn less_often() -> Self {
        Self {
            null: Null::AtLeast { k: 1.0 },
            ratios: vec![(0.2, 0.25), (0.35, 0.25), (0.5, 0.25), (0.7, 0.25)],
            rates: Rates::Pooled,
        }
    }
}

impl Rollout {
    pub fn begin(plan: Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let judged = plan
            .metrics
            .iter()
            .map(|(name, metric)| (name.clone(), Judged::new(metric)))
            .collect();
        Ok(Self {
            plan,
            stage: Stage::Canary { step: 0 },
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

    /// The share of new units that the candidate is given now.
    #[must_use]
    pub fn share(&self) -> f64 {
        match self.stage {
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

    /// Rollback goes before promotion, and promotion before the horizon.
    fn next(&self, step: usize) -> Option<Stage> {
        let bound = 1.0 / self.plan.level;
        if self.evidence_worse() >= bound {
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

    fn end(&mut self, stage: Stage) -> Option<&Stage> {
        if !matches!(self.stage, Stage::Canary { .. }) {
            return None;
        }
        self.stage = stage;
        Some(&self.stage)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "more than 2^53 units are never settled"
)]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
