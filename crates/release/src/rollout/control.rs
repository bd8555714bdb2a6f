//! Drives a rollout for the releases of a state folder: how it begins, what its turns are served, and who ends it.
//!
//! Every move is one batch: the settled unit, the state of the machine, the alias and its signature are
//! stored together or not at all, so that a crash leaves the old state or the new one.

use instar_protocol::memory::NoteState;
use instar_protocol::{EventId, ReleaseId, SessionId, SessionKey, Timestamp};
use instar_store::{CandidateState, Op, RolloutRow};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::begin::begun;
use super::episode::root_of;
use super::live::{Begun, Body, Live, Shadowing};
use super::machine::Rollout;
use super::plan::{Plan, PlanError};
use super::settle::Found;
use super::shown::{ROLLOUTS_MAX, Shown, bodies, shown};
use super::stage::Stage;
use super::told::{episode, noted, told};
use crate::candidate::{Fit, short};
use crate::error::ReleaseError;
use crate::gate::Step as Far;
use crate::releases::{Releases, bounded};

/// Who begins what nobody began by hand.
pub const BY_ITSELF: &str = "the gateway";

#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    #[error("a rollout is under way: {0}; end it first with `instar rollout abort`")]
    Busy(String),
    #[error("no rollout is under way; `instar rollout start CANDIDATE` begins one")]
    None,
    #[error("there is no stable release to hold a candidate against")]
    NoStable,
    #[error("candidate {0} is not open any more: it is {1}")]
    Settled(String, &'static str),
    #[error(
        "candidate {0} was made from another release than the one that is stable now; make it anew with \
         `instar candidate rebase {0}`"
    )]
    Stale(String),
    #[error(
        "candidate {0} was taken back on evidence ({1}); the same behaviour is not tried again against the same stable release"
    )]
    TakenBack(String, String),
    #[error("the plan: {0}")]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

impl From<instar_store::StoreError> for RolloutError {
    fn from(error: instar_store::StoreError) -> Self {
        Self::Release(error.into())
    }
}

/// Draws what new ids are made of.
pub type Random<'a> = &'a (dyn Fn() -> [u8; 10] + Sync);

/// What a rollout begins with.
#[derive(Clone, Debug)]
pub struct Start {
    /// The candidate, by its id or the beginning of it.
    pub candidate: String,
    pub plan: Plan,
    pub by: String,
    /// Why it begins, where nobody began it by hand.
    pub reason: Option<String>,
}

impl Releases {
    /// Serves a candidate to a share of the new episodes from now on.
    pub async fn start_rollout(
        &self,
        start: Start,
        now: Timestamp,
        coin: [u8; 32],
        random: [u8; 10],
    ) -> Result<Shown, RolloutError> {
        start.plan.check()?;
        let candidate = self.candidate(&start.candidate).await?;
        let short = short(&candidate.id);
        let _one_at_a_time = self.moving_lock().await;
        let taken = self.taken_over(&candidate.id, &start)?;
        if let Some(machine) = taken {
            return self.replan(machine, &start, now, random).await;
        }
        if candidate.state != CandidateState::Open {
            return Err(RolloutError::Settled(short, candidate.state.word()));
        }
        let stable = self.stable().ok_or(RolloutError::NoStable)?;
        if candidate.fit != Fit::Current || candidate.spec.parent != stable.id {
            return Err(RolloutError::Stale(short));
        }
        let earlier = bodies(self.store(), ROLLOUTS_MAX).await?;
        let machine = begun(
            &earlier,
            &candidate.spec.release,
            &stable.id,
            start.plan,
            now,
            &short,
        )?;
        // The watch over the release before it ends with that.
        let watched = self.superseded(now, random)?;
        let (release, mut ops) = self.keep(&candidate, now).await?;
        let row = RolloutRow {
            id: format!(
                "rol_{}",
                EventId::new(now, random)
                    .as_str()
                    .trim_start_matches("evt_")
            ),
            is_open: true,
            coin,
            at: now,
            ended_at: None,
            notes: NoteState::Open,
            body: String::new(),
        };
        let body = Body {
            candidate: candidate.id.clone(),
            release: release.id.clone(),
            stable: stable.id.clone(),
            by: bounded(&start.by),
            machine,
        };
        let live = Live::new(row, body, Arc::new(release));
        ops.extend(watched);
        ops.push(live.stored(&live.body.machine, now)?);
        ops.push(match &start.reason {
            Some(why) => noted(&live, live.stage().name(), &bounded(why), now, random),
            None => told(&live, live.stage(), now, random),
        });
        self.store().commit(ops).await?;
        let shown = shown(&live.row, &live.body, live.waiting());
        *self.live() = Some(live);
        Ok(shown)
    }

    /// The machine under the new plan, where the gateway put this very candidate into its shadow by itself and
    /// its owner begins it now. Any other one that is under way goes first.
    fn taken_over(&self, candidate: &str, start: &Start) -> Result<Option<Rollout>, RolloutError> {
        let live = self.live();
        let Some(live) = live.as_ref().filter(|live| live.before.is_none()) else {
            return Ok(None);
        };
        let is_own = live.body.candidate == candidate
            && live.body.by == BY_ITSELF
            && start.by != BY_ITSELF
            && *live.stage() == Stage::Shadow;
        if !is_own {
            return Err(RolloutError::Busy(live.row.id.clone()));
        }
        Ok(Some(live.body.machine.replanned(start.plan.clone())?))
    }

    async fn replan(
        &self,
        machine: Rollout,
        start: &Start,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Shown, RolloutError> {
        let ops = match self.live().as_mut() {
            Some(live) => {
                live.body.by = bounded(&start.by);
                let why = "its owner began it anew, under a plan of his own";
                let event = noted(live, machine.stage().name(), why, now, random);
                vec![live.stored(&machine, now)?, event]
            }
            None => return Err(RolloutError::None),
        };
        self.store().commit(ops).await?;
        let mut live = self.live();
        let live = live.as_mut().ok_or(RolloutError::None)?;
        live.body.machine = machine;
        Ok(shown(&live.row, &live.body, live.waiting()))
    }

    /// Puts the conversation on an arm, if a rollout is under way, and records that before the turn begins.
    /// A turn whose episode could not be recorded is served the stable release.
    pub async fn begin_turn(
        &self,
        session: &SessionId,
        parent: Option<&SessionKey>,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(), ReleaseError> {
        if self.live().is_none() {
            return Ok(());
        }
        if let Some(parent) = parent
            && !self
                .live()
                .as_ref()
                .is_some_and(|live| live.is_under(session))
            && let Some(root) = root_of(self.store(), parent).await?
            && let Some(live) = self.live().as_mut()
        {
            live.put_under(session.clone(), root);
        }
        self.rescue(session, now, random).await?;
        let begun = {
            let mut live = self.live();
            live.as_mut().and_then(|live| {
                let begun = live.begin_turn(session, now)?;
                Some((episode(live, &begun.unit, None, now, random), begun))
            })
        };
        let Some((event, Begun { before, unit })) = begun else {
            return Ok(());
        };
        let units = before.into_iter().chain([unit.clone()]);
        let ops = units.map(Op::PutUnit).chain([event]).collect();
        let stored = self.store().commit(ops).await;
        if stored.is_err()
            && let Some(live) = self.live().as_mut()
        {
            live.forget(&unit);
        }
        Ok(stored?)
    }

    /// What a turn needs to know to be answered by the candidate as well, where that is the stage.
    #[must_use]
    pub fn shadowing(&self, session: &SessionId) -> Option<Shadowing> {
        self.live().as_ref()?.shadowing(session)
    }

    /// Gives new episodes to stable alone for a while, or goes on.
    pub async fn pause_rollout(
        &self,
        is_paused: bool,
        now: Timestamp,
    ) -> Result<Shown, RolloutError> {
        let _one_at_a_time = self.moving_lock().await;
        let machine = {
            let live = self.live();
            let live = live.as_ref().filter(|live| live.before.is_none());
            let mut machine = live.ok_or(RolloutError::None)?.body.machine.clone();
            machine.pause(is_paused);
            machine
        };
        let stored = self
            .live()
            .as_ref()
            .map(|live| live.stored(&machine, now))
            .transpose()?;
        self.store().commit(stored.into_iter().collect()).await?;
        let mut live = self.live();
        let live = live.as_mut().ok_or(RolloutError::None)?;
        live.body.machine = machine;
        Ok(shown(&live.row, &live.body, live.waiting()))
    }

    /// The owner ends the rollout: for the candidate, or against it. In force with the next turn.
    pub async fn end_rollout(
        &self,
        promote: bool,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<Shown, RolloutError> {
        let _one_at_a_time = self.moving_lock().await;
        let mut machine = self
            .live()
            .as_ref()
            .filter(|live| live.before.is_none())
            .map(|live| live.body.machine.clone())
            .ok_or(RolloutError::None)?;
        let stage = if promote {
            machine.promote().cloned()
        } else {
            machine.abort().cloned()
        };
        let found = Found {
            stages: stage.into_iter().collect(),
            ..Found::default()
        };
        self.store_moves(machine, found, "owner", now, random)
            .await?;
        let last = self.rollouts(1).await?;
        last.into_iter().next().ok_or(RolloutError::None)
    }

    /// The owner lets a candidate go further than it may by itself. Nothing happens where another one, or
    /// none, is under way.
    pub async fn let_rollout_go(
        &self,
        candidate: &str,
        may: Far,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<(), ReleaseError> {
        let _one_at_a_time = self.moving_lock().await;
        let machine = self.live().as_ref().and_then(|live| {
            let is_meant = live.body.candidate == candidate && live.before.is_none();
            is_meant.then(|| live.body.machine.clone())
        });
        let Some(mut machine) = machine else {
            return Ok(());
        };
        let stage = machine.let_go(may).cloned();
        let found = Found {
            stages: stage.into_iter().collect(),
            ..Found::default()
        };
        self.store_moves(machine, found, "owner", now, random).await
    }

    /// Something happened that never happens under a sound release: the candidate is taken back at once.
    /// True if it was the candidate that was served.
    pub async fn violation(
        &self,
        release: &ReleaseId,
        what: &str,
        now: Timestamp,
        random: Random<'_>,
    ) -> Result<bool, ReleaseError> {
        let _one_at_a_time = self.moving_lock().await;
        let machine = self
            .live()
            .as_ref()
            .filter(|live| live.release.id == *release && live.before.is_none())
            .map(|live| live.body.machine.clone());
        let Some(mut machine) = machine else {
            return Ok(false);
        };
        let stage = machine.violated(&bounded(what)).cloned();
        let found = Found {
            stages: stage.into_iter().collect(),
            ..Found::default()
        };
        self.store_moves(machine, found, "the rollout", now, random)
            .await?;
        Ok(true)
    }

    /// What ends a rollout when something else becomes stable. Part of the batch that moves the alias.
    pub(crate) fn superseded(
        &self,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Vec<Op>, ReleaseError> {
        let live = self.live();
        let Some(live) = live.as_ref() else {
            return Ok(Vec::new());
        };
        let mut machine = live.body.machine.clone();
        // The alias's own event of the same moment is named after the same draw.
        let beside = random.map(|byte| !byte);
        let event = if live.before.is_some() {
            machine.end_watch();
            noted(
                live,
                "watched",
                "another release comes after it",
                now,
                beside,
            )
        } else {
            machine.supersede();
            told(live, machine.stage(), now, beside)
        };
        Ok(vec![live.stored(&machine, now)?, event])
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live_cell()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
