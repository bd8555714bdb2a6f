//! Ends episodes, judges them, and makes the moves that follow, each with all that belongs to it.

use instar_protocol::Timestamp;
use instar_protocol::event::{Arm, Event, EventKind};
use instar_store::{CandidateRow, CandidateState, Op, Store, UnitRow};
use std::sync::Arc;

use super::control::Random;
use super::live::read_outcome;
use super::machine::{Reason, Rollout, Settled, Stage};
use super::told::{episode, side, told};
use crate::candidate::short;
use crate::error::ReleaseError;
use crate::evidence::Pair;
use crate::releases::Releases;

/// Units that one look settles; the rest waits for the next.
const SETTLED_AT_ONCE: usize = 200;

/// What one look at a rollout brought, to be stored together.
#[derive(Default)]
pub(super) struct Found {
    pub(super) ops: Vec<Op>,
    /// Units that were judged.
    pub(super) units: Vec<UnitRow>,
    /// The stages that were entered.
    pub(super) stages: Vec<Stage>,
}

impl Releases {
    /// Ends episodes that are over, judges those that are old enough, and makes the moves that follow.
    /// Returns the stages that were entered.
    pub async fn settle_due(
        &self,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<Vec<Stage>, ReleaseError> {
        if self.live().is_none() {
            return Ok(Vec::new());
        }
        let _one_at_a_time = self.moving_lock().await;
        self.close_due(now).await?;
        // Most looks find nothing: the machine is copied only where it is to move.
        let Some((due, mut machine)) = self.live().as_ref().and_then(|live| {
            let mut due = live.due_to_settle(now);
            due.truncate(SETTLED_AT_ONCE);
            (!due.is_empty()).then(|| (due, live.body.machine.clone()))
        }) else {
            return Ok(Vec::new());
        };
        let mut found = Found::default();
        for unit in due {
            let closed = unit.closed_at.unwrap_or(now);
            let seen = read_outcome(self.store(), &unit, closed, machine.plan()).await?;
            let settled = UnitRow {
                settled_at: Some(now),
                bad: Some(
                    serde_json::to_string(&seen.bad)
                        .map_err(|error| ReleaseError::Canonical(error.to_string()))?,
                ),
                ..unit
            };
            if let Some(live) = self.live().as_ref() {
                found
                    .ops
                    .push(episode(live, &settled, Some(&seen.bad), now, random()));
            }
            let moved = if settled.arm == Arm::Shadow {
                let (pair, reach) = pairs(&seen.shadows, &settled.id);
                machine.settle_pair(&settled.id, pair, reach)
            } else {
                machine.settle(&Settled {
                    unit: settled.id.clone(),
                    arm: side(settled.arm),
                    share: settled.share,
                    bad: seen.bad,
                })
            };
            let moved = moved.cloned();
            found.ops.push(Op::PutUnit(settled.clone()));
            found.units.push(settled);
            if let Some(stage) = moved {
                found.stages.push(stage);
                if !machine.is_open() {
                    break;
                }
            }
        }
        let stages = found.stages.clone();
        self.store_moves(machine, found, "the rollout", now, random)
            .await?;
        Ok(stages)
    }

    async fn close_due(&self, now: Timestamp) -> Result<(), ReleaseError> {
        let Some((due, plan)) = self
            .live()
            .as_ref()
            .map(|live| (live.due_to_close(now), live.body.machine.plan().clone()))
        else {
            return Ok(());
        };
        let mut closed = Vec::new();
        for open in due {
            let seen = read_outcome(self.store(), &open.unit, now, &plan).await?;
            if open.has_ended(&seen, now) {
                let end = open.end(plan.episode, now).max(seen.last.unwrap_or(now));
                closed.push(UnitRow {
                    closed_at: Some(end.min(now)),
                    ..open.unit
                });
            }
        }
        if closed.is_empty() {
            return Ok(());
        }
        let ops = closed.iter().cloned().map(Op::PutUnit).collect();
        self.store().commit(ops).await?;
        if let Some(live) = self.live().as_mut() {
            for unit in closed {
                live.close(unit);
            }
        }
        Ok(())
    }

    /// Stores the machine with what came with it, and the moves that follow, in one batch.
    pub(super) async fn store_moves(
        &self,
        machine: Rollout,
        found: Found,
        by: &str,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<(), ReleaseError> {
        let Found {
            mut ops,
            units,
            stages,
        } = found;
        let Some((row, events, ended)) = self.live().as_ref().map(|live| {
            let events: Vec<Op> = stages
                .iter()
                .map(|stage| told(live, stage, now, random()))
                .collect();
            let ended = (!machine.is_open())
                .then(|| (Arc::clone(&live.release), live.body.candidate.clone()));
            (live.stored(&machine, now), events, ended)
        }) else {
            return Ok(());
        };
        ops.push(row?);
        ops.extend(events);
        let Some((release, candidate)) = ended else {
            self.store().commit(ops).await?;
            if let Some(live) = self.live().as_mut() {
                live.settled(&units, machine);
            }
            return Ok(());
        };
        ops.extend(candidate_ops(self.store(), &candidate, machine.stage(), now).await?);
        let promoted = *machine.stage() == Stage::Promoted;
        if promoted {
            let reason = format!("candidate {} was promoted", short(&candidate));
            ops.extend(self.moves_to(&release, by, &reason, now, random()).await?);
            ops.extend(self.files_stay(now).await?);
        }
        self.store().commit(ops).await?;
        if promoted {
            self.serve_shared(release);
        }
        *self.live() = None;
        Ok(())
    }
}

/// What the turns of an episode say that both arms answered: of failures, and of wishes for effects.
pub(super) fn pairs(events: &[Event], unit: &str) -> (Pair, Pair) {
    let none = Pair {
        turns: 0,
        new_failed: 0,
        old_failed: 0,
    };
    let (mut failed, mut reach) = (none, none);
    let count = |pair: &mut Pair, canary: bool, stable: bool| {
        pair.turns += 1;
        pair.new_failed += u32::from(canary && !stable);
        pair.old_failed += u32::from(stable && !canary);
    };
    for event in events {
        if let EventKind::Shadow {
            unit: of,
            is_judged,
            canary_failed,
            stable_failed,
            canary_effect,
            stable_effect,
            ..
        } = &event.kind
            && of == unit
        {
            count(&mut reach, *canary_effect, *stable_effect);
            if *is_judged {
                count(&mut failed, *canary_failed, *stable_failed);
            }
        }
    }
    (failed, reach)
}

/// The candidate's next state, if the end of its rollout is one.
pub(super) async fn candidate_ops(
    store: &Store,
    candidate: &str,
    stage: &Stage,
    now: Timestamp,
) -> Result<Vec<Op>, ReleaseError> {
    let state = match stage {
        Stage::Promoted => CandidateState::Promoted,
        Stage::RolledBack { why } if *why != Reason::Owner => CandidateState::RolledBack,
        _ => return Ok(Vec::new()),
    };
    let rows = store.candidates().await?;
    let found = rows.into_iter().find(|row| row.id.as_str() == candidate);
    Ok(found
        .map(|row| {
            Op::PutCandidate(CandidateRow {
                state,
                settled_at: Some(now),
                ..row
            })
        })
        .into_iter()
        .collect())
}
