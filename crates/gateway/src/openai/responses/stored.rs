//! A response that was given before, from the store: no map in memory, nothing to lose at a restart.

use instar_protocol::InboundId;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::{Outcome, OutcomeStatus, UserError};
use instar_protocol::message::{Entry, EntryBody, InboxState, NoticeKind};
use instar_protocol::model::{StopReason, Usage};
use instar_protocol::tool::ToolDecision;
use instar_store::{Store, StoredInbound};
use serde_json::Value;

use super::reply::Builder;
use super::request::Echo;
use crate::openai::door::SURFACE;
use crate::openai::problem::{Problem, shorten};
use crate::openai::spoken;

/// The inbound message that a response id stands for.
pub(crate) async fn find(store: &Store, param: &str, id: &str) -> Result<StoredInbound, Problem> {
    let missing = || Problem::not_found(param, format!("there is no response '{}'", shorten(id)));
    let inbound = inbound_id(id).ok_or_else(missing)?;
    store
        .inbound(&inbound)
        .await
        .map_err(|error| Problem::store(&error))?
        .filter(|stored| stored.inbound.surface == SURFACE)
        .ok_or_else(missing)
}

/// The stem that response ids and item ids share.
pub(crate) fn stem(inbound: &InboundId) -> String {
    let text = inbound.as_str();
    text.strip_prefix("inb_").unwrap_or(text).to_owned()
}

fn inbound_id(response: &str) -> Option<InboundId> {
    let stem = response.strip_prefix("resp_")?;
    let fine = stem.len() == 26 && stem.bytes().all(|b| b.is_ascii_alphanumeric());
    fine.then(|| InboundId::from_stored(format!("inb_{stem}")))
}

/// The response as it stands now.
pub(crate) async fn response(store: &Store, stored: &StoredInbound) -> Result<Value, Problem> {
    let inbound = &stored.inbound;
    let overrides = &inbound.overrides;
    let model = match (&overrides.model, inbound.session_key.agent()) {
        (Some(model), _) => model.to_string(),
        (None, Some(agent)) => format!("instar/{agent}"),
        (None, None) => "instar".to_owned(),
    };
    let echo = Echo {
        model,
        instructions: overrides.instructions.clone(),
        max_output_tokens: overrides.sampling.max_output_tokens,
        temperature: overrides.sampling.temperature,
        top_p: overrides.sampling.top_p,
        tools: overrides.client_tools.clone(),
        ..Echo::default()
    };
    let created = inbound.received_at.millis() / 1_000;
    let mut builder = Builder::new(stem(&inbound.id), created, echo);
    match (stored.state, &stored.run) {
        (InboxState::Pending, _) => Ok(builder.unfinished("in_progress")),
        (InboxState::Interrupted | InboxState::Dropped, _) | (_, None) => {
            Ok(builder.unfinished("cancelled"))
        }
        (InboxState::Done | InboxState::Failed, Some(run)) => {
            let entries = store
                .entries_of_run(run)
                .await
                .map_err(|error| Problem::store(&error))?;
            Ok(builder.stored(&outcome(entries, stored.state)))
        }
    }
}

/// The outcome of a run, told from the entries that it stored.
pub(crate) fn outcome(entries: Vec<Entry>, state: InboxState) -> Outcome {
    let mut outcome = Outcome {
        status: if state == InboxState::Failed {
            OutcomeStatus::Failed
        } else {
            OutcomeStatus::Ok
        },
        text: String::new(),
        client_calls: Vec::new(),
        stop: StopReason::Stop,
        model: None,
        usage: Usage::default(),
        cost_micros: 0,
        error: None,
        outbox: None,
        entries: Vec::new(),
    };
    for entry in spoken::own(&entries) {
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
                outcome.text.clone_from(text);
                outcome.client_calls.clone_from(tool_calls);
                outcome.model = Some(model.clone());
                outcome.usage.add(*usage);
                outcome.cost_micros += cost_micros;
                outcome.stop = *stop;
            }
            // A call that was run or refused here is not the caller's to run.
            EntryBody::ToolResult {
                call_id, decision, ..
            } if *decision != ToolDecision::Handed => {
                outcome.client_calls.retain(|call| call.id != *call_id);
            }
            EntryBody::Notice {
                kind: NoticeKind::Error,
                text,
            } => {
                outcome.error = Some(UserError {
                    class: ErrorClass::Internal,
                    message: text.clone(),
                    next_step: String::new(),
                });
            }
            EntryBody::Notice {
                kind: NoticeKind::Aborted,
                ..
            } => {
                outcome.status = OutcomeStatus::Aborted;
                outcome.stop = StopReason::Aborted;
            }
            EntryBody::Notice {
                kind: NoticeKind::Command,
                text,
            } => outcome.text.clone_from(text),
            EntryBody::User { .. }
            | EntryBody::ToolResult { .. }
            | EntryBody::Compaction { .. }
            | EntryBody::Reset { .. }
            | EntryBody::ModelChange { .. }
            | EntryBody::Notice { .. } => {}
        }
    }
    outcome.entries = entries;
    outcome
}
