//! Entries of a transcript as messages.

use instar_protocol::message::{Entry, EntryBody, NoticeKind, Part, plain_text};
use instar_protocol::model::Usage;
use instar_protocol::tool::ToolDecision;
use serde_json::{Map, Value, json};

use super::{cut, dollars};
use crate::api::export::spoken;
use crate::control::runs::Runs;

/// The most characters of one message when nobody says how many.
pub(crate) const CHARS: usize = 100_000;
/// The provider that stands beside what the gateway itself has to say.
const GATEWAY: &str = "instar";

/// An entry as a message; `None` for marks that nobody said. `seq` is its place on the branch.
pub(crate) fn message(runs: &Runs, entry: &Entry, seq: usize, chars_max: usize) -> Option<Value> {
    let mut message = body(&entry.body, chars_max)?;
    message.insert("timestamp".to_owned(), json!(entry.at.millis()));
    let mut about = json!({
        "id": entry.id,
        "seq": seq,
        "recordTimestampMs": entry.at.millis(),
    });
    if let Some(run) = &entry.run {
        about["runId"] = json!(runs.name_of(run));
    }
    if let EntryBody::User {
        principal, surface, ..
    } = &entry.body
    {
        about["senderIsOwner"] = json!(principal.is_owner());
        about["transport"] = json!(surface);
    }
    message.insert("__openclaw".to_owned(), about);
    Some(Value::Object(message))
}

fn body(body: &EntryBody, chars_max: usize) -> Option<Map<String, Value>> {
    let shown = |text: &str| cut(text, chars_max);
    let mut value = spoken(body, shown, |part| piece(part, chars_max));
    match body {
        EntryBody::User { .. } => {}
        EntryBody::Assistant {
            usage, cost_micros, ..
        } => value["usage"] = usage_of(*usage, *cost_micros),
        EntryBody::ToolResult { decision, .. } => {
            value["details"] = json!({ "decision": decision_word(decision) });
        }
        EntryBody::Compaction { summary, .. } => {
            value = json!({
                "role": "compactionSummary",
                "summary": shown(summary),
                "content": [{ "type": "text", "text": shown(summary) }],
            });
        }
        EntryBody::Notice { kind, text } => {
            value = json!({
                "role": "assistant",
                "content": [{ "type": "text", "text": shown(text) }],
                "provider": GATEWAY,
                "model": notice_word(*kind),
                "stopReason": "stop",
            });
        }
        EntryBody::Reset { .. } | EntryBody::ModelChange { .. } => return None,
    }
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

fn piece(part: &Part, chars_max: usize) -> Value {
    match part {
        Part::Text { text } => json!({ "type": "text", "text": cut(text, chars_max) }),
        Part::Image { mime, .. } => json!({ "type": "image", "mimeType": mime, "omitted": true }),
        Part::File { name, mime, .. } => {
            json!({ "type": "file", "fileName": name, "mimeType": mime, "omitted": true })
        }
    }
}

/// Tokens and cost as clients add them up.
pub(crate) fn usage_of(usage: Usage, cost_micros: u64) -> Value {
    json!({
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cacheRead": usage.cache_read_tokens,
        "cacheWrite": usage.cache_write_tokens,
        "totalTokens": context_tokens(usage),
        "cost": { "total": dollars(cost_micros) },
    })
}

/// What a call left in the model's window.
pub(crate) fn context_tokens(usage: Usage) -> u64 {
    usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.output_tokens
}

fn notice_word(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Command => "command",
        NoticeKind::Error => "error",
        NoticeKind::Interrupted => "interrupted",
        NoticeKind::Uncertain => "uncertain",
        NoticeKind::Aborted => "aborted",
        NoticeKind::Question => "question",
    }
}

fn decision_word(decision: &ToolDecision) -> Value {
    serde_json::to_value(decision).unwrap_or(Value::Null)
}

/// What was said in an entry, and by whom, for previews; `None` for everything but words.
pub(crate) fn words(entry: &Entry) -> Option<(&'static str, String)> {
    match &entry.body {
        EntryBody::User { parts, .. } => Some(("user", plain_text(parts))),
        EntryBody::Assistant { text, .. } if !text.is_empty() => Some(("assistant", text.clone())),
        EntryBody::Compaction { summary, .. } => Some(("system", summary.clone())),
        EntryBody::Assistant { .. }
        | EntryBody::ToolResult { .. }
        | EntryBody::Reset { .. }
        | EntryBody::ModelChange { .. }
        | EntryBody::Notice { .. } => None,
    }
}
