//! OpenAI chat completions: `POST /v1/chat/completions`.

use instar_demo::Ask;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::{Map, Value, json};

use super::{
    Asked, CREATED, CallNames, Frame, Frames, Refusal, Turn, argument_text, flag, halves, list,
    number_between, object, required_text,
};

pub(crate) fn read(body: &Value) -> Result<Asked, Refusal> {
    let fields = object(body)?;
    let mut ask = Ask {
        model: required_text(fields, "model")?.to_owned(),
        ..Ask::default()
    };
    let messages = list(fields, "messages")?;
    if messages.is_empty() {
        let text = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(Refusal::invalid("messages", text));
    }
    number_between(fields, "temperature", 0.0, 2.0)?;
    number_between(fields, "top_p", 0.0, 1.0)?;
    for name in ["max_tokens", "max_completion_tokens"] {
        number_between(fields, name, 1.0, f64::from(u32::MAX))?;
    }
    let mut calls = CallNames::default();
    for (index, message) in messages.iter().enumerate() {
        read_message(message, &format!("messages[{index}]"), &mut ask, &mut calls)?;
    }
    for (index, tool) in list(fields, "tools")?.iter().enumerate() {
        let place = format!("tools[{index}].function.name");
        if tool["type"] != "function" {
            return Err(Refusal::invalid(&place, "tools must be of type 'function'"));
        }
        let name = tool["function"]["name"].as_str();
        ask.tools.push(tool_name(name, &place)?);
    }
    Ok(Asked {
        ask,
        stream: flag(fields, "stream", false)?,
        include_usage: fields
            .get("stream_options")
            .is_some_and(|options| options["include_usage"] == true),
    })
}

/// A function name within the vendor's alphabet.
pub(super) fn tool_name(name: Option<&str>, place: &str) -> Result<String, Refusal> {
    let name = name.unwrap_or_default();
    let fine = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fine {
        Ok(name.to_owned())
    } else {
        let text = format!("Invalid '{place}': expected 1 to 64 of a-z, A-Z, 0-9, '_' and '-'.");
        Err(Refusal::invalid(place, text))
    }
}

fn read_message(
    message: &Value,
    place: &str,
    ask: &mut Ask,
    calls: &mut CallNames,
) -> Result<(), Refusal> {
    let fields = message
        .as_object()
        .ok_or_else(|| Refusal::invalid(place, format!("{place}: must be an object")))?;
    let (text, images) = read_content(fields.get("content"), place)?;
    match required_text(fields, "role")? {
        "system" | "developer" => ask.add_system(&text),
        "user" => ask.add_user(&text, images),
        "assistant" => {
            let made = list(fields, "tool_calls")?;
            if made.is_empty() && fields.get("content").is_none_or(Value::is_null) {
                let text = format!("{place}: an assistant message needs content or tool_calls");
                return Err(Refusal::invalid(place, text));
            }
            for call in made {
                read_call(call, place, calls)?;
            }
            ask.add_assistant(&text);
        }
        "tool" => {
            let id = required_text(fields, "tool_call_id")?;
            let name = calls.name(id).ok_or_else(|| {
                let text = "Invalid parameter: messages with role 'tool' must be a response to a \
                            preceding message with 'tool_calls'.";
                Refusal::invalid(&format!("{place}.role"), text)
            })?;
            ask.add_result(name, &text, false);
            ask.images += images;
        }
        other => {
            let text = format!("Invalid value: '{other}' at {place}.role.");
            return Err(Refusal::invalid(&format!("{place}.role"), text));
        }
    }
    Ok(())
}

fn read_call(call: &Value, place: &str, calls: &mut CallNames) -> Result<(), Refusal> {
    let id = call["id"].as_str();
    let name = call["function"]["name"].as_str();
    let arguments = call["function"]["arguments"].as_str();
    match (id, name, arguments) {
        (Some(id), Some(name), Some(_)) if call["type"] == "function" => {
            calls.add(id, name);
            Ok(())
        }
        _ => {
            let text = "a tool call needs id, type 'function', function.name and \
                        function.arguments as a string";
            Err(Refusal::invalid(&format!("{place}.tool_calls"), text))
        }
    }
}

fn read_content(content: Option<&Value>, place: &str) -> Result<(String, usize), Refusal> {
    let parts = match content {
        None | Some(Value::Null) => return Ok((String::new(), 0)),
        Some(Value::String(text)) => return Ok((text.clone(), 0)),
        Some(Value::Array(parts)) => parts,
        Some(_) => {
            return Err(Refusal::invalid(
                place,
                "content must be a string or an array",
            ));
        }
    };
    let mut texts = Vec::new();
    let mut images = 0;
    for part in parts {
        match part["type"].as_str() {
            Some("text") => texts.push(part["text"].as_str().unwrap_or_default()),
            Some("refusal") => texts.push(part["refusal"].as_str().unwrap_or_default()),
            Some("image_url") if part["image_url"]["url"].is_string() => images += 1,
            Some("file" | "input_audio") => {}
            _ => {
                let text = format!("{place}.content: unknown or incomplete part {part}");
                return Err(Refusal::invalid(place, text));
            }
        }
    }
    Ok((texts.join("\n"), images))
}

pub(crate) fn whole(turn: &Turn<'_>) -> Value {
    let answer = turn.gather();
    let calls: Vec<Value> = answer.calls.iter().map(call_value).collect();
    let mut message = json!({
        "role": "assistant",
        "content": if answer.text.is_empty() { Value::Null } else { answer.text.clone().into() },
        "refusal": null,
        "annotations": [],
    });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = answer.reasoning.clone().into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": id(turn),
        "object": "chat.completion",
        "created": CREATED,
        "model": turn.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(answer.stop),
        }],
        "usage": usage(answer.usage),
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
    })
}

fn call_value(call: &ToolCall) -> Value {
    json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": argument_text(call)},
    })
}

pub(crate) fn stream(turn: &Turn<'_>) -> Vec<Frame> {
    let mut frames = Frames::default();
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
        });
        envelope(turn, &json!([choice]), Value::Null)
    };
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    let mut calls = 0_u32;
    frames.pause(turn.events.first().map_or(0, |(pause, _)| *pause));
    frames.data(&chunk(opening, Value::Null));
    for (index, (pause, event)) in turn.events.iter().enumerate() {
        if index > 0 {
            frames.pause(*pause);
        }
        match event {
            ModelEvent::Text { delta } => {
                frames.data(&chunk(json!({"content": delta}), Value::Null));
            }
            ModelEvent::Reasoning { delta, .. } if delta.is_empty() => {}
            ModelEvent::Reasoning { delta, .. } => {
                frames.data(&chunk(json!({"reasoning_content": delta}), Value::Null));
            }
            ModelEvent::ToolCall { call } => {
                for delta in call_deltas(call, calls) {
                    frames.data(&chunk(json!({"tool_calls": [delta]}), Value::Null));
                }
                calls += 1;
            }
            ModelEvent::Finish { stop, usage: used } => {
                frames.data(&chunk(json!({}), finish_reason(Some(*stop)).into()));
                frames.mark_last();
                if turn.include_usage {
                    frames.data(&envelope(turn, &json!([]), usage(*used)));
                    frames.mark_last();
                }
                frames.raw("data: [DONE]\n\n");
                frames.mark_last();
            }
        }
    }
    frames.done()
}

fn envelope(turn: &Turn<'_>, choices: &Value, usage: Value) -> Value {
    let mut body = json!({
        "id": id(turn),
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": turn.model,
        "service_tier": "default",
        "system_fingerprint": "fp_scripted",
        "choices": choices,
    });
    // Every chunk carries the field once usage was asked for, null until the last.
    if turn.include_usage {
        body["usage"] = usage;
    }
    body
}

fn call_deltas(call: &ToolCall, index: u32) -> Vec<Value> {
    let arguments = argument_text(call);
    let mut deltas = vec![json!({
        "index": index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    })];
    deltas.extend(
        halves(&arguments).map(|part| json!({"index": index, "function": {"arguments": part}})),
    );
    deltas
}

fn id(turn: &Turn<'_>) -> String {
    format!("chatcmpl-scripted{:08}", turn.call)
}

fn finish_reason(stop: Option<StopReason>) -> &'static str {
    match stop {
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::Length) => "length",
        Some(StopReason::Refusal) => "content_filter",
        Some(StopReason::Stop | StopReason::Aborted) | None => "stop",
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// The error shape of both OpenAI formats.
pub(super) fn error(refusal: &Refusal) -> Value {
    let (kind, code) = match refusal.status {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        403 => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
        ),
        404 => ("invalid_request_error", Some("model_not_found")),
        429 => ("requests", Some("rate_limit_exceeded")),
        500..=599 => ("server_error", None),
        _ => ("invalid_request_error", None),
    };
    let code = refusal.code.as_deref().or(code);
    let kind = match code {
        Some("insufficient_quota") => "insufficient_quota",
        _ => kind,
    };
    json!({"error": {
        "message": refusal.message,
        "type": kind,
        "param": refusal.param,
        "code": code,
    }})
}

/// The fields of `GET /v1/models`.
pub(crate) fn models(ids: &[String]) -> Value {
    let rows: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "scripted"}))
        .collect();
    let mut body = Map::new();
    body.insert("object".to_owned(), "list".into());
    body.insert("data".to_owned(), rows.into());
    body.into()
}
