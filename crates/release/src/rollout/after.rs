//! What goes on beside the verdict: the watch after a promotion, and the alarm of both arms together.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::plan::{Plan, WatchPlan};
use crate::evidence::{Arm, Objective, Test, Unit, Watch, count};

/// A part of the episodes stays with the release before, and the test goes on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Watching {
    plan: WatchPlan,
    watches: BTreeMap<String, (f64, Watch)>,
    settled: u64,
    is_over: bool,
}

impl Watching {
    pub(super) fn new(plan: &Plan) -> Option<Self> {
        let watch = plan.watch?;
        // At most `level` of the watches of a sound release come to it within so many episodes.
        let bound = count(watch.units) / plan.level;
        let watches = plan.metrics.iter().map(|(name, metric)| {
            let watch = Watch::new(Test::worse(), bound);
            (name.clone(), (metric.weight, watch))
        });
        Some(Self {
            plan: watch,
            watches: watches.collect(),
            settled: 0,
            is_over: false,
        })
    }

    pub(super) fn is_on(&self) -> bool {
        !self.is_over
    }

    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    /// True if the release became worse than the one before it.
    pub(super) fn settle(
        &mut self,
        arm: Arm,
        share: f64,
        bad: &BTreeMap<String, Option<f64>>,
        is_counted: bool,
    ) -> bool {
        for (name, (_, watch)) in &mut self.watches {
            if let Some(bad) = bad.get(name).copied().flatten() {
                watch.settle(&Unit { arm, share, bad });
            }
        }
        self.settled += u64::from(is_counted);
        let is_worse = self.sum() >= self.bound();
        self.is_over |= is_worse || self.settled >= self.plan.units;
        is_worse
    }

    fn sum(&self) -> f64 {
        let parts = self.watches.values();
        parts.map(|(weight, watch)| weight * watch.sum()).sum()
    }

    fn bound(&self) -> f64 {
        let mut all = self.watches.values();
        all.next().map_or(f64::INFINITY, |(_, one)| one.alarms_at())
    }

    pub(super) fn share(&self) -> f64 {
        1.0 - self.plan.held_out
    }

    pub(super) fn view(&self) -> WatchView {
        WatchView {
            is_on: self.is_on(),
            settled: self.settled,
            units: self.plan.units,
            held_out: self.plan.held_out,
            evidence: self.sum(),
            taken_back_at: self.bound(),
        }
    }
}

/// The watch after a promotion, as people look at it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct WatchView {
    pub is_on: bool,
    /// Episodes that were judged since the promotion, and how many there will be.
    pub settled: u64,
    pub units: u64,
    /// The share of new episodes that stays with the release before.
    pub held_out: f64,
    pub evidence: f64,
    pub taken_back_at: f64,
}

/// Both arms together against what was usual before. It speaks of the world as well as of the candidate, so it
/// takes nothing back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Alarm {
    rate: f64,
    process: Objective,
    alarms_at: f64,
    is_on: bool,
}

impl Alarm {
    pub(super) fn new(plan: &Plan) -> Option<Self> {
        let rate = plan.objective?;
        Some(Self {
            rate,
            process: Objective::new(rate)?,
            alarms_at: 1.0 / plan.level,
            is_on: false,
        })
    }

    /// Once it is on it stays on.
    pub(super) fn settle(&mut self, bad: f64) {
        self.process.settle(bad);
        self.is_on |= self.process.evidence() >= self.alarms_at;
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn view(&self) -> AlarmView {
        AlarmView {
            rate: self.rate,
            evidence: self.process.evidence(),
            alarms_at: self.alarms_at,
            is_on: self.is_on,
        }
    }
}

/// The alarm of both arms together, as people look at it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlarmView {
    /// The rate of bad episodes that was usual before, at the most.
    pub rate: f64,
    pub evidence: f64,
    pub alarms_at: f64,
    pub is_on: bool,
}

impl AlarmView {
    #[must_use]
    pub fn words(&self) -> String {
        format!(
            "both arms together are worse than the {:.1} % of bad episodes that was usual before",
            100.0 * self.rate
        )
    }
}
