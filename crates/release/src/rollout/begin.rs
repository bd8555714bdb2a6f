//! With what a rollout begins, as far as earlier ones have a say in it.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::RolloutRow;
use std::collections::BTreeSet;

use super::control::RolloutError;
use super::live::Body;
use super::machine::Rollout;
use super::plan::{Plan, Tries};
use super::stage::{Reason, Stage};

/// For so long a candidate counts as one that was tried.
const MONTH_MILLIS: u64 = 30 * 24 * 60 * 60 * 1_000;

/// The machine of a new rollout: begun anew, or going on where an earlier one of the same behaviour
/// against the same stable release was stopped without a verdict.
pub(super) fn begun(
    earlier: &[(RolloutRow, Body)],
    release: &ReleaseId,
    stable: &ReleaseId,
    mut plan: Plan,
    now: Timestamp,
    short: &str,
) -> Result<Rollout, RolloutError> {
    let same = |(_, body): &&(RolloutRow, Body)| body.release == *release && body.stable == *stable;
    if let Some((_, body)) = earlier.iter().find(same) {
        if let Stage::RolledBack { why } = body.machine.stage()
            && *why != Reason::Owner
        {
            return Err(RolloutError::TakenBack(short.to_owned(), why.words()));
        }
        if let Some(machine) = body.machine.clone().resumed(plan.may) {
            return Ok(machine);
        }
    }
    plan.tries = tries(earlier, release, now);
    // Each successor of a rollout that was cut off by another stable release has half of its level: the
    // whole chain keeps under twice the level.
    let cut_off = earlier
        .iter()
        .take_while(|(_, body)| *body.machine.stage() == Stage::Superseded);
    for _ in cut_off {
        plan.level /= 2.0;
    }
    Ok(Rollout::begin(plan)?)
}

/// Other behaviours that were served to somebody as candidates in the month before, and those of them that came to be
/// stable by their evidence. Where nobody is to win by himself nothing was tried.
fn tries(earlier: &[(RolloutRow, Body)], release: &ReleaseId, now: Timestamp) -> Tries {
    let mut known = BTreeSet::from([release]);
    let mut tries = Tries::default();
    for (row, body) in earlier {
        let is_recent = now.millis().saturating_sub(row.at.millis()) < MONTH_MILLIS;
        let was_served = body.machine.settled() > 0 && !body.machine.plan().is_ab;
        if is_recent && was_served && known.insert(&body.release) {
            tries.before += 1;
            tries.promoted += u32::from(body.machine.was_promoted());
        }
    }
    tries
}
