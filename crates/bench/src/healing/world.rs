//! Simulated faults: when one shows itself, and what a fix really does about it. Nothing here knows a
//! recipe: a fault has a hidden rate and a hidden cause, and a fix has a hidden effect.

use crate::rollout::Dice;

/// What the world does by itself, to exposures with and without the fix alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weather {
    Steady,
    /// The rate falls to a fifth over the run.
    DriftDown,
    /// The rate doubles over the run.
    DriftUp,
    /// The fault is gone for good after a fifth of the run, whatever is done.
    Heals,
    /// A tenth of the time everything is four times as bad.
    Bursts,
    /// Something else changed when the trial began: from there on half as many failures.
    OtherChange,
    /// A quota at noon: a fifth of the time three times as bad.
    Periodic,
}

impl Weather {
    pub(super) const ALL: [Self; 7] = [
        Self::Steady,
        Self::DriftDown,
        Self::DriftUp,
        Self::Heals,
        Self::Bursts,
        Self::OtherChange,
        Self::Periodic,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::DriftDown => "drift down",
            Self::DriftUp => "drift up",
            Self::Heals => "heals by itself",
            Self::Bursts => "bursts",
            Self::OtherChange => "other change",
            Self::Periodic => "periodic",
        }
    }

    /// The rate at an exposure; negative ones lie before the trial.
    fn rate(self, base: f64, at: i64, of: i64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a run is short")]
        let part = (at.max(0) as f64 / of as f64).min(1.0);
        let rate = match self {
            Self::Steady => base,
            Self::DriftDown => base * (1.0 - 0.8 * part),
            Self::DriftUp => base * (1.0 + part),
            Self::Heals if part > 0.2 => 0.0,
            Self::Heals => base,
            Self::Bursts if at.rem_euclid(100) < 10 => base * 4.0,
            Self::Bursts => base,
            Self::OtherChange if at >= 0 => base * 0.5,
            Self::OtherChange => base,
            Self::Periodic if at.rem_euclid(50) < 10 => base * 3.0,
            Self::Periodic => base,
        };
        rate.min(0.95)
    }
}

/// What a fix really does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Fix {
    /// Takes away nine tenths of the failures.
    Right,
    /// Takes away half: one of two causes that have one text.
    Partial,
    Useless,
    /// Twice as many failures.
    Harmful,
    /// Right for so many exposures, then three times as bad as nothing.
    Late(i64),
    /// Swallows the error where it arises. Whoever counts errors there sees none; who looks at the end
    /// of the turn sees them all.
    Gaming,
}

impl Fix {
    pub(super) fn name(self) -> String {
        match self {
            Self::Right => "right".to_owned(),
            Self::Partial => "partial".to_owned(),
            Self::Useless => "useless".to_owned(),
            Self::Harmful => "harmful".to_owned(),
            Self::Late(from) => format!("harms from {from}"),
            Self::Gaming => "gaming".to_owned(),
        }
    }

    /// True if the fix does nothing or less.
    pub(super) fn is_null(self) -> bool {
        matches!(self, Self::Useless | Self::Gaming | Self::Harmful)
    }

    pub(super) fn rate(self, rate: f64, at: i64) -> f64 {
        let rate = match self {
            Self::Right => rate * 0.1,
            Self::Partial => rate * 0.5,
            Self::Useless | Self::Gaming => rate,
            Self::Harmful => rate * 2.0,
            Self::Late(from) if at < from => rate * 0.1,
            Self::Late(_) => rate * 3.0,
        };
        rate.min(0.95)
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Fault {
    pub(super) base: f64,
    pub(super) weather: Weather,
    /// Exposures over which the weather takes its course.
    pub(super) course: i64,
}

impl Fault {
    /// Whether this exposure ends badly for the user, with or without the fix.
    pub(super) fn fails(&self, at: i64, fix: Option<Fix>, dice: &mut Dice) -> bool {
        let rate = self.weather.rate(self.base, at, self.course);
        let rate = fix.map_or(rate, |fix| fix.rate(rate, at));
        dice.throw() < rate
    }
}
