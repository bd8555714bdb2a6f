//! A conversation as JSON lines: a header, then one record per stored entry, all branches.
//!
//! The records follow the transcript form that tools of this kind read (`message`, `compaction`,
//! `reset`, `model_change`, `custom`), each with `id`, `parentId` and an ISO `timestamp`.

use instar_protocol::Timestamp;
use instar_protocol::message::{Entry, EntryBody, Part};
use instar_protocol::model::{ModelRef, Reasoning, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use instar_store::SessionRow;
use serde_json::{Value, json};

/// The version of the record form.
pub const VERSION: u32 = 1;

/// The first line of an export.
#[must_use]
pub fn header(row: &SessionRow) -> Value {
    json!({
        "type": "session",
        "version": VERSION,
        "id": row.id,
        "key": row.key,
        "agent": row.agent,
        "title": row.title,
        "timestamp": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "leafId": row.leaf,
    })
}

/// One stored entry.
#[must_use]
pub fn record(entry: &Entry) -> Value {
    let mut record = body(entry);
    record["id"] = json!(entry.id);
    record["parentId"] = json!(entry.parent);
    record["timestamp"] = json!(iso(entry.at));
    if let Some(run) = &entry.run {
        record["runId"] = json!(run);
    }
    record["label"] = json!(entry.label);
    record
}

fn body(entry: &Entry) -> Value {
    match &entry.body {
        EntryBody::Compaction {
            summary,
            first_kept,
            tokens_before,
        } => json!({
            "type": "compaction",
            "summary": summary,
            "firstKeptEntryId": first_kept,
            "tokensBefore": tokens_before,
        }),
        EntryBody::Reset { reason } => json!({"type": "reset", "reason": reason}),
        EntryBody::ModelChange { model } => json!({
            "type": "model_change",
            "provider": model.as_ref().map(ModelRef::provider),
            "modelId": model.as_ref().map(ModelRef::model),
        }),
        EntryBody::Notice { kind, text } => json!({
            "type": "custom",
            "customType": "instar:notice",
            "data": {"kind": kind, "text": text},
        }),
        EntryBody::User { .. } | EntryBody::Assistant { .. } | EntryBody::ToolResult { .. } => {
            json!({"type": "message", "message": message(entry)})
        }
    }
}

fn message(entry: &Entry) -> Value {
    let mut message = spoken(&entry.body, str::to_owned, part);
    match &entry.body {
        EntryBody::User {
            principal,
            inbound,
            surface,
            ..
        } => {
            message["principal"] = json!(principal);
            message["inboundId"] = json!(inbound);
            message["surface"] = json!(surface);
        }
        EntryBody::Assistant {
            usage, cost_micros, ..
        } => message["usage"] = tokens(*usage, *cost_micros),
        EntryBody::ToolResult { decision, .. } => message["decision"] = json!(decision),
        EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => return Value::Null,
    }
    message["timestamp"] = json!(entry.at);
    message
}

/// What exports and clients of the control plane read alike of what somebody said: texts are passed
/// through `shown`, pieces of a person's message through `piece`. Nothing for other entries.
pub(crate) fn spoken(
    body: &EntryBody,
    shown: impl Fn(&str) -> String,
    piece: impl Fn(&Part) -> Value,
) -> Value {
    match body {
        EntryBody::User { parts, .. } => json!({
            "role": "user",
            "content": parts.iter().map(piece).collect::<Vec<_>>(),
        }),
        EntryBody::Assistant {
            text,
            tool_calls,
            reasoning,
            model,
            stop,
            ..
        } => json!({
            "role": "assistant",
            "content": said(text, tool_calls, reasoning.as_ref(), shown),
            "provider": model.provider(),
            "model": model.model(),
            "stopReason": stop_reason(*stop),
        }),
        EntryBody::ToolResult {
            call_id,
            tool,
            text,
            is_error,
            ..
        } => json!({
            "role": "toolResult",
            "toolCallId": call_id,
            "toolName": tool,
            "content": [{"type": "text", "text": shown(text)}],
            "isError": is_error,
        }),
        EntryBody::Compaction { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => Value::Null,
    }
}

/// What a model said, piece by piece; the texts are passed through `shown`.
fn said(
    text: &str,
    tool_calls: &[ToolCall],
    reasoning: Option<&Reasoning>,
    shown: impl Fn(&str) -> String,
) -> Vec<Value> {
    let mut content = Vec::new();
    if let Some(reasoning) = reasoning.filter(|found| !found.text.is_empty()) {
        content.push(json!({ "type": "thinking", "thinking": shown(&reasoning.text) }));
    }
    if !text.is_empty() {
        content.push(json!({ "type": "text", "text": shown(text) }));
    }
    content.extend(tool_calls.iter().map(|call| {
        json!({
            "type": "toolCall", "id": call.id, "name": call.name, "arguments": call.arguments,
        })
    }));
    content
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text { text } => json!({"type": "text", "text": text}),
        Part::Image { object, mime } => {
            json!({"type": "image", "object": object, "mimeType": mime})
        }
        Part::File {
            object,
            name,
            mime,
            text,
        } => json!({
            "type": "file",
            "object": object,
            "name": name,
            "mimeType": mime,
            "text": text,
        }),
    }
}

fn tokens(usage: Usage, cost_micros: u64) -> Value {
    json!({
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cacheRead": usage.cache_read_tokens,
        "cacheWrite": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "costMicros": cost_micros,
    })
}

/// The word for why an answer ended, as exports and the control plane write it.
pub(crate) fn stop_reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop => "stop",
        StopReason::ToolUse => "toolUse",
        StopReason::Length => "length",
        StopReason::Refusal => "refusal",
        StopReason::Aborted => "aborted",
    }
}

/// A time as ISO 8601 in UTC.
pub(crate) fn iso(at: Timestamp) -> String {
    i64::try_from(at.millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(String::new, |at| at.to_string())
}
