//! Ollama's native chat: `POST /api/chat`, newline-delimited JSON.

use base64::Engine;
use instar_demo::Ask;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::{Value, json};

use super::{Asked, Frame, Frames, Refusal, Turn, flag, list, object, required_text};

const CREATED_AT: &str = "2026-01-01T00:00:00.000000Z";

pub(crate) fn read(body: &Value) -> Result<Asked, Refusal> {
    let fields = object(body)?;
    let model = fields.get("model").and_then(Value::as_str).unwrap_or("");
    if model.is_empty() {
        return Err(Refusal::new(400, "model is required"));
    }
    let mut ask = Ask {
        model: model.to_owned(),
        ..Ask::default()
    };
    let mut asked_tools: Vec<String> = Vec::new();
    for message in list(fields, "messages")? {
        read_message(message, &mut ask, &mut asked_tools)?;
    }
    for tool in list(fields, "tools")? {
        match tool["function"]["name"].as_str() {
            Some(name) if !name.is_empty() => ask.tools.push(name.to_owned()),
            _ => return Err(Refusal::new(400, "a tool needs function.name")),
        }
    }
    Ok(Asked {
        ask,
        stream: flag(fields, "stream", true)?,
        include_usage: true,
    })
}

fn read_message(
    message: &Value,
    ask: &mut Ask,
    asked_tools: &mut Vec<String>,
) -> Result<(), Refusal> {
    let fields = object(message)?;
    let text = match fields.get("content") {
        None => "",
        Some(Value::String(text)) => text,
        // The real server fails to unmarshal anything but a string here.
        Some(_) => {
            let text = "json: cannot unmarshal into Go struct field ChatRequest.messages.content \
                        of type string";
            return Err(Refusal::new(400, text));
        }
    };
    match required_text(fields, "role")? {
        "system" => ask.add_system(text),
        "user" => {
            let images = list(fields, "images")?;
            for image in images {
                let data = image.as_str().unwrap_or_default();
                let decoded = base64::engine::general_purpose::STANDARD.decode(data);
                if !decoded.is_ok_and(|bytes| !bytes.is_empty()) {
                    return Err(Refusal::new(400, "illegal base64 data in images"));
                }
            }
            ask.add_user(text, images.len());
        }
        "assistant" => {
            asked_tools.clear();
            for call in list(fields, "tool_calls")? {
                let function = &call["function"];
                match function["name"].as_str() {
                    Some(name) if function["arguments"].is_object() => {
                        asked_tools.push(name.to_owned());
                    }
                    _ => return Err(Refusal::new(400, "a tool call needs a name and an object")),
                }
            }
            asked_tools.reverse();
            ask.add_assistant(text);
        }
        "tool" => {
            // Older clients name no tool: results then come in the order of the calls.
            let in_order = asked_tools.pop();
            let named = fields.get("tool_name").and_then(Value::as_str);
            let name = named.map(str::to_owned).or(in_order).unwrap_or_default();
            ask.add_result(&name, text, false);
        }
        other => {
            let text = format!("invalid role: {other}");
            return Err(Refusal::new(400, text));
        }
    }
    Ok(())
}

pub(crate) fn whole(turn: &Turn<'_>) -> Value {
    let answer = turn.gather();
    let mut message = json!({"role": "assistant", "content": answer.text});
    if !answer.reasoning.is_empty() {
        message["thinking"] = answer.reasoning.clone().into();
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().zip(0_u32..);
        message["tool_calls"] = calls.map(|(call, index)| call_value(call, index)).collect();
    }
    closing(turn, &message, answer.stop, answer.usage)
}

pub(crate) fn stream(turn: &Turn<'_>) -> Vec<Frame> {
    let mut frames = Frames::default();
    let mut calls = 0;
    for (pause, event) in turn.events {
        frames.pause(*pause);
        let message = match event {
            ModelEvent::Text { delta } => json!({"role": "assistant", "content": delta}),
            ModelEvent::Reasoning { delta, .. } if delta.is_empty() => continue,
            ModelEvent::Reasoning { delta, .. } => {
                json!({"role": "assistant", "content": "", "thinking": delta})
            }
            ModelEvent::ToolCall { call } => {
                calls += 1;
                let call = call_value(call, calls - 1);
                json!({"role": "assistant", "content": "", "tool_calls": [call]})
            }
            ModelEvent::Finish { stop, usage } => {
                let message = json!({"role": "assistant", "content": ""});
                frames.line(&closing(turn, &message, Some(*stop), *usage));
                frames.mark_last();
                continue;
            }
        };
        frames.line(&json!({
            "model": turn.model,
            "created_at": CREATED_AT,
            "message": message,
            "done": false,
        }));
    }
    frames.done()
}

fn call_value(call: &ToolCall, index: u32) -> Value {
    json!({
        "id": call.id,
        "function": {"index": index, "name": call.name, "arguments": call.arguments},
    })
}

fn closing(turn: &Turn<'_>, message: &Value, stop: Option<StopReason>, usage: Usage) -> Value {
    let reason = match stop {
        Some(StopReason::Length) => "length",
        _ => "stop",
    };
    json!({
        "model": turn.model,
        "created_at": CREATED_AT,
        "message": message,
        "done": true,
        "done_reason": reason,
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": usage.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": usage.output_tokens,
        "eval_duration": 3_000_000,
    })
}

/// The fields of `GET /api/tags`.
pub(crate) fn tags(ids: &[String]) -> Value {
    let rows: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "name": id,
                "model": id,
                "modified_at": CREATED_AT,
                "size": 1_000_000_000_u64,
                "digest": "0".repeat(64),
                "details": {
                    "parent_model": "",
                    "format": "gguf",
                    "family": "scripted",
                    "families": ["scripted"],
                    "parameter_size": "1B",
                    "quantization_level": "Q4_0",
                },
            })
        })
        .collect();
    json!({"models": rows})
}
