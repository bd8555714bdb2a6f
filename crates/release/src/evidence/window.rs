//! Before and after, where no coin can be thrown.
//!
//! A fault that heals when the fix starts and a fix that works give the same data, so nothing here is a
//! proof: the most that it can do is support.

use serde::{Deserialize, Serialize};

use super::process::count;
use super::process::log_mixture;

const RATIOS: [(f64, f64); 3] = [(0.05, 0.5), (0.25, 0.3), (0.5, 0.2)];
/// What the bound of the old rate may cost of the level.
const BOUND_ERROR: f64 = 0.01;

/// Exposures before the fix, their number fixed beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Baseline {
    pub exposures: u64,
    pub bad: u64,
}

/// The exposures after the fix against the lowest rate that the old one can be believed to have had.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Window {
    rate: f64,
    logs: [f64; RATIOS.len()],
    settled: u64,
    bad: f64,
}

impl Window {
    /// Nothing if the exposures before show no failure to begin with.
    #[must_use]
    pub fn new(before: Baseline) -> Option<Self> {
        let rate = lower_bound(before.bad, before.exposures, BOUND_ERROR);
        (rate > 0.0).then_some(Self {
            rate,
            logs: [0.0; RATIOS.len()],
            settled: 0,
            bad: 0.0,
        })
    }

    pub fn settle(&mut self, bad: f64) {
        if !(0.0..=1.0).contains(&bad) {
            return;
        }
        for (log, (ratio, _)) in self.logs.iter_mut().zip(RATIOS) {
            let hoped = self.rate * ratio;
            let if_bad = (hoped / self.rate).ln();
            let if_good = ((1.0 - hoped) / (1.0 - self.rate)).ln();
            *log += bad * if_bad + (1.0 - bad) * if_good;
        }
        self.settled += 1;
        self.bad += bad;
    }

    #[must_use]
    pub fn evidence(&self) -> f64 {
        let weights = RATIOS.iter().map(|(_, weight)| *weight);
        log_mixture(weights.zip(self.logs.iter().copied())).exp()
    }

    /// What the evidence has to reach at this level: the rest of it went into the bound.
    #[must_use]
    pub fn threshold(level: f64) -> f64 {
        1.0 / (level - BOUND_ERROR).max(f64::EPSILON)
    }

    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }
}

/// The lower bound of a rate by Clopper and Pearson: so many bad ones of so many are seen under a
/// smaller rate with at most this chance.
#[must_use]
pub fn lower_bound(bad: u64, of: u64, error: f64) -> f64 {
    if bad == 0 || bad > of {
        return 0.0;
    }
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let rate = f64::midpoint(low, high);
        if at_least(bad, of, rate) < error {
            low = rate;
        } else {
            high = rate;
        }
    }
    low
}

/// The chance of at least so many bad ones of so many at this rate.
fn at_least(bad: u64, of: u64, rate: f64) -> f64 {
    if rate <= 0.0 {
        return 0.0;
    }
    if rate >= 1.0 {
        return 1.0;
    }
    // Term by term from the first, in logarithms: the terms of a long window are tiny.
    let mut log = 0.0;
    for step in 0..bad {
        let (left, taken) = (count(of - step), count(step + 1));
        log += (left / taken).ln() + rate.ln();
    }
    log += count(of - bad) * (-rate).ln_1p();
    let odds = rate / (1.0 - rate);
    let (mut term, mut sum) = (1.0, 1.0);
    for at in bad..of {
        term *= odds * count(of - at) / count(at + 1);
        sum += term;
        if !f64::is_finite(sum) {
            return 1.0;
        }
    }
    (log + f64::ln(sum)).exp().min(1.0)
}
