//! A model whose answer says what it was given, so that tests see through the whole way.

use std::sync::Mutex;

use instar_protocol::message::{Part, plain_text};
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, StopReason, Usage,
};
use instar_protocol::tool::ToolCall;
use serde_json::json;

/// Longer than any test: an answer with this pause is stopped, never waited for.
const FOREVER_MS: u64 = 3_600_000;

/// Answers by the words of the last message, and keeps every request.
#[derive(Debug, Default)]
pub(crate) struct Mirror {
    pub(crate) seen: Mutex<Vec<ModelRequest>>,
}

impl LocalModel for Mirror {
    fn answer(&self, _model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        self.seen.lock().unwrap().push(request.clone());
        match request.messages.last() {
            Some(ModelMessage::Tool { text, .. }) => {
                says(&[&format!("the sum is {}", unfenced(text))])
            }
            Some(ModelMessage::User { parts }) => to_words(request, parts),
            _ => says(&["nothing to answer"]),
        }
    }

    fn models(&self) -> Vec<(String, String)> {
        vec![("mirror".to_owned(), "says what it was given".to_owned())]
    }
}

fn to_words(request: &ModelRequest, parts: &[Part]) -> Vec<(u64, ModelEvent)> {
    let words = undated(parts);
    let has = |word: &str| words.contains(word);
    if has("add") && request.tools.iter().any(|tool| tool.name == "add") {
        let call = ToolCall {
            id: "call_add".to_owned(),
            name: "add".to_owned(),
            arguments: json!({"a": 2, "b": 3}),
        };
        return vec![
            (
                0,
                ModelEvent::Text {
                    delta: "let me add".to_owned(),
                },
            ),
            (0, ModelEvent::ToolCall { call }),
            end(StopReason::ToolUse),
        ];
    }
    if has("read the file") {
        return says(&[&format!("{parts:?}")]);
    }
    if has("history") {
        let said: Vec<String> = request.messages.iter().map(heard).collect();
        return says(&[&said.join("|")]);
    }
    if has("picture") {
        let images = parts
            .iter()
            .filter(|part| matches!(part, Part::Image { .. }))
            .count();
        return says(&[&format!("I see {images} pictures")]);
    }
    if has("instructions") {
        let system: Vec<&str> = request
            .system
            .iter()
            .map(|part| part.text.as_str())
            .collect();
        return says(&[&format!("told: {}", system.join(" "))]);
    }
    if has("forever") {
        return vec![
            (
                0,
                ModelEvent::Text {
                    delta: "wait".to_owned(),
                },
            ),
            (
                FOREVER_MS,
                ModelEvent::Text {
                    delta: "late".to_owned(),
                },
            ),
            end(StopReason::Stop),
        ];
    }
    if has("broken") {
        return vec![(
            0,
            ModelEvent::Text {
                delta: "half".to_owned(),
            },
        )];
    }
    if has("cut") {
        let mut events = says(&["to be contin"]);
        events.pop();
        events.push(end(StopReason::Length));
        return events;
    }
    if has("think") {
        let thought = ModelEvent::Reasoning {
            delta: "hm".to_owned(),
            signature: None,
        };
        return [vec![(0, thought)], says(&["done"])].concat();
    }
    says(&["one ", "two ", "three"])
}

fn says(deltas: &[&str]) -> Vec<(u64, ModelEvent)> {
    let text = |delta: &&str| {
        (
            0,
            ModelEvent::Text {
                delta: (*delta).to_owned(),
            },
        )
    };
    let mut events: Vec<_> = deltas.iter().map(text).collect();
    events.push(end(StopReason::Stop));
    events
}

fn end(stop: StopReason) -> (u64, ModelEvent) {
    let usage = Usage {
        input_tokens: 7,
        output_tokens: 3,
        ..Usage::default()
    };
    (0, ModelEvent::Finish { stop, usage })
}

fn heard(message: &ModelMessage) -> String {
    match message {
        ModelMessage::User { parts } => format!("user:{}", undated(parts)),
        ModelMessage::Assistant { text, .. } => format!("assistant:{text}"),
        ModelMessage::Tool { text, .. } => format!("tool:{}", unfenced(text)),
    }
}

/// The words of a message without the date that the gateway puts before them.
fn undated(parts: &[Part]) -> String {
    let text = plain_text(parts);
    match text.split_once("] ") {
        Some((date, rest)) if date.starts_with('[') => rest.to_owned(),
        _ => text,
    }
}

/// A tool's words without the fence that the gateway puts around them.
fn unfenced(text: &str) -> &str {
    text.lines()
        .find(|line| line.bytes().all(|b| b.is_ascii_digit()))
        .unwrap_or(text)
}
