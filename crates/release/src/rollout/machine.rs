//! A rollout as a pure state machine: settled units and facts go in, moves come out.
//!
//! It holds no clock, no store and no coin. Whoever drives it gives each unit an arm with a secret coin,
//! settles it at its maturity, and stores the machine together with the settlement, so that a crash
//! leaves the one or the other and never a mixture.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::after::{Alarm, Watching};
use super::judged::{Judged, Tally};
use super::plan::{FAILED, Plan, PlanError};
use super::stage::{Hold, Part, Reason, Settled, Stage};
use crate::evidence::{Arm, Pair, Paired, Process};
use crate::gate::Step as Far;

/// The part of the level at which a candidate leaves the shadow before its time, as sound. Who is worse by the
/// margin is served to somebody so early in one of two hundred rollouts.
const LEAVES: f64 = 0.1;

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
    /// Of the same pairs: that the candidate is not worse by the margin.
    pub(super) paired_within: Paired,
    /// What an earlier plan's shadow left of the stake.
    pub(super) carried: f64,
    /// Units of each arm that something was heard of.
    pub(super) heard: Tally,
    /// New units go to stable meanwhile; those that have an arm keep it, and are counted.
    #[serde(default)]
    pub(super) is_paused: bool,
    /// Units whose fast metrics were taken.
    #[serde(default)]
    pub(super) early: BTreeSet<String>,
    #[serde(default)]
    pub(super) watching: Option<Watching>,
    #[serde(default)]
    pub(super) alarm: Option<Alarm>,
}

impl Rollout {
    pub fn begin(plan: Plan) -> Result<Self, PlanError> {
        plan.check()?;
        let judged = plan
            .metrics
            .iter()
            .map(|(name, metric)| (name.clone(), Judged::new(metric, plan.is_ab)))
            .collect();
        let stage = match plan.shadow {
            Some(_) => Stage::Shadow,
            None => Stage::Canary { step: 0 },
        };
        Ok(Self {
            alarm: Alarm::new(&plan),
            early: BTreeSet::new(),
            watching: None,
            paired_within: Paired::within(plan.margin()),
            carried: 1.0,
            heard: Tally::default(),
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

    /// True while a part of the episodes stays with the release before a promoted one.
    #[must_use]
    pub fn is_watching(&self) -> bool {
        self.stage == Stage::Promoted && self.watching.as_ref().is_some_and(Watching::is_on)
    }

    /// True while units get an arm.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_open() || self.is_watching()
    }

    /// Ends the watch after a promotion; what was promoted stays.
    pub fn end_watch(&mut self) {
        if let Some(watching) = &mut self.watching {
            watching.end();
        }
    }

    #[must_use]
    pub fn is_alarmed(&self) -> bool {
        self.alarm.as_ref().is_some_and(Alarm::is_on)
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
            Stage::Promoted => match &self.watching {
                Some(watching) if watching.is_on() => watching.share(),
                _ => 1.0,
            },
            Stage::RolledBack { .. } | Stage::Undecided | Stage::Superseded => 0.0,
        }
    }

    /// Units that were taken, each once.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// The evidence that the candidate is worse: that of the group of metrics that says it most.
    #[must_use]
    pub fn evidence_worse(&self) -> f64 {
        let fast = self.plan.fast.as_ref().map(|_| self.evidence_of(true));
        self.evidence_of(false).max(fast.unwrap_or(0.0))
    }

    fn evidence_of(&self, is_fast: bool) -> f64 {
        self.average(is_fast, |judged| judged.worse.evidence())
    }

    /// The average over the metrics that settle together.
    fn average(&self, is_fast: bool, evidence: impl Fn(&Judged) -> f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (name, judged) in &self.judged {
            if self.plan.is_fast(name) == is_fast {
                let weight = self.plan.metrics.get(name).map_or(0.0, |one| one.weight);
                sum += weight * evidence(judged);
                weights += weight;
            }
        }
        if weights > 0.0 { sum / weights } else { 1.0 }
    }

    /// The arm that is clearly better, where two answers stand beside each other. It is told and nothing follows from
    /// it. Either arm may be named, so each has half of the level.
    #[must_use]
    pub fn leads(&self) -> Option<Arm> {
        if !self.plan.is_ab {
            return None;
        }
        let bound = 2.0 / self.plan.level;
        let better = self.average(false, |judged| {
            judged.better.as_ref().map_or(1.0, Process::evidence)
        });
        if better >= bound {
            Some(Arm::New)
        } else if self.evidence_of(false) >= bound {
            Some(Arm::Old)
        } else {
            None
        }
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
        if self.is_alarmed() {
            return Some(Hold::Alarm);
        }
        let of_metric = self
            .required()
            .find_map(|judged| judged.hold(self.plan.level));
        let least = self.heard.new.min(self.heard.old);
        of_metric.or_else(|| (least < self.plan.heard_min).then_some(Hold::Silence))
    }

    fn required(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter_map(|(name, judged)| {
            let metric = self.plan.metrics.get(name)?;
            metric.required.then_some(judged)
        })
    }

    /// Takes a settled unit; the move that follows, if one does. Which of its metrics are settled follows from
    /// those that are named.
    pub fn settle(&mut self, settled: &Settled) -> Option<&Stage> {
        if !matches!(self.stage, Stage::Canary { .. }) && !self.is_watching() {
            return None;
        }
        let part = self.part_of(settled);
        let seen = match part {
            Part::Fast => &mut self.early,
            Part::Rest => &mut self.seen,
        };
        if !seen.insert(settled.unit.clone()) {
            return None;
        }
        if part == Part::Rest {
            self.early.remove(&settled.unit);
            let primary = self.plan.metrics.iter().find(|(_, metric)| metric.required);
            let bad = primary.and_then(|(name, _)| settled.bad.get(name).copied().flatten());
            if let (Some(alarm), Some(bad)) = (&mut self.alarm, bad) {
                alarm.settle(bad);
            }
        }
        let next = if let Stage::Canary { step } = self.stage {
            self.judge(settled, part);
            self.next(step)
        } else {
            self.watch(settled, part)
        }?;
        if next == Stage::Promoted {
            self.watching = Watching::new(&self.plan);
        }
        self.enter(next)
    }

    fn judge(&mut self, settled: &Settled, part: Part) {
        for (name, judged) in &mut self.judged {
            if self.plan.is_fast(name) == (part == Part::Fast) {
                let bad = settled.bad.get(name).copied().flatten();
                judged.settle(settled.arm, settled.share, bad);
            }
        }
        if part == Part::Rest {
            self.settled += 1;
            self.in_step += 1;
            if settled.is_heard {
                self.heard.count(settled.arm);
            }
        }
    }

    fn watch(&mut self, settled: &Settled, part: Part) -> Option<Stage> {
        let is_counted = part == Part::Rest;
        let watching = self.watching.as_mut()?;
        watching
            .settle(settled.arm, settled.share, &settled.bad, is_counted)
            .then_some(Stage::RolledBack { why: Reason::Later })
    }

    fn part_of(&self, settled: &Settled) -> Part {
        let mut named = settled.bad.keys().peekable();
        let is_early = named.peek().is_some() && named.all(|name| self.plan.is_fast(name));
        if is_early { Part::Fast } else { Part::Rest }
    }

    /// Which metrics of a unit are to be settled next, at its age.
    #[must_use]
    pub fn due(&self, unit: &str, age_millis: u64) -> Option<Part> {
        if age_millis >= self.plan.episode.maturity_millis {
            return Some(Part::Rest);
        }
        let fast = self.plan.fast.as_ref()?;
        let is_due = age_millis >= fast.maturity_millis && !self.early.contains(unit);
        is_due.then_some(Part::Fast)
    }

    /// The metrics of one part.
    #[must_use]
    pub fn of_part(
        &self,
        bad: &BTreeMap<String, Option<f64>>,
        part: Part,
    ) -> BTreeMap<String, Option<f64>> {
        let is_of = |name: &String| self.plan.is_fast(name) == (part == Part::Fast);
        let own = bad.iter().filter(|(name, _)| is_of(name));
        own.map(|(name, bad)| (name.clone(), *bad)).collect()
    }

    fn enter(&mut self, next: Stage) -> Option<&Stage> {
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
        self.paired.settle(pair);
        self.paired_within.settle(pair);
        self.reach.settle(reach);
        let next = if !self.plan.is_ab && self.capital() >= 1.0 / self.plan.level {
            Stage::RolledBack { why: Reason::Worse }
        } else if self.is_shadowed() && self.plan.may >= Far::Canary {
            Stage::Canary { step: 0 }
        } else {
            return None;
        };
        self.enter(next)
    }

    /// How far it would go now if its owner let it.
    #[must_use]
    pub fn awaits(&self) -> Option<Far> {
        match self.stage {
            Stage::Shadow if self.plan.may < Far::Canary => {
                self.is_shadowed().then_some(Far::Canary)
            }
            Stage::Canary { step } if self.plan.may < Far::Stable && !self.plan.is_ab => {
                self.is_sound(step).then_some(Far::Stable)
            }
            _ => None,
        }
    }

    /// Its owner lets it go further; the move that follows, if it waited for that.
    pub fn let_go(&mut self, may: Far) -> Option<&Stage> {
        let waited = self.awaits();
        self.plan.may = self.plan.may.max(may);
        let next = match waited.filter(|wanted| *wanted <= self.plan.may)? {
            Far::Stable => {
                self.watching = Watching::new(&self.plan);
                Stage::Promoted
            }
            Far::Nothing | Far::Shadow | Far::Canary => Stage::Canary { step: 0 },
        };
        self.enter(next)
    }

    /// Whether its evidence made it stable, also if it was taken back since.
    pub(super) fn was_promoted(&self) -> bool {
        let is_later = self.stage == Stage::RolledBack { why: Reason::Later };
        is_later || self.watching.is_some()
    }

    fn is_ripe(&self, step: usize) -> bool {
        let step = self.plan.steps.get(step);
        step.is_none_or(|step| self.in_step >= step.units_min)
    }

    fn is_sound(&self, step: usize) -> bool {
        let bound = 1.0 / self.plan.level_of_promotion();
        self.is_ripe(step) && self.evidence_sound() >= bound && self.hold().is_none()
    }

    /// The evidence of the shadow that the candidate is worse.
    #[must_use]
    pub fn evidence_paired(&self) -> f64 {
        FAILED * self.paired.evidence() + (1.0 - FAILED) * self.reach.evidence()
    }

    /// What is left of a stake of 1. Every episode of the shadow comes before every one of the steps, so that one
    /// bet goes on with what the other left, and both together keep the level.
    fn capital(&self) -> f64 {
        let shadow = self.plan.shadow;
        self.carried * shadow.map_or(1.0, |shadow| shadow.capital(self.evidence_paired()))
    }

    /// What the evidence of a group of metrics has to reach for a rollback.
    pub(super) fn worse_at(&self) -> f64 {
        1.0 / (self.plan.level_of_group() * self.capital())
    }

    /// Whether the shadow has said what it can: that the candidate is sound, or enough without a word.
    fn is_shadowed(&self) -> bool {
        let most = self.plan.shadow.map_or(0, |shadow| shadow.pairs_max);
        let is_sound = self.paired_within.evidence() >= 1.0 / (LEAVES * self.plan.level);
        is_sound || self.paired.settled() >= most
    }

    /// Rollback goes before promotion, and promotion before the horizon.
    fn next(&self, step: usize) -> Option<Stage> {
        if self.plan.is_ab {
            return (self.settled >= self.plan.horizon).then_some(Stage::Undecided);
        }
        if self.evidence_worse() >= self.worse_at() {
            return Some(Stage::RolledBack { why: Reason::Worse });
        }
        let is_sound = self.is_sound(step);
        if is_sound && self.plan.may == Far::Stable {
            return Some(Stage::Promoted);
        }
        if self.settled >= self.plan.horizon {
            return Some(Stage::Undecided);
        }
        // One that waits for its owner's word stays at the share that it has.
        (!is_sound && self.is_ripe(step) && step + 1 < self.plan.steps.len())
            .then_some(Stage::Canary { step: step + 1 })
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

    /// The owner makes the candidate stable, on his own judgement: no watch takes that back.
    pub fn promote(&mut self) -> Option<&Stage> {
        self.end(Stage::Promoted)
    }

    /// The same candidate under another plan, before anybody was served by it: what the pairs said stays said,
    /// and what was bet on them stays won or lost.
    pub fn replanned(&self, mut plan: Plan) -> Result<Self, PlanError> {
        let counts = self.paired.settled() > 0;
        let mut carried = self.carried;
        if let Some(bet) = self.plan.shadow.filter(|_| counts) {
            match &mut plan.shadow {
                Some(shadow) => shadow.stake = bet.stake,
                None => carried = self.capital(),
            }
        }
        let is_same_margin = (self.plan.margin() - plan.margin()).abs() < f64::EPSILON;
        let mut next = Self::begin(plan)?;
        next.carried = carried;
        next.paired = self.paired.clone();
        next.reach = self.reach.clone();
        // Not worse by one margin says nothing of another.
        if is_same_margin {
            next.paired_within = self.paired_within.clone();
        }
        next.seen = self.seen.clone();
        Ok(next)
    }

    /// Goes on with what was counted, after an end that was no verdict about the candidate.
    #[must_use]
    pub fn resumed(mut self, may: Far) -> Option<Self> {
        let is_open_again = match &self.stage {
            Stage::Undecided => true,
            Stage::RolledBack { why } => *why == Reason::Owner,
            Stage::Shadow | Stage::Canary { .. } | Stage::Promoted | Stage::Superseded => false,
        };
        if !is_open_again {
            return None;
        }
        self.plan.horizon = self.plan.horizon.saturating_add(self.settled);
        self.plan.may = may;
        self.stage = Stage::Canary { step: 0 };
        self.in_step = 0;
        Some(self)
    }

    fn end(&mut self, stage: Stage) -> Option<&Stage> {
        if !self.is_open() {
            return None;
        }
        self.is_paused = false;
        self.enter(stage)
    }
}
