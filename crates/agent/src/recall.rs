//! The outcome of a run that is over, made again from what is stored.

use instar_protocol::InboundId;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::{Outcome, OutcomeStatus, UserError};
use instar_protocol::message::{Entry, EntryBody, InboxState, NoticeKind};
use instar_protocol::model::{StopReason, Usage};
use instar_protocol::tool::ToolCall;
use instar_store::{Store, StoreError};

use crate::closing::{self, deliverable};

/// The outcome of a message, or `None` while it is pending.
pub(crate) async fn outcome(store: &Store, id: &InboundId) -> Result<Option<Outcome>, StoreError> {
    let Some(stored) = store.inbound(id).await? else {
        return Ok(None);
    };
    if stored.state == InboxState::Pending {
        return Ok(None);
    }
    let Some(run) = stored.run else {
        return Ok(Some(closing::plain_outcome(String::new(), Some(dropped()))));
    };
    let entries = store.entries_of_run(&run).await?;
    let outbox = store.outbox_of_run(&run).await?.pop().map(|row| row.id);
    Ok(Some(Outcome {
        outbox,
        ..of_entries(stored.state, entries)
    }))
}

fn of_entries(state: InboxState, entries: Vec<Entry>) -> Outcome {
    let mut outcome = closing::plain_outcome(String::new(), None);
    let mut problem = None;
    for entry in &entries {
        match &entry.body {
            EntryBody::Assistant {
                text,
                tool_calls,
                model,
                usage,
                cost_micros,
                stop,
                ..
            } => {
                outcome.text = deliverable(text);
                outcome.client_calls.clone_from(tool_calls);
                outcome.model = Some(model.clone());
                outcome.stop = *stop;
                outcome.usage.add(Usage::clone(usage));
                outcome.cost_micros += cost_micros;
            }
            EntryBody::ToolResult { call_id, .. } => {
                let is_other = |call: &ToolCall| &call.id != call_id;
                outcome.client_calls.retain(is_other);
            }
            EntryBody::Notice { kind, text } => match kind {
                NoticeKind::Command if outcome.model.is_none() => outcome.text.clone_from(text),
                NoticeKind::Command | NoticeKind::Aborted | NoticeKind::Question => {}
                NoticeKind::Error | NoticeKind::Interrupted | NoticeKind::Uncertain => {
                    problem = Some(text.clone());
                }
            },
            _ => {}
        }
    }
    match state {
        InboxState::Failed | InboxState::Interrupted | InboxState::Dropped => {
            outcome.status = OutcomeStatus::Failed;
            outcome.error = Some(UserError {
                class: ErrorClass::Internal,
                message: problem.unwrap_or_else(|| "The turn failed.".to_owned()),
                next_step: "Send it again with a new idempotency key.".to_owned(),
            });
        }
        InboxState::Done if outcome.stop == StopReason::Aborted => {
            outcome.status = OutcomeStatus::Aborted;
        }
        InboxState::Done | InboxState::Pending => {}
    }
    outcome.entries = entries;
    outcome
}

fn dropped() -> UserError {
    UserError {
        class: ErrorClass::Cancelled,
        message: "The message was dropped before it was answered.".to_owned(),
        next_step: "Send it again with a new idempotency key.".to_owned(),
    }
}
