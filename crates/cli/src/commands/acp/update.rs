//! What happens in a conversation, as an editor shows it: live and, when a session is loaded, again.

use agent_client_protocol::v1::schema::{
    AvailableCommand, AvailableCommandInput, AvailableCommandsUpdate, ContentBlock, ContentChunk,
    SessionId, SessionNotification, SessionUpdate, ToolCall, ToolCallStatus, ToolCallUpdate,
    ToolCallUpdateFields, ToolKind, UnstructuredCommandInput,
};
use instar_gateway::COMMANDS;
use instar_protocol::live::LiveEvent;
use instar_protocol::message::{Entry, EntryBody, Part};
use instar_protocol::tool::{self, ToolDecision};
use serde_json::json;

/// Remembers what of the answer was told, so that all of it is told once.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Text since the last tool call.
    text: String,
}

impl Told {
    pub(super) fn updates(&mut self, event: &LiveEvent) -> Vec<SessionUpdate> {
        match event {
            LiveEvent::Text { delta, .. } => {
                self.text.push_str(delta);
                vec![said(delta)]
            }
            LiveEvent::Reasoning { delta, .. } => vec![thought(delta)],
            LiveEvent::ToolCall { call, .. } => {
                self.text.clear();
                vec![SessionUpdate::ToolCall(call_of(call))]
            }
            LiveEvent::ToolResult {
                call_id,
                decision,
                is_error,
                text,
                ..
            } => vec![result(call_id, decision, *is_error, text)],
            LiveEvent::Notice { text, .. } => vec![said(&format!("\n{text}\n"))],
            // Commands answer at the end, and so does a stream that missed something.
            LiveEvent::Done { outcome, .. } => match outcome.text.strip_prefix(&self.text) {
                Some(rest) if !rest.is_empty() => vec![said(rest)],
                _ => Vec::new(),
            },
            LiveEvent::Accepted { .. }
            | LiveEvent::Started { .. }
            | LiveEvent::Moved { .. }
            | LiveEvent::Stored { .. } => Vec::new(),
        }
    }
}

/// An entry of the past.
pub(super) fn replay(entry: &Entry) -> Vec<SessionUpdate> {
    match &entry.body {
        EntryBody::User { parts, .. } => parts.iter().map(asked).collect(),
        EntryBody::Assistant {
            text,
            tool_calls,
            reasoning,
            ..
        } => {
            let thought = reasoning.as_ref().map(|one| thought(&one.text));
            let said = (!text.is_empty()).then(|| said(text));
            let calls = tool_calls
                .iter()
                .map(|call| SessionUpdate::ToolCall(call_of(call)));
            thought.into_iter().chain(said).chain(calls).collect()
        }
        EntryBody::ToolResult {
            call_id,
            text,
            is_error,
            decision,
            ..
        } => vec![result(call_id, decision, *is_error, text)],
        EntryBody::Notice { text, .. } => vec![said(text)],
        EntryBody::Compaction { .. } | EntryBody::Reset { .. } | EntryBody::ModelChange { .. } => {
            Vec::new()
        }
    }
}

/// The gateway's commands, for the editor to complete.
pub(super) fn commands(session: SessionId) -> SessionNotification {
    let commands = COMMANDS.iter().map(|command| {
        let shown = AvailableCommand::new(command.name, command.about);
        match command.argument {
            Some((_, hint)) => shown.input(AvailableCommandInput::Unstructured(
                UnstructuredCommandInput::new(hint),
            )),
            None => shown,
        }
    });
    let update = AvailableCommandsUpdate::new(commands.collect::<Vec<_>>());
    SessionNotification::new(session, SessionUpdate::AvailableCommandsUpdate(update))
}

fn chunk(text: &str) -> ContentChunk {
    ContentChunk::new(ContentBlock::from(text))
}

fn said(text: &str) -> SessionUpdate {
    SessionUpdate::AgentMessageChunk(chunk(text))
}

fn thought(text: &str) -> SessionUpdate {
    SessionUpdate::AgentThoughtChunk(chunk(text))
}

fn asked(part: &Part) -> SessionUpdate {
    let text = match part {
        Part::Text { text } => text.clone(),
        Part::Image { mime, .. } => format!("[image, {mime}]"),
        Part::File { name, .. } => format!("[file {name}]"),
    };
    SessionUpdate::UserMessageChunk(chunk(&text))
}

fn call_of(call: &tool::ToolCall) -> ToolCall {
    ToolCall::new(call.id.clone(), call.name.clone())
        .kind(ToolKind::Other)
        .status(ToolCallStatus::Pending)
        .raw_input(call.arguments.clone())
}

/// A call that was decided and, if it was allowed, run.
fn result(id: &str, decision: &ToolDecision, is_error: bool, text: &str) -> SessionUpdate {
    let denied = match decision {
        ToolDecision::Denied { rule, reason } => Some(format!("denied by {rule}: {reason}")),
        ToolDecision::Asked { question, .. } => Some(format!(
            "the owner was asked: instar approvals show {question}"
        )),
        ToolDecision::Allowed { .. } | ToolDecision::Handed => None,
    };
    let status = if is_error || denied.is_some() {
        ToolCallStatus::Failed
    } else {
        ToolCallStatus::Completed
    };
    let shown = denied.unwrap_or_else(|| text.to_owned());
    let fields = ToolCallUpdateFields::new()
        .status(status)
        .content(vec![shown.into()])
        .raw_output(json!({ "decision": decision, "text": text }));
    SessionUpdate::ToolCallUpdate(ToolCallUpdate::new(id.to_owned(), fields))
}
