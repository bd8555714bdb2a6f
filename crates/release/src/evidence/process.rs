//! Evidence that grows unit by unit: a mixture of bets over the effects that are thought possible.

use serde::{Deserialize, Serialize};

use super::bet::{Arm, Belief, Bet, Null, Unit};

/// What a process refutes, and which effects it bets on.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Test {
    pub null: Null,
    /// Ratios of the new rate to the old one, with their weights; these sum to 1.
    pub ratios: Vec<(f64, f64)>,
    pub rates: Rates,
}

/// From what the believed rates are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rates {
    /// Every unit settled before, with half a bad one in ten to begin with.
    Pooled,
    /// The units of the old arm, with two bad ones in twenty to begin with.
    Control,
}

/// A test and what the settled units say so far. The same units in the same order give the same value.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Process {
    test: Test,
    /// The logarithm of the evidence, by ratio.
    logs: Vec<f64>,
    settled: u64,
    bad: f64,
    settled_old: u64,
    bad_old: f64,
    bets: Option<Bets>,
}

/// The bets in force. They are made anew when what is believed may have moved: before any outcome that
/// they are used on, which is all that they have to be.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Bets {
    share: f64,
    until: u64,
    by_ratio: Vec<Bet>,
    #[serde(skip)]
    known: Known,
}

/// What outcomes that are good or bad altogether add to the logarithm of each ratio, once it was asked for: they come
/// again and again while the bets are in force.
#[derive(Clone, Debug, Default)]
struct Known {
    plain: [Option<Vec<f64>>; 4],
    between: Vec<f64>,
}

/// It follows from the bets, and adds nothing to them.
impl PartialEq for Known {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Test {
    /// Is the new arm worse? `p1 <= p0` is refuted.
    #[must_use]
    pub fn worse() -> Self {
        Self::even(
            Null::AtMost { k: 1.0 },
            &[1.5, 2.0, 3.0, 6.0],
            Rates::Pooled,
        )
    }

    /// Is the new arm worse by less than this margin? `p1 >= p0 + d` is refuted.
    #[must_use]
    pub fn within(d: f64) -> Self {
        Self {
            null: Null::Margin { d },
            ratios: vec![(0.5, 0.2), (1.0, 0.8)],
            rates: Rates::Pooled,
        }
    }

    /// Does the fix work? `p1 >= p0` is refuted.
    #[must_use]
    pub fn proven() -> Self {
        Self {
            null: Null::AtLeast { k: 1.0 },
            ratios: vec![(0.05, 0.5), (0.25, 0.3), (0.5, 0.2)],
            rates: Rates::Control,
        }
    }

    /// Is the fix less than half as good as hoped? `p1 <= p0 / 2` is refuted.
    #[must_use]
    pub fn failed() -> Self {
        Self::even(Null::AtMost { k: 0.5 }, &[0.8, 1.0, 1.5], Rates::Control)
    }

    /// Does the fix do harm? `p1 <= p0` is refuted.
    #[must_use]
    pub fn harmful() -> Self {
        Self::even(Null::AtMost { k: 1.0 }, &[1.5, 2.5, 5.0], Rates::Pooled)
    }

    fn even(null: Null, ratios: &[f64], rates: Rates) -> Self {
        let weight = 1.0 / ratios.iter().map(|_| 1.0).sum::<f64>();
        Self {
            null,
            ratios: ratios.iter().map(|ratio| (*ratio, weight)).collect(),
            rates,
        }
    }
}

impl Process {
    #[must_use]
    pub fn new(test: Test) -> Self {
        Self {
            logs: vec![0.0; test.ratios.len()],
            test,
            settled: 0,
            bad: 0.0,
            settled_old: 0,
            bad_old: 0.0,
            bets: None,
        }
    }

    /// Takes a settled unit. One that cannot have been settled so (a share of 0 or 1, a badness that is
    /// no number) says nothing of the arms and is left out.
    pub fn settle(&mut self, unit: &Unit) {
        self.take(unit);
    }

    /// What the unit adds to the logarithm of each ratio; it counts for what is believed from now on.
    pub(super) fn take(&mut self, unit: &Unit) -> Option<&[f64]> {
        let sound = unit.share > 0.0 && unit.share < 1.0 && (0.0..=1.0).contains(&unit.bad);
        if !sound {
            return None;
        }
        if !self.has_bets(unit.share) {
            self.bets = Some(self.bet(unit.share));
        }
        self.settled += 1;
        self.bad += unit.bad;
        if unit.arm == Arm::Old {
            self.settled_old += 1;
            self.bad_old += unit.bad;
        }
        let gained = self.bets.as_mut()?.gained(unit);
        for (log, gained) in self.logs.iter_mut().zip(gained) {
            *log += gained;
        }
        Some(gained)
    }

    pub(super) fn weights(&self) -> impl Iterator<Item = f64> + Clone {
        self.test.ratios.iter().map(|(_, weight)| *weight)
    }

    /// The evidence against the null: at most 1 on average, at every time, while the null holds.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.log_evidence().exp()
    }

    /// Its logarithm, which does not overflow.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        let weights = self.test.ratios.iter().map(|(_, weight)| *weight);
        log_mixture(weights.zip(self.logs.iter().copied()))
    }

    /// Units that were taken.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled
    }

    fn has_bets(&self, share: f64) -> bool {
        self.bets.as_ref().is_some_and(|bets| {
            bets.until > self.settled && (bets.share - share).abs() < f64::EPSILON
        })
    }

    /// The bets for the next units at this share.
    fn bet(&self, share: f64) -> Bets {
        let best =
            |(ratio, _): &(f64, f64)| Bet::best(self.test.null, self.belief(*ratio, share), share);
        Bets {
            share,
            // A rate over n units moves little in the next twentieth of them.
            until: self.settled + 1 + self.settled / 20,
            by_ratio: self.test.ratios.iter().map(best).collect(),
            known: Known::default(),
        }
    }

    fn belief(&self, ratio: f64, share: f64) -> Belief {
        let old = match self.test.rates {
            Rates::Pooled => {
                let pooled = (self.bad + 0.5) / (count(self.settled) + 10.0);
                pooled / (share * ratio + 1.0 - share)
            }
            Rates::Control => (self.bad_old + 2.0) / (count(self.settled_old) + 20.0),
        };
        Belief::new(ratio * old, old)
    }
}

impl Bets {
    /// What the unit adds to the logarithm of each ratio.
    fn gained(&mut self, unit: &Unit) -> &[f64] {
        let logs = || {
            let bets = self.by_ratio.iter();
            bets.map(|bet| bet.factor(unit).ln()).collect()
        };
        let arm = usize::from(unit.arm == Arm::New);
        let outcome = [0.0, 1.0]
            .iter()
            .position(|plain: &f64| plain.total_cmp(&unit.bad).is_eq());
        let Some(outcome) = outcome else {
            self.known.between = logs();
            return &self.known.between;
        };
        self.known.plain[2 * arm + outcome].get_or_insert_with(logs)
    }
}

/// The logarithm of a weighted sum, from logarithms.
pub(super) fn log_mixture(parts: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let top = parts
        .clone()
        .map(|(_, log)| log)
        .fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + parts
        .map(|(weight, log)| weight * (log - top).exp())
        .sum::<f64>()
        .ln()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "more than 2^53 units are never settled"
)]
pub(crate) fn count(units: u64) -> f64 {
    units as f64
}
