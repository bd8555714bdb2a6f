//! The owner task of one session: the only one that runs its turns and moves its leaf.
//!
//! It loads the session when the first order comes, keeps the model's window in memory, and ends
//! when nothing happened for a while. Orders are taken while a turn runs, too: that is how a turn is
//! stopped or steered.

use futures_util::FutureExt;
use instar_protocol::event::{ErrorClass, EventKind};
use instar_protocol::live::{LiveEvent, Outcome, UserError};
use instar_protocol::message::{EntryBody, Inbound, InboxState, NoticeKind};
use instar_protocol::{
    AgentId, EntryId, InboundId, Label, RunId, SessionId, SessionKey, Timestamp,
};
use instar_store::{Op, StoreError};
use instar_tools::LoopGuard;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::awake::{Handle, Sign};
use crate::closing::{self, Closing, Unsaved};
use crate::commands::{self, Command};
use crate::driver::{self, Found, Turn};
use crate::fence;
use crate::history;
use crate::house::House;
use crate::live::Live;
use crate::obey::Told;
use crate::queue::{self, Arrival, Next, Queue, Steering, Waiting};
use crate::recall;
use crate::record::Record;
use crate::reset;
use crate::sessions::{Inner, RewindError};
use crate::step::End;
use crate::window::Window;

/// How long a session stays in memory after its last turn.
const IDLE: Duration = Duration::from_secs(30);
/// How often the same result may come back from the same call before the turn is told to stop.
const SAME_RESULT_MAX: u32 = 3;
/// The pause before the store is asked again; it doubles up to the second number.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(15);

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
    Rewind {
        session: SessionId,
        entry: EntryId,
        asker: oneshot::Sender<Result<(), RewindError>>,
    },
    /// The session's row was changed in the store.
    Forget,
    /// Room is wanted for another session.
    Sleep,
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

#[derive(Debug)]
struct Retry {
    turn: Box<Turn>,
    unsaved: Unsaved,
    pause: Duration,
    at: Instant,
}

/// What can be done to the running turn from outside.
#[derive(Debug)]
struct Running {
    steering: Arc<Steering>,
    cancel: CancellationToken,
    batch: Vec<Waiting>,
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
    }
}

/// The command that a message is. An API caller's text is never one.
pub(crate) fn command(house: &House, inbound: &Inbound) -> Option<Command> {
    let reads_commands = house.settings().config.commands.text && inbound.surface != "openai";
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
            Order::Rewind {
                session,
                entry,
                asker,
            } => drop(asker.send(self.rewind(&session, entry).await)),
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
            self.drop_message(waiting).await;
        }
    }

    /// Settles a message that a queue rule dropped.
    async fn drop_message(&mut self, waiting: Waiting) {
        let op = Op::SettleInbound {
            id: waiting.inbound.id.clone(),
            run: None,
            state: InboxState::Dropped,
            at: self.house.now(),
        };
        if let Err(error) = self.house.parts.store.commit(vec![op]).await {
            tracing::error!(%error, key = %self.key, "a dropped message could not be settled");
        }
        let error = UserError {
            class: ErrorClass::Cancelled,
            message: "Too many messages were waiting; this one was dropped.".to_owned(),
            next_step: "Send it again if it still matters.".to_owned(),
        };
        waiting.answer(&Arc::new(closing::plain_outcome(
            String::new(),
            Some(error),
        )));
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

    async fn turn(&mut self, batch: Vec<Waiting>, preface: Option<String>) {
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse(batch, &error),
        };
        let (turn, running) = self.prepare(loaded, batch, preface);
        self.drive(turn, running).await;
    }

    /// The store cannot even be read: the messages stay pending and are tried at the next start.
    fn refuse(&mut self, batch: Vec<Waiting>, error: &StoreError) {
        tracing::error!(%error, key = %self.key, "a conversation could not be loaded");
        let outcome =
            closing::plain_outcome(String::new(), Some(closing::explain(ErrorClass::Storage)));
        let outcome = Arc::new(outcome);
        for waiting in batch {
            waiting.answer(&outcome);
        }
    }

    fn prepare(
        &mut self,
        loaded: Loaded,
        batch: Vec<Waiting>,
        preface: Option<String>,
    ) -> (Box<Turn>, Running) {
        let Loaded {
            mut record,
            mut window,
        } = loaded;
        let settings = self.house.settings();
        let run = RunId::new(self.house.now(), self.house.random());
        record.begin(run.clone());
        let arrived = batch
            .first()
            .map_or_else(|| self.house.now(), |first| first.inbound.received_at);
        if let Some(reason) = self.reset_due(&settings, &record, &window, arrived) {
            window.push(record.entry(EntryBody::Reset { reason }, Label::system()));
        }
        let cancel = self.house.cut.child_token();
        let steering = Arc::new(Steering::default());
        let turn = Box::new(Turn {
            house: Arc::clone(&self.house),
            settings,
            key: self.key.clone(),
            record,
            window,
            batch: batch
                .iter()
                .map(|waiting| Arc::clone(&waiting.inbound))
                .collect(),
            preface,
            compacts_only: false,
            steering: Arc::clone(&steering),
            cancel: cancel.clone(),
            live: self.live.clone(),
            run,
            begun: Instant::now(),
            found: Found::default(),
            guard: LoopGuard::new(SAME_RESULT_MAX),
            unsettled: Vec::new(),
        });
        let running = Running {
            steering,
            cancel,
            batch,
        };
        (turn, running)
    }

    fn reset_due(
        &self,
        settings: &crate::house::Settings,
        record: &Record,
        window: &Window,
        now: Timestamp,
    ) -> Option<String> {
        if window.is_empty() {
            return None;
        }
        reset::due(
            &settings.config.session.reset,
            &settings.zone,
            record.row.updated_at,
            now,
        )
    }

    /// Runs a turn and takes orders beside it.
    async fn drive(&mut self, turn: Box<Turn>, mut running: Running) {
        self.sign.running(true);
        let mut work = Box::pin(AssertUnwindSafe(perform(turn)).catch_unwind());
        let result = loop {
            self.sign.queued(self.queue.len() + running.steering.len());
            tokio::select! {
                biased;
                result = &mut work => break result,
                Some(order) = self.inbox.recv() => self.take_beside(order, &mut running).await,
            }
        };
        drop(work);
        self.sign.running(false);
        let (taken, offered) = running.steering.close();
        self.queue.put_back(offered);
        let mut batch = running.batch;
        batch.extend(taken);
        match result {
            Ok((turn, closing)) => self.finish(turn, closing, batch),
            Err(_) => self.after_panic(batch).await,
        }
        for leftover in std::mem::take(&mut self.leftovers) {
            self.settle(leftover).await;
        }
    }

    /// Takes an order while a turn runs. It must not wait for the turn.
    async fn take_beside(&mut self, order: Order, running: &mut Running) {
        match order {
            Order::Message(mut waiting) => {
                self.answer_beside(&mut waiting, running.steering.len());
                let settings = self.house.settings();
                match queue::arrival(&settings.config.messages.queue, &waiting) {
                    Arrival::Wait => self.enqueue(waiting).await,
                    Arrival::Steer => {
                        if let Some(waiting) = running.steering.offer(waiting) {
                            self.enqueue(waiting).await;
                        }
                    }
                    Arrival::Interrupt => {
                        running.cancel.cancel();
                        self.enqueue(waiting).await;
                    }
                }
            }
            Order::Attach { id, asker } => {
                if let Some(waiting) = running
                    .batch
                    .iter_mut()
                    .find(|waiting| waiting.inbound.id == id)
                {
                    waiting.askers.push(asker);
                } else if let Some(asker) = running.steering.attach(&id, asker) {
                    self.attach(id, asker).await;
                }
            }
            Order::Stop(asker) => {
                running.cancel.cancel();
                // The asker may have gone.
                let _ = asker.send(true);
            }
            Order::Rewind { asker, .. } => drop(asker.send(Err(RewindError::Busy))),
            Order::Forget => self.is_stale = true,
            Order::Settle(leftover) => self.leftovers.push(*leftover),
            Order::Sleep => {}
        }
    }

    /// Answers a command that need not wait for the turn. It is recorded when the turn is over.
    fn answer_beside(&self, waiting: &mut Waiting, steering: usize) {
        let queued = self.queue.len() + steering;
        let answer = waiting.command.as_ref();
        let Some(text) = answer.and_then(|command| commands::answer_beside(command, queued)) else {
            return;
        };
        self.live.send(|| LiveEvent::Notice {
            kind: NoticeKind::Command,
            text: text.clone(),
        });
        let outcome = Arc::new(closing::plain_outcome(text.clone(), None));
        for asker in waiting.askers.drain(..) {
            // An asker that went away is served by the stored outcome.
            drop(asker.send(Arc::clone(&outcome)));
        }
        waiting.answered = Some(text);
    }

    fn finish(&mut self, turn: Box<Turn>, closing: Closing, batch: Vec<Waiting>) {
        match closing {
            Closing::Stored(outcome) => {
                self.tell(&turn.run, &outcome);
                for waiting in batch {
                    waiting.answer(&outcome);
                }
                self.keep(*turn);
            }
            Closing::Unsaved(unsaved) => self.hold(turn, unsaved, batch),
            // The channel closes: the answer comes after the restart.
            Closing::Cut => drop(batch),
        }
    }

    fn keep(&mut self, turn: Turn) {
        let Turn {
            mut record, window, ..
        } = turn;
        record.end();
        self.loaded = Some(Loaded { record, window });
    }

    fn tell(&self, run: &RunId, outcome: &Arc<Outcome>) {
        for entry in &outcome.entries {
            self.live.send(|| LiveEvent::Stored {
                entry: entry.id.clone(),
            });
        }
        self.live.send(|| LiveEvent::Done {
            run: run.clone(),
            outcome: Outcome::clone(outcome),
        });
    }

    /// The store did not take the end of a turn. The messages are pending on disk; the answer is
    /// kept here and offered again until the store takes it. Its askers are told now.
    fn hold(&mut self, turn: Box<Turn>, unsaved: Unsaved, batch: Vec<Waiting>) {
        tracing::error!(error = %unsaved.error, key = %self.key, "an answer could not be stored");
        let error = closing::storage_error(&unsaved.error);
        let text = format!("{} {}", error.message, error.next_step);
        self.live.send(|| LiveEvent::Notice {
            kind: NoticeKind::Error,
            text,
        });
        let told = Arc::new(closing::plain_outcome(String::new(), Some(error)));
        for waiting in batch {
            waiting.answer(&told);
        }
        if matches!(unsaved.error, StoreError::Closed) {
            return;
        }
        self.unsaved = Some(Retry {
            turn,
            unsaved,
            pause: RETRY_FIRST,
            at: Instant::now() + RETRY_FIRST,
        });
    }

    async fn retry(&mut self) {
        let Some(mut retry) = self.unsaved.take() else {
            return;
        };
        let Unsaved { more, outcome, .. } = retry.unsaved;
        match retry.turn.commit_end(more, outcome).await {
            Closing::Stored(outcome) => {
                tracing::info!(key = %self.key, "the answer is stored now");
                self.tell(&retry.turn.run, &outcome);
                self.keep(*retry.turn);
            }
            Closing::Unsaved(unsaved) => {
                retry.pause = (retry.pause * 2).min(RETRY_LAST);
                retry.at = Instant::now() + retry.pause;
                retry.unsaved = unsaved;
                self.unsaved = Some(retry);
            }
            Closing::Cut => {}
        }
    }

    /// A turn panicked: a fault of ours. The messages are settled as failed so that they do not
    /// bring down every start from now on; the session is read anew.
    async fn after_panic(&mut self, batch: Vec<Waiting>) {
        tracing::error!(key = %self.key, "a turn panicked");
        let inbound = batch
            .iter()
            .map(|waiting| Arc::clone(&waiting.inbound))
            .collect();
        let error = closing::explain(ErrorClass::Internal);
        let text = format!("{} {}", error.message, error.next_step);
        let stored = self
            .write_notice(
                inbound,
                NoticeKind::Error,
                &text,
                InboxState::Failed,
                Vec::new(),
            )
            .await;
        if let Err(error) = stored {
            tracing::error!(%error, key = %self.key, "a failed turn could not be recorded");
        }
        let outcome = Arc::new(closing::plain_outcome(String::new(), Some(error)));
        for waiting in batch {
            waiting.answer(&outcome);
        }
    }

    async fn settle(&mut self, leftover: Leftover) {
        let Leftover {
            inbound,
            kind,
            text,
            ops,
            done,
        } = leftover;
        let inbound: Vec<_> = inbound.into_iter().collect();
        let result = self
            .write_notice(inbound, kind, &text, InboxState::Interrupted, ops)
            .await;
        // Recovery may have given up waiting.
        drop(done.send(result));
    }

    /// Stores messages that get no turn, with a notice that says why.
    async fn write_notice(
        &mut self,
        batch: Vec<Arc<Inbound>>,
        kind: NoticeKind,
        text: &str,
        state: InboxState,
        mut more: Vec<Op>,
    ) -> Result<(), StoreError> {
        let Loaded {
            mut record,
            mut window,
        } = self.load().await?;
        let run = RunId::new(self.house.now(), self.house.random());
        record.begin(run.clone());
        let at = self.house.now();
        for inbound in batch {
            let label = fence::label_of(&inbound.parts, &inbound.principal);
            let body = EntryBody::User {
                parts: inbound.parts.clone(),
                principal: inbound.principal.clone(),
                inbound: Some(inbound.id.clone()),
                surface: inbound.surface.clone(),
            };
            window.push(record.entry_at(inbound.received_at, body, label));
            more.push(Op::SettleInbound {
                id: inbound.id.clone(),
                run: Some(run.clone()),
                state,
                at,
            });
        }
        let text = text.to_owned();
        record.entry(EntryBody::Notice { kind, text }, Label::system());
        if state == InboxState::Failed {
            let content = None;
            let class = ErrorClass::Internal;
            record.event(Label::system(), EventKind::Error { class, content });
        }
        self.house.parts.store.commit(record.ops(&more)).await?;
        record.committed();
        record.end();
        self.loaded = Some(Loaded { record, window });
        Ok(())
    }

    async fn rewind(&mut self, session: &SessionId, entry: EntryId) -> Result<(), RewindError> {
        let Loaded { mut record, .. } = self.load().await?;
        if record.session() != session {
            return Err(RewindError::UnknownSession(session.to_string()));
        }
        record.row.leaf = Some(entry);
        self.house.parts.store.commit(record.ops(&[])).await?;
        // The window is read anew from the new leaf.
        Ok(())
    }

    /// Carries out a command. Its answer is a notice, made without a model.
    async fn command(&mut self, waiting: Waiting) {
        let Some(command) = waiting.command.clone() else {
            return;
        };
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse(vec![waiting], &error),
        };
        let queued = self.queue.len();
        let (mut turn, running) = self.prepare(loaded, vec![waiting], None);
        if command == Command::Compact {
            turn.compacts_only = true;
            return self.drive(turn, running).await;
        }
        let closing = match running.batch[0].answered.clone() {
            Some(text) => turn.close_command(text, Told::Already).await,
            None => {
                let text = turn.obey(&command, queued);
                turn.close_command(text, Told::NotYet).await
            }
        };
        self.finish(turn, closing, running.batch);
    }
}

/// Waits for its place among the turns that run at once, runs the turn, and stores its end.
async fn perform(mut turn: Box<Turn>) -> (Box<Turn>, Closing) {
    let house = Arc::clone(&turn.house);
    let end = tokio::select! {
        biased;
        () = turn.cancel.cancelled() => {
            turn.take_in_batch();
            End::Aborted
        }
        permit = house.turns.acquire() => {
            let _count = Count::new(&house);
            let end = driver::run(&mut turn).await;
            drop(permit);
            end
        }
    };
    let closing = turn.close(end).await;
    (turn, closing)
}

/// Counts a running turn as long as it lives.
struct Count<'a>(&'a House);

impl<'a> Count<'a> {
    fn new(house: &'a House) -> Self {
        house.running.fetch_add(1, Ordering::Relaxed);
        Self(house)
    }
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
