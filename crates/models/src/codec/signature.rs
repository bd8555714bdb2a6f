//! The opaque token that is kept with reasoning and given back to the vendor that made it.
//!
//! It is a word for the wire format, a colon, and JSON. A codec ignores a token that another wire
//! format made: after a fallback, a vendor is never sent what it cannot verify.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const CHAT: &str = "chat:";
const ANTHROPIC: &str = "anthropic:";
const RESPONSES: &str = "responses:";

fn write<T: Serialize>(prefix: &str, value: &T) -> Option<String> {
    Some(format!("{prefix}{}", serde_json::to_string(value).ok()?))
}

fn read<T: for<'a> Deserialize<'a>>(prefix: &str, text: &str) -> Option<T> {
    serde_json::from_str(text.strip_prefix(prefix)?).ok()
}

/// For chat completions: OpenRouter's reasoning details, Gemini's thought signature of each call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ChatSignature {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Value>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) calls: BTreeMap<String, String>,
}

impl ChatSignature {
    pub(crate) fn text(&self) -> Option<String> {
        if self.details.is_empty() && self.calls.is_empty() {
            return None;
        }
        write(CHAT, self)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        read(CHAT, text)
    }
}

/// Joins a piece of a streamed reasoning detail to the ones before it.
pub(crate) fn merge_detail(details: &mut Vec<Value>, piece: Value) {
    let same =
        |a: &Value, b: &Value| a.get("type") == b.get("type") && a.get("index") == b.get("index");
    let Some(last) = details.last_mut().filter(|last| same(last, &piece)) else {
        details.push(piece);
        return;
    };
    let (Some(last), Value::Object(piece)) = (last.as_object_mut(), piece) else {
        return;
    };
    for (key, value) in piece {
        match (key.as_str(), last.get_mut(&key), value) {
            (_, _, Value::Null) => {}
            ("text" | "summary" | "data", Some(Value::String(text)), Value::String(more)) => {
                text.push_str(&more);
            }
            (_, _, value) => {
                last.insert(key, value);
            }
        }
    }
}

/// For Anthropic: the thinking blocks in order. A block's text is a stretch of the reasoning text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThinkingBlock {
    /// So many bytes of the text, with this signature.
    Thinking(usize, String),
    Redacted(String),
}

pub(crate) fn write_thinking(blocks: &[ThinkingBlock]) -> Option<String> {
    (!blocks.is_empty()).then(|| write(ANTHROPIC, &blocks))?
}

/// The blocks with their stretches of text; `None` if the text is not what was signed.
pub(crate) fn read_thinking<'a>(
    signature: &str,
    text: &'a str,
) -> Option<Vec<(ThinkingBlock, &'a str)>> {
    let blocks: Vec<ThinkingBlock> = read(ANTHROPIC, signature)?;
    let mut rest = text;
    let mut out = vec![];
    for block in blocks {
        let len = match &block {
            ThinkingBlock::Thinking(len, _) => *len,
            ThinkingBlock::Redacted(_) => 0,
        };
        let (piece, after) = rest.split_at_checked(len)?;
        rest = after;
        out.push((block, piece));
    }
    rest.is_empty().then_some(out)
}

/// For responses: the reasoning items as they came, encrypted content included.
pub(crate) fn write_items(items: &[Value]) -> Option<String> {
    (!items.is_empty()).then(|| write(RESPONSES, &items))?
}

pub(crate) fn read_items(signature: &str) -> Option<Vec<Value>> {
    read(RESPONSES, signature)
}
