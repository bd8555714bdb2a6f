//! A plain HTTP client and readers of the four formats, written from the vendors' documentation
//! and sharing nothing with the server.

use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// An answer as it came over the socket.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// False if the connection broke before the body's end.
    pub(crate) complete: bool,
}

impl Raw {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) fn post(base: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Raw {
    send(base, "POST", path, headers, &body.to_string(), usize::MAX)
}

pub(crate) fn get(base: &str, path: &str) -> Raw {
    send(base, "GET", path, &[], "", usize::MAX)
}

/// Sends a request and reads at most about `bytes_max` of the answer.
pub(crate) fn send(
    base: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    bytes_max: usize,
) -> Raw {
    let address = base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let extra: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{extra}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while bytes.len() < bytes_max {
        match socket.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Raw {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let rest = &bytes[end + 4..];
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        unchunk(rest)
    } else {
        (rest.to_vec(), true)
    };
    Raw {
        status,
        head,
        body,
        complete,
    }
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            body.extend_from_slice(rest);
            break;
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
    (body, false)
}

/// The events of a server-sent stream: name and data.
pub(crate) fn events(raw: &Raw) -> Vec<(String, String)> {
    raw.text()
        .split("\n\n")
        .filter(|block| !block.is_empty())
        .map(|block| {
            let field = |name: &str| {
                let lines = block.lines();
                let values = lines.filter_map(|line| line.strip_prefix(name));
                values.map(str::trim).collect::<Vec<_>>().join("\n")
            };
            (field("event:"), field("data:"))
        })
        .collect()
}

/// One answer, whatever wire it came over.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) texts: Vec<String>,
    pub(crate) reasonings: Vec<String>,
    pub(crate) signature: Option<String>,
    /// Id, name, arguments.
    pub(crate) calls: Vec<(String, String, Value)>,
    pub(crate) stop: String,
    /// Input with cache, output, cache reads.
    pub(crate) usage: (u64, u64, u64),
}

pub(crate) fn read_chat(raw: &Raw) -> Read {
    let mut read = Read::default();
    let mut arguments: Vec<String> = Vec::new();
    let events = events(raw);
    assert_eq!(events.last().unwrap().1, "[DONE]");
    for (_, data) in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(data).unwrap();
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if let Some(usage) = chunk["usage"].as_object() {
            let cached = &usage["prompt_tokens_details"]["cached_tokens"];
            read.usage = numbers(&usage["prompt_tokens"], &usage["completion_tokens"], cached);
        }
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        push(&mut read.texts, &delta["content"]);
        push(&mut read.reasonings, &delta["reasoning_content"]);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if let Some(id) = call["id"].as_str() {
                assert_eq!(index, read.calls.len());
                read.calls
                    .push((id.to_owned(), text(&call["function"]["name"]), Value::Null));
                arguments.push(String::new());
            }
            arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut read.stop);
        }
    }
    for (call, arguments) in read.calls.iter_mut().zip(&arguments) {
        call.2 = serde_json::from_str(arguments).unwrap();
    }
    read
}

pub(crate) fn read_responses(raw: &Raw) -> Read {
    let mut read = Read::default();
    for ((name, data), number) in events(raw).into_iter().zip(0_u64..) {
        let body: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(body["type"], name.as_str());
        assert_eq!(body["sequence_number"], number, "{name}");
        match name.as_str() {
            "response.output_text.delta" => push(&mut read.texts, &body["delta"]),
            "response.reasoning_summary_text.delta" => push(&mut read.reasonings, &body["delta"]),
            "response.output_item.done" => {
                let item = &body["item"];
                if item["type"] == "function_call" {
                    let arguments = item["arguments"].as_str().unwrap();
                    let arguments = serde_json::from_str(arguments).unwrap();
                    read.calls
                        .push((text(&item["call_id"]), text(&item["name"]), arguments));
                }
                if let Some(token) = item["encrypted_content"].as_str() {
                    read.signature = Some(token.to_owned());
                }
            }
            "response.completed" | "response.incomplete" => {
                let response = &body["response"];
                read.stop = text(&response["status"]);
                let usage = &response["usage"];
                let cached = &usage["input_tokens_details"]["cached_tokens"];
                read.usage = numbers(&usage["input_tokens"], &usage["output_tokens"], cached);
            }
            _ => {}
        }
    }
    read
}

pub(crate) fn read_messages(raw: &Raw) -> Read {
    let mut read = Read::default();
    let mut open: Option<u64> = None;
    let mut next = 0;
    let mut arguments = String::new();
    let mut stopped = false;
    for (name, data) in events(raw) {
        let body: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(body["type"], name.as_str());
        match name.as_str() {
            "content_block_start" => {
                assert_eq!((open, body["index"].as_u64()), (None, Some(next)));
                open = Some(next);
                let block = &body["content_block"];
                if block["type"] == "tool_use" {
                    let input = block["input"].clone();
                    read.calls
                        .push((text(&block["id"]), text(&block["name"]), input));
                }
            }
            "content_block_delta" => {
                assert_eq!(body["index"].as_u64(), open);
                let delta = &body["delta"];
                push(&mut read.texts, &delta["text"]);
                push(&mut read.reasonings, &delta["thinking"]);
                if let Some(part) = delta["partial_json"].as_str() {
                    arguments.push_str(part);
                }
                if let Some(token) = delta["signature"].as_str() {
                    read.signature = Some(token.to_owned());
                }
            }
            "content_block_stop" => {
                assert_eq!(body["index"].as_u64(), open.take());
                next += 1;
                if !arguments.is_empty() {
                    let whole = serde_json::from_str(&std::mem::take(&mut arguments)).unwrap();
                    read.calls.last_mut().unwrap().2 = whole;
                }
            }
            "message_delta" => {
                read.stop = text(&body["delta"]["stop_reason"]);
                let usage = &body["usage"];
                let cached = &usage["cache_read_input_tokens"];
                read.usage = numbers(&usage["input_tokens"], &usage["output_tokens"], cached);
                let written = usage["cache_creation_input_tokens"].as_u64().unwrap();
                read.usage.0 += read.usage.2 + written;
            }
            "message_stop" => stopped = true,
            other => assert!(matches!(other, "message_start" | "ping"), "{other}"),
        }
    }
    assert!(stopped && open.is_none());
    read
}

pub(crate) fn read_ollama(raw: &Raw) -> Read {
    let mut read = Read::default();
    for line in raw.text().lines() {
        let body: Value = serde_json::from_str(line).unwrap();
        assert_eq!(body["message"]["role"], "assistant");
        push(&mut read.texts, &body["message"]["content"]);
        push(&mut read.reasonings, &body["message"]["thinking"]);
        for call in body["message"]["tool_calls"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let function = &call["function"];
            let arguments = function["arguments"].clone();
            read.calls
                .push((text(&call["id"]), text(&function["name"]), arguments));
        }
        if body["done"] == true {
            read.stop = text(&body["done_reason"]);
            read.usage = numbers(&body["prompt_eval_count"], &body["eval_count"], &json!(0));
        }
    }
    read
}

fn push(into: &mut Vec<String>, value: &Value) {
    if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
        into.push(text.to_owned());
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn numbers(input: &Value, output: &Value, cached: &Value) -> (u64, u64, u64) {
    let number = |value: &Value| value.as_u64().unwrap();
    (number(input), number(output), number(cached))
}
