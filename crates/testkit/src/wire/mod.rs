//! The four wire formats, from the vendor's side: reading requests, writing answers and errors.
//!
//! Each module has `read` (what the vendor would refuse is refused), `whole` (the answer in one
//! body), `stream` (the answer in frames) and the vendor's error shape. None of them shares code
//! with the client-side codecs: what they agree on is the vendors' documentation.

pub(crate) mod chat;
pub(crate) mod embed;
pub(crate) mod messages;
pub(crate) mod ollama;
pub(crate) mod responses;

use bytes::Bytes;
use instar_demo::Ask;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde::Serialize;
use serde_json::{Map, Value};

/// When every scripted answer was made: 2026-01-01, in seconds.
pub(crate) const CREATED: u64 = 1_767_225_600;

/// A wire format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    Chat,
    Responses,
    Messages,
    Ollama,
}

/// A request that passed its vendor's checks.
#[derive(Debug)]
pub(crate) struct Asked {
    pub ask: Ask,
    pub stream: bool,
    /// The last frame of a chat stream carries the usage.
    pub include_usage: bool,
}

/// An answer on its way to a wire.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub model: &'a str,
    pub call: u64,
    pub events: &'a [(u64, ModelEvent)],
    pub include_usage: bool,
}

/// A piece of a stream with the pause in milliseconds before it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub pause: u64,
    pub bytes: Bytes,
    /// True for frames that say why and that the answer ended.
    pub last: bool,
}

/// The parts of an answer, gathered.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub text: String,
    pub reasoning: String,
    pub signature: Option<String>,
    pub calls: Vec<ToolCall>,
    pub stop: Option<StopReason>,
    pub usage: Usage,
}

impl Turn<'_> {
    pub(crate) fn gather(&self) -> Gathered {
        let mut gathered = Gathered::default();
        for (_, event) in self.events {
            match event {
                ModelEvent::Text { delta } => gathered.text.push_str(delta),
                ModelEvent::Reasoning { delta, signature } => {
                    gathered.reasoning.push_str(delta);
                    if signature.is_some() {
                        gathered.signature.clone_from(signature);
                    }
                }
                ModelEvent::ToolCall { call } => gathered.calls.push(call.clone()),
                ModelEvent::Finish { stop, usage } => {
                    gathered.stop = Some(*stop);
                    gathered.usage = *usage;
                }
            }
        }
        gathered
    }
}

/// Frames being written.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    frames: Vec<Frame>,
    pause: u64,
}

impl Frames {
    /// Sets the pause before the next frame.
    pub(crate) fn pause(&mut self, ms: u64) {
        self.pause += ms;
    }

    /// A server-sent event without a name.
    pub(crate) fn data(&mut self, body: &impl Serialize) {
        self.push("data: ", body, "\n\n");
    }

    /// A server-sent event with a name.
    pub(crate) fn event(&mut self, name: &str, body: &impl Serialize) {
        self.push(&format!("event: {name}\ndata: "), body, "\n\n");
    }

    /// A line of JSON.
    pub(crate) fn line(&mut self, body: &impl Serialize) {
        self.push("", body, "\n");
    }

    pub(crate) fn raw(&mut self, bytes: &'static str) {
        self.add(Bytes::from_static(bytes.as_bytes()));
    }

    /// Marks the newest frame as one that ends the answer.
    pub(crate) fn mark_last(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.last = true;
        }
    }

    pub(crate) fn done(self) -> Vec<Frame> {
        self.frames
    }

    fn push(&mut self, head: &str, body: &impl Serialize, tail: &str) {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(head.as_bytes());
        if serde_json::to_writer(&mut bytes, body).is_ok() {
            bytes.extend_from_slice(tail.as_bytes());
            self.add(bytes.into());
        }
    }

    fn add(&mut self, bytes: Bytes) {
        self.frames.push(Frame {
            pause: std::mem::take(&mut self.pause),
            bytes,
            last: false,
        });
    }
}

/// The arguments of a call as text: JSON, or what the script put in its place.
pub(crate) fn argument_text(call: &ToolCall) -> String {
    match &call.arguments {
        Value::String(raw) => raw.clone(),
        other => other.to_string(),
    }
}

/// Cuts arguments in two, as streams deliver them in pieces.
pub(crate) fn halves(text: &str) -> impl Iterator<Item = &str> {
    let middle = (0..=text.len() / 2)
        .rev()
        .find(|index| text.is_char_boundary(*index))
        .unwrap_or(0);
    let (first, second) = text.split_at(middle);
    [first, second].into_iter().filter(|part| !part.is_empty())
}

/// A refusal before it has its vendor's shape.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: u16,
    pub message: String,
    /// The field that is wrong, where the vendor names one.
    pub param: Option<String>,
    /// The vendor's code, if it is not the usual one of the status.
    pub code: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            param: None,
            code: None,
        }
    }

    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::new(400, message)
        }
    }

    pub(crate) fn body(&self, wire: Wire, call: u64) -> Value {
        match wire {
            Wire::Chat | Wire::Responses => chat::error(self),
            Wire::Messages => messages::error(self, call),
            Wire::Ollama => serde_json::json!({"error": self.message}),
        }
    }
}

/// A request body's fields with the checks that all vendors make.
pub(crate) fn object(body: &Value) -> Result<&Map<String, Value>, Refusal> {
    body.as_object()
        .ok_or_else(|| Refusal::new(400, "the body must be a JSON object"))
}

pub(crate) fn required_text<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<&'a str, Refusal> {
    match fields.get(name).map(Value::as_str) {
        Some(Some(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(Refusal::invalid(name, format!("{name}: must be a string"))),
        None => Err(Refusal::invalid(
            name,
            format!("Missing required parameter: '{name}'."),
        )),
    }
}

pub(crate) fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a [Value], Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(Refusal::invalid(name, format!("{name}: must be an array"))),
    }
}

pub(crate) fn flag(fields: &Map<String, Value>, name: &str, absent: bool) -> Result<bool, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(absent),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Refusal::invalid(name, format!("{name}: must be a boolean"))),
    }
}

/// Refuses a number outside a range; absent is fine.
pub(crate) fn number_between(
    fields: &Map<String, Value>,
    name: &str,
    low: f64,
    high: f64,
) -> Result<(), Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_f64().is_some_and(|n| (low..=high).contains(&n)) => Ok(()),
        Some(_) => Err(Refusal::invalid(
            name,
            format!("{name}: must be a number between {low} and {high}"),
        )),
    }
}

/// The name of the tool that a call id belongs to; the id itself if nobody made that call.
#[derive(Debug, Default)]
pub(crate) struct CallNames(Vec<(String, String)>);

impl CallNames {
    pub(crate) fn add(&mut self, id: &str, name: &str) {
        self.0.push((id.to_owned(), name.to_owned()));
    }

    pub(crate) fn name(&self, id: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == id)
            .map(|(_, name)| name.as_str())
    }
}
