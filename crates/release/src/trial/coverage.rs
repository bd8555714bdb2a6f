//! Whether enough is known of the units of both arms for anything to be proven.

use serde::{Deserialize, Serialize};

use super::Tally;
use crate::evidence::{Arm, Process, Test, Unit, count};

/// The part of an arm's units of which the outcome has to be known.
const COVERAGE_MIN: f64 = 0.8;

/// Why nothing may be proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// Of too many units of an arm the outcome is not known.
    Coverage,
    /// It is not known more often on one arm than on the other.
    UnevenCoverage,
}

/// Is the outcome missing more often with the fix, and without it?
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Coverage {
    missing: [Process; 2],
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            missing: [Test::worse(), Test::proven()].map(Process::new),
        }
    }
}

impl Coverage {
    pub(super) fn settle(&mut self, arm: Arm, share: f64, is_missing: bool) {
        let bad = f64::from(u8::from(is_missing));
        for process in &mut self.missing {
            process.settle(&Unit { arm, share, bad });
        }
    }

    /// An arm without units has nothing that could be missing; without units nothing is proven anyway.
    pub(super) fn hold(&self, arms: &[Tally], level: f64) -> Option<Hold> {
        let is_thin =
            |arm: &Tally| count(arm.unknown) > (1.0 - COVERAGE_MIN) * count(arm.units) + 1e-9;
        if arms.iter().any(is_thin) {
            return Some(Hold::Coverage);
        }
        let is_uneven = |process: &Process| process.evidence() >= 1.0 / level;
        self.missing
            .iter()
            .any(is_uneven)
            .then_some(Hold::UnevenCoverage)
    }
}
