//! Anthropic messages: `POST /v1/messages`.

use instar_demo::Ask;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::{Map, Value, json};

use super::{
    Asked, CallNames, Frame, Frames, Refusal, Turn, argument_text, flag, halves, list,
    number_between, object, required_text,
};

/// The smallest thinking budget that the vendor takes.
const THINKING_TOKENS_MIN: u64 = 1_024;

pub(crate) fn read(body: &Value) -> Result<Asked, Refusal> {
    let fields = object(body)?;
    let mut ask = Ask {
        model: field(fields, "model")?.to_owned(),
        ..Ask::default()
    };
    let max_tokens = match fields.get("max_tokens") {
        None => return Err(Refusal::new(400, "max_tokens: Field required")),
        Some(value) => value
            .as_u64()
            .filter(|n| *n > 0)
            .ok_or_else(|| Refusal::new(400, "max_tokens: Input should be a positive integer"))?,
    };
    number_between(fields, "temperature", 0.0, 1.0)?;
    read_thinking(fields.get("thinking"), max_tokens)?;
    read_system(fields.get("system"), &mut ask)?;
    let messages = list(fields, "messages")?;
    if messages.is_empty() {
        return Err(Refusal::new(
            400,
            "messages: at least one message is required",
        ));
    }
    let mut calls = CallNames::default();
    for (index, message) in messages.iter().enumerate() {
        read_message(message, &format!("messages.{index}"), &mut ask, &mut calls)?;
    }
    for (index, tool) in list(fields, "tools")?.iter().enumerate() {
        // Tools that the vendor runs itself have a type other than `custom` and no schema.
        let own = tool["type"].as_str().is_none_or(|kind| kind == "custom");
        if own && tool["input_schema"]["type"] != "object" {
            let text = format!("tools.{index}.custom.input_schema.type: Field required");
            return Err(Refusal::new(400, text));
        }
        let place = format!("tools.{index}.custom.name");
        ask.tools
            .push(super::chat::tool_name(tool["name"].as_str(), &place)?);
    }
    Ok(Asked {
        ask,
        stream: flag(fields, "stream", false)?,
        include_usage: true,
    })
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    required_text(fields, name).map_err(|_| Refusal::new(400, format!("{name}: Field required")))
}

fn read_thinking(thinking: Option<&Value>, max_tokens: u64) -> Result<(), Refusal> {
    let Some(thinking) = thinking else {
        return Ok(());
    };
    match thinking["type"].as_str() {
        Some("disabled" | "adaptive") => Ok(()),
        Some("enabled") => {
            let budget = thinking["budget_tokens"].as_u64().unwrap_or(0);
            if budget < THINKING_TOKENS_MIN {
                let text = "thinking.enabled.budget_tokens: Input should be greater than or equal \
                            to 1024";
                return Err(Refusal::new(400, text));
            }
            if budget >= max_tokens {
                let text = "`max_tokens` must be greater than `thinking.budget_tokens`.";
                return Err(Refusal::new(400, text));
            }
            Ok(())
        }
        _ => Err(Refusal::new(400, "thinking.type: Field required")),
    }
}

fn read_system(system: Option<&Value>, ask: &mut Ask) -> Result<(), Refusal> {
    match system {
        None => {}
        Some(Value::String(text)) => ask.add_system(text),
        Some(Value::Array(blocks)) => {
            for block in blocks {
                match block["text"].as_str() {
                    Some(text) if block["type"] == "text" && !text.is_empty() => {
                        ask.add_system(text);
                    }
                    _ => {
                        let text = "system: text content blocks must be non-empty";
                        return Err(Refusal::new(400, text));
                    }
                }
            }
        }
        Some(_) => return Err(Refusal::new(400, "system: Input should be a valid list")),
    }
    Ok(())
}

fn read_message(
    message: &Value,
    place: &str,
    ask: &mut Ask,
    calls: &mut CallNames,
) -> Result<(), Refusal> {
    let role = message["role"].as_str().unwrap_or_default();
    if !matches!(role, "user" | "assistant") {
        let text = format!(
            "{place}.role: Unexpected role \"{role}\". Allowed roles are \"user\" or \"assistant\"."
        );
        return Err(Refusal::new(400, text));
    }
    let blocks = match &message["content"] {
        Value::String(text) if text.is_empty() => {
            let text = format!("{place}: all messages must have non-empty content");
            return Err(Refusal::new(400, text));
        }
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => {
            return Err(Refusal::new(
                400,
                format!("{place}.content: Field required"),
            ));
        }
    };
    let mut texts = Vec::new();
    let mut images = 0;
    let mut results = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let place = format!("{place}.content.{index}");
        match (block["type"].as_str(), role) {
            (Some("text"), _) => match block["text"].as_str() {
                Some(text) if !text.is_empty() => texts.push(text),
                _ => {
                    let text = format!("{place}.text: text content blocks must be non-empty");
                    return Err(Refusal::new(400, text));
                }
            },
            (Some("image"), "user") => {
                check_image(&block["source"], &place)?;
                images += 1;
            }
            (Some("tool_use"), "assistant") => read_tool_use(block, &place, calls)?,
            (Some("tool_result"), "user") => results.push(read_result(block, &place, calls, ask)?),
            (Some("thinking"), "assistant") if block["signature"].is_string() => {}
            (Some("redacted_thinking"), "assistant") | (Some("document"), "user") => {}
            (kind, _) => {
                let kind = kind.unwrap_or("(none)");
                let text = format!("{place}: Input tag '{kind}' is not expected or incomplete");
                return Err(Refusal::new(400, text));
            }
        }
    }
    let text = texts.join("\n");
    if role == "assistant" {
        ask.add_assistant(&text);
    } else if !texts.is_empty() || images > 0 || results.is_empty() {
        ask.add_user(&text, images);
    }
    for (name, text, failed) in results {
        ask.add_result(&name, &text, failed);
    }
    Ok(())
}

fn check_image(source: &Value, place: &str) -> Result<(), Refusal> {
    let fine = match source["type"].as_str() {
        Some("base64") => source["data"].is_string() && source["media_type"].is_string(),
        Some("url") => source["url"].is_string(),
        Some("file") => source["file_id"].is_string(),
        _ => false,
    };
    if fine {
        Ok(())
    } else {
        Err(Refusal::new(
            400,
            format!("{place}.image.source: Field required"),
        ))
    }
}

fn read_tool_use(block: &Value, place: &str, calls: &mut CallNames) -> Result<(), Refusal> {
    match (block["id"].as_str(), block["name"].as_str()) {
        (Some(id), Some(name)) if block["input"].is_object() => {
            calls.add(id, name);
            Ok(())
        }
        _ => Err(Refusal::new(
            400,
            format!("{place}.tool_use: id, name and input (an object) are required"),
        )),
    }
}

fn read_result(
    block: &Value,
    place: &str,
    calls: &CallNames,
    ask: &mut Ask,
) -> Result<(String, String, bool), Refusal> {
    let id = block["tool_use_id"].as_str().unwrap_or_default();
    let name = calls.name(id).ok_or_else(|| {
        let text = format!(
            "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each \
             `tool_result` block must have a corresponding `tool_use` block in the previous \
             message."
        );
        Refusal::new(400, text)
    })?;
    for part in block["content"].as_array().into_iter().flatten() {
        if part["type"] == "image" {
            check_image(&part["source"], place)?;
            ask.images += 1;
        }
    }
    let text = match &block["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    };
    Ok((name.to_owned(), text, block["is_error"] == true))
}

pub(crate) fn whole(turn: &Turn<'_>) -> Value {
    let answer = turn.gather();
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() || answer.signature.is_some() {
        content.push(json!({
            "type": "thinking",
            "thinking": answer.reasoning,
            "signature": answer.signature.unwrap_or_default(),
        }));
    }
    if !answer.text.is_empty() {
        content.push(json!({"type": "text", "text": answer.text}));
    }
    for call in &answer.calls {
        content.push(json!({
            "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments,
        }));
    }
    let mut body = opening(turn, &usage(answer.usage));
    body["content"] = content.into();
    body["stop_reason"] = stop_reason(answer.stop).into();
    body
}

fn opening(turn: &Turn<'_>, usage: &Value) -> Value {
    json!({
        "id": format!("msg_scripted{:08}", turn.call),
        "type": "message",
        "role": "assistant",
        "model": turn.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

/// Content blocks being streamed: one is open at a time.
struct Blocks {
    frames: Frames,
    open: Option<&'static str>,
    index: u32,
    /// The vendor sends one ping after the first block has begun.
    pinged: bool,
}

impl Blocks {
    fn start(&mut self, kind: &'static str, block: &Value) {
        self.close();
        self.frames.event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": self.index, "content_block": block}),
        );
        self.open = Some(kind);
        if !self.pinged {
            self.pinged = true;
            self.frames.event("ping", &json!({"type": "ping"}));
        }
    }

    fn ensure(&mut self, kind: &'static str, block: &Value) {
        if self.open != Some(kind) {
            self.start(kind, block);
        }
    }

    fn delta(&mut self, delta: &Value) {
        self.frames.event(
            "content_block_delta",
            &json!({"type": "content_block_delta", "index": self.index, "delta": delta}),
        );
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.frames.event(
                "content_block_stop",
                &json!({"type": "content_block_stop", "index": self.index}),
            );
            self.index += 1;
        }
    }

    fn tool_use(&mut self, call: &ToolCall) {
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        self.start("tool_use", &block);
        let arguments = argument_text(call);
        for part in std::iter::once("").chain(halves(&arguments)) {
            self.delta(&json!({"type": "input_json_delta", "partial_json": part}));
        }
        self.close();
    }
}

pub(crate) fn stream(turn: &Turn<'_>) -> Vec<Frame> {
    let mut blocks = Blocks {
        frames: Frames::default(),
        open: None,
        index: 0,
        pinged: false,
    };
    let total = turn.gather().usage;
    let mut first = usage(total);
    first["output_tokens"] = 1.into();
    let message = opening(turn, &first);
    let start = json!({"type": "message_start", "message": message});
    for (index, (pause, event)) in turn.events.iter().enumerate() {
        blocks.frames.pause(*pause);
        if index == 0 {
            blocks.frames.event("message_start", &start);
        }
        match event {
            ModelEvent::Text { delta } => {
                blocks.ensure("text", &json!({"type": "text", "text": ""}));
                blocks.delta(&json!({"type": "text_delta", "text": delta}));
            }
            ModelEvent::Reasoning { delta, signature } => {
                let block = json!({"type": "thinking", "thinking": "", "signature": ""});
                blocks.ensure("thinking", &block);
                if !delta.is_empty() {
                    blocks.delta(&json!({"type": "thinking_delta", "thinking": delta}));
                }
                if let Some(signature) = signature {
                    blocks.delta(&json!({"type": "signature_delta", "signature": signature}));
                    blocks.close();
                }
            }
            ModelEvent::ToolCall { call } => blocks.tool_use(call),
            ModelEvent::Finish { stop, usage: used } => {
                blocks.close();
                let delta = json!({"stop_reason": stop_reason(Some(*stop)), "stop_sequence": null});
                let body = json!({"type": "message_delta", "delta": delta, "usage": usage(*used)});
                blocks.frames.event("message_delta", &body);
                blocks.frames.mark_last();
                let stop = json!({"type": "message_stop"});
                blocks.frames.event("message_stop", &stop);
                blocks.frames.mark_last();
            }
        }
    }
    blocks.frames.done()
}

fn stop_reason(stop: Option<StopReason>) -> &'static str {
    match stop {
        Some(StopReason::ToolUse) => "tool_use",
        Some(StopReason::Length) => "max_tokens",
        Some(StopReason::Refusal) => "refusal",
        Some(StopReason::Stop | StopReason::Aborted) | None => "end_turn",
    }
}

/// The vendor counts cached input apart from `input_tokens`.
fn usage(usage: Usage) -> Value {
    let cached = usage.cache_read_tokens + usage.cache_write_tokens;
    json!({
        "input_tokens": usage.input_tokens.saturating_sub(cached),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_tokens,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
    })
}

pub(super) fn error(refusal: &Refusal, call: u64) -> Value {
    let kind = refusal.code.as_deref().unwrap_or(match refusal.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    });
    json!({
        "type": "error",
        "error": {"type": kind, "message": refusal.message},
        "request_id": format!("req_scripted{call:08}"),
    })
}

/// The fields of `GET /v1/models` as this vendor has them.
pub(crate) fn models(ids: &[String]) -> Value {
    let rows: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "type": "model",
                "id": id,
                "display_name": id,
                "created_at": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({"data": rows, "has_more": false, "first_id": ids.first(), "last_id": ids.last()})
}
