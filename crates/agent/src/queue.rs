//! Messages that wait for their turn, and the rules for those that arrive while one is running.
//!
//! Plain values, no waiting: the owner task asks what to do and does it.

use instar_protocol::InboundId;
use instar_protocol::Principal;
use instar_protocol::Timestamp;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::{Outcome, UserError};
use instar_protocol::message::{Inbound, OnRestart, Overrides};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

use crate::commands::Command;
use crate::config::{DropPolicy, QueueConfig, QueueMode};
use crate::kept::Kept;

/// A message that is stored, or being stored, and not yet settled.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) inbound: Arc<Inbound>,
    pub(crate) command: Option<Command>,
    /// The answer of a command that was given while a turn ran; what is left is to record it.
    pub(crate) answered: Option<String>,
    /// Those who want to know the outcome: the sender, and senders of the same key again.
    pub(crate) askers: Vec<oneshot::Sender<Arc<Outcome>>>,
    /// Set while the store may still be writing the message.
    pub(crate) kept: Option<Kept>,
}

impl Waiting {
    pub(crate) fn answer(self, outcome: &Arc<Outcome>) {
        for asker in self.askers {
            // An asker that went away is served by the stored outcome.
            drop(asker.send(Arc::clone(outcome)));
        }
    }

    /// True if it may share a turn with others. A caller that waits on its own connection, or that
    /// set its own model or tools, gets a turn to itself.
    fn may_join(&self) -> bool {
        self.command.is_none()
            && self.inbound.on_restart == OnRestart::Resume
            && self.inbound.overrides == Overrides::default()
    }

    /// True if one turn may answer both.
    fn joins(&self, other: &Self) -> bool {
        self.may_join()
            && other.may_join()
            && same_standing(&self.inbound.principal, &other.inbound.principal)
    }
}

/// True if what one of them may do the other may, too. A turn has one principal: the words of a
/// person with other rights never run under it.
fn same_standing(one: &Principal, two: &Principal) -> bool {
    (one.is_owner() && two.is_owner()) || one == two
}

/// What a new message does to the running turn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It waits.
    Wait,
    /// It is offered to the running turn.
    Steer,
    /// The running turn is stopped.
    Interrupt,
}

/// Decides what a message does that arrives while a turn is running. `running` is the message
/// that the turn was begun for.
pub(crate) fn arrival(
    config: &QueueConfig,
    waiting: &Waiting,
    running: Option<&Waiting>,
) -> Arrival {
    match (&waiting.command, config.mode) {
        (Some(Command::Stop), _) => Arrival::Interrupt,
        (Some(_), _) => Arrival::Wait,
        (None, QueueMode::Steer) if running.is_some_and(|running| waiting.joins(running)) => {
            Arrival::Steer
        }
        (None, QueueMode::Interrupt) if waiting.may_join() => Arrival::Interrupt,
        (None, _) => Arrival::Wait,
    }
}

/// The messages of one session that wait for their turn, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
    newest_at: Timestamp,
    /// First words of messages that were dropped since the last turn.
    dropped: Vec<String>,
}

/// What the owner task does next.
#[derive(Debug)]
pub(crate) enum Next {
    Nothing,
    /// Nothing before this much time has passed.
    After(Duration),
    Command(Waiting),
    Turn {
        batch: Vec<Waiting>,
        /// What the turn is told of dropped messages.
        preface: Option<String>,
    },
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn find(&mut self, id: &InboundId) -> Option<&mut Waiting> {
        self.waiting
            .iter_mut()
            .find(|waiting| &waiting.inbound.id == id)
    }

    /// Puts messages that were offered to a turn that is over back at the head.
    pub(crate) fn put_back(&mut self, mut offered: Vec<Waiting>) {
        while let Some(waiting) = offered.pop() {
            self.waiting.push_front(waiting);
        }
    }

    /// Queues a message. Returns those that have to go.
    pub(crate) fn push(
        &mut self,
        waiting: Waiting,
        config: &QueueConfig,
        now: Timestamp,
    ) -> Vec<Waiting> {
        self.waiting.push_back(waiting);
        self.newest_at = now;
        let cap = usize::try_from(config.cap).unwrap_or(usize::MAX);
        let mut gone = Vec::new();
        // With `new` the door refuses before anything is stored; nothing stored is dropped for it.
        while config.drop != DropPolicy::New && self.waiting.len() > cap {
            // Somebody waits on the connection of a caller: only the others can go.
            let Some(place) = self.waiting.iter().position(Waiting::may_join) else {
                break;
            };
            let Some(waiting) = self.waiting.remove(place) else {
                break;
            };
            if config.drop == DropPolicy::Summarize {
                self.dropped.push(first_words(&waiting.inbound));
            }
            gone.push(waiting);
        }
        gone
    }

    /// Takes what is next: one command, one message, or in `collect` mode all that may share a turn.
    pub(crate) fn next(&mut self, config: &QueueConfig, now: Timestamp) -> Next {
        let Some(first) = self.waiting.front() else {
            return Next::Nothing;
        };
        let collects = config.mode == QueueMode::Collect && first.may_join();
        if collects {
            let pause = Duration::from_millis(u64::from(config.debounce_ms));
            let quiet = now.since(self.newest_at);
            if quiet < pause {
                return Next::After(pause - quiet);
            }
        }
        let mut batch = Vec::new();
        while let Some(waiting) = self.waiting.pop_front() {
            if waiting.command.is_some() {
                return Next::Command(waiting);
            }
            let next = self.waiting.front();
            let next_joins = next.is_some_and(|next| next.joins(&waiting));
            batch.push(waiting);
            if !(collects && next_joins) {
                break;
            }
        }
        Next::Turn {
            batch,
            preface: self.preface(),
        }
    }

    fn preface(&mut self) -> Option<String> {
        if self.dropped.is_empty() {
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        Some(format!(
            "[{} earlier messages were dropped because too many were waiting. They began:]\n- {}",
            dropped.len(),
            dropped.join("\n- ")
        ))
    }
}

/// What the sender of a message is told that had to go.
pub(crate) fn dropped() -> UserError {
    UserError {
        class: ErrorClass::Cancelled,
        message: "Too many messages were waiting; this one was dropped.".to_owned(),
        next_step: "Send it again if it still matters.".to_owned(),
    }
}

fn first_words(inbound: &Inbound) -> String {
    let text = instar_protocol::message::plain_text(&inbound.parts);
    crate::fence::one_line(&text).chars().take(100).collect()
}

/// Messages that are offered to the running turn. The turn takes them before its next model call;
/// what it did not take is queued when it is over.
#[derive(Debug, Default)]
pub(crate) struct Steering(Mutex<Offers>);

#[derive(Debug, Default)]
struct Offers {
    waiting: Vec<Waiting>,
    taken: Vec<Waiting>,
    is_closed: bool,
}

impl Steering {
    /// Offers a message; it comes back if the turn takes no more.
    pub(crate) fn offer(&self, waiting: Waiting) -> Option<Waiting> {
        let mut offers = self.lock();
        if offers.is_closed {
            return Some(waiting);
        }
        offers.waiting.push(waiting);
        None
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Takes what is there into the turn.
    pub(crate) fn take(&self) -> Vec<Arc<Inbound>> {
        let mut offers = self.lock();
        let waiting = std::mem::take(&mut offers.waiting);
        let inbound = waiting
            .iter()
            .map(|waiting| Arc::clone(&waiting.inbound))
            .collect();
        offers.taken.extend(waiting);
        inbound
    }

    /// Adds an asker to a message that is here.
    pub(crate) fn attach(
        &self,
        id: &InboundId,
        asker: oneshot::Sender<Arc<Outcome>>,
    ) -> Option<oneshot::Sender<Arc<Outcome>>> {
        let mut offers = self.lock();
        let Offers { waiting, taken, .. } = &mut *offers;
        match waiting
            .iter_mut()
            .chain(taken)
            .find(|found| &found.inbound.id == id)
        {
            Some(found) => {
                found.askers.push(asker);
                None
            }
            None => Some(asker),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Ends the offering: what the turn took, and what it did not.
    pub(crate) fn close(&self) -> (Vec<Waiting>, Vec<Waiting>) {
        let mut offers = self.lock();
        offers.is_closed = true;
        let taken = std::mem::take(&mut offers.taken);
        (taken, std::mem::take(&mut offers.waiting))
    }

    fn lock(&self) -> MutexGuard<'_, Offers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
