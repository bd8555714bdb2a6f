//! What the settled units of one metric say.

use serde::{Deserialize, Serialize};

use super::plan::Metric;
use super::stage::Hold;
use crate::evidence::{Arm, Null, Process, Rates, Test, Unit, count};

/// The processes of one metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Judged {
    pub(super) worse: Process,
    pub(super) within: Process,
    /// Is the new arm better? Asked where two answers stand beside each other.
    #[serde(default)]
    pub(super) better: Option<Process>,
    /// Is data missing more often on the new arm, and on the old one?
    missing: [Process; 2],
    pub(super) units: Tally,
    pub(super) covered: Tally,
    /// The sum of badness.
    #[serde(default)]
    pub(super) bad: Sums,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) new: f64,
    pub(super) old: f64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) new: u64,
    pub(super) old: u64,
}

/// Data are needed for this share of an arm's units.
const COVERAGE_MIN: f64 = 0.8;

impl Judged {
    pub(super) fn new(metric: &Metric, is_ab: bool) -> Self {
        Self {
            worse: Process::new(Test::worse()),
            within: Process::new(Test::within(metric.margin)),
            better: is_ab.then(|| Process::new(Test::less_often())),
            missing: [Test::worse(), Test::less_often()].map(Process::new),
            units: Tally::default(),
            covered: Tally::default(),
            bad: Sums::default(),
        }
    }

    pub(super) fn settle(&mut self, arm: Arm, share: f64, bad: Option<f64>) {
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
            if let Some(better) = &mut self.better {
                better.settle(&unit(bad));
            }
        }
    }

    pub(super) fn hold(&self, level: f64) -> Option<Hold> {
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
    pub(super) fn count(&mut self, arm: Arm) {
        match arm {
            Arm::New => self.new += 1,
            Arm::Old => self.old += 1,
        }
    }
}

impl Test {
    /// Is the new arm's rate smaller?
    fn less_often() -> Self {
        Self {
            null: Null::AtLeast { k: 1.0 },
            ratios: vec![(0.2, 0.25), (0.35, 0.25), (0.5, 0.25), (0.7, 0.25)],
            rates: Rates::Pooled,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    count(part) / count(whole)
}
