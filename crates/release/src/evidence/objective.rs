//! An objective that the owner set: the rate of bad units stays at or below it, whoever is at fault.

use serde::{Deserialize, Serialize};

use super::process::log_mixture;

const RATIOS: [f64; 4] = [1.25, 1.6, 2.2, 4.0];

/// Evidence that a rate is above its objective. It speaks of the world as well as of the candidate, so
/// it alarms and takes nothing back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Objective {
    rate: f64,
    logs: [f64; RATIOS.len()],
}

impl Objective {
    /// Nothing if the objective is no rate between 0 and 1.
    #[must_use]
    pub fn new(rate: f64) -> Option<Self> {
        (rate > 0.0 && rate < 1.0).then_some(Self {
            rate,
            logs: [0.0; RATIOS.len()],
        })
    }

    /// Takes the badness of a settled unit, from 0 to 1.
    pub fn settle(&mut self, bad: f64) {
        if !(0.0..=1.0).contains(&bad) {
            return;
        }
        let rate = self.rate;
        for (log, ratio) in self.logs.iter_mut().zip(RATIOS) {
            let feared = (rate * ratio).min(0.999);
            // The betting form of the likelihood ratio: also for outcomes between good and bad.
            let bet = ((feared - rate) / (rate * (1.0 - rate))).clamp(0.0, 0.999 / rate);
            *log += (bet * (bad - rate)).ln_1p();
        }
    }

    /// The evidence that the objective is missed.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let weight = 1.0 / RATIOS.iter().map(|_| 1.0).sum::<f64>();
        log_mixture(self.logs.iter().map(|log| (weight, *log))).exp()
    }
}
