//! The owner task while a turn runs: it drives the turn and takes orders beside it.

use futures_util::FutureExt;
use instar_protocol::errand::ErrandKind;
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::{EntryBody, NoticeKind};
use instar_protocol::{Label, RunId, SessionKey, Standing, Timestamp};
use instar_tools::LoopGuard;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Loaded, Order, Owner};
use crate::closing::{self, Closing};
use crate::commands::{self, Command};
use crate::driver::{self, Found, Turn};
use crate::house::{House, Settings};
use crate::obey::Told;
use crate::place::{self, Went};
use crate::queue::{self, Arrival, Steering, Waiting};
use crate::record::Record;
use crate::reset;
use crate::sessions::RewindError;
use crate::step::End;
use crate::window::Window;

/// How often the same result may come back from the same call before the turn is told to stop.
const SAME_RESULT_MAX: u32 = 3;

/// What can be done to the running turn from outside.
#[derive(Debug)]
struct Running {
    steering: Arc<Steering>,
    cancel: CancellationToken,
    batch: Vec<Waiting>,
}

impl Owner {
    pub(super) async fn turn(&mut self, batch: Vec<Waiting>, preface: Option<String>) {
        let mut loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse(batch, &error),
        };
        match place::go(&self.house, &mut loaded.record, &mut loaded.window, &batch).await {
            Ok(Went::Nowhere) => {}
            Ok(Went::To(leaf)) => self.live.send(|| LiveEvent::Moved { leaf }),
            Ok(Went::Astray) => {
                self.loaded = Some(loaded);
                for waiting in batch {
                    self.drop_message(waiting, place::astray()).await;
                }
                return;
            }
            Err(error) => return self.refuse(batch, &error),
        }
        let (turn, running) = self.prepare(loaded, batch, preface);
        let parent = self.begin_task(&turn);
        self.drive(turn, running).await;
        if let Some(parent) = parent {
            self.house.errands.drop_child(&parent, &self.key);
        }
    }

    /// Notes whom this turn works for, also when a restart came between.
    fn begin_task(&self, turn: &Turn) -> Option<SessionKey> {
        let errand = turn.errand()?;
        if errand.kind != ErrandKind::Task {
            return None;
        }
        let _known = self
            .house
            .errands
            .add_child(&errand.from, &self.key, usize::MAX);
        Some(errand.from.clone())
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
        // Of several, the one who is furthest away.
        let askers = batch.iter().map(|one| one.inbound.principal.standing());
        record.begin(run.clone(), askers.max().unwrap_or(Standing::Nobody));
        let arrived = batch
            .first()
            .map_or_else(|| self.house.now(), |first| first.inbound.received_at);
        let is_command = batch.iter().any(|waiting| waiting.command.is_some());
        // Who names a place wants what was said up to there.
        let is_placed = batch
            .iter()
            .any(|waiting| waiting.inbound.overrides.place.is_some());
        if is_command {
            // It is no part of the conversation: neither does it start it over, nor keep it fresh.
            record.quiet();
        } else if !is_placed
            && let Some(reason) = self.reset_due(&settings, &record, &window, arrived)
        {
            self.house.parts.tools.over(&self.key);
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
            judging: None,
            behalf: None,
            answer: None,
            shadow: None,
            kept: batch.first().and_then(|first| first.kept.clone()),
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
        settings: &Settings,
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
            Ok((turn, closing)) => self.finish(turn, closing, batch).await,
            Err(_) => {
                tracing::error!(key = %self.key, "a turn panicked");
                self.give_up(batch).await;
            }
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
                let begun_for = running.batch.first();
                let answers = waiting.inbound.overrides.answers.as_ref();
                if answers.is_some_and(|letter| self.house.letters.is_awaited(letter)) {
                    // The turn itself waits for this one, whatever becomes of others.
                    if let Some(waiting) = running.steering.offer(waiting) {
                        self.enqueue(waiting).await;
                    }
                    return;
                }
                match queue::arrival(&settings.config.messages.queue, &waiting, begun_for) {
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
            Order::Move { asker, .. } => drop(asker.send(Err(RewindError::Busy))),
            Order::Append { asker, .. } => drop(asker.send(Err(RewindError::Busy))),
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

    async fn finish(&mut self, turn: Box<Turn>, closing: Closing, batch: Vec<Waiting>) {
        match closing {
            Closing::Stored(outcome) => {
                self.tell(&turn.run, &outcome);
                for waiting in batch {
                    waiting.answer(&outcome);
                }
                self.keep(*turn);
            }
            Closing::Unsaved(unsaved) => self.hold(turn, unsaved, batch).await,
            // The channel closes: the answer comes after the restart.
            // So it does when the store refused the message: its sender hears of that elsewhere, and
            // what the turn thought up is forgotten.
            Closing::Cut | Closing::Unkept => drop(batch),
        }
    }

    pub(super) fn keep(&mut self, turn: Turn) {
        let Turn {
            mut record,
            window,
            answer,
            ..
        } = turn;
        if let Some((report, _)) = answer {
            self.inner.hand_on(report);
        }
        record.end();
        self.loaded = Some(Loaded { record, window });
    }

    pub(super) fn tell(&self, run: &RunId, outcome: &Arc<Outcome>) {
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

    /// Carries out a command. Its answer is a notice, made without a model.
    pub(super) async fn command(&mut self, waiting: Waiting) {
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
        self.finish(turn, closing, running.batch).await;
    }
}

/// Waits for its place among the turns that run at once, runs the turn, and stores its end.
async fn perform(mut turn: Box<Turn>) -> (Box<Turn>, Closing) {
    let house = Arc::clone(&turn.house);
    let is_child = turn.errand().is_some_and(|errand| errand.depth > 0);
    let turns = if is_child {
        &house.child_turns
    } else {
        &house.turns
    };
    let end = tokio::select! {
        biased;
        () = turn.cancel.cancelled() => {
            turn.take_in_batch();
            End::Aborted
        }
        permit = turns.acquire() => {
            let _count = Count::new(&house);
            let span = tracing::debug_span!("turn", key = %turn.key, run = %turn.run);
            let end = driver::run(&mut turn).instrument(span).await;
            drop(permit);
            end
        }
    };
    if !turn.is_kept().await {
        return (turn, Closing::Unkept);
    }
    let ended = end.clone();
    let closing = turn.close(end).await;
    turn.cast_shadow(&ended);
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
