//! One submitted message up to its outcome, as an API caller on a connection follows it.
//!
//! Dropping a [`Running`] before its end means that the caller has gone: a run in a conversation
//! of the request's own is stopped then. Whether the answer reached the caller is noted when the
//! last piece was taken, by [`Delivery`].

use std::sync::Arc;

use instar_agent::{Sessions, Submitted};
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::{InboundId, OutboxId, RunId, SessionKey};
use tokio::sync::{broadcast, oneshot};
use tokio_util::task::TaskTracker;

/// What happened next in a run.
#[derive(Debug)]
pub(crate) enum Step {
    Live(Arc<LiveEvent>),
    Done(Arc<Outcome>),
    /// The process is ending: the run has no outcome here.
    Lost,
}

/// A message that is being answered.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) inbound: InboundId,
    run: Option<RunId>,
    /// Let go once events were missed or nobody asks for them: the outcome then says the rest.
    live: Option<broadcast::Receiver<Arc<LiveEvent>>>,
    outcome: oneshot::Receiver<Arc<Outcome>>,
    ended: Option<Arc<Outcome>>,
    guard: Guard,
}

impl Running {
    pub(crate) fn new(
        sessions: &Sessions,
        tasks: &TaskTracker,
        key: SessionKey,
        stop: StopRule,
        submitted: Submitted,
    ) -> Self {
        Self {
            inbound: submitted.inbound,
            run: None,
            // A repeated request gets the stored answer; deltas of its first try are not replayed.
            live: (!submitted.is_duplicate).then_some(submitted.live),
            outcome: submitted.outcome,
            ended: None,
            guard: Guard {
                sessions: sessions.clone(),
                tasks: tasks.clone(),
                key,
                rule: if submitted.is_duplicate {
                    StopRule::Never
                } else {
                    stop
                },
            },
        }
    }

    /// The next thing that happened. Cancel-safe.
    pub(crate) async fn step(&mut self) -> Step {
        loop {
            if let Some(outcome) = self.ended.clone() {
                // The outcome is sent after the turn's events: those that are left come first.
                match self.live.as_mut().map(broadcast::Receiver::try_recv) {
                    Some(Ok(event)) if self.is_ours(&event) => return Step::Live(event),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Step::Done(outcome),
                }
            }
            tokio::select! {
                biased;
                event = heard(&mut self.live) => match event {
                    Some(event) if self.is_ours(&event) => return Step::Live(event),
                    Some(_) => {}
                    None => self.live = None,
                },
                outcome = &mut self.outcome => {
                    self.guard.rule = StopRule::Never;
                    match outcome {
                        Ok(outcome) => self.ended = Some(outcome),
                        Err(_) => return Step::Lost,
                    }
                }
            }
        }
    }

    /// Waits for the end without looking at what happens on the way.
    pub(crate) async fn outcome(mut self) -> Option<Arc<Outcome>> {
        if self.guard.rule != StopRule::OnceStarted {
            // Without a listener nobody makes events for this caller.
            self.live = None;
        }
        loop {
            match self.step().await {
                Step::Done(outcome) => return Some(outcome),
                Step::Lost => return None,
                Step::Live(_) => {}
            }
        }
    }

    /// Events of other runs in the same conversation are not for this caller.
    fn is_ours(&mut self, event: &LiveEvent) -> bool {
        match event {
            LiveEvent::Started { run, inbound } => {
                if inbound.contains(&self.inbound) {
                    self.run = Some(run.clone());
                    if self.guard.rule == StopRule::OnceStarted {
                        self.guard.rule = StopRule::Always;
                    }
                }
                false
            }
            LiveEvent::Text { run, .. }
            | LiveEvent::Reasoning { run, .. }
            | LiveEvent::ToolCall { run, .. }
            | LiveEvent::ToolResult { run, .. } => self.run.as_ref() == Some(run),
            LiveEvent::Accepted { .. }
            | LiveEvent::Moved { .. }
            | LiveEvent::Stored { .. }
            | LiveEvent::Notice { .. }
            | LiveEvent::Done { .. } => false,
        }
    }
}

/// The next event; `None` if some were missed. Never ready without a receiver.
async fn heard(live: &mut Option<broadcast::Receiver<Arc<LiveEvent>>>) -> Option<Arc<LiveEvent>> {
    match live {
        Some(live) => live.recv().await.ok(),
        None => std::future::pending().await,
    }
}

/// When a caller that goes away takes its run with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StopRule {
    /// Others may wait for the answer, or the caller said that it would ask again.
    Never,
    /// The conversation continues one of the caller's own: only a run that is known to be this
    /// caller's is stopped, never one that another request began.
    OnceStarted,
    /// The conversation was made for this request.
    Always,
}

/// Stops a run that nobody waits for any more.
#[derive(Debug)]
struct Guard {
    sessions: Sessions,
    tasks: TaskTracker,
    key: SessionKey,
    rule: StopRule,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.rule != StopRule::Always || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (sessions, key) = (self.sessions.clone(), self.key.clone());
        self.tasks.spawn(async move {
            if sessions.stop(&key).await {
                tracing::debug!(%key, "the caller has gone; its run was stopped");
            }
        });
    }
}

/// Notes once whether the last piece of an answer was taken by the connection.
#[derive(Debug)]
pub(crate) struct Delivery {
    sessions: Sessions,
    outbox: Option<OutboxId>,
    arrived: bool,
}

impl Delivery {
    pub(crate) fn new(sessions: &Sessions, outcome: &Outcome) -> Self {
        Self {
            sessions: sessions.clone(),
            outbox: outcome.outbox.clone(),
            arrived: false,
        }
    }

    /// The connection took the last piece.
    pub(crate) fn arrived(&mut self) {
        self.arrived = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let Some(outbox) = self.outbox.take() else {
            return;
        };
        if let Err(error) = self.sessions.delivered(&outbox, self.arrived) {
            // The store then shows the reply as uncertain after the next start.
            tracing::warn!(%outbox, %error, "the delivery of an answer could not be noted");
        }
    }
}
