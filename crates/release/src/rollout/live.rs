//! The rollout that is under way, as turns see it: who has which arm.

use instar_protocol::event::{Arm, Event};
use instar_protocol::memory::NoteState;
use instar_protocol::{AgentId, ReleaseId, SessionId, Timestamp};
use instar_store::{EventFilter, Op, RolloutRow, Store, StoreError, UnitRow};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::episode::{ordinal, unit_name};
use super::machine::Rollout;
use super::outcome::{Corrects, Outcome, outcome};
use super::plan::{EpisodeRules, Plan};
use super::stage::{Part, Stage};
use crate::error::ReleaseError;
use crate::evidence::{self, Coin};
use crate::record::Release;
use crate::releases::Served;

/// A turn that has not ended after this long will not end.
const ABANDONED_MILLIS: u64 = 60 * 60 * 1_000;
/// Events of one conversation that are looked at.
const EVENTS_MAX: usize = 10_000;
/// Units that are read after a restart.
const UNITS_MAX: usize = 10_000;

/// What is stored of a rollout beside its row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) candidate: String,
    pub(crate) release: ReleaseId,
    /// The release that it is held against.
    pub(crate) stable: ReleaseId,
    pub(crate) by: String,
    pub(crate) machine: Rollout,
}

/// One rollout under way.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) row: RolloutRow,
    pub(crate) body: Body,
    pub(crate) release: Arc<Release>,
    /// The release before a promoted one, as long as that is watched.
    pub(crate) before: Option<Arc<Release>>,
    coin: Coin,
    open: HashMap<SessionId, Open>,
    /// Ended, and not yet old enough to be judged.
    closed: Vec<UnitRow>,
    /// The number of the last episode of each conversation.
    ordinals: HashMap<SessionId, u32>,
    /// Conversations that work for others have the arm of those.
    under: HashMap<SessionId, SessionId>,
}

/// What a turn needs to know to be answered by the candidate as well.
#[derive(Clone, Debug)]
pub struct Shadowing {
    pub rollout: String,
    pub unit: String,
    pub release: Arc<Release>,
}

/// An episode that the candidate serves, for whoever looks at what it does there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CanaryEpisode {
    pub unit: String,
    pub session: SessionId,
    pub since: Timestamp,
    /// Its end, once every turn of it has ended.
    pub until: Option<Timestamp>,
}

/// A unit that begins, and the one of the same conversation that is over with that.
pub(crate) struct Begun {
    pub(crate) before: Option<UnitRow>,
    pub(crate) unit: UnitRow,
}

#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) unit: UnitRow,
    last: Timestamp,
    turns: u32,
    /// The candidate failed it too often: it goes on with the stable release.
    is_rescued: bool,
}

impl Live {
    pub(crate) fn new(row: RolloutRow, body: Body, release: Arc<Release>) -> Self {
        Self {
            coin: Coin::new(&row.coin),
            row,
            body,
            release,
            before: None,
            open: HashMap::new(),
            closed: Vec::new(),
            ordinals: HashMap::new(),
            under: HashMap::new(),
        }
    }

    /// Takes up what was recorded before a restart.
    pub(crate) async fn take_up(
        &mut self,
        store: &Store,
        corrects: Corrects,
    ) -> Result<(), ReleaseError> {
        let id = self.row.id.clone();
        for unit in store.units(&id, true, UNITS_MAX).await? {
            self.numbered(&unit);
        }
        for unit in store.units(&id, false, UNITS_MAX).await? {
            self.numbered(&unit);
            if unit.closed_at.is_some() {
                self.closed.push(unit);
                continue;
            }
            let seen = read_outcome(
                store,
                &unit,
                Timestamp::from_millis(u64::MAX),
                self.body.machine.plan(),
                corrects,
            )
            .await?;
            let open = Open {
                last: seen.last.unwrap_or(unit.at),
                turns: seen.turns,
                is_rescued: false,
                unit,
            };
            self.open.insert(open.unit.session.clone(), open);
        }
        Ok(())
    }

    fn numbered(&mut self, unit: &UnitRow) {
        let last = self.ordinals.entry(unit.session.clone()).or_default();
        *last = (*last).max(ordinal(&unit.id));
    }

    /// What a conversation is served, if that is the candidate.
    pub(crate) fn served(
        &self,
        agent: &AgentId,
        session: &SessionId,
        at: Timestamp,
    ) -> Option<Served> {
        let root = self.root(session);
        let arm = match self.open.get(root) {
            Some(open) if open.is_rescued => return None,
            // The turn that fills an episode is still one of it.
            Some(open) if !self.is_silent(open, at) => open.unit.arm,
            // What is no episode, or could not be recorded as one, is served what is stable.
            _ => return None,
        };
        // Under a watch both arms are served a release that is or was stable.
        let (release, arm) = match (&self.before, arm) {
            (None, Arm::Canary) => (&self.release, Arm::Canary),
            (Some(before), Arm::Stable) => (before, Arm::Stable),
            _ => return None,
        };
        let is_there = release.behaviour.agents.contains_key(agent.as_str());
        is_there.then(|| Served {
            release: Arc::clone(release),
            arm,
            // What was promoted is everybody's.
            overlay: self.before.is_none().then(|| self.row.id.clone()),
        })
    }

    /// The unit of a conversation that the candidate serves now.
    pub(crate) fn served_by_it(&self, session: &SessionId) -> Option<UnitRow> {
        let open = self.open.get(self.root(session))?;
        let is_its = self.before.is_none() && open.unit.arm == Arm::Canary && !open.is_rescued;
        is_its.then(|| open.unit.clone())
    }

    /// Its conversation goes on with the stable release.
    pub(crate) fn rescue(&mut self, unit: &UnitRow) {
        if let Some(open) = self.open.get_mut(&unit.session)
            && open.unit.id == unit.id
        {
            open.is_rescued = true;
        }
    }

    /// The unit of a conversation that both arms answer.
    pub(crate) fn shadowing(&self, session: &SessionId) -> Option<Shadowing> {
        let open = self.open.get(session)?;
        (open.unit.arm == Arm::Shadow).then(|| Shadowing {
            rollout: self.row.id.clone(),
            unit: open.unit.id.clone(),
            release: Arc::clone(&self.release),
        })
    }

    /// Counts a turn that begins now; what has to be recorded first, if it is the first one of its unit.
    pub(crate) fn begin_turn(&mut self, session: &SessionId, at: Timestamp) -> Option<Begun> {
        let root = self.root(session).clone();
        if root != *session {
            // The turn of a sub-agent is part of the turn that waits for it: it neither begins an episode nor
            // ends one.
            if let Some(open) = self.open.get_mut(&root) {
                open.last = at;
            }
            return None;
        }
        let mut before = None;
        if let Some(open) = self.open.get(&root) {
            if !self.is_over(open, at) {
                if let Some(open) = self.open.get_mut(&root) {
                    open.turns += 1;
                    open.last = at;
                }
                return None;
            }
            let rules = self.body.machine.plan().episode;
            // The turns of a conversation come one after the other: the last one has ended.
            let end = match open.turns >= rules.turns_max {
                true => at,
                false => open.end(rules, at),
            };
            let unit = UnitRow {
                closed_at: Some(end),
                ..open.unit.clone()
            };
            self.close(unit.clone());
            before = Some(unit);
        }
        let machine = &self.body.machine;
        // What is paid for twice ends where it has said what it can.
        let in_shadow =
            *self.stage() == Stage::Shadow && !machine.is_paused() && machine.awaits().is_none();
        let share = self.body.machine.share();
        if share <= 0.0 && !in_shadow {
            return None;
        }
        let (id, arm) = match self.next_unit(&root) {
            (id, _) if in_shadow => (id, Arm::Shadow),
            unit => unit,
        };
        let unit = UnitRow {
            id,
            rollout: self.row.id.clone(),
            session: root.clone(),
            arm,
            share,
            at,
            closed_at: None,
            settled_at: None,
            bad: None,
        };
        self.numbered(&unit);
        let open = Open {
            unit: unit.clone(),
            last: at,
            turns: 1,
            is_rescued: false,
        };
        self.open.insert(root, open);
        Some(Begun { before, unit })
    }

    /// A unit that could not be recorded has not begun.
    pub(crate) fn forget(&mut self, unit: &UnitRow) {
        self.open.remove(&unit.session);
    }

    pub(crate) fn put_under(&mut self, session: SessionId, root: SessionId) {
        self.under.insert(session, root);
    }

    pub(crate) fn is_under(&self, session: &SessionId) -> bool {
        self.under.contains_key(session)
    }

    /// Episodes that the candidate serves, or served, and that are not judged yet.
    pub(crate) fn canaries(&self) -> Vec<CanaryEpisode> {
        let open = self.open.values().map(|open| &open.unit);
        open.chain(&self.closed)
            .filter(|unit| self.is_looked_at(unit))
            .map(|unit| CanaryEpisode {
                unit: unit.id.clone(),
                session: unit.session.clone(),
                since: unit.at,
                until: unit.closed_at,
            })
            .collect()
    }

    /// What was promoted has been looked at enough.
    fn is_looked_at(&self, unit: &UnitRow) -> bool {
        self.before.is_none() && unit.arm == Arm::Canary
    }

    /// Units that may be over.
    pub(crate) fn due_to_close(&self, now: Timestamp) -> Vec<Open> {
        let due = |open: &&Open| self.is_over(open, now);
        self.open.values().filter(due).cloned().collect()
    }

    /// Units that are old enough to be judged, the one that ended first before the others. The candidate's are among
    /// them once all that it did there was looked at.
    pub(crate) fn due_to_settle(
        &self,
        now: Timestamp,
        looked: &HashSet<String>,
    ) -> Vec<(UnitRow, Part)> {
        let machine = &self.body.machine;
        let ripe = |unit: &UnitRow| {
            if self.is_looked_at(unit) && !looked.contains(&unit.id) {
                return None;
            }
            let age = now.millis().checked_sub(unit.closed_at?.millis())?;
            let part = match unit.arm {
                // A pair is settled as a whole.
                Arm::Shadow => {
                    (age >= machine.plan().episode.maturity_millis).then_some(Part::Rest)
                }
                Arm::Stable | Arm::Canary => machine.due(&unit.id, age),
            };
            part.map(|part| (unit.clone(), part))
        };
        let mut due: Vec<(UnitRow, Part)> = self.closed.iter().filter_map(ripe).collect();
        due.sort_by(|(a, _), (b, _)| (a.closed_at, &a.id).cmp(&(b.closed_at, &b.id)));
        due
    }

    pub(crate) fn close(&mut self, unit: UnitRow) {
        let is_same = |open: &Open| open.unit.id == unit.id;
        if self.open.get(&unit.session).is_some_and(is_same) {
            self.open.remove(&unit.session);
            self.under.retain(|_, root| *root != unit.session);
        }
        if self.closed.iter().all(|one| one.id != unit.id) {
            self.closed.push(unit);
        }
    }

    pub(crate) fn settled(&mut self, units: &[UnitRow], machine: Rollout) {
        self.body.machine = machine;
        self.closed
            .retain(|one| units.iter().all(|settled| settled.id != one.id));
    }

    /// Units that have an arm and are not judged yet.
    pub(crate) fn waiting(&self) -> usize {
        self.open.len() + self.closed.len()
    }

    /// The row with the state of the machine.
    pub(crate) fn stored(&self, machine: &Rollout, now: Timestamp) -> Result<Op, ReleaseError> {
        let body = Body {
            machine: machine.clone(),
            ..self.body.clone()
        };
        let body = serde_json::to_string(&body)
            .map_err(|error| ReleaseError::Canonical(error.to_string()))?;
        // The end of a rollout is its verdict; the watch that may follow keeps it.
        let was_promoted = *self.stage() == Stage::Promoted && machine.stage() == self.stage();
        let ended = self.row.ended_at.filter(|_| was_promoted).unwrap_or(now);
        Ok(Op::PutRollout(RolloutRow {
            is_open: machine.is_live(),
            ended_at: (!machine.is_open()).then_some(ended),
            notes: notes_of(machine),
            body,
            ..self.row.clone()
        }))
    }

    pub(crate) fn stage(&self) -> &Stage {
        self.body.machine.stage()
    }

    fn root<'a>(&'a self, session: &'a SessionId) -> &'a SessionId {
        self.under.get(session).unwrap_or(session)
    }

    fn next_unit(&self, session: &SessionId) -> (String, Arm) {
        let last = self.ordinals.get(session).copied().unwrap_or(0);
        let id = unit_name(&self.row.id, session, last + 1);
        let arm = match self.coin.throw(&id, self.body.machine.share()) {
            evidence::Arm::New => Arm::Canary,
            evidence::Arm::Old => Arm::Stable,
        };
        (id, arm)
    }

    fn is_over(&self, open: &Open, at: Timestamp) -> bool {
        open.turns >= self.body.machine.plan().episode.turns_max || self.is_silent(open, at)
    }

    fn is_silent(&self, open: &Open, at: Timestamp) -> bool {
        let silent = at.millis().saturating_sub(open.last.millis());
        silent >= self.body.machine.plan().episode.idle_millis
    }
}

impl Open {
    /// When an episode that is over came to its end.
    pub(crate) fn end(&self, rules: EpisodeRules, now: Timestamp) -> Timestamp {
        let silence = if self.turns >= rules.turns_max {
            0
        } else {
            rules.idle_millis
        };
        let last = self.last.millis().saturating_add(silence);
        Timestamp::from_millis(last.min(now.millis()))
    }

    /// Whether every turn that began has ended, or will not end any more.
    pub(crate) fn has_ended(&self, seen: &Outcome, now: Timestamp) -> bool {
        let silent = now.millis().saturating_sub(self.last.millis());
        seen.turns >= self.turns || silent >= ABANDONED_MILLIS
    }
}

/// What becomes of what the candidate's turns noted. Every end of a rollout is stored with this, in the batch that
/// moves the alias.
fn notes_of(machine: &Rollout) -> NoteState {
    match machine.stage() {
        Stage::Shadow | Stage::Canary { .. } => NoteState::Open,
        Stage::Promoted => NoteState::Merging,
        Stage::RolledBack { .. } | Stage::Undecided | Stage::Superseded => NoteState::Quarantined,
    }
}

/// What the events of a unit say, of turns up to a moment.
pub(crate) async fn read_outcome(
    store: &Store,
    unit: &UnitRow,
    closed: Timestamp,
    plan: &Plan,
    corrects: Corrects,
) -> Result<Outcome, StoreError> {
    let events: Vec<Event> = store
        .events(EventFilter {
            session: Some(unit.session.clone()),
            since: Some(unit.at),
            limit: EVENTS_MAX,
            ..EventFilter::default()
        })
        .await?;
    Ok(outcome(&events, closed, plan, corrects))
}
