//! OpenAI responses: `POST /v1/responses`.

use instar_demo::Ask;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::{Value, json};

use super::{
    Asked, CREATED, CallNames, Frame, Frames, Gathered, Refusal, Turn, argument_text, flag, halves,
    list, number_between, object, required_text,
};

pub(crate) fn read(body: &Value) -> Result<Asked, Refusal> {
    let fields = object(body)?;
    let mut ask = Ask {
        model: required_text(fields, "model")?.to_owned(),
        ..Ask::default()
    };
    number_between(fields, "temperature", 0.0, 2.0)?;
    number_between(fields, "top_p", 0.0, 1.0)?;
    number_between(fields, "max_output_tokens", 16.0, f64::from(u32::MAX))?;
    if let Some(text) = fields.get("instructions").and_then(Value::as_str) {
        ask.add_system(text);
    }
    match fields.get("input") {
        Some(Value::String(text)) => ask.add_user(text, 0),
        Some(Value::Array(items)) => {
            let mut calls = CallNames::default();
            for (index, item) in items.iter().enumerate() {
                read_item(item, &format!("input[{index}]"), &mut ask, &mut calls)?;
            }
        }
        Some(_) => {
            return Err(Refusal::invalid(
                "input",
                "input: must be a string or an array",
            ));
        }
        None => {
            return Err(Refusal::invalid(
                "input",
                "Missing required parameter: 'input'.",
            ));
        }
    }
    for (index, tool) in list(fields, "tools")?.iter().enumerate() {
        // Tools that the vendor runs itself have another type and no name.
        if tool["type"] == "function" {
            let place = format!("tools[{index}].name");
            ask.tools
                .push(super::chat::tool_name(tool["name"].as_str(), &place)?);
        } else if !tool["type"].is_string() {
            let place = format!("tools[{index}].type");
            return Err(Refusal::invalid(
                &place,
                format!("Missing required parameter: '{place}'."),
            ));
        }
    }
    Ok(Asked {
        ask,
        stream: flag(fields, "stream", false)?,
        include_usage: true,
    })
}

fn read_item(
    item: &Value,
    place: &str,
    ask: &mut Ask,
    calls: &mut CallNames,
) -> Result<(), Refusal> {
    match item["type"].as_str().unwrap_or("message") {
        "message" => read_message(item, place, ask),
        "function_call" => match (
            item["call_id"].as_str(),
            item["name"].as_str(),
            item["arguments"].as_str(),
        ) {
            (Some(id), Some(name), Some(_)) => {
                calls.add(id, name);
                Ok(())
            }
            _ => Err(Refusal::invalid(
                place,
                "a function_call needs call_id, name and arguments as a string",
            )),
        },
        "function_call_output" => {
            let id = item["call_id"].as_str().unwrap_or_default();
            let name = calls.name(id).ok_or_else(|| {
                let text =
                    format!("No tool call found for function call output with call_id {id}.");
                Refusal::invalid("input", text)
            })?;
            let (text, images) = read_content(&item["output"], &format!("{place}.output"))?;
            ask.add_result(name, &text, false);
            ask.images += images;
            Ok(())
        }
        "reasoning" if item["summary"].is_array() => Ok(()),
        other => {
            let text = format!("Invalid value: '{other}' at '{place}', or a field is missing.");
            Err(Refusal::invalid(place, text))
        }
    }
}

fn read_message(item: &Value, place: &str, ask: &mut Ask) -> Result<(), Refusal> {
    let (text, images) = read_content(&item["content"], &format!("{place}.content"))?;
    match item["role"].as_str() {
        Some("system" | "developer") => ask.add_system(&text),
        Some("user") => ask.add_user(&text, images),
        Some("assistant") => ask.add_assistant(&text),
        other => {
            let text = format!("Invalid value: '{}'.", other.unwrap_or_default());
            return Err(Refusal::invalid(&format!("{place}.role"), text));
        }
    }
    Ok(())
}

fn read_content(content: &Value, place: &str) -> Result<(String, usize), Refusal> {
    let parts = match content {
        Value::String(text) => return Ok((text.clone(), 0)),
        Value::Array(parts) => parts,
        _ => {
            let text = format!("Missing required parameter: '{place}'.");
            return Err(Refusal::invalid(place, text));
        }
    };
    let mut texts = Vec::new();
    let mut images = 0;
    for part in parts {
        match part["type"].as_str() {
            Some("input_text" | "output_text") if part["text"].is_string() => {
                texts.push(part["text"].as_str().unwrap_or_default());
            }
            Some("refusal") => texts.push(part["refusal"].as_str().unwrap_or_default()),
            Some("input_image") if part["image_url"].is_string() || part["file_id"].is_string() => {
                images += 1;
            }
            Some("input_file") => {}
            other => {
                let text = format!(
                    "Invalid value: '{}'. Supported values are: 'input_text', 'input_image', \
                     'output_text', 'refusal', and 'input_file'.",
                    other.unwrap_or_default()
                );
                return Err(Refusal::invalid(place, text));
            }
        }
    }
    Ok((texts.join("\n"), images))
}

pub(crate) fn whole(turn: &Turn<'_>) -> Value {
    let answer = turn.gather();
    let mut output = Vec::new();
    if !answer.reasoning.is_empty() || answer.signature.is_some() {
        output.push(reasoning_item(turn, &answer));
    }
    if !answer.text.is_empty() {
        output.push(message_item(turn, &answer.text));
    }
    for (call, index) in answer.calls.iter().zip(0_u32..) {
        output.push(call_item(turn, call, index));
    }
    finished(turn, &answer, output)
}

fn finished(turn: &Turn<'_>, answer: &Gathered, output: Vec<Value>) -> Value {
    let mut body = response(turn);
    let incomplete = match answer.stop {
        Some(StopReason::Length) => Some("max_output_tokens"),
        Some(StopReason::Refusal) => Some("content_filter"),
        _ => None,
    };
    body["status"] = if incomplete.is_some() {
        "incomplete"
    } else {
        "completed"
    }
    .into();
    body["incomplete_details"] = incomplete.map_or(Value::Null, |reason| json!({"reason": reason}));
    body["output"] = output.into();
    body["usage"] = usage(answer.usage);
    body
}

fn response(turn: &Turn<'_>) -> Value {
    json!({
        "id": format!("resp_scripted{:08}", turn.call),
        "object": "response",
        "created_at": CREATED,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": turn.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": false,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
    })
}

fn reasoning_item(turn: &Turn<'_>, answer: &Gathered) -> Value {
    let summary = if answer.reasoning.is_empty() {
        json!([])
    } else {
        json!([{"type": "summary_text", "text": answer.reasoning}])
    };
    let mut item = json!({"id": item_id("rs", turn, 0), "type": "reasoning", "summary": summary});
    if let Some(signature) = &answer.signature {
        item["encrypted_content"] = signature.clone().into();
    }
    item
}

fn message_item(turn: &Turn<'_>, text: &str) -> Value {
    json!({
        "id": item_id("msg", turn, 0),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    })
}

fn call_item(turn: &Turn<'_>, call: &ToolCall, index: u32) -> Value {
    json!({
        "id": item_id("fc", turn, index),
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": argument_text(call),
    })
}

fn item_id(prefix: &str, turn: &Turn<'_>, index: u32) -> String {
    format!("{prefix}_scripted{:08}_{index}", turn.call)
}

/// An item that is being streamed.
enum Open {
    Message { id: String, text: String },
    Reasoning { id: String, gathered: Gathered },
}

struct Stream<'a> {
    turn: &'a Turn<'a>,
    frames: Frames,
    sequence: u64,
    open: Option<Open>,
    output: Vec<Value>,
    messages: u32,
    reasonings: u32,
    calls: u32,
}

pub(crate) fn stream(turn: &Turn<'_>) -> Vec<Frame> {
    let mut stream = Stream {
        turn,
        frames: Frames::default(),
        sequence: 0,
        open: None,
        output: Vec::new(),
        messages: 0,
        reasonings: 0,
        calls: 0,
    };
    for (index, (pause, event)) in turn.events.iter().enumerate() {
        stream.frames.pause(*pause);
        if index == 0 {
            stream.send("response.created", json!({"response": response(turn)}));
            stream.send("response.in_progress", json!({"response": response(turn)}));
        }
        match event {
            ModelEvent::Text { delta } => stream.text(delta),
            ModelEvent::Reasoning { delta, signature } => {
                stream.reasoning(delta, signature.as_deref());
            }
            ModelEvent::ToolCall { call } => stream.call(call),
            ModelEvent::Finish { .. } => stream.finish(),
        }
    }
    stream.frames.done()
}

impl Stream<'_> {
    fn send(&mut self, name: &str, fields: Value) {
        let mut body = json!({"type": name, "sequence_number": self.sequence});
        self.sequence += 1;
        if let (Some(body), Value::Object(fields)) = (body.as_object_mut(), fields) {
            body.extend(fields);
        }
        self.frames.event(name, &body);
    }

    fn place(&self) -> usize {
        self.output.len()
    }

    fn text(&mut self, delta: &str) {
        if !matches!(self.open, Some(Open::Message { .. })) {
            self.close();
            let id = item_id("msg", self.turn, self.messages);
            self.messages += 1;
            let item = json!({
                "id": id, "type": "message", "status": "in_progress", "role": "assistant",
                "content": [],
            });
            self.send(
                "response.output_item.added",
                json!({"output_index": self.place(), "item": item}),
            );
            let part =
                json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
            let fields = json!({
                "item_id": id, "output_index": self.place(), "content_index": 0, "part": part,
            });
            self.send("response.content_part.added", fields);
            self.open = Some(Open::Message {
                id,
                text: String::new(),
            });
        }
        let place = self.place();
        let Some(Open::Message { id, text }) = &mut self.open else {
            return;
        };
        text.push_str(delta);
        let fields = json!({
            "item_id": id, "output_index": place, "content_index": 0, "delta": delta,
            "logprobs": [],
        });
        self.send("response.output_text.delta", fields);
    }

    fn reasoning(&mut self, delta: &str, signature: Option<&str>) {
        if !matches!(self.open, Some(Open::Reasoning { .. })) {
            self.close();
            let id = item_id("rs", self.turn, self.reasonings);
            self.reasonings += 1;
            let item = json!({"id": id, "type": "reasoning", "summary": []});
            self.send(
                "response.output_item.added",
                json!({"output_index": self.place(), "item": item}),
            );
            let fields = json!({
                "item_id": id, "output_index": self.place(), "summary_index": 0,
                "part": {"type": "summary_text", "text": ""},
            });
            self.send("response.reasoning_summary_part.added", fields);
            self.open = Some(Open::Reasoning {
                id,
                gathered: Gathered::default(),
            });
        }
        let place = self.place();
        let Some(Open::Reasoning { id, gathered }) = &mut self.open else {
            return;
        };
        gathered.reasoning.push_str(delta);
        if let Some(signature) = signature {
            gathered.signature = Some(signature.to_owned());
        }
        if !delta.is_empty() {
            let fields = json!({
                "item_id": id, "output_index": place, "summary_index": 0, "delta": delta,
            });
            self.send("response.reasoning_summary_text.delta", fields);
        }
    }

    fn call(&mut self, call: &ToolCall) {
        self.close();
        let place = self.place();
        let mut item = call_item(self.turn, call, self.calls);
        self.calls += 1;
        let id = item["id"].clone();
        let arguments = argument_text(call);
        let mut begun = item.clone();
        begun["status"] = "in_progress".into();
        begun["arguments"] = "".into();
        self.send(
            "response.output_item.added",
            json!({"output_index": place, "item": begun}),
        );
        for part in halves(&arguments) {
            self.send(
                "response.function_call_arguments.delta",
                json!({"item_id": id, "output_index": place, "delta": part}),
            );
        }
        self.send(
            "response.function_call_arguments.done",
            json!({
                "item_id": id, "output_index": place, "name": call.name, "arguments": arguments,
            }),
        );
        item["arguments"] = arguments.into();
        self.item_done(item);
    }

    fn item_done(&mut self, item: Value) {
        let place = self.place();
        self.send(
            "response.output_item.done",
            json!({"output_index": place, "item": item}),
        );
        self.output.push(item);
    }

    fn close(&mut self) {
        let place = self.place();
        match self.open.take() {
            None => {}
            Some(Open::Message { id, text }) => {
                let mut item = message_item(self.turn, &text);
                item["id"] = id.clone().into();
                let part = item["content"][0].clone();
                let at = json!({"item_id": id, "output_index": place, "content_index": 0});
                self.send("response.output_text.done", with(&at, "text", text.into()));
                self.send("response.content_part.done", with(&at, "part", part));
                self.item_done(item);
            }
            Some(Open::Reasoning { id, gathered }) => {
                let mut item = reasoning_item(self.turn, &gathered);
                item["id"] = id.clone().into();
                let text = Value::from(gathered.reasoning);
                let at = json!({"item_id": id, "output_index": place, "summary_index": 0});
                let part = json!({"type": "summary_text", "text": text});
                self.send(
                    "response.reasoning_summary_text.done",
                    with(&at, "text", text),
                );
                self.send(
                    "response.reasoning_summary_part.done",
                    with(&at, "part", part),
                );
                self.item_done(item);
            }
        }
    }

    fn finish(&mut self) {
        self.close();
        let answer = self.turn.gather();
        let body = finished(self.turn, &answer, self.output.clone());
        let name = match body["status"].as_str() {
            Some("incomplete") => "response.incomplete",
            _ => "response.completed",
        };
        self.send(name, json!({"response": body}));
        self.frames.mark_last();
    }
}

fn with(fields: &Value, name: &str, value: Value) -> Value {
    let mut fields = fields.clone();
    if name == "text" && fields.get("content_index").is_some() {
        fields["logprobs"] = json!([]);
    }
    fields[name] = value;
    fields
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    })
}

/// An error in the middle of a stream.
pub(crate) fn failed(message: &str, code: Option<&str>) -> (&'static str, Value) {
    let body = json!({
        "type": "error",
        "sequence_number": 9_999,
        "code": code.unwrap_or("server_error"),
        "message": message,
        "param": null,
    });
    ("error", body)
}
