//! What others decide with, looked at after every unit like everything here.

use instar_release::evidence::{Arm, Unit};

/// Sums of both arms.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    new: Arm1,
    old: Arm1,
}

#[derive(Clone, Copy, Debug, Default)]
struct Arm1 {
    n: f64,
    bad: f64,
    squares: f64,
    /// Units that were bad at all: with outcomes of 0 and 1 the ranks are these.
    any: f64,
}

impl Arm1 {
    fn mean(&self) -> f64 {
        self.bad / self.n
    }
}

/// No rival decides before this many units of each arm.
const LEAST: f64 = 30.0;
/// One-sided, at the level 0.05.
const Z: f64 = 1.645;

impl Sums {
    pub(super) fn settle(&mut self, unit: &Unit) {
        let arm = match unit.arm {
            Arm::New => &mut self.new,
            Arm::Old => &mut self.old,
        };
        arm.n += 1.0;
        arm.bad += unit.bad;
        arm.squares += unit.bad * unit.bad;
        arm.any += f64::from(u8::from(unit.bad > 0.0));
    }

    fn is_ripe(&self) -> bool {
        self.new.n >= LEAST && self.old.n >= LEAST
    }

    /// Two means, each time as if it were the only look.
    pub(super) fn z_test(&self) -> bool {
        let variance = |arm: &Arm1| (arm.squares / arm.n - arm.mean().powi(2)).max(1e-9) / arm.n;
        self.is_ripe()
            && self.new.mean() - self.old.mean()
                > Z * (variance(&self.new) + variance(&self.old)).sqrt()
    }

    /// Half as many bad units again, whatever chance may have done.
    pub(super) fn threshold(&self) -> bool {
        self.is_ripe() && self.new.mean() > 1.5 * self.old.mean().max(0.01)
    }

    /// Mann-Whitney's test with its correction for ties, over two ranks.
    pub(super) fn mann_whitney(&self) -> bool {
        let (n, m) = (self.new.n, self.old.n);
        let all = n + m;
        let bad = self.new.any + self.old.any;
        let good = all - bad;
        let u = self.new.any * (m - self.old.any)
            + 0.5 * (self.new.any * self.old.any + (n - self.new.any) * (m - self.old.any));
        let ties = (bad.powi(3) - bad + good.powi(3) - good) / (all * (all - 1.0));
        let variance = n * m / 12.0 * (all + 1.0 - ties);
        self.is_ripe() && variance > 0.0 && u - n * m / 2.0 > Z * variance.sqrt()
    }

    /// The mixture sequential probability ratio test with a normal mixture, one-sided by the sign.
    pub(super) fn msprt(&self) -> bool {
        if !self.is_ripe() {
            return false;
        }
        let n = 2.0 / (1.0 / self.new.n + 1.0 / self.old.n);
        let pooled = (self.new.bad + self.old.bad) / (self.new.n + self.old.n);
        let variance = 2.0 * (pooled * (1.0 - pooled)).max(1e-4);
        let spread = 0.05_f64.powi(2);
        let difference = self.new.mean() - self.old.mean();
        let together = variance + n * spread;
        let ratio = (variance / together).sqrt()
            * (n * n * spread * difference * difference / (2.0 * variance * together)).exp();
        difference > 0.0 && ratio >= 20.0
    }
}
