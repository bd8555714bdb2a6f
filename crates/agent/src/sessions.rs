//! The supervisor: finds or wakes the owner task of a session and hands it messages.
//!
//! A session is a task only while something happens in it. [`Sessions::submit`] wakes it; it goes to
//! sleep after a while, or earlier when too many are awake. Everything it knows is in the store.

use instar_models::Models;
use instar_protocol::event::{Arm, Event, EventKind, FeedbackVerdict};
use instar_protocol::live::LiveEvent;
use instar_protocol::message::{EntryBody, OutboxState};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::{
    AgentId, Clock, EntryId, EventId, Label, OutboxId, ReleaseId, RunId, SessionId, SessionKey,
    Standing,
};
use instar_release::Releases;
use instar_store::{EventFilter, Op, Store, StoreError};
use instar_tools::Toolbox;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot};
use tokio_util::task::TaskTracker;

use crate::asking::Asking;
use crate::awake::{Awake, Handle};
use crate::config::Config;
use crate::house::House;
use crate::letters::Letters;
use crate::live::Seen;
use crate::owner::{Goal, Order, Owner};
use crate::place;
use crate::submit::SubmitError;
use crate::tally::Counts;

/// Stands where the model of words would be named that no model said.
const INJECTED: &str = "instar/injected";
/// Turns of a conversation that are looked through for the one that got feedback.
const TURNS_LOOKED_AT: usize = 1_000;
/// After the grace period: how long tasks that were cut may take to write down where they were.
const CUT_GRACE: Duration = Duration::from_secs(5);

/// What sessions need from the house.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Store,
    pub models: Models,
    pub releases: Releases,
    pub tools: Arc<Toolbox>,
    pub clock: Arc<dyn Clock>,
}

/// The conversations of this gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) house: Arc<House>,
    pub(crate) awake: Awake,
    pub(crate) tasks: TaskTracker,
}

/// Why a session could not be wound back.
#[derive(Debug, thiserror::Error)]
pub enum RewindError {
    #[error("there is no session {0}")]
    UnknownSession(String),
    #[error("entry {0} is not in this session")]
    UnknownEntry(EntryId),
    #[error("the session is busy: stop it first")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Sessions {
    /// Starts the supervisor. Nothing runs before a message comes or [`Sessions::recover`] is called.
    #[must_use]
    pub fn start(parts: Parts, config: Config) -> Self {
        Self {
            inner: Arc::new(Inner {
                house: Arc::new(House::new(parts, config)),
                awake: Awake::default(),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// Lets whoever derives the verdicts of trials say how many have a fix now, and what coins said before.
    pub fn judge_trials(&self, port: Arc<dyn crate::TrialsPort>, thrown: crate::Thrown) {
        self.inner.house.mends.connect(port, thrown);
    }

    /// Lets whoever knows what the owner asks of answers look at those of two releases.
    pub fn judge_answers(&self, port: Arc<dyn crate::AnswersPort>) {
        self.inner.house.judges.connect(port);
    }

    /// Puts a new configuration in force from the next turn on. The number of turns that run at
    /// once changes with the next start.
    pub fn reload(&self, config: Config) {
        self.inner.house.reload(config);
    }

    /// Live events of a session, if it is awake now or wakes later.
    pub async fn watch(
        &self,
        key: &SessionKey,
    ) -> Result<broadcast::Receiver<Arc<LiveEvent>>, SubmitError> {
        self.agent_of(key)?;
        let live = self.inner.awake.live(key).ok_or(SubmitError::QueueFull)?;
        Ok(live.watch())
    }

    /// Live events of all sessions, from now on.
    #[must_use]
    pub fn watch_all(&self) -> broadcast::Receiver<Seen> {
        self.inner.awake.tap.watch()
    }

    /// The letters to the owner.
    #[must_use]
    pub fn letters(&self) -> &Letters {
        &self.inner.house.letters
    }

    /// The questions to the owner.
    #[must_use]
    pub fn asking(&self) -> &Asking {
        &self.inner.house.asking
    }

    /// Stops the running turn, and those of everybody who works for this conversation; true if there
    /// was one. What had arrived is kept.
    pub async fn stop(&self, key: &SessionKey) -> bool {
        let children = self.inner.stop_children(key);
        self.end_calls(key);
        let Some(handle) = self.inner.awake.find(key) else {
            return children;
        };
        let (asker, answer) = oneshot::channel();
        if handle.orders.send(Order::Stop(asker)).await.is_err() {
            return children;
        }
        answer.await.unwrap_or(false) || children
    }

    /// Ends what calls of a conversation left running.
    fn end_calls(&self, key: &SessionKey) {
        self.inner.house.parts.tools.over(key);
    }

    /// Makes a session forget what it keeps in memory, after its row was changed in the store
    /// (deleted, restored). A running turn ends first.
    pub async fn refresh(&self, key: &SessionKey) {
        self.end_calls(key);
        if let Some(handle) = self.inner.awake.find(key) {
            // If the task has ended there is nothing left to forget.
            drop(handle.orders.send(Order::Forget).await);
        }
    }

    /// Moves the end of the conversation back to an entry, for example to before a summary, or to
    /// its root. What came after it stays stored on a branch of its own. False if it was there.
    pub async fn rewind(
        &self,
        session: &SessionId,
        to: Option<&EntryId>,
    ) -> Result<bool, RewindError> {
        self.move_to(session, Goal::At(to.cloned())).await
    }

    /// Goes over to the newest branch through an entry. False if the conversation is there already.
    pub async fn switch(&self, session: &SessionId, entry: &EntryId) -> Result<bool, RewindError> {
        self.move_to(session, Goal::EndOf(entry.clone())).await
    }

    async fn move_to(&self, session: &SessionId, to: Goal) -> Result<bool, RewindError> {
        let store = &self.inner.house.parts.store;
        let row = store.session(session).await?;
        let row = row.ok_or_else(|| RewindError::UnknownSession(session.to_string()))?;
        if let Goal::At(Some(entry)) | Goal::EndOf(entry) = &to
            && place::entry(store, session, entry).await?.is_none()
        {
            return Err(RewindError::UnknownEntry(entry.clone()));
        }
        let agent = row.agent.clone();
        let handle = self
            .inner
            .wake(&row.key, &agent)
            .map_err(|_| RewindError::Busy)?;
        let (asker, answer) = oneshot::channel();
        let session = session.clone();
        let order = Order::Move { session, to, asker };
        handle
            .orders
            .send(order)
            .await
            .map_err(|_| RewindError::Busy)?;
        answer.await.unwrap_or(Err(RewindError::Busy))
    }

    /// Begins a new history window: the model no longer sees what was said before.
    pub async fn start_over(&self, key: &SessionKey, reason: &str) -> Result<EntryId, RewindError> {
        self.end_calls(key);
        let reason = reason.to_owned();
        self.append(key, EntryBody::Reset { reason }, Label::system())
            .await
    }

    /// Changes the model of a conversation; `None` goes back to the agent's own.
    pub async fn choose_model(
        &self,
        key: &SessionKey,
        model: Option<ModelRef>,
    ) -> Result<EntryId, RewindError> {
        self.append(key, EntryBody::ModelChange { model }, Label::owner())
            .await
    }

    /// Puts words of the owner's into the agent's mouth, without asking a model.
    pub async fn inject(&self, key: &SessionKey, text: &str) -> Result<EntryId, RewindError> {
        let Some(model) = ModelRef::parse(INJECTED) else {
            return Err(RewindError::Busy);
        };
        let body = EntryBody::Assistant {
            text: text.to_owned(),
            tool_calls: Vec::new(),
            reasoning: None,
            model,
            usage: Usage::default(),
            cost_micros: 0,
            stop: StopReason::Stop,
        };
        self.append(key, body, Label::owner()).await
    }

    async fn append(
        &self,
        key: &SessionKey,
        body: EntryBody,
        label: Label,
    ) -> Result<EntryId, RewindError> {
        let agent = self
            .agent_of(key)
            .map_err(|error| RewindError::UnknownSession(error.to_string()))?;
        let handle = self
            .inner
            .wake(key, &agent)
            .map_err(|_| RewindError::Busy)?;
        let (asker, answer) = oneshot::channel();
        let body = Box::new(body);
        let order = Order::Append { body, label, asker };
        handle
            .orders
            .send(order)
            .await
            .map_err(|_| RewindError::Busy)?;
        answer.await.unwrap_or(Err(RewindError::Busy))
    }

    /// Notes whether a reply over a connection reached its reader. It waits for no flush: should
    /// the note be lost, the reply counts as uncertain at the next start.
    pub fn delivered(&self, outbox: &OutboxId, arrived: bool) -> Result<(), StoreError> {
        let house = &self.inner.house;
        let state = if arrived {
            OutboxState::Sent
        } else {
            OutboxState::Failed
        };
        house.parts.store.enqueue(vec![Op::SettleOutbox {
            id: outbox.clone(),
            state,
            at: house.now(),
        }])
    }

    /// Stores what a person thought of an answer. False if there is no such run.
    pub async fn feedback(
        &self,
        run: &RunId,
        verdict: FeedbackVerdict,
        comment: Option<&str>,
    ) -> Result<bool, StoreError> {
        let house = &self.inner.house;
        let entries = house.parts.store.entries_of_run(run).await?;
        let Some(entry) = entries.last() else {
            return Ok(false);
        };
        let (release, arm) = self.served(run, &entry.session).await?;
        let at = house.now();
        let event = Event {
            id: EventId::new(at, house.random()),
            at,
            session: Some(entry.session.clone()),
            run: Some(run.clone()),
            asker: Some(Standing::Owner),
            release,
            arm,
            label: Label::owner(),
            kind: EventKind::Feedback {
                run: run.clone(),
                verdict,
                content: comment.and_then(|comment| house.content(comment)),
            },
        };
        house
            .parts
            .store
            .commit(vec![Op::AppendEvent(event)])
            .await?;
        Ok(true)
    }

    /// The release that served a run, by its own event; unknown once that is gone.
    async fn served(
        &self,
        run: &RunId,
        session: &SessionId,
    ) -> Result<(Option<ReleaseId>, Arm), StoreError> {
        let filter = EventFilter {
            kind: Some("turn".to_owned()),
            session: Some(session.clone()),
            limit: TURNS_LOOKED_AT,
            ..EventFilter::default()
        };
        let turns = self.inner.house.parts.store.events(filter).await?;
        let turn = turns
            .into_iter()
            .find(|turn| turn.run.as_ref() == Some(run));
        Ok(turn.map_or((None, Arm::Stable), |turn| (turn.release, turn.arm)))
    }

    /// Turns that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.house.running.load(Ordering::Relaxed)
    }

    /// True if a turn runs in this session.
    #[must_use]
    pub fn is_running(&self, key: &SessionKey) -> bool {
        self.inner
            .awake
            .find(key)
            .is_some_and(|handle| handle.is_running())
    }

    /// Sessions that are awake.
    #[must_use]
    pub fn awake(&self) -> usize {
        self.inner.awake.len()
    }

    /// Messages that wait for a turn.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.awake.waiting()
    }

    /// How turns and model calls ended since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.house.tally.counts()
    }

    /// Settles what a crash left: resumes, marks interrupted or uncertain. Returns the three counts.
    ///
    /// From here on, calls that the owner approves when no turn waits for them are made, too.
    pub async fn recover(&self) -> Result<(u64, u64, u64), StoreError> {
        let settled = crate::recover::recover(&self.inner).await?;
        self.inner.tasks.spawn(self.clone().make_late_calls());
        self.inner.tasks.spawn(self.clone().deliver_answers());
        self.inner.tasks.spawn(self.clone().keep_beating());
        Ok(settled)
    }

    /// Lets turns reach a safe point within the grace period, then cuts them.
    ///
    /// No turn begins any more. What waits stays pending in the store. A turn that is cut is stored
    /// as interrupted if its sender waits on a connection or if a part of it is stored already;
    /// else its message stays pending too, and the next start answers it.
    pub async fn shutdown(&self, grace: Duration) {
        let Inner { house, tasks, .. } = &*self.inner;
        house.closing.cancel();
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            house.cut.cancel();
            if tokio::time::timeout(CUT_GRACE, tasks.wait()).await.is_err() {
                tracing::error!("some conversations did not end in time");
            }
        }
    }

    pub(crate) fn agent_of(&self, key: &SessionKey) -> Result<AgentId, SubmitError> {
        let settings = self.inner.house.settings();
        let agent = key
            .agent()
            .unwrap_or_else(|| settings.config.default_agent());
        if settings.config.has_agent(&agent) {
            Ok(agent)
        } else {
            Err(SubmitError::UnknownAgent(agent.to_string()))
        }
    }
}

impl Inner {
    /// The owner task of a session, woken if it sleeps.
    pub(crate) fn wake(
        self: &Arc<Self>,
        key: &SessionKey,
        agent: &AgentId,
    ) -> Result<Handle, SubmitError> {
        self.awake
            .find_or_wake(key, |handle, orders| {
                let owner =
                    Owner::new(Arc::clone(self), key.clone(), agent.clone(), handle, orders);
                self.tasks.spawn(owner.run());
            })
            .ok_or(SubmitError::QueueFull)
    }
}
