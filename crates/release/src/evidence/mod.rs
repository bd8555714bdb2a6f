//! Decisions that may be looked at after every event.
//!
//! Evidence against a null hypothesis is a number that starts at 1 and, while the null holds, is at most
//! 1 on average at any time, however often it is looked at. It is decided at `1 / level`: the chance of
//! ever getting there by luck is at most the level.
//!
//! Start at [`Process`] for traffic that a coin splits, at [`Paired`] where both arms answer. [`Late`] also
//! sees harm that begins after a while, [`Watch`] looks on after a verdict. [`Window`] is what is left where
//! no coin can be thrown; it proves nothing.

mod bet;
mod coin;
mod late;
mod objective;
mod paired;
mod process;
mod window;

pub use bet::{Arm, Belief, Bet, Null, Unit};
pub use coin::{Coin, KEY_BYTES};
pub use late::{Late, Watch};
pub use objective::Objective;
pub use paired::{Pair, Paired};
pub(crate) use process::count;
pub use process::{Process, Rates, Test};
pub use window::{Baseline, Window, lower_bound};

pub(crate) use bet::divergence;

/// Units until a decision, about half of the time: of the given rates, at the share, at the level. What
/// is shown before a rollout begins. Nothing if the rates do not differ.
#[must_use]
pub fn units_to_decide(belief: Belief, share: f64, level: f64) -> Option<f64> {
    let mean = share * belief.new + (1.0 - share) * belief.old;
    let growth =
        share * divergence(belief.new, mean) + (1.0 - share) * divergence(belief.old, mean);
    (growth > 1e-12).then(|| (1.0 / level).ln() / growth)
}
