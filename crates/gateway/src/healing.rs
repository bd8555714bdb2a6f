//! Trials of fixes in this house: folded from the event log, and the shares that follow from them. Verdicts
//! are derived here and nowhere else; the lab only proposes what is tried.

mod around;
mod known;
pub(crate) mod model;
mod notes;
mod proposed;
mod recipe;
mod rehearse;
mod restored;
mod risen;
mod shift;
mod thrown;
pub(crate) mod together;
mod waiting;

use instar_agent::TrialsPort;
use instar_protocol::event::Event;
use instar_protocol::fault::Fault;
use instar_protocol::lab::{CASE_FAULTS_MAX, Case, PROPOSED_MAX};
use instar_protocol::{AgentId, EventId, Timestamp};
use instar_release::trial::{
    Changed, Hold, Keeper, Kept, Moved, Point, STATE, Stage, TRIAL, TRIALS_MAX,
};
use instar_release::{ReleaseError, Releases};
use instar_store::{EventFilter, Op, Store, StoreError};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};
use tokio::sync::Mutex;

use crate::app::AppState;

const GENE: &str = "gene";
const KNOWN: &str = "known";
const SPENT: &str = "spent";
/// Events that are read at a time.
const PAGE: usize = 500;
/// Before every event that there is.
const FIRST: &str = "evt_00000000000000000000000000";
/// Agents that one cycle chooses for.
const AGENTS_MAX: usize = 8;
/// Trials that run at the same time.
const RUNNING_MAX: usize = 10;

use around::Around;
use known::control;
pub use known::verdicts;
pub(crate) use notes::waiting as notes_that_wait;
pub use proposed::chosen;
use proposed::evidence;
pub(crate) use proposed::propose;
use recipe::Recipes;
pub use recipe::{FromSkill, GeneAsked, SKILL_GENES, keep_gene};
pub(crate) use rehearse::rehearse;
pub use rehearse::{ROLE as REHEARSAL_ROLE, Rehearsal, Rehearsed, play as play_rehearsal};
pub(crate) use risen::look as look_at_faults;
pub(crate) use shift::{Shift, shifts};
pub(crate) use thrown::thrown;
use waiting::Waiting;

/// The shares in force. The fold itself is taken up from the store when there is something to fold.
#[derive(Debug, Default)]
pub struct Healing {
    shares: RwLock<BTreeMap<String, u16>>,
    folding: Mutex<()>,
}

impl TrialsPort for Healing {
    fn share_permille(&self, experiment: &str) -> Option<u16> {
        let shares = self.shares.read().unwrap_or_else(PoisonError::into_inner);
        shares.get(experiment).copied()
    }
}

/// A trial as people see it.
#[derive(Clone, Debug, Serialize)]
pub struct TrialView {
    pub experiment: String,
    pub fault: String,
    pub mitigation: String,
    pub begun: Timestamp,
    #[serde(flatten)]
    pub stage: Stage,
    /// The share of new units that have the fix now.
    pub share: f64,
    pub treated: (u64, f64),
    /// Without a coin: what was counted before the change.
    pub control: (u64, f64),
    /// The time before against the time after. It can be supported, and never proven.
    pub without_coin: bool,
    /// The evidence of such a one.
    pub evidence_supported: f64,
    pub evidence_proven: f64,
    pub evidence_failed: f64,
    pub evidence_harmful: f64,
    /// What the evidence has to reach.
    pub bound: f64,
    /// What the popular rule says.
    pub classic: Option<&'static str>,
    pub decided_after: Option<u64>,
    pub waiting: usize,
    /// Units of whose end nothing is known, in both arms: they are counted as bad.
    pub unknown: u64,
    /// Why nothing may be proven of it now: too many of them, or more on one arm.
    pub held: Option<Hold>,
    /// The first is 1; each change of the environment begins another, at half the level.
    pub chapter: u32,
    /// Its exposures were made up. They are counted apart, and prove nothing.
    pub synthetic: bool,
    /// Its fix is in the release in service, or in the one that is let out.
    pub served: bool,
    /// What changed so that it was opened again.
    pub changes: Vec<Changed>,
    /// The evidence over the units, thinned, for whoever draws it.
    pub curve: Vec<Point>,
}

#[derive(Debug, thiserror::Error)]
pub enum HealingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

async fn keeper(store: &Store) -> Result<Keeper, HealingError> {
    let trials = store.healing(TRIAL).await?;
    Ok(Keeper::open(trials, store.healing(STATE).await?)?)
}

impl Healing {
    /// Takes up the shares of the last run, before the first turn.
    pub(crate) async fn open(store: &Store) -> Result<Self, HealingError> {
        let healing = Self::default();
        healing.share(&keeper(store).await?);
        Ok(healing)
    }

    fn share(&self, keeper: &Keeper) {
        let share = |kept: &Kept| {
            let permille = keeper.share_permille(&kept.experiment)?;
            Some((kept.experiment.clone(), permille))
        };
        let shares = keeper.trials().filter_map(share).collect();
        *self.shares.write().unwrap_or_else(PoisonError::into_inner) = shares;
    }
}

/// Folds what happened since the last time. Returns the stages that were entered.
pub async fn fold(app: &AppState) -> Result<Vec<Moved>, HealingError> {
    let _one_at_a_time = app.healing.folding.lock().await;
    let mut keeper = keeper(&app.store).await?;
    let mut moved = Vec::new();
    loop {
        let after = keeper.cursor().cloned();
        let events = page(&app.store, after).await?;
        for event in &events {
            moved.extend(keeper.take(event));
        }
        if events.len() < PAGE {
            break;
        }
    }
    let now = app.clock.now();
    moved.extend(keeper.settle(now));
    moved.extend(around::look(app, &mut keeper, now));
    for experiment in keeper.refused() {
        tracing::error!(
            experiment,
            most = TRIALS_MAX,
            "a trial is not taken up: there are too many. End some, or take their fixes out"
        );
    }
    let ops = shift::look(app, &mut keeper, now).await?;
    keep(app, &mut keeper, &moved, ops, now).await?;
    around::take_out(app, &keeper, now).await?;
    Ok(moved)
}

/// Stores where the trials stand, and what is remembered of those that moved.
async fn keep(
    app: &AppState,
    keeper: &mut Keeper,
    moved: &[Moved],
    mut ops: Vec<Op>,
    now: Timestamp,
) -> Result<(), HealingError> {
    ops.extend(keeper.ops(now)?);
    if !moved.is_empty() {
        let before = app.store.healing(KNOWN).await?;
        let faults = app.store.faults().await?;
        let around = Around::of(app);
        let remembered = |one| {
            let around = around.as_ref()?;
            known::known(around, keeper, (&before, &faults), one, now)
        };
        ops.extend(moved.iter().filter_map(remembered));
    }
    app.store.commit(ops).await?;
    app.healing.share(keeper);
    for one in moved {
        tracing::info!(experiment = one.experiment, stage = ?one.stage, "a trial of a fix moved");
    }
    Ok(())
}

async fn page(store: &Store, after: Option<EventId>) -> Result<Vec<Event>, StoreError> {
    let filter = EventFilter {
        after: after.or_else(|| Some(EventId::from_stored(FIRST.to_owned()))),
        limit: PAGE,
        ..EventFilter::default()
    };
    store.events(filter).await
}

/// True if something is on trial in the release in service, or was moved because of a fault.
pub(crate) async fn has_trials(app: &AppState) -> bool {
    let is_mitigated = app.releases.stable().is_some_and(|stable| {
        let mut agents = stable.behaviour.agents.values();
        agents.any(|agent| agent.mitigations.iter().any(|one| one.trial.is_some()))
    });
    is_mitigated || shifts(&app.store).await.is_ok_and(|all| !all.is_empty())
}

/// The trials, the newest first.
pub async fn trials(store: &Store) -> Result<Vec<TrialView>, HealingError> {
    let keeper = keeper(store).await?;
    let mut views: Vec<TrialView> = keeper.trials().map(view).collect();
    views.sort_by_key(|view| std::cmp::Reverse(view.begun));
    Ok(views)
}

fn view(kept: &Kept) -> TrialView {
    let trial = &kept.trial;
    TrialView {
        experiment: kept.experiment.clone(),
        fault: kept.fault.clone(),
        mitigation: kept.mitigation.clone(),
        begun: kept.begun,
        stage: trial.stage().clone(),
        share: trial.share(),
        treated: (trial.treated().units, trial.treated().bad),
        control: control(kept),
        without_coin: trial.before().is_some(),
        evidence_supported: trial.evidence_supported(),
        evidence_proven: trial.evidence_proven(),
        evidence_failed: trial.evidence_failed(),
        evidence_harmful: trial.evidence_harmful(),
        bound: trial.bound(),
        classic: trial.classic().label(),
        decided_after: trial.decided_after(),
        waiting: kept.waiting(),
        unknown: trial.treated().unknown + trial.control().unknown,
        held: trial.hold(),
        chapter: trial.chapter(),
        synthetic: trial.plan().synthetic,
        served: kept.is_served(),
        changes: kept.changes.clone(),
        curve: trial.curve().points().to_vec(),
    }
}

/// What a choice is made from: the same for the lab and for whoever asks why.
pub async fn case(store: &Store, releases: &Releases, agent: &str) -> Result<Case, HealingError> {
    let mut faults: Vec<Fault> = Vec::new();
    for row in store.faults().await? {
        if row.into.is_none() && !row.is_muted && faults.len() < CASE_FAULTS_MAX {
            faults.push(row.fault);
        }
    }
    let beats = shift::beats(store, agent).await?;
    let behaviour = releases.stable().map(|stable| stable.behaviour.clone());
    let behaviour = behaviour.unwrap_or_default();
    let recipes = Recipes::of(&store.healing(GENE).await?, agent, &behaviour);
    let reads = restored::reads(store, releases, agent).await?;
    Ok(Case {
        agent: agent.to_owned(),
        behaviour: serde_json::to_value(behaviour).unwrap_or_default(),
        faults,
        genes: recipes.genes,
        banned: recipes.banned,
        brought: recipes.brought,
        known: verdicts(store).await?,
        beats,
        reads,
        notes: notes::open(store, agent).await?,
        environments: BTreeMap::new(),
        waiting: BTreeSet::new(),
        foreign: crate::lab::heard(store).await?,
        strategy: String::new(),
        spent: spent(store).await?,
        seed: 0,
        most: PROPOSED_MAX,
    })
}

/// What was spent on what, as the lab said it the last time.
pub(crate) async fn spent(store: &Store) -> Result<Value, HealingError> {
    let state = store.healing(STATE).await?;
    let row = state.iter().find(|row| row.id == SPENT);
    let spent = row.and_then(|row| serde_json::from_str(&row.body).ok());
    Ok(spent.unwrap_or_default())
}

/// The same, with what there is now around the faults.
pub(crate) async fn case_here(app: &AppState, agent: &str) -> Result<Case, HealingError> {
    let mut case = case(&app.store, &app.releases, agent).await?;
    if let Some(around) = Around::of(app) {
        let (world, faults) = (around.world(), case.faults.iter());
        let place = |fault: &Fault| (fault.place.clone(), world.class(agent, &fault.place));
        case.environments = faults.map(place).collect();
    }
    Ok(case)
}

/// How many fixes a cycle of the lab may propose for all agents together, and its cases, one for each agent
/// that has open faults; none where there is no room for a trial.
pub(crate) async fn of_cycle(app: &AppState) -> Result<(usize, Vec<Case>), HealingError> {
    // What the environment changed may be tried again.
    fold(app).await?;
    let waiting = Waiting::look(app).await?;
    // All agents and cycles together: what waits counts as what is on trial.
    let room = room(&trials(&app.store).await?).saturating_sub(waiting.count);
    let stable = app.releases.stable();
    let agents = stable.iter().flat_map(|one| one.behaviour.agents.keys());
    let mut cases = Vec::new();
    for agent in agents.take(AGENTS_MAX).filter(|_| room > 0) {
        let mut case = case_here(app, agent).await?;
        case.faults.retain(|fault| is_of(fault, agent));
        if case.faults.is_empty() {
            continue;
        }
        let held = case
            .faults
            .iter()
            .filter(|fault| waiting.holds(agent, fault));
        case.waiting = held.map(|fault| fault.id.clone()).collect();
        case.most = case.most.min(room);
        case.strategy = (app.env)("EVOLVE_STRATEGY").unwrap_or_else(|| "balanced".to_owned());
        let mut seed = [0; 8];
        seed.copy_from_slice(&app.random()[..8]);
        case.seed = u64::from_le_bytes(seed);
        cases.push(case);
    }
    Ok((room, cases))
}

/// Whether an agent met a fault. What was counted before that was told is the main agent's.
fn is_of(fault: &Fault, agent: &str) -> bool {
    let is_main = AgentId::main().as_str() == agent;
    let mut agents = fault.agents.keys();
    (is_main && fault.agents.is_empty()) || agents.any(|one| one.as_str() == agent)
}

/// How many trials may be begun. One whose fix left the release takes no room.
fn room(trials: &[TrialView]) -> usize {
    let is_on = |one: &&TrialView| {
        one.stage == Stage::Running && !one.synthetic && !one.without_coin && one.served
    };
    RUNNING_MAX.saturating_sub(trials.iter().filter(is_on).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    use instar_protocol::event::EventKind;
    use instar_release::Behaviour;
    use instar_release::trial::World;

    fn exposure(number: usize) -> Event {
        Event::of_house(
            EventId::from_stored(format!("evt_{number:04}")),
            Timestamp::from_millis(1),
            EventKind::Exposure {
                fault: "f1".to_owned(),
                mitigation: format!("fix-{number}"),
                experiment: format!("fix/main/fix-{number}/1"),
                unit: "run_1".to_owned(),
                with_fix: true,
                share_permille: 500,
            },
        )
    }

    #[test]
    fn a_fault_is_a_matter_of_the_agents_that_met_it() {
        let at = Timestamp::from_millis(1);
        let kind = instar_protocol::fault::SignalKind::Network;
        let mut fault = Fault::new("flt_1".to_owned(), kind, "turn".to_owned(), at);
        assert!(is_of(&fault, "main") && !is_of(&fault, "other"));
        let other = AgentId::parse("other").unwrap();
        fault.agents.insert(other, 3);
        assert!(!is_of(&fault, "main") && is_of(&fault, "other"));
    }

    #[test]
    fn fixes_that_left_the_release_take_no_room_for_trials() {
        let mut keeper = Keeper::default();
        for number in 0..RUNNING_MAX {
            let _moved = keeper.take(&exposure(number));
        }
        let room = |keeper: &Keeper| super::room(&keeper.trials().map(view).collect::<Vec<_>>());
        assert_eq!(room(&keeper), 0);
        let nothing = Behaviour::default();
        let world = World {
            behaviour: &nothing,
            let_out: None,
            schemas: &BTreeMap::new(),
            program: "1",
        };
        let _moved = keeper.look_around(&world, Timestamp::from_millis(2));
        assert_eq!(room(&keeper), RUNNING_MAX);
    }
}
