//! The supervisor: finds or wakes the owner task of a session and hands it messages.
//!
//! A session is a task only while something happens in it. [`Sessions::submit`] wakes it; it goes to
//! sleep after a while, or earlier when too many are awake. Everything it knows is in the store.

use instar_models::Models;
use instar_protocol::event::{Arm, Event, EventKind, FeedbackVerdict};
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::{Inbound, OutboxState, plain_text};
use instar_protocol::{
    AgentId, Clock, EntryId, EventId, InboundId, Label, OutboxId, ReleaseId, RunId, SessionId,
    SessionKey,
};
use instar_release::{Cohort, Releases};
use instar_store::{Accepted, EventFilter, Op, SessionRow, Store, StoreError};
use instar_tools::Toolbox;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::awake::{Awake, Handle, Opening};
use crate::config::{Config, DropPolicy};
use crate::house::House;
use crate::live::Live;
use crate::owner::{Order, Owner};
use crate::tally::Counts;
use crate::{fence, mask, owner};

/// API callers that each wait on a connection are let in beyond the queue's cap, up to this many.
const CALLERS_WAITING_MAX: usize = 64;
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

#[derive(Debug)]
pub struct Submitted {
    pub inbound: InboundId,
    pub session: SessionId,
    /// Resolves when the message has been answered (or dropped, or failed). It closes without a
    /// value only when the process ends first; the message is then answered after the restart.
    pub outcome: oneshot::Receiver<Arc<Outcome>>,
    /// Live events of the session from before the message was queued.
    pub live: broadcast::Receiver<Arc<LiveEvent>>,
    /// Set if the idempotency key had been seen and that message's run is known.
    pub duplicate: Option<RunId>,
    /// True if the idempotency key had been seen: nothing runs again.
    pub is_duplicate: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("too many messages are waiting in this conversation")]
    QueueFull,
    #[error("there is no agent {0}")]
    UnknownAgent(String),
    #[error(transparent)]
    Store(#[from] StoreError),
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

    /// Puts a new configuration in force from the next turn on. The number of turns that run at
    /// once changes with the next start.
    pub fn reload(&self, config: Config) {
        self.inner.house.reload(config);
    }

    /// Stores the message and queues it. Durable when this returns.
    pub async fn submit(&self, mut inbound: Inbound) -> Result<Submitted, SubmitError> {
        let house = &self.inner.house;
        if house.closing.is_cancelled() {
            return Err(SubmitError::ShuttingDown);
        }
        mask::inbound(house.content_mode(), &mut inbound);
        let agent = self.agent_of(&inbound.session_key)?;
        let handle = self.inner.wake(&inbound.session_key, &agent)?;
        let is_command = owner::command(house, &inbound).is_some();
        self.check_room(&handle, is_command)?;
        let place = handle
            .orders
            .clone()
            .try_reserve_owned()
            .map_err(|_| SubmitError::QueueFull)?;
        let live = handle.live.watch();
        let opening = handle.open(house, &inbound, &agent).await?;
        let event = message_in(house, &inbound, &opening.row);
        let (asker, outcome) = oneshot::channel();
        let mut submitted = Submitted {
            inbound: inbound.id.clone(),
            session: opening.row.id.clone(),
            outcome,
            live,
            duplicate: None,
            is_duplicate: false,
        };
        // Whoever submits may go away at any moment, but once the store has the message its owner
        // must hear of it: the two go together on a task of their own.
        let accepting = accept(Arc::clone(house), handle.live, place, inbound, event, asker);
        let accepted = self.inner.tasks.spawn(accepting).await;
        if let Accepted::Duplicate { id, run, .. } = accepted.map_err(|_| StoreError::Closed)?? {
            submitted.inbound = id;
            submitted.duplicate = run;
            submitted.is_duplicate = true;
        }
        Ok(submitted)
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

    /// Stops the running turn; true if there was one. What had arrived is kept.
    pub async fn stop(&self, key: &SessionKey) -> bool {
        let Some(handle) = self.inner.awake.find(key) else {
            return false;
        };
        let (asker, answer) = oneshot::channel();
        if handle.orders.send(Order::Stop(asker)).await.is_err() {
            return false;
        }
        answer.await.unwrap_or(false)
    }

    /// Makes a session forget what it keeps in memory, after its row was changed in the store
    /// (deleted, restored). A running turn ends first.
    pub async fn refresh(&self, key: &SessionKey) {
        if let Some(handle) = self.inner.awake.find(key) {
            // If the task has ended there is nothing left to forget.
            drop(handle.orders.send(Order::Forget).await);
        }
    }

    /// Moves the end of the conversation back to an entry, for example to before a summary. What
    /// came after it stays stored on a branch of its own.
    pub async fn rewind(&self, session: &SessionId, entry: &EntryId) -> Result<(), RewindError> {
        let store = &self.inner.house.parts.store;
        let row = store.session(session).await?;
        let row = row.ok_or_else(|| RewindError::UnknownSession(session.to_string()))?;
        let found = store.branch(session, Some(entry.clone()), 1).await?;
        if !found
            .iter()
            .any(|found| &found.id == entry && &found.session == session)
        {
            return Err(RewindError::UnknownEntry(entry.clone()));
        }
        let agent = row.agent.clone();
        let handle = self
            .inner
            .wake(&row.key, &agent)
            .map_err(|_| RewindError::Busy)?;
        let (asker, answer) = oneshot::channel();
        let order = Order::Rewind {
            session: session.clone(),
            entry: entry.clone(),
            asker,
        };
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
    pub async fn recover(&self) -> Result<(u64, u64, u64), StoreError> {
        crate::recover::recover(&self.inner).await
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

    fn agent_of(&self, key: &SessionKey) -> Result<AgentId, SubmitError> {
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

    /// A full queue must not keep `/stop` out.
    fn check_room(&self, handle: &Handle, is_command: bool) -> Result<(), SubmitError> {
        let queue = &self.inner.house.settings().config.messages.queue;
        let cap = usize::try_from(queue.cap).unwrap_or(usize::MAX);
        let room = match queue.drop {
            DropPolicy::New if !is_command => cap,
            DropPolicy::New | DropPolicy::Old | DropPolicy::Summarize => {
                cap.saturating_add(CALLERS_WAITING_MAX)
            }
        };
        if handle.waiting() < room {
            Ok(())
        } else {
            Err(SubmitError::QueueFull)
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

impl Handle {
    /// The session that the key points at, or the one that this message opens. A new session takes
    /// its id from the message, so that it has the same id if the message is answered after a
    /// restart.
    pub(crate) async fn open(
        &self,
        house: &House,
        inbound: &Inbound,
        agent: &AgentId,
    ) -> Result<Opening, StoreError> {
        let opening = self
            .opening
            .get_or_try_init(async || {
                let found = house
                    .parts
                    .store
                    .session_by_key(&inbound.session_key)
                    .await?;
                Ok::<_, StoreError>(match found.filter(|row| row.deleted_at.is_none()) {
                    Some(row) => Opening {
                        row,
                        is_stored: true,
                    },
                    None => Opening {
                        row: new_row(house, inbound, agent),
                        is_stored: false,
                    },
                })
            })
            .await?;
        Ok(opening.clone())
    }
}

/// Makes a message durable and hands it to its owner.
async fn accept(
    house: Arc<House>,
    live: Live,
    place: mpsc::OwnedPermit<Order>,
    inbound: Inbound,
    event: Event,
    asker: oneshot::Sender<Arc<Outcome>>,
) -> Result<Accepted, StoreError> {
    let accepted = house.parts.store.accept(&inbound, event).await?;
    match &accepted {
        Accepted::Fresh => {
            live.send(|| LiveEvent::Accepted {
                inbound: inbound.id.clone(),
            });
            let waiting = owner::waiting(&house, inbound, vec![asker]);
            place.send(Order::Message(waiting));
        }
        Accepted::Duplicate { id, .. } => {
            let id = id.clone();
            place.send(Order::Attach { id, asker });
        }
    }
    Ok(accepted)
}

fn new_row(house: &House, inbound: &Inbound, agent: &AgentId) -> SessionRow {
    let id = inbound.id.as_str();
    let tail = id.split_once('_').map_or(id, |(_, tail)| tail);
    let title: String = fence::one_line(plain_text(&inbound.parts).trim());
    let now = house.now();
    SessionRow {
        id: SessionId::from_stored(format!("ses_{tail}")),
        key: inbound.session_key.clone(),
        agent: agent.clone(),
        title: (!title.is_empty()).then(|| title.chars().take(80).collect()),
        created_at: now,
        updated_at: now,
        leaf: None,
        model: None,
        deleted_at: None,
        entries: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_micros: 0,
    }
}

fn message_in(house: &House, inbound: &Inbound, row: &SessionRow) -> Event {
    let text = plain_text(&inbound.parts);
    let session = row.id.clone();
    let served = house
        .parts
        .releases
        .resolve(&row.agent, &Cohort { session });
    Event {
        id: EventId::new(inbound.received_at, house.random()),
        at: inbound.received_at,
        session: Some(row.id.clone()),
        run: None,
        arm: served.as_ref().map_or(Arm::Stable, |served| served.arm),
        release: served.map(|served| served.release.id.clone()),
        label: fence::label_of(&inbound.parts, &inbound.principal),
        kind: EventKind::MessageIn {
            inbound: inbound.id.clone(),
            surface: inbound.surface.clone(),
            bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
            content: house.content(&text),
        },
    }
}
