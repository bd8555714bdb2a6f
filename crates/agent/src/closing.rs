//! The end of a turn: its last entries and events, the reply on its way out, and the one commit
//! that makes all of it durable.

use instar_protocol::OutboxId;
use instar_protocol::event::{ErrorClass, EventKind, TurnOutcome};
use instar_protocol::live::{Outcome, OutcomeStatus, UserError};
use instar_protocol::message::{EntryBody, InboxState, NoticeKind, OnRestart, Outbox, OutboxState};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use instar_store::{Op, StoreError};
use std::sync::Arc;

use crate::driver::{Turn, millis_since};
use crate::prompt::NO_REPLY;
use crate::step::End;

/// How the end of a turn was stored.
#[derive(Debug)]
pub(crate) enum Closing {
    /// Everything is durable.
    Stored(Arc<Outcome>),
    /// The store refused it; it can be tried again with [`Turn::commit_end`].
    Unsaved(Unsaved),
    /// Cut by the end of the process before anything of it was stored: the messages stay pending,
    /// and the next start answers them.
    Cut,
    /// The store refused the message that the turn was about.
    Unkept,
}

/// The end of a turn that waits for the store.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) more: Vec<Op>,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) error: StoreError,
}

/// Surfaces whose readers fetch the answer from the store: for them stored is delivered.
fn reader_pulls(surface: &str) -> bool {
    matches!(surface, "web" | "cli" | "session" | "approval" | "inbox")
}

impl Turn {
    /// Records how the turn ended and commits it.
    pub(crate) async fn close(&mut self, end: End) -> Closing {
        let is_cut = self.house.cut.is_cancelled() && end == End::Aborted;
        let resumes = self
            .batch
            .iter()
            .all(|inbound| inbound.on_restart == OnRestart::Resume);
        if is_cut && resumes && !self.record.is_begun() {
            self.keep_spend().await;
            return Closing::Cut;
        }
        let turn_outcome = match &end {
            End::Replied => TurnOutcome::Replied,
            End::Handed(_) => TurnOutcome::Handed,
            End::Failed(_) => TurnOutcome::Failed,
            End::Aborted if is_cut => TurnOutcome::Interrupted,
            End::Aborted => TurnOutcome::Aborted,
        };
        let (outcome, state) = self.outcome(end, is_cut);
        let mut more = std::mem::take(&mut self.unsettled);
        let at = self.house.now();
        more.extend(self.batch.iter().map(|inbound| Op::SettleInbound {
            id: inbound.id.clone(),
            run: Some(self.run.clone()),
            state,
            at,
        }));
        self.answer = self.report(&outcome).await;
        more.extend(self.answer.as_ref().map(Self::report_op));
        let outbox = self.outbox(&outcome);
        let outbox_id = outbox.as_ref().map(|outbox| outbox.id.clone());
        more.extend(outbox.map(Op::PutOutbox));
        self.end_events(turn_outcome, &outcome);
        let outcome = Outcome {
            outbox: outbox_id,
            entries: self.record.entries.clone(),
            ..outcome
        };
        self.commit_end(more, Arc::new(outcome)).await
    }

    /// Keeps what a turn has spent whose messages are answered by another one.
    async fn keep_spend(&self) {
        let ops = self.record.spend_ops();
        if ops.is_empty() {
            return;
        }
        if let Err(error) = self.house.parts.store.commit(ops).await {
            tracing::warn!(%error, "what a cut turn has spent could not be stored");
        }
    }

    pub(crate) async fn commit_end(&mut self, more: Vec<Op>, outcome: Arc<Outcome>) -> Closing {
        match self.house.parts.store.commit(self.record.ops(&more)).await {
            Ok(()) => {
                self.record.committed();
                Closing::Stored(outcome)
            }
            Err(error) => Closing::Unsaved(Unsaved {
                more,
                outcome,
                error,
            }),
        }
    }

    /// Adds the last entries and says what the askers are told.
    fn outcome(&mut self, end: End, is_cut: bool) -> (Outcome, InboxState) {
        let mut outcome = Outcome {
            status: OutcomeStatus::Ok,
            text: String::new(),
            client_calls: Vec::new(),
            stop: self.found.stop.unwrap_or(StopReason::Stop),
            model: self.found.model.clone(),
            usage: self.record.usage,
            cost_micros: self.record.cost_micros,
            error: None,
            outbox: None,
            entries: Vec::new(),
        };
        match end {
            End::Replied => {
                outcome.text = deliverable(&self.found.text);
                (outcome, InboxState::Done)
            }
            End::Handed(calls) => {
                outcome.text = deliverable(&self.found.text);
                outcome.stop = StopReason::ToolUse;
                outcome.client_calls = calls;
                (outcome, InboxState::Done)
            }
            End::Failed(class) => {
                self.keep_partial();
                let error = self.found.error.take().unwrap_or_else(|| explain(class));
                let text = format!("{} {}", error.message, error.next_step);
                self.notice(NoticeKind::Error, text.trim().to_owned());
                let label = self.window.label().clone();
                let content = self.house.content(&error.message);
                self.record
                    .event(label, EventKind::Error { class, content });
                outcome.status = OutcomeStatus::Failed;
                outcome.text = std::mem::take(&mut self.found.partial);
                outcome.error = Some(error);
                (outcome, InboxState::Failed)
            }
            End::Aborted => {
                self.keep_partial();
                let (kind, text, state) = if is_cut {
                    (
                        NoticeKind::Interrupted,
                        INTERRUPTED,
                        InboxState::Interrupted,
                    )
                } else {
                    (
                        NoticeKind::Aborted,
                        "The answer was stopped.",
                        InboxState::Done,
                    )
                };
                self.notice(kind, text.to_owned());
                outcome.status = OutcomeStatus::Aborted;
                outcome.stop = StopReason::Aborted;
                outcome.text = std::mem::take(&mut self.found.partial);
                (outcome, state)
            }
        }
    }

    /// Keeps what had arrived of an answer that was not finished.
    fn keep_partial(&mut self) {
        let Some(model) = self.found.model.clone() else {
            return;
        };
        if self.found.partial.is_empty() {
            return;
        }
        let body = EntryBody::Assistant {
            text: self.found.partial.clone(),
            tool_calls: Vec::<ToolCall>::new(),
            reasoning: None,
            model,
            usage: Usage::default(),
            cost_micros: 0,
            stop: StopReason::Aborted,
        };
        let label = self.window.label().join(&instar_protocol::Label::owner());
        self.append(body, label);
    }

    pub(crate) fn notice(&mut self, kind: NoticeKind, text: String) {
        self.append(
            EntryBody::Notice { kind, text },
            instar_protocol::Label::system(),
        );
    }

    /// The reply on its way out, if there is something to deliver.
    fn outbox(&self, outcome: &Outcome) -> Option<Outbox> {
        let answered = outcome.status == OutcomeStatus::Ok
            && !(outcome.text.is_empty() && outcome.client_calls.is_empty());
        let surface = &self.batch.first()?.surface;
        if !answered {
            return None;
        }
        let at = self.house.now();
        Some(Outbox {
            id: OutboxId::new(at, self.house.random()),
            session: self.record.session().clone(),
            run: self.run.clone(),
            surface: surface.clone(),
            idempotency_key: self.run.to_string(),
            text: outcome.text.clone(),
            state: if reader_pulls(surface) {
                OutboxState::Sent
            } else {
                OutboxState::Sending
            },
            at,
        })
    }

    fn end_events(&mut self, turn_outcome: TurnOutcome, outcome: &Outcome) {
        let label = self.window.label().clone();
        if !outcome.text.is_empty()
            && outcome.status == OutcomeStatus::Ok
            && let Some(inbound) = self.batch.first()
        {
            let kind = EventKind::MessageOut {
                surface: inbound.surface.clone(),
                bytes: u64::try_from(outcome.text.len()).unwrap_or(u64::MAX),
                content: self.house.content(&outcome.text),
            };
            self.record.event(label.clone(), kind);
        }
        self.end_exposures(turn_outcome);
        let kind = EventKind::Turn {
            outcome: turn_outcome,
            millis: millis_since(self.begun),
            model_calls: self.found.model_calls,
            tool_calls: self.found.tool_calls,
            usage: self.record.usage,
            cost_micros: self.record.cost_micros,
        };
        self.record.event(label, kind);
    }
}

pub(crate) const INTERRUPTED: &str =
    "The gateway stopped before this was answered. Send it again if it still matters.";

/// A reply that says that there is none stays in the transcript and goes nowhere.
pub(crate) fn deliverable(text: &str) -> String {
    if text.trim().eq_ignore_ascii_case(NO_REPLY) {
        String::new()
    } else {
        text.to_owned()
    }
}

/// What the user reads where no vendor said more.
pub(crate) fn explain(class: ErrorClass) -> UserError {
    let (message, next_step) = match class {
        ErrorClass::Timeout => (
            "The turn took longer than it may.",
            "Try again, or raise agents.defaults.timeoutSeconds.",
        ),
        ErrorClass::Loop => (
            "The model kept asking for tools and came to no answer.",
            "Ask in smaller steps, or choose another model with /model.",
        ),
        ErrorClass::ContextLength => (
            "The message does not fit into the model's window.",
            "Send a shorter message, start over with /new, or choose a model with a larger window.",
        ),
        ErrorClass::Storage => (
            "The answer could not be stored.",
            "Check the disk of the gateway's state folder. Your message is kept.",
        ),
        ErrorClass::Cancelled => ("The turn was stopped.", "Send the message again."),
        _ => (
            "The turn failed.",
            "Try again; the gateway's log says more (instar logs).",
        ),
    };
    UserError {
        class,
        message: message.to_owned(),
        next_step: next_step.to_owned(),
    }
}

/// What the askers are told when the store took the message but not the answer.
pub(crate) fn storage_error(error: &StoreError) -> UserError {
    let message = match error {
        StoreError::Full => "The disk is full, so the answer could not be stored.",
        StoreError::ReadOnly => "The state folder is read-only, so the answer could not be stored.",
        StoreError::Gone => "The file of the store is gone, so the answer could not be stored.",
        StoreError::Overwritten => {
            "The file of the store was overwritten, so the answer could not be stored."
        }
        _ => "The answer could not be stored.",
    };
    UserError {
        class: ErrorClass::Storage,
        message: message.to_owned(),
        next_step: match error {
            StoreError::Overwritten => {
                "Stop the gateway and start it again: it says how to go on. Your message is kept."
            }
            StoreError::Gone => {
                "Put the file back; the answer appears in the conversation as soon as it can be \
                    stored."
            }
            _ => {
                "Make room on the gateway's disk. Your message is kept; the answer appears in the \
                    conversation as soon as it can be stored."
            }
        }
        .to_owned(),
    }
}

/// An outcome without a model, for commands and refusals.
pub(crate) fn plain_outcome(text: String, error: Option<UserError>) -> Outcome {
    Outcome {
        status: if error.is_some() {
            OutcomeStatus::Failed
        } else {
            OutcomeStatus::Ok
        },
        text,
        client_calls: Vec::new(),
        stop: StopReason::Stop,
        model: None::<ModelRef>,
        usage: Usage::default(),
        cost_micros: 0,
        error,
        outbox: None,
        entries: Vec::new(),
    }
}
