//! Ends episodes, judges them, and makes the moves that follow, each with all that belongs to it.

use instar_protocol::Timestamp;
use instar_protocol::event::{Arm, Event, EventKind};
use instar_store::{CandidateRow, CandidateState, Op, Store, UnitRow};
use std::collections::HashSet;
use std::sync::Arc;

use super::control::Random;
use super::live::{Live, read_outcome};
use super::machine::Rollout;
use super::stage::{Part, Reason, Settled, Stage};
use super::told::{episode, noted, side, told};
use super::verdict::Verdict;
use crate::candidate::short;
use crate::error::ReleaseError;
use crate::evidence::Pair;
use crate::gate::attest;
use crate::record::Release;
use crate::releases::{Releases, bounded};

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
    /// What else is told: a word, and why.
    pub(super) notes: Vec<(&'static str, String)>,
}

impl Found {
    /// Tells what began or ended beside the stages: was there an alarm, and a watch?
    fn note(&mut self, was: (bool, bool), machine: &Rollout) {
        let view = machine.view();
        if let Some(alarm) = view.alarm.filter(|alarm| alarm.is_on && !was.0) {
            self.notes.push(("alarm", alarm.words()));
        }
        if let Some(watch) = view.watch.filter(|_| was.1 && !machine.is_watching())
            && *machine.stage() == Stage::Promoted
        {
            let why = format!("nothing was found in {} episodes", watch.settled);
            self.notes.push(("watched", why));
        }
    }
}

impl Releases {
    /// Judges episodes that have ended and are old enough, and makes the moves that follow. One of the candidate's waits
    /// until it is among those that were looked at after their end ([`Releases::canary_episodes`]): nothing that
    /// ends a rollout at once is passed over. Returns the stages that were entered.
    pub async fn settle_due(
        &self,
        now: Timestamp,
        looked: &HashSet<String>,
        random: Random<'_>,
    ) -> Result<Vec<Stage>, ReleaseError> {
        if self.live().is_none() {
            return Ok(Vec::new());
        }
        let _one_at_a_time = self.moving_lock().await;
        // Most looks find nothing: the machine is copied only where it is to move.
        let Some((due, mut machine)) = self.live().as_ref().and_then(|live| {
            let mut due = live.due_to_settle(now, looked);
            due.truncate(SETTLED_AT_ONCE);
            (!due.is_empty()).then(|| (due, live.body.machine.clone()))
        }) else {
            return Ok(Vec::new());
        };
        let mut found = Found::default();
        for (unit, part) in due {
            let closed = unit.closed_at.unwrap_or(now);
            let (plan, corrects) = (machine.plan(), self.corrects());
            let seen = read_outcome(self.store(), &unit, closed, plan, corrects).await?;
            let bad = match unit.arm {
                Arm::Shadow => seen.bad.clone(),
                Arm::Stable | Arm::Canary => machine.of_part(&seen.bad, part),
            };
            let settled = UnitRow {
                settled_at: (part == Part::Rest).then_some(now),
                bad: Some(
                    serde_json::to_string(&seen.bad)
                        .map_err(|error| ReleaseError::Canonical(error.to_string()))?,
                ),
                ..unit
            };
            if let Some(live) = self.live().as_ref() {
                found.ops.push(episode(
                    live,
                    &settled,
                    Some((&bad, seen.is_heard)),
                    now,
                    random(),
                ));
            }
            let was = (machine.is_alarmed(), machine.is_watching());
            let moved = if settled.arm == Arm::Shadow {
                let (pair, reach) = pairs(&seen.shadows, &settled.id);
                machine.settle_pair(&settled.id, pair, reach)
            } else {
                machine.settle(&Settled {
                    unit: settled.id.clone(),
                    arm: side(settled.arm),
                    share: settled.share,
                    bad,
                    is_heard: seen.is_heard,
                })
            };
            let moved = moved.cloned();
            if part == Part::Rest {
                found.ops.push(Op::PutUnit(settled.clone()));
                found.units.push(settled);
            }
            let is_moved = moved.is_some();
            found.stages.extend(moved);
            found.note(was, &machine);
            if !machine.is_live() || (is_moved && !machine.is_open()) {
                break;
            }
        }
        let stages = found.stages.clone();
        self.store_moves(machine, found, "the rollout", now, random)
            .await?;
        Ok(stages)
    }

    /// Ends episodes that are over.
    pub async fn close_due(&self, now: Timestamp) -> Result<(), ReleaseError> {
        if self.live().is_none() {
            return Ok(());
        }
        let _one_at_a_time = self.moving_lock().await;
        let Some((due, plan)) = self
            .live()
            .as_ref()
            .map(|live| (live.due_to_close(now), live.body.machine.plan().clone()))
        else {
            return Ok(());
        };
        let mut closed = Vec::new();
        for open in due {
            let seen = read_outcome(self.store(), &open.unit, now, &plan, self.corrects()).await?;
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
            notes,
        } = found;
        let Some((row, events, ended, verdict)) = self.live().as_ref().map(|live| {
            let events: Vec<Op> = stages
                .iter()
                .map(|stage| told(live, stage, now, random()))
                .chain(
                    notes
                        .iter()
                        .map(|(word, why)| noted(live, word, why, now, random())),
                )
                .collect();
            let moves = !stages.is_empty() && !machine.is_open();
            let ended = moves.then(|| Ended::of(live));
            let verdict = moves
                .then(|| Verdict::of(live, &machine, by, now))
                .flatten();
            (live.stored(&machine, now), events, ended, verdict)
        }) else {
            return Ok(());
        };
        ops.push(row?);
        ops.extend(events);
        let Some(ended) = ended else {
            self.store().commit(ops).await?;
            self.goes_on(&units, machine);
            return Ok(());
        };
        ops.extend(candidate_ops(self.store(), &ended.candidate, machine.stage(), now).await?);
        let mut gates = Vec::new();
        if let Some(signer) = self.signer() {
            let release = &ended.release.id;
            if let Some(verdict) = verdict {
                ops.push(verdict.put(signer, self.store(), release).await?);
            }
            if *machine.stage() == Stage::Promoted {
                gates = attest::named(signer, self.store(), &ended.candidate, release).await?;
            }
        }
        let candidate = short(&ended.candidate);
        let next = match (machine.stage(), ended.before) {
            (Stage::Promoted, _) => {
                Some((ended.release, format!("candidate {candidate} was promoted")))
            }
            // What had become stable is not any more.
            (Stage::RolledBack { why }, Some(before)) => Some((
                before,
                format!("candidate {candidate} was taken back: {}", why.words()),
            )),
            _ => None,
        };
        if let Some((release, reason)) = &next {
            let reason = bounded(reason);
            let moves = self.moves_to(release, &gates, by, &reason, now, random());
            ops.extend(moves.await?);
            ops.extend(self.files_stay(now).await?);
        }
        let served = self.stable();
        self.store().commit(ops).await?;
        if let Some((release, _)) = next {
            self.serve_shared(release);
        }
        if machine.is_watching()
            && let Some(live) = self.live().as_mut()
        {
            live.row.ended_at = Some(now);
            live.before = served;
        }
        self.goes_on(&units, machine);
        Ok(())
    }

    /// After what was stored of it: it goes on, or there is none any more.
    fn goes_on(&self, units: &[UnitRow], machine: Rollout) {
        let mut cell = self.live();
        if !machine.is_live() {
            *cell = None;
        } else if let Some(live) = cell.as_mut() {
            live.settled(units, machine);
        }
    }
}

/// What is needed of a rollout that comes to a verdict.
struct Ended {
    release: Arc<Release>,
    /// Where it had become stable already.
    before: Option<Arc<Release>>,
    candidate: String,
}

impl Ended {
    fn of(live: &Live) -> Self {
        Self {
            release: Arc::clone(&live.release),
            before: live.before.clone(),
            candidate: live.body.candidate.clone(),
        }
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
