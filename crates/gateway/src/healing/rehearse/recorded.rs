//! What was recorded of a fault: the calls that failed, from the conversations, and what came of the calls of the
//! tool after that, from the event log.

use instar_protocol::Timestamp;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::Example;
use instar_protocol::message::{Entry, EntryBody};
use instar_store::{EventFilter, Store};
use serde_json::Value;

use super::stage::Came;
use crate::api::queries::QueryError;

/// Entries of a conversation in which a failed call is looked for.
const ENTRIES_MAX: usize = 2_000;
/// An event and the entry of the same result are stored one after the other.
const APART_MS_MAX: u64 = 60_000;
/// What came later than this after a failure says nothing of a call that is made again at once.
const TAPE_MS_MAX: u64 = 10 * 60_000;
const TAPE_MAX: usize = 8;
const EVENTS_MAX: usize = 500;

/// A failure that was seen.
pub(super) struct Failure {
    /// As the model had made the call; nothing where the conversation is gone.
    pub(super) arguments: Option<Value>,
    /// How it failed, and how the calls of the tool went after it.
    pub(super) tape: Vec<Came>,
}

/// The examples of a fault of a tool.
pub(super) async fn failures(
    store: &Store,
    tool: &str,
    examples: &[Example],
) -> Result<Vec<Failure>, QueryError> {
    let mut all = Vec::new();
    for example in examples {
        let arguments = match &example.session {
            Some(session) => {
                let entries = store.branch(session, None, ENTRIES_MAX).await?;
                arguments(&entries, tool, example.at)
            }
            None => None,
        };
        let filter = EventFilter {
            after: Some(example.event.clone()),
            kind: Some("tool_call".to_owned()),
            limit: EVENTS_MAX,
            ..EventFilter::default()
        };
        let after = store.events(filter).await?;
        let mut tape = vec![Came {
            is_error: true,
            text: example.text.clone(),
        }];
        tape.extend(tape_of(&after, tool, example.at));
        all.push(Failure { arguments, tape });
    }
    Ok(all)
}

/// The arguments of the call of the tool that failed at that time.
fn arguments(entries: &[Entry], tool: &str, at: Timestamp) -> Option<Value> {
    let apart = |entry: &Entry| entry.at.millis().abs_diff(at.millis());
    let failed = entries.iter().filter_map(|entry| match &entry.body {
        EntryBody::ToolResult {
            call_id,
            tool: of,
            is_error: true,
            ..
        } if of == tool && apart(entry) <= APART_MS_MAX => Some((apart(entry), entry, call_id)),
        _ => None,
    });
    let (_, result, id) = failed.min_by_key(|(apart, ..)| *apart)?;
    // Ids of calls may repeat from turn to turn.
    let calls = entries.iter().filter(|entry| entry.run == result.run);
    let mut calls = calls.filter_map(|entry| match &entry.body {
        EntryBody::Assistant { tool_calls, .. } => Some(tool_calls),
        _ => None,
    });
    let call = calls.find_map(|calls| calls.iter().find(|call| call.id == *id))?;
    Some(call.arguments.clone())
}

/// How the calls of the tool went soon after a failure, the first one first.
fn tape_of(events: &[Event], tool: &str, at: Timestamp) -> Vec<Came> {
    let soon = |event: &&Event| event.at.millis().saturating_sub(at.millis()) <= TAPE_MS_MAX;
    let came = events
        .iter()
        .take_while(soon)
        .filter_map(|event| match &event.kind {
            EventKind::ToolCall {
                tool: of,
                is_error,
                content,
                ..
            } if of == tool => Some(Came {
                is_error: *is_error,
                text: content.clone().unwrap_or_else(|| "done".to_owned()),
            }),
            _ => None,
        });
    came.take(TAPE_MAX).collect()
}
