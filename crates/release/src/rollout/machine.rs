//! A rollout as a pure state machine: settled units and facts go in, moves come out.
//!
//! It holds no clock, no store and no coin. Whoever drives it gives each unit an arm with a secret coin,
//! settles it at its maturity, and stores the machine together with the settlement, so that a crash
//! leaves the one or the other and never a mixture.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Metric, Plan, PlanError};
use crate::evidence::{Arm, Null, Pair, Paired, Process, Rates, Test, Unit, count};

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
    plan: Plan,
    stage: Stage,
    judged: BTreeMap<String, Judged>,
    /// Units of the present step.
    in_step: u64,
    settled: u64,
    seen: BTreeSet<String>,
    /// Of pairs that both arms answered.
    #[serde(default = "Paired::worse")]
    paired: Paired,
    /// The same for who asked for something that leaves traces.
    #[serde(default = "Paired::worse")]
    reach: Paired,
    /// New units go to stable meanwhile; those that have an arm keep it, and are counted.
    #[serde(default)]
    is_paused: bool,
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
    /// The sum of badness.
    #[serde(default)]
    bad: Sums,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Sums {
    new: f64,
    old: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Tally {
    new: u64,
    old: u64,
}

/// Data are needed for this share of an arm's units.
const COVERAGE_MIN: f64 = 0.8;

impl Judged {
    fn new(metric: &Metric) -> Self {
        Self {
            worse: Process::new(Test::worse()),
            within: Process::new(Test::within(metric.margin)),
            missing: [Test::worse(), Test::less_often()].map(Process::new),
            units: Tally::default(),
            covered: Tally::default(),
            bad: Sums::default(),
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
            match arm {
                Arm::New => self.bad.new += bad,
                Arm::Old => self.bad.old += bad,
            }
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

    /// What people look at.
    #[must_use]
    pub fn view(&self) -> View {
        let metrics = self.judged.iter().map(|(name, judged)| {
            let metric = self.plan.metrics.get(name);
            MetricView {
                name: name.clone(),
                weight: metric.map_or(0.0, |metric| metric.weight),
                margin: metric.map_or(0.0, |metric| metric.margin),
                required: metric.is_some_and(|metric| metric.required),
                evidence_worse: judged.worse.evidence(),
                evidence_sound: judged.within.evidence(),
                canary: ArmView::new(judged.units.new, judged.covered.new, judged.bad.new),
                stable: ArmView::new(judged.units.old, judged.covered.old, judged.bad.old),
            }
        });
        View {
            stage: self.stage.clone(),
            is_paused: self.is_paused,
            share: self.share(),
            settled: self.settled,
            in_step: self.in_step,
            evidence_worse: self.evidence_worse(),
            worse_at: 1.0 / self.plan.level_of_steps(),
            evidence_sound: self.evidence_sound(),
            sound_at: 1.0 / self.plan.level,
            pairs: self.paired.settled(),
            evidence_paired: self.evidence_paired(),
            paired_at: self.plan.shadow.map(|shadow| 1.0 / shadow.level),
            hold: self.hold(),
            metrics: metrics.collect(),
        }
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

/// A rollout as people look at it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct View {
    pub stage: Stage,
    pub is_paused: bool,
    pub share: f64,
    pub settled: u64,
    pub in_step: u64,
    /// That the candidate is worse; it is taken back at `worse_at`.
    pub evidence_worse: f64,
    pub worse_at: f64,
    /// That it is not worse by the margin; it is promoted at `sound_at`.
    pub evidence_sound: f64,
    pub sound_at: f64,
    /// Episodes that both arms answered and that could be judged.
    pub pairs: u64,
    pub evidence_paired: f64,
    /// Taken back there, in the shadow.
    pub paired_at: Option<f64>,
    pub hold: Option<Hold>,
    pub metrics: Vec<MetricView>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MetricView {
    pub name: String,
    pub weight: f64,
    pub margin: f64,
    pub required: bool,
    pub evidence_worse: f64,
    pub evidence_sound: f64,
    pub canary: ArmView,
    pub stable: ArmView,
}

/// What one arm brought. The interval is a picture for people: nothing is decided by it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct ArmView {
    pub units: u64,
    /// Units with data.
    pub covered: u64,
    pub bad: f64,
    pub rate: Option<f64>,
    /// Wilson's, at 95 %.
    pub interval: Option<(f64, f64)>,
}

impl ArmView {
    fn new(units: u64, covered: u64, bad: f64) -> Self {
        let interval = (covered > 0).then(|| wilson(bad, covered));
        Self {
            units,
            covered,
            bad,
            rate: (covered > 0).then(|| bad / count(covered)),
            interval,
        }
    }
}

fn wilson(bad: f64, units: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_985;
    let n = count(units);
    let rate = bad / n;
    let scale = 1.0 / (1.0 + Z * Z / n);
    let middle = scale * (rate + Z * Z / (2.0 * n));
    let half = scale * Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn ratio(part: u64, whole: u64) -> f64 {
    count(part) / count(whole)
}
