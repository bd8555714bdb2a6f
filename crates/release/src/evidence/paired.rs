//! Both arms answer the same input; only where they differ is anything learned.

use serde::{Deserialize, Serialize};

use super::process::log_mixture;

/// An episode whose turns both arms answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// Turns that were judged for both.
    pub turns: u32,
    /// Turns in which only the new arm failed.
    pub new_failed: u32,
    /// Turns in which only the old arm failed.
    pub old_failed: u32,
}

impl Pair {
    /// How much worse the new arm was, from -1 to 1; nothing if no turn was judged.
    fn difference(self) -> Option<f64> {
        let fits = self.turns > 0
            && self
                .new_failed
                .checked_add(self.old_failed)
                .is_some_and(|differed| differed <= self.turns);
        fits.then(|| {
            (f64::from(self.new_failed) - f64::from(self.old_failed)) / f64::from(self.turns)
        })
    }
}

/// A mixture of bets on the difference of pairs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Paired {
    /// What a difference is measured against: 0, or the margin.
    from: f64,
    /// How much is bet on a difference above (or, if negative, below), with the weights.
    bets: Vec<(f64, f64)>,
    logs: Vec<f64>,
    settled: u64,
}

impl Paired {
    /// Refutes that the new arm is no worse, on average over episodes.
    #[must_use]
    pub fn worse() -> Self {
        let by_chance = [(0.6, 0.15), (0.75, 0.25), (0.9, 0.6)];
        let bets = by_chance.map(|(chance, weight)| (2.0 * chance - 1.0, weight));
        Self::over(0.0, bets.to_vec())
    }

    /// Refutes that the new arm is worse by `d`, on average over episodes.
    #[must_use]
    pub fn within(d: f64) -> Self {
        // The largest bet that no outcome ruins.
        let most = 1.0 / (1.0 - d);
        let shares = [(0.15, 0.3), (0.35, 0.4), (0.7, 0.3)];
        let bets = shares.map(|(share, weight)| (-share * most, weight));
        Self::over(d, bets.to_vec())
    }

    fn over(from: f64, bets: Vec<(f64, f64)>) -> Self {
        Self {
            from,
            logs: vec![0.0; bets.len()],
            bets,
            settled: 0,
        }
    }

    /// Takes a settled episode; one in which nothing could be judged says nothing.
    pub fn settle(&mut self, pair: Pair) {
        let Some(difference) = pair.difference() else {
            return;
        };
        for (log, (bet, _)) in self.logs.iter_mut().zip(&self.bets) {
            *log += (bet * (difference - self.from)).ln_1p();
        }
        self.settled += 1;
    }

    /// The evidence against the null.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        let weights = self.bets.iter().map(|(_, weight)| *weight);
        log_mixture(weights.zip(self.logs.iter().copied())).exp()
    }

    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }
}
