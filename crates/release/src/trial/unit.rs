//! Units of a trial between their first exposure and their settlement.

use instar_protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Settled, Stage, Trial};
use crate::evidence::Arm;

const MINUTE_MS: u64 = 60_000;
/// Nobody spoke for so long: the episode is over, with some time for a turn that is under way.
const EPISODE_OVER_MS: u64 = 40 * MINUTE_MS;
/// A turn of a block may end a little after it.
const BLOCK_GRACE_MS: u64 = 15 * MINUTE_MS;
/// Of a unit that has not ended by then nothing more will be known.
const LOST_MS: u64 = 24 * 60 * MINUTE_MS;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) with_fix: bool,
    pub(super) share_permille: u16,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Bad once is bad; none as long as nothing ended of which that is known.
    pub(super) bad: Option<bool>,
    /// Its turns, those that have ended, and those of whose end is known how it was.
    #[serde(default)]
    pub(super) turns: u32,
    #[serde(default)]
    pub(super) ended: u32,
    #[serde(default)]
    pub(super) known: u32,
}

impl Open {
    pub(super) fn end(&mut self, bad: Option<bool>) {
        self.ended += 1;
        self.known += u32::from(bad.is_some());
        self.bad = match (self.bad, bad) {
            (Some(before), Some(now)) => Some(before || now),
            (before, now) => before.or(now),
        };
    }

    /// Gives the unit to its trial. Bad once is bad; good is what is known to be so of every turn; and where
    /// a turn was cut off or lost, and none is known to be bad, the unit is missing.
    pub(super) fn settle(self, unit: String, trial: &mut Trial) -> Option<&Stage> {
        let arm = if self.with_fix { Arm::New } else { Arm::Old };
        let share = f64::from(self.share_permille) / 1_000.0;
        match self.bad {
            Some(bad) if bad || self.known >= self.turns => trial.settle(&Settled {
                unit,
                arm,
                share,
                bad: Some(f64::from(u8::from(bad))),
            }),
            _ => trial.settle_missing(unit, arm, share),
        }
    }
}

pub(super) fn is_mature(unit: &str, open: &Open, now: Timestamp) -> bool {
    let quiet = now.millis().saturating_sub(open.last.millis());
    if quiet >= LOST_MS {
        return true;
    }
    if let Some(over) = block_over(unit) {
        return now.millis() >= over + BLOCK_GRACE_MS;
    }
    if unit.starts_with("run_") {
        return open.ended > 0 || open.bad.is_some();
    }
    quiet >= EPISODE_OVER_MS
}

/// When a block is over, by its name: `block-MINUTE-LENGTH`.
fn block_over(unit: &str) -> Option<u64> {
    let (begun, length) = unit.strip_prefix("block-")?.split_once('-')?;
    let minutes = begun
        .parse::<u64>()
        .ok()?
        .checked_add(length.parse().ok()?)?;
    minutes.checked_mul(MINUTE_MS)
}
