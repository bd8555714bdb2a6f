//! Rates with their intervals.

use serde_json::{Value, json};

/// So many of so many.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    pub(super) count: u64,
    pub(super) of: u64,
}

impl Rate {
    pub(super) fn note(&mut self, is: bool) {
        self.of += 1;
        self.count += u64::from(is);
    }

    pub(super) fn value(self) -> f64 {
        if self.of == 0 {
            return 0.0;
        }
        to_f64(self.count) / to_f64(self.of)
    }

    /// Lower and upper end by Wilson, for a normal quantile.
    pub(super) fn interval(self, z: f64) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, p) = (to_f64(self.of), self.value());
        let middle = p + z * z / (2.0 * n);
        let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + z * z / n;
        ((middle - spread) / whole, (middle + spread) / whole)
    }

    /// The lower bound at 99 %: above the level, the level does not hold.
    pub(super) fn lower_99(self) -> f64 {
        self.interval(2.326).0
    }

    /// With its 95 % interval.
    pub(super) fn words(self) -> String {
        let (low, high) = self.interval(1.96);
        format!("{:.4} [{low:.4}, {high:.4}]", self.value())
    }

    pub(super) fn json(self) -> Value {
        let (low, high) = self.interval(1.96);
        json!({ "rate": self.value(), "low": low, "high": high, "of": self.of })
    }
}

/// A mean with its 95 % interval, from sums.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Mean {
    pub(super) fn note(&mut self, value: f64) {
        self.n += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    pub(super) fn value(&self) -> f64 {
        if self.n > 0.0 { self.sum / self.n } else { 0.0 }
    }

    /// Half of the 95 % interval.
    pub(super) fn half(&self) -> f64 {
        if self.n < 2.0 {
            return f64::INFINITY;
        }
        let variance = (self.squares / self.n - self.value().powi(2)).max(0.0);
        1.96 * (variance / (self.n - 1.0)).sqrt()
    }

    /// True if it is not 0, by a two-sided test with so much in each tail. Student's quantile is worked out
    /// from the normal one, for few values.
    pub(super) fn differs(&self, tail: f64) -> bool {
        if self.n < 5.0 {
            return false;
        }
        let z = normal(tail);
        let of = self.n - 1.0;
        let quantile = z
            + (z.powi(3) + z) / (4.0 * of)
            + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * of * of);
        self.value().abs() > quantile * self.half() / 1.96
    }

    pub(super) fn json(&self) -> Value {
        let (value, half) = (self.value(), self.half());
        json!({ "mean": value, "low": value - half, "high": value + half })
    }
}

/// The normal quantile that leaves so much above it, after Abramowitz and Stegun (26.2.23).
fn normal(tail: f64) -> f64 {
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + 0.802_853 * t + 0.010_328 * t * t;
    let below = 1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t.powi(3);
    t - above / below
}

/// The value under which this part of all runs lies; none, if that many never came so far.
pub(super) fn quantile(sorted: &[u64], of: u64, part: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list of runs"
    )]
    let place = (part * to_f64(of)).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

#[expect(clippy::cast_precision_loss, reason = "a count of runs")]
pub(super) fn to_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_differs_from_nothing_only_beyond_its_tails() {
        assert!((normal(0.025) - 1.96).abs() < 0.001);
        assert!((normal(0.005) - 2.576).abs() < 0.001);
        let mean = |shift: f64| {
            let mut mean = Mean::default();
            (0..20).for_each(|n| mean.note(shift + f64::from(n % 2) - 0.5));
            mean
        };
        assert!(!mean(0.2).differs(0.025) && !mean(0.0).differs(0.025));
        assert!(mean(0.3).differs(0.025) && !mean(0.3).differs(0.005));
    }
}
