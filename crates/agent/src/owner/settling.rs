//! What the owner task writes down when no turn does: refusals, left-overs of a crash, the end of a
//! turn that the store did not take, a session wound back.

use instar_protocol::event::{BranchReason, ErrorClass, EventKind};
use instar_protocol::live::{LiveEvent, UserError};
use instar_protocol::message::{EntryBody, Inbound, InboxState, NoticeKind};
use instar_protocol::{EntryId, Label, RunId, SessionId, Standing};
use instar_store::{Op, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::{Goal, Leftover, Loaded, Owner};
use crate::closing::{self, Closing, Unsaved};
use crate::driver::Turn;
use crate::fence;
use crate::place;
use crate::queue::Waiting;
use crate::sessions::RewindError;

/// The pause before the store is asked again; it doubles up to the second number.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(15);

/// The end of a turn that waits for the store.
#[derive(Debug)]
pub(super) struct Retry {
    turn: Box<Turn>,
    unsaved: Unsaved,
    pause: Duration,
    pub(super) at: Instant,
}

impl Owner {
    /// Settles a message that gets no turn and leaves nothing in the transcript.
    pub(super) async fn drop_message(&mut self, waiting: Waiting, why: UserError) {
        let op = Op::SettleInbound {
            id: waiting.inbound.id.clone(),
            run: None,
            state: InboxState::Dropped,
            at: self.house.now(),
        };
        if let Err(error) = self.house.parts.store.commit(vec![op]).await {
            tracing::error!(%error, key = %self.key, "a dropped message could not be settled");
        }
        waiting.answer(&Arc::new(closing::plain_outcome(String::new(), Some(why))));
    }

    /// The store cannot even be read: the messages stay pending and are tried at the next start.
    pub(super) fn refuse(&mut self, batch: Vec<Waiting>, error: &StoreError) {
        tracing::error!(%error, key = %self.key, "a conversation could not be loaded");
        let outcome =
            closing::plain_outcome(String::new(), Some(closing::explain(ErrorClass::Storage)));
        let outcome = Arc::new(outcome);
        for waiting in batch {
            waiting.answer(&outcome);
        }
    }

    /// The store did not take the end of a turn. The messages are pending on disk; the answer is
    /// kept here and offered again until the store takes it. Its askers are told now.
    pub(super) async fn hold(&mut self, turn: Box<Turn>, unsaved: Unsaved, batch: Vec<Waiting>) {
        tracing::error!(error = %unsaved.error, key = %self.key, "an answer could not be stored");
        if !may_pass(&unsaved.error) {
            return self.give_up(batch).await;
        }
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

    pub(super) async fn retry(&mut self) {
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
            Closing::Unsaved(unsaved) if !may_pass(&unsaved.error) => {
                tracing::error!(error = %unsaved.error, key = %self.key, "an answer is given up");
                let batch = retry.turn.batch.clone();
                self.record_failure(batch).await;
            }
            Closing::Unsaved(unsaved) => {
                retry.pause = (retry.pause * 2).min(RETRY_LAST);
                retry.at = Instant::now() + retry.pause;
                retry.unsaved = unsaved;
                self.unsaved = Some(retry);
            }
            Closing::Cut | Closing::Unkept => {}
        }
    }

    /// A fault of ours ended a turn, or made an end that no store can take. The messages are settled
    /// as failed, so that they do not bring down every start from now on; the session is read anew.
    pub(super) async fn give_up(&mut self, batch: Vec<Waiting>) {
        let inbound = batch
            .iter()
            .map(|waiting| Arc::clone(&waiting.inbound))
            .collect();
        self.record_failure(inbound).await;
        let error = closing::explain(ErrorClass::Internal);
        let outcome = Arc::new(closing::plain_outcome(String::new(), Some(error)));
        for waiting in batch {
            waiting.answer(&outcome);
        }
    }

    async fn record_failure(&mut self, batch: Vec<Arc<Inbound>>) {
        let error = closing::explain(ErrorClass::Internal);
        let text = format!("{} {}", error.message, error.next_step);
        let state = InboxState::Failed;
        let stored = self
            .write_notice(batch, NoticeKind::Error, &text, state, Vec::new())
            .await;
        if let Err(error) = stored {
            tracing::error!(%error, key = %self.key, "a failed turn could not be recorded");
        }
    }

    pub(super) async fn settle(&mut self, leftover: Leftover) {
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
        let askers = batch.iter().map(|one| one.principal.standing());
        record.begin(run.clone(), askers.max().unwrap_or(Standing::Nobody));
        let at = self.house.now();
        for inbound in batch {
            place::go_back(&self.house, &mut record, &mut window, &inbound).await?;
            more.push(Op::SettleInbound {
                id: inbound.id.clone(),
                run: Some(run.clone()),
                state,
                at,
            });
            if place::is_again(&inbound) {
                continue;
            }
            let label = fence::label_of(&inbound.parts, &inbound.principal);
            let body = EntryBody::User {
                parts: inbound.parts.clone(),
                principal: inbound.principal.clone(),
                inbound: Some(inbound.id.clone()),
                surface: inbound.surface.clone(),
            };
            window.push(record.entry_at(inbound.received_at, body, label));
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

    /// Lets the conversation go on at another place. True if that is a change.
    pub(super) async fn move_to(
        &mut self,
        session: &SessionId,
        to: Goal,
    ) -> Result<bool, RewindError> {
        if self.unsaved.is_some() {
            return Err(RewindError::Busy);
        }
        let Loaded { mut record, window } = self.load().await?;
        if record.session() != session {
            return Err(RewindError::UnknownSession(session.to_string()));
        }
        let store = &self.house.parts.store;
        let (leaf, is_rewind) = match to {
            Goal::At(leaf) => (leaf, true),
            Goal::EndOf(entry) => match store.newest_under(session, &entry).await? {
                Some(leaf) => (Some(leaf), false),
                None => return Err(RewindError::UnknownEntry(entry)),
            },
        };
        if record.row.leaf == leaf {
            self.loaded = Some(Loaded { record, window });
            return Ok(false);
        }
        let (from, to) = (record.move_leaf(leaf.clone()), leaf.clone());
        let kind = if is_rewind {
            EventKind::Rewind { from, to }
        } else {
            let why = BranchReason::Switch;
            EventKind::Branch { why, from, to }
        };
        record.event(Label::owner(), kind);
        store.commit(record.ops(&[])).await?;
        self.live.send(|| LiveEvent::Moved { leaf });
        // The window is read anew from the new leaf.
        Ok(true)
    }

    /// Writes down what the owner said should stand here, outside of any turn.
    pub(super) async fn append(
        &mut self,
        body: EntryBody,
        label: Label,
    ) -> Result<EntryId, RewindError> {
        if self.unsaved.is_some() {
            return Err(RewindError::Busy);
        }
        let Loaded { mut record, .. } = self.load().await?;
        if let EntryBody::ModelChange { model } = &body {
            record.choose_model(model.as_ref().map(ToString::to_string));
        }
        let entry = record.entry(body, label).id.clone();
        self.house.parts.store.commit(record.ops(&[])).await?;
        let stored = entry.clone();
        self.live.send(|| LiveEvent::Stored { entry: stored });
        // The window is read anew with the entry in it.
        Ok(entry)
    }
}

/// True if the same write may be taken later, by this process or the next.
fn may_pass(error: &StoreError) -> bool {
    error.is_disk() || matches!(error, StoreError::Busy | StoreError::Closed)
}
