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
        let on_border = |q0: f64| match self {
            Self::AtMost { k } | Self::AtLeast { k } => (k * q0, q0),
            Self::Margin { d } => (q0 + d, q0),
        };
        let (low, high) = match self {
            // Here it can be written down.
            Self::AtMost { k } | Self::AtLeast { k } if (k - 1.0).abs() < f64::EPSILON => {
                let mean = share * belief.new + (1.0 - share) * belief.old;
                return (mean, mean);
            }
            Self::AtMost { .. } | Self::AtLeast { .. } => (1e-9, 1.0 - 1e-9),
            Self::Margin { d } => (1e-9, 1.0 - d - 1e-9),
        };
        let distance = |q0: f64| {
            let (q1, q0) = on_border(q0);
            share * divergence(belief.new, q1) + (1.0 - share) * divergence(belief.old, q0)
        };
        on_border(least(low, high, distance))
    }
}

/// Kullback-Leibler divergence of two coins.
pub(crate) fn divergence(p: f64, q: f64) -> f64 {
    let part = |p: f64, q: f64| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    part(p, q) + part(1.0 - p, 1.0 - q)
}

/// Where a function with one valley is least, by golden section.
fn least(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    const ROUNDS: u32 = 48;
    let mut inner = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let mut values = (f(inner.0), f(inner.1));
    for _ in 0..ROUNDS {
        if values.0 < values.1 {
            high = inner.1;
            inner = (high - GOLDEN * (high - low), inner.0);
            values = (f(inner.0), values.0);
        } else {
            low = inner.0;
            inner = (inner.1, low + GOLDEN * (high - low));
            values = (values.1, f(inner.1));
        }
    }
    f64::midpoint(low, high)
}
