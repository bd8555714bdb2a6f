//! Reads Ollama's own chat stream: one JSON object a line.

use super::DecodeError;
use super::bounds::Bounded;
use super::openai_chat::{null_is_empty, vendor_error};
use crate::stream::lines::Lines;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct Ollama {
    lines: Lines,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    done_reason: Option<String>,
    #[serde(default)]
    prompt_eval_count: u64,
    #[serde(default)]
    eval_count: u64,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    tool_calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    arguments: Value,
}

impl Ollama {
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        self.lines.push(bytes, &mut |text| line(text, bounded, out))
    }

    pub(crate) fn finish(
        &mut self,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        self.lines.flush(&mut |text| line(text, bounded, out))?;
        bounded.whole()
    }
}

fn line(text: &[u8], bounded: &mut Bounded, out: &mut Vec<ModelEvent>) -> Result<(), DecodeError> {
    if bounded.finished {
        return Ok(());
    }
    let line: Line = serde_json::from_slice(text).map_err(|error| DecodeError::json(&error))?;
    if let Some(error) = &line.error {
        return Err(vendor_error(error));
    }
    if let Some(message) = line.message {
        bounded.reasoning(message.thinking.unwrap_or_default(), out)?;
        bounded.text(message.content.unwrap_or_default(), out)?;
        for wire in message.tool_calls {
            // Calls come whole; each is a new one.
            let call = bounded.call(bounded.calls.len() as u64)?;
            call.id(wire.id.as_deref().unwrap_or(""))?;
            call.name(&wire.function.name)?;
            match wire.function.arguments {
                Value::Null => {}
                Value::String(raw) => call.arguments(&raw)?,
                whole => call.arguments(&whole.to_string())?,
            }
        }
    }
    if !line.done {
        return Ok(());
    }
    let usage = Usage {
        input_tokens: line.prompt_eval_count,
        output_tokens: line.eval_count,
        ..Usage::default()
    };
    let stop = match line.done_reason.as_deref() {
        Some("length") => StopReason::Length,
        // The server loaded or unloaded the model and answered nothing.
        Some(reason @ ("load" | "unload")) => {
            return Err(DecodeError::Malformed(format!(
                "the server answered {reason} instead of a message"
            )));
        }
        _ => StopReason::Stop,
    };
    bounded.finish(stop, usage, out)
}
