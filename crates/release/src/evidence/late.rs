//! Harm that is not there from the beginning: components that start later, and a watch after the verdict.

use serde::{Deserialize, Serialize};

use super::bet::Unit;
use super::process::{Process, Test, log_mixture};

/// Units before the first component that starts late; each next one starts after twice as many.
const FIRST: u64 = 64;
/// Components beyond this one would start after some hundred million units.
const COMPONENTS_MAX: u32 = 20;
/// The part of the evidence that bets from the first unit on.
const FROM_THE_START: f64 = 0.7;

/// A process that also bets on an effect which begins after 64, 128, 256, ... units.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Late {
    process: Process,
    /// The logarithms by ratio of each component that has started; before, its value is 1.
    later: Vec<Vec<f64>>,
}

impl Late {
    #[must_use]
    pub fn new(test: Test) -> Self {
        Self {
            process: Process::new(test),
            later: Vec::new(),
        }
    }

    pub fn settle(&mut self, unit: &Unit) {
        let begins = FIRST << self.later.len().min(63);
        if self.process.settled() >= begins && self.later.len() < COMPONENTS_MAX as usize {
            let ratios = self.process.weights().count();
            self.later.push(vec![0.0; ratios]);
        }
        let Some(logs) = self.process.take(unit) else {
            return;
        };
        for component in &mut self.later {
            for (log, gained) in component.iter_mut().zip(logs) {
                *log += gained;
            }
        }
    }

    /// The evidence against the null, over all components.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let weights = self.process.weights();
        let mut spent = FROM_THE_START;
        let mut whole = FROM_THE_START * self.process.evidence();
        for (number, component) in (1_u32..).zip(&self.later) {
            let weight = Self::weight(number);
            spent += weight;
            let logs = weights.clone().zip(component.iter().copied());
            whole += weight * log_mixture(logs).exp();
        }
        // Components that have not started are worth 1 each.
        whole + (1.0 - spent)
    }

    fn weight(number: u32) -> f64 {
        let squared = f64::from(number).powi(2);
        (1.0 - FROM_THE_START) * 6.0 / (std::f64::consts::PI.powi(2) * squared)
    }

    #[must_use]
    pub fn settled(&self) -> u64 {
        self.process.settled()
    }
}

/// Looks on after a verdict: an alarm comes soon after harm began, and at least so many units lie
/// between two false ones on average.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Watch {
    process: Process,
    sums: Vec<f64>,
    between_false_alarms: f64,
}

impl Watch {
    #[must_use]
    pub fn new(test: Test, between_false_alarms: f64) -> Self {
        Self {
            sums: vec![0.0; test.ratios.len()],
            process: Process::new(test),
            between_false_alarms,
        }
    }

    pub fn settle(&mut self, unit: &Unit) {
        let Some(logs) = self.process.take(unit) else {
            return;
        };
        for (sum, log) in self.sums.iter_mut().zip(logs) {
            *sum = (*sum + 1.0) * log.exp();
        }
    }

    /// How near an alarm is; it comes at [`Watch::alarms_at`].
    #[must_use]
    pub fn sum(&self) -> f64 {
        let weights = self.process.weights();
        weights.zip(&self.sums).map(|(w, sum)| w * sum).sum()
    }

    #[must_use]
    pub fn alarms_at(&self) -> f64 {
        self.between_false_alarms
    }

    #[must_use]
    pub fn is_alarmed(&self) -> bool {
        self.sum() >= self.between_false_alarms
    }

    #[must_use]
    pub fn settled(&self) -> u64 {
        self.process.settled()
    }
}
