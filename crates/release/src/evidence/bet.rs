//! The one building block: a bet on the arm, given the outcome.
//!
//! The coin that gave a unit its arm is fair whatever the world does, so no drift, burst or healing of
//! the world makes such a bet pay on average while the null hypothesis holds.

use serde::{Deserialize, Serialize};

/// Which behaviour a unit was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The candidate, or the fix.
    New,
    /// What was there before.
    Old,
}

/// A unit whose outcome is settled.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unit {
    pub arm: Arm,
    /// The chance that the coin had of saying `New` when it was thrown.
    pub share: f64,
    /// How bad it was, from 0 to 1, by what the coin said and not by what ran.
    pub bad: f64,
}

/// What is to be refuted, said of every unit given all before it. `p1` and `p0` are the expected badness
/// under the new and under the old arm.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Null {
    /// `p1 <= k * p0`: at 1 that the new arm is no worse, at 0.5 that it removes half.
    AtMost { k: f64 },
    /// `p1 >= k * p0`: at 1 that the new arm is no better.
    AtLeast { k: f64 },
    /// `p1 >= p0 + d`: that the new arm is worse by a margin.
    Margin { d: f64 },
}

/// The rates that a bet is made for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Belief {
    pub new: f64,
    pub old: f64,
}

/// Four numbers fixed before the outcome is known; what a settled unit multiplies the evidence by.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bet {
    r1: f64,
    r0: f64,
    s1: f64,
    s0: f64,
}

/// A rate is believed neither impossible nor certain.
const RATE_MIN: f64 = 0.002;
const RATE_MAX: f64 = 0.95;

impl Belief {
    #[must_use]
    pub fn new(new: f64, old: f64) -> Self {
        Self {
            new: new.clamp(RATE_MIN, RATE_MAX),
            old: old.clamp(RATE_MIN, RATE_MAX),
        }
    }
}

impl Bet {
    /// The bet that says nothing at this share: the factor is 1 whatever happens.
    #[must_use]
    pub fn none(share: f64) -> Self {
        Self {
            r1: share,
            r0: share,
            s1: 1.0 - share,
            s0: 1.0 - share,
        }
    }

    /// The bet that grows fastest where the belief is right. Where no such bet is valid: none.
    #[must_use]
    pub fn best(null: Null, belief: Belief, share: f64) -> Self {
        let (q1, _) = null.nearest(belief, share);
        let r1 = share * belief.new / q1;
        let r0 = share * (1.0 - belief.new) / (1.0 - q1);
        Self::valid(null, r1, r0).unwrap_or_else(|| Self::none(share))
    }

    /// The bet with these two numbers, if its expected factor is at most 1 everywhere in the null.
    #[must_use]
    pub fn valid(null: Null, r1: f64, r0: f64) -> Option<Self> {
        let inside = |number: f64| (0.0..=1.0).contains(&number);
        let (s0, s1, leans) = match null {
            Null::AtMost { k } => (1.0 - r0, 1.0 - k * r1 - (1.0 - k) * r0, r1 >= r0),
            Null::AtLeast { k } => (1.0 - r0, 1.0 - k * r1 - (1.0 - k) * r0, r1 <= r0),
            Null::Margin { d } => {
                let s0 = 1.0 - d * r1 - (1.0 - d) * r0;
                (s0, (1.0 - r1 - d * s0) / (1.0 - d), r1 <= r0)
            }
        };
        let fits = leans && inside(r1) && inside(r0) && s0 >= 0.0 && s1 >= 0.0;
        fits.then_some(Self { r1, r0, s1, s0 })
    }

    /// What the unit multiplies the evidence by.
    #[must_use]
    pub fn factor(&self, unit: &Unit) -> f64 {
        let side =
            |bad: f64, good: f64, chance: f64| (unit.bad * bad + (1.0 - unit.bad) * good) / chance;
        match unit.arm {
            Arm::New => side(self.r1, self.r0, unit.share),
            Arm::Old => side(self.s1, self.s0, 1.0 - unit.share),
        }
    }

    /// The expected factor where these are the rates.
    #[must_use]
    pub fn expected(&self, p1: f64, p0: f64) -> f64 {
        p1 * self.r1 + (1.0 - p1) * self.r0 + p0 * self.s1 + (1.0 - p0) * self.s0
    }
}

impl Null {
    /// True if these rates are in the null.
    #[must_use]
    pub fn holds(self, p1: f64, p0: f64) -> bool {
        match self {
            Self::AtMost { k } => p1 <= k * p0,
            Self::AtLeast { k } => p1 >= k * p0,
            Self::Margin { d } => p1 >= p0 + d,
        }
    }

    /// The point on the null's border that is hardest to tell from the belief at this share.
    fn nearest(self, belief: Belief, share: f64) -> (f64, f64) {
        // The border is a line: the new rate is `k * q0 + d`.
        let (k, d) = match self {
            // Here it can be written down.
            Self::AtMost { k } | Self::AtLeast { k } if (k - 1.0).abs() < f64::EPSILON => {
                let mean = share * belief.new + (1.0 - share) * belief.old;
                return (mean, mean);
            }
            Self::AtMost { k } | Self::AtLeast { k } => (k, 0.0),
            Self::Margin { d } => (1.0, d),
        };
        let high = ((1.0 - d) / k).min(1.0) - EDGE;
        let q0 = crossing(EDGE, high, |q0| {
            let (new, old) = (slope(belief.new, k * q0 + d), slope(belief.old, q0));
            let of_both = |new: f64, old: f64| share * new + (1.0 - share) * old;
            (of_both(k * new.0, old.0), of_both(k * k * new.1, old.1))
        });
        (k * q0 + d, q0)
    }
}

/// Kullback-Leibler divergence of two coins.
pub(crate) fn divergence(p: f64, q: f64) -> f64 {
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    part(p, q) + part(1.0 - p, 1.0 - q)
}

/// First and second derivative of the divergence of `p` from `q`, by `q`.
fn slope(p: f64, q: f64) -> (f64, f64) {
    let (bad, good) = (p / q, (1.0 - p) / (1.0 - q));
    (good - bad, bad / q + good / (1.0 - q))
}

/// Rates on a border lie so far from what cannot be.
const EDGE: f64 = 1e-9;

/// Where a rising function is 0, from its value and its slope: Newton's steps, and halves where one leads out.
fn crossing(mut low: f64, mut high: f64, f: impl Fn(f64) -> (f64, f64)) -> f64 {
    const ROUNDS: u32 = 100;
    const NEAR: f64 = 1e-12;
    let mut at = f64::midpoint(low, high);
    for _ in 0..ROUNDS {
        let (value, rise) = f(at);
        if value > 0.0 {
            high = at;
        } else {
            low = at;
        }
        let step = at - value / rise;
        let next = if step > low && step < high {
            step
        } else {
            f64::midpoint(low, high)
        };
        if (next - at).abs() < NEAR {
            return next;
        }
        at = next;
    }
    at
}
