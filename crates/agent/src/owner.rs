//! The owner task of one session: the only one that runs its turns and moves its leaf.
//!
//! It loads the session when the first order comes, keeps the model's window in memory, and ends
//! when nothing happened for a while. Orders are taken while a turn runs, too: that is how a turn is
//! stopped or steered (see `running`).

mod running;
mod settling;

use futures_util::FutureExt;
use instar_protocol::event::{ErrorClass, EventKind};
use instar_protocol::live::Outcome;
use instar_protocol::message::{EntryBody, Inbound, NoticeKind};
use instar_protocol::{AgentId, EntryId, InboundId, Label, SessionId, SessionKey};
use instar_store::{Op, StoreError};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::awake::{Handle, Sign};
use crate::commands::{self, Command};
use crate::history;
use crate::house::House;
use crate::live::Live;
use crate::queue::{self, Next, Queue, Waiting};
use crate::recall;
use crate::record::Record;
use crate::sessions::{Inner, RewindError};
use crate::window::Window;
use settling::Retry;

/// How long a session stays in memory after its last turn.
const IDLE: Duration = Duration::from_secs(30);
/// What an owner task can be asked for.
#[derive(Debug)]
pub(crate) enum Order {
    /// A message that is stored.
    Message(Waiting),
    /// Somebody asks for the outcome of a message that was sent before.
    Attach {
        id: InboundId,
        asker: oneshot::Sender<Arc<Outcome>>,
    },
    Stop(oneshot::Sender<bool>),
    /// Settles a message, or a fact, that a crash left behind, without running anything.
    Settle(Box<Leftover>),
    /// Lets the session go on at another place of its transcript. True if that is a change.
    Move {
        session: SessionId,
        to: Goal,
        asker: oneshot::Sender<Result<bool, RewindError>>,
    },
    /// An entry that no turn made.
    Append {
        body: Box<EntryBody>,
        label: Label,
        asker: oneshot::Sender<Result<EntryId, RewindError>>,
    },
    /// The session's row was changed in the store.
    Forget,
    /// Room is wanted for another session.
    Sleep,
}

/// A place of a transcript to go on at.
#[derive(Debug)]
pub(crate) enum Goal {
    /// This very entry, or the root.
    At(Option<EntryId>),
    /// The end of the newest branch through this entry.
    EndOf(EntryId),
}

/// Something that a crash left behind.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// A message whose words are not in the transcript yet.
    pub(crate) inbound: Option<Arc<Inbound>>,
    pub(crate) kind: NoticeKind,
    pub(crate) text: String,
    pub(crate) ops: Vec<Op>,
    pub(crate) done: oneshot::Sender<Result<(), StoreError>>,
}

/// What is known of the session while it is awake.
#[derive(Debug)]
struct Loaded {
    record: Record,
    window: Window,
}

#[derive(Debug)]
pub(crate) struct Owner {
    inner: Arc<Inner>,
    house: Arc<House>,
    key: SessionKey,
    agent: AgentId,
    live: Live,
    sign: Sign,
    handle: HandleParts,
    inbox: mpsc::Receiver<Order>,
    queue: Queue,
    loaded: Option<Loaded>,
    /// The end of a turn that the store has not taken yet. Nothing else runs before it did.
    unsaved: Option<Retry>,
    /// What a crash left, for after the running turn.
    leftovers: Vec<Leftover>,
    wants_sleep: bool,
    /// The session was changed behind this task's back: once nothing waits, it makes room for a
    /// new one.
    is_stale: bool,
    /// True once the session was read; what the handle knows of it may be old then.
    was_loaded: bool,
}

/// The part of the handle that does not keep the inbox open.
#[derive(Debug)]
struct HandleParts {
    opening: Arc<tokio::sync::OnceCell<crate::awake::Opening>>,
}

pub(crate) fn waiting(
    house: &House,
    inbound: Inbound,
    askers: Vec<oneshot::Sender<Arc<Outcome>>>,
) -> Waiting {
    Waiting {
        command: command(house, &inbound),
        inbound: Arc::new(inbound),
        answered: None,
        askers,
        kept: None,
    }
}

/// The command that a message is. An API caller's text is never one, nor is what a model wrote.
pub(crate) fn command(house: &House, inbound: &Inbound) -> Option<Command> {
    let reads_commands = house.settings().config.commands.text
        && inbound.surface != "openai"
        && inbound.overrides.errand.is_none()
        && inbound.overrides.answers.is_none()
        && inbound.overrides.place.is_none();
    if reads_commands {
        commands::parse(inbound)
    } else {
        None
    }
}

impl Owner {
    pub(crate) fn new(
        inner: Arc<Inner>,
        key: SessionKey,
        agent: AgentId,
        handle: &Handle,
        inbox: mpsc::Receiver<Order>,
    ) -> Self {
        Self {
            house: Arc::clone(&inner.house),
            inner,
            key,
            agent,
            live: handle.live.clone(),
            sign: handle.sign(),
            handle: HandleParts {
                opening: Arc::clone(&handle.opening),
            },
            inbox,
            queue: Queue::default(),
            loaded: None,
            unsaved: None,
            leftovers: Vec::new(),
            wants_sleep: false,
            is_stale: false,
            was_loaded: false,
        }
    }

    /// Runs until the session goes to sleep or the process ends. A panic ends this session's task
    /// alone; its askers see their channel close, and its messages stay pending.
    pub(crate) async fn run(self) {
        let (inner, key, sign) = (Arc::clone(&self.inner), self.key.clone(), self.sign.clone());
        if AssertUnwindSafe(self.work()).catch_unwind().await.is_err() {
            tracing::error!(%key, "the task of a conversation panicked");
            inner.house.note(EventKind::Error {
                class: ErrorClass::Internal,
                content: None,
            });
        }
        inner.awake.remove(&key, &sign);
    }

    async fn work(mut self) {
        loop {
            self.sign.queued(self.queue.len());
            if self.house.closing.is_cancelled() {
                return;
            }
            let settings = self.house.settings();
            let config = &settings.config.messages.queue;
            let next = if self.unsaved.is_some() {
                Next::Nothing
            } else {
                self.queue.next(config, self.house.now())
            };
            match next {
                Next::Turn { batch, preface } => self.turn(batch, preface).await,
                Next::Command(waiting) => self.command(waiting).await,
                Next::After(pause) => self.pause(pause).await,
                Next::Nothing => {
                    if self.rest().await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for more messages.
    async fn pause(&mut self, pause: Duration) {
        let closing = self.house.closing.clone();
        tokio::select! {
            () = closing.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            Some(order) = self.inbox.recv() => self.take(order).await,
        }
    }

    /// Waits for something to do. True if the task should end.
    async fn rest(&mut self) -> bool {
        let closing = self.house.closing.clone();
        let retry_at = self.unsaved.as_ref().map(|retry| retry.at);
        let idle = self.unsaved.is_none() && self.queue.is_empty();
        if idle && self.is_stale {
            // Others find no task and start one; orders that are on their way still come here.
            self.inner.awake.remove(&self.key, &self.sign);
            self.loaded = None;
        }
        if idle && self.inbox.is_closed() && self.inbox.is_empty() {
            return true;
        }
        if idle && self.wants_sleep && self.inner.awake.retire(&self.key, &self.inbox) {
            return true;
        }
        tokio::select! {
            biased;
            () = closing.cancelled() => return true,
            order = self.inbox.recv(), if !(self.inbox.is_closed() && self.inbox.is_empty()) => {
                if let Some(order) = order {
                    self.take(order).await;
                }
            }
            () = sleep_until(retry_at) => self.retry().await,
            () = tokio::time::sleep(IDLE), if idle => self.wants_sleep = true,
        }
        false
    }

    /// Takes an order while no turn runs.
    async fn take(&mut self, order: Order) {
        // Whoever sends orders uses the session: only an explicit wish or a pause lets it sleep.
        self.wants_sleep = matches!(order, Order::Sleep);
        match order {
            Order::Message(waiting) => self.enqueue(waiting).await,
            Order::Attach { id, asker } => self.attach(id, asker).await,
            // The asker may have gone.
            Order::Stop(asker) => {
                let _ = asker.send(false);
            }
            Order::Settle(leftover) => self.settle(*leftover).await,
            Order::Move { session, to, asker } => {
                drop(asker.send(self.move_to(&session, to).await));
            }
            Order::Append { body, label, asker } => {
                drop(asker.send(self.append(*body, label).await));
            }
            Order::Forget => self.is_stale = true,
            Order::Sleep => {}
        }
    }

    async fn enqueue(&mut self, waiting: Waiting) {
        let settings = self.house.settings();
        let now = self.house.now();
        let gone = self
            .queue
            .push(waiting, &settings.config.messages.queue, now);
        self.sign.queued(self.queue.len());
        for waiting in gone {
            self.drop_message(waiting, queue::dropped()).await;
        }
    }

    /// Gives the outcome of a message that was sent before, or runs it if nobody does.
    async fn attach(&mut self, id: InboundId, asker: oneshot::Sender<Arc<Outcome>>) {
        if let Some(waiting) = self.queue.find(&id) {
            waiting.askers.push(asker);
            return;
        }
        match recall::outcome(&self.house.parts.store, &id).await {
            // The asker may have gone.
            Ok(Some(outcome)) => drop(asker.send(Arc::new(outcome))),
            Ok(None) => match self.house.parts.store.inbound(&id).await {
                Ok(Some(stored)) => {
                    let waiting = waiting(&self.house, stored.inbound, vec![asker]);
                    self.enqueue(waiting).await;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, %id, "a stored message could not be read"),
            },
            Err(error) => tracing::error!(%error, %id, "a stored answer could not be read"),
        }
    }

    /// The session from the store, unless it is in memory.
    async fn load(&mut self) -> Result<Loaded, StoreError> {
        if let Some(mut loaded) = self.loaded.take() {
            loaded.window.set_zone(&self.house.settings().zone);
            return Ok(loaded);
        }
        let store = &self.house.parts.store;
        let opening = self.handle.opening.get().cloned();
        let opening = match opening {
            Some(opening) if !opening.is_stored && !self.was_loaded => (opening.row, false),
            Some(opening) if !opening.is_stored => match store.session(&opening.row.id).await? {
                Some(row) => (row, true),
                None => (opening.row, false),
            },
            Some(opening) => (
                store.session(&opening.row.id).await?.unwrap_or(opening.row),
                true,
            ),
            None => match store.session_by_key(&self.key).await? {
                Some(row) => (row, true),
                None => (
                    history::empty_row(&self.house, &self.key, &self.agent),
                    false,
                ),
            },
        };
        self.was_loaded = true;
        let (row, is_stored) = opening;
        let settings = self.house.settings();
        let window = if is_stored {
            history::load(store, &row, &settings.zone).await?
        } else {
            Window::new(Arc::clone(&settings.zone))
        };
        let record = Record::new(Arc::clone(&self.house), self.agent.clone(), row, is_stored);
        Ok(Loaded { record, window })
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
