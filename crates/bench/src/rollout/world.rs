//! Simulated traffic: units with an arm and an outcome, from a seed.

use instar_release::evidence::{Arm, Unit};

/// A generator whose runs are told by their number (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64, run: u64) -> Self {
        let mut dice = Self(seed ^ run.wrapping_mul(0xd134_2543_de82_ef95));
        let _first = dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to 1.
    pub(crate) fn throw(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

/// What the candidate does to the rate of bad units.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Effect {
    None,
    Times(f64),
    /// From this unit on.
    Delayed(u32, f64),
    /// For this part of the units only.
    Cohort(f64, f64),
    /// Worse by exactly this: what may not be promoted.
    Worse(f64),
    Better(f64),
}

/// What else the world does, to both arms alike.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Weather {
    Steady,
    /// The rate doubles over the run.
    Drift,
    /// A tenth of the time everything is four times as bad.
    Bursts,
    /// A unit is an episode of eight turns that share their luck; bad is the share of bad turns.
    Episodes,
    /// This part of the harm reaches the other arm, through a memory that they share.
    Leak(f64),
    /// Failures of the candidate are known at once, everything else fifty units later.
    Delay,
    /// Only some of the good units are ever heard of, on the candidate half as many.
    Feedback,
}

/// Units until an outcome is known that is not reported at once.
const LATE_BY: u32 = 50;
/// The part of good units of the stable release that somebody praises.
const PRAISED: f64 = 0.5;

#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) base: f64,
    pub(super) effect: Effect,
    pub(super) weather: Weather,
}

impl Effect {
    pub(super) fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Times(times) => format!("x{times}"),
            Self::Delayed(at, times) => format!("x{times} from {at}"),
            Self::Cohort(part, times) => format!("x{times} for {part}"),
            Self::Worse(by) => format!("+{by}"),
            Self::Better(times) => format!("x{times}"),
        }
    }

    /// The rate of the candidate where the other one's is `rate`.
    fn rate(self, rate: f64, at: u32, dice: &mut Dice) -> f64 {
        match self {
            Self::None => rate,
            Self::Times(times) | Self::Better(times) => rate * times,
            Self::Delayed(from, times) if at >= from => rate * times,
            Self::Delayed(..) => rate,
            Self::Cohort(part, times) => {
                if dice.throw() < part {
                    rate * times
                } else {
                    rate
                }
            }
            Self::Worse(by) => rate + by,
        }
    }
}

impl Weather {
    pub(super) fn name(self) -> String {
        match self {
            Self::Steady => "steady".to_owned(),
            Self::Drift => "drift".to_owned(),
            Self::Bursts => "bursts".to_owned(),
            Self::Episodes => "episodes".to_owned(),
            Self::Leak(part) => format!("leak {part}"),
            Self::Delay => "delay".to_owned(),
            Self::Feedback => "feedback".to_owned(),
        }
    }
}

impl World {
    pub(super) fn name(&self) -> String {
        let (effect, weather) = (self.effect.name(), self.weather.name());
        format!("base {}, effect {effect}, {weather}", self.base)
    }

    /// The age at which a unit is judged by whoever judges all of them at the same one: everything that will be
    /// heard of it was heard.
    pub(super) fn maturity(&self) -> u32 {
        match self.weather {
            Weather::Delay | Weather::Feedback => LATE_BY,
            _ => 0,
        }
    }

    /// The unit at this place of a run.
    pub(super) fn unit(&self, at: u32, of: u32, share: f64, dice: &mut Dice) -> Unit {
        let arm = if dice.throw() < share {
            Arm::New
        } else {
            Arm::Old
        };
        let rate = self.rate(at, of, dice);
        let new = self.effect.rate(rate, at, dice).min(0.999);
        let rate = match (arm, self.weather) {
            (Arm::New, _) => new,
            (Arm::Old, Weather::Leak(part)) => rate + part * (new - rate),
            (Arm::Old, _) => rate,
        };
        let bad = if self.weather == Weather::Episodes {
            episode(rate, dice)
        } else {
            f64::from(u8::from(dice.throw() < rate))
        };
        Unit { arm, share, bad }
    }

    /// When who takes outcomes as they come hears of a unit; never of some.
    pub(super) fn heard_at(&self, at: u32, unit: &Unit, dice: &mut Dice) -> Option<u32> {
        let is_new = unit.arm == Arm::New;
        let is_bad = unit.bad > 0.0;
        match self.weather {
            Weather::Delay if is_new && is_bad => Some(at),
            Weather::Delay => Some(at + LATE_BY),
            Weather::Feedback if is_bad => Some(at),
            Weather::Feedback => {
                let praised = if is_new { PRAISED / 2.0 } else { PRAISED };
                (dice.throw() < praised).then_some(at)
            }
            _ => Some(at),
        }
    }

    /// Both arms on one input: whether each failed. With the chance `shared` they share their luck.
    pub(super) fn pair(&self, at: u32, of: u32, shared: f64, dice: &mut Dice) -> (bool, bool) {
        let rate = self.rate(at, of, dice);
        let new = self.effect.rate(rate, at, dice);
        let luck = dice.throw();
        let own = if dice.throw() < shared {
            luck
        } else {
            dice.throw()
        };
        (own < new, luck < rate)
    }

    fn rate(&self, at: u32, of: u32, dice: &mut Dice) -> f64 {
        match self.weather {
            Weather::Drift => self.base * (1.0 + f64::from(at) / f64::from(of)),
            Weather::Bursts if at % 100 < 10 => (self.base * 4.0).min(0.9),
            // One draw more keeps runs of different weather apart.
            Weather::Bursts => self.base + 0.0 * dice.throw(),
            Weather::Steady
            | Weather::Episodes
            | Weather::Leak(_)
            | Weather::Delay
            | Weather::Feedback => self.base,
        }
    }
}

/// Eight turns whose luck is mixed from the episode's own and the turn's.
fn episode(rate: f64, dice: &mut Dice) -> f64 {
    const TURNS: u32 = 8;
    /// The chance that a turn has its episode's luck.
    const TOGETHER: f64 = 0.3;
    let luck = dice.throw();
    let bad: u32 = (0..TURNS)
        .map(|_| {
            let own = if dice.throw() < TOGETHER {
                luck
            } else {
                dice.throw()
            };
            u32::from(own < rate)
        })
        .sum();
    f64::from(bad) / f64::from(TURNS)
}
