//! The same script gives the same answer in this process and over every wire.

use instar_demo::{Answer, Pace, Player, Script, Split, Step, When};
use instar_protocol::Label;
use instar_protocol::message::Part;
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, Sampling, StopReason, SystemSection,
    ToolChoice,
};
use instar_protocol::tool::ToolSpec;
use instar_testkit::ScriptedServer;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::raw::{Read, post, read_chat, read_messages, read_ollama, read_responses};

const ANTHROPIC: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];

fn script() -> Script {
    let call = Answer::of([
        Step::Reasoning("Let me think.".to_owned()),
        Step::Signature("c2ln".to_owned()),
        Step::Text("Looking up {{text}}.".to_owned()),
        Step::Call(instar_demo::CallStep {
            name: "weather".to_owned(),
            arguments: json!({"city": "{{text}}", "days": 3}),
            raw_arguments: None,
        }),
        Step::Call(instar_demo::CallStep {
            name: "clock".to_owned(),
            ..Default::default()
        }),
    ]);
    let offered = When {
        offers: Some("weather".to_owned()),
        ..When::default()
    };
    Script {
        pace: Pace {
            split: Split::Words,
            pause_ms: 0,
        },
        ..Script::saying("Good {{text}}, from {{model}} — schön, 你好世界.")
    }
    .rule(offered, call)
}

fn request(text: &str, tool: Option<&str>) -> ModelRequest {
    ModelRequest {
        system: vec![SystemSection {
            text: "Be kind.".to_owned(),
            cache_here: false,
        }],
        messages: vec![ModelMessage::User {
            parts: vec![Part::text(text)],
        }],
        tools: tool
            .map(|name| ToolSpec {
                name: name.to_owned(),
                description: String::new(),
                parameters: json!({"type": "object"}),
            })
            .map(Arc::new)
            .into_iter()
            .collect(),
        tool_choice: ToolChoice::Auto,
        sampling: Sampling::default(),
        label: Label::owner(),
    }
}

/// What this process says, in the words of one wire.
fn local(
    script: Script,
    request: &ModelRequest,
    stop_word: fn(StopReason) -> &'static str,
) -> Read {
    let player = Player::new(script).unwrap();
    let mut read = Read::default();
    for (_, event) in player.answer("small", request) {
        match event {
            ModelEvent::Text { delta } => read.texts.push(delta),
            ModelEvent::Reasoning { delta, signature } => {
                read.reasonings.extend((!delta.is_empty()).then_some(delta));
                read.signature = signature.or(read.signature);
            }
            ModelEvent::ToolCall { call } => {
                read.calls.push((call.id, call.name, call.arguments));
            }
            ModelEvent::Finish { stop, usage } => {
                stop_word(stop).clone_into(&mut read.stop);
                read.usage = (
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cache_read_tokens,
                );
            }
        }
    }
    read
}

fn over_wires(text: &str, tool: Option<&str>) -> [Read; 4] {
    let user = json!({"role": "user", "content": text});
    let system = json!({"role": "system", "content": "Be kind."});
    let schema = json!({"type": "object"});
    let nested: Vec<Value> = tool
        .map(|name| json!({"type": "function", "function": {"name": name, "parameters": schema}}))
        .into_iter()
        .collect();
    let flat: Vec<Value> = tool
        .map(|name| json!({"type": "function", "name": name, "parameters": schema}))
        .into_iter()
        .collect();
    let anthropic: Vec<Value> = tool
        .map(|name| json!({"name": name, "input_schema": schema}))
        .into_iter()
        .collect();
    let chat = json!({
        "model": "small", "stream": true, "stream_options": {"include_usage": true},
        "messages": [system, user], "tools": nested,
    });
    let responses = json!({
        "model": "small", "stream": true, "instructions": "Be kind.", "input": [user],
        "tools": flat,
    });
    let messages = json!({
        "model": "small", "stream": true, "max_tokens": 100, "system": "Be kind.",
        "messages": [user], "tools": anthropic,
    });
    let ollama = json!({"model": "small", "messages": [system, user], "tools": nested});
    // A server each, so that every call is its script's first.
    let ask = |path: &str, headers: &[(&str, &str)], body: &Value| {
        let server = ScriptedServer::start(script());
        let raw = post(&server.base_url, path, headers, body);
        assert_eq!(raw.status, 200, "{}", raw.text());
        assert!(raw.complete);
        raw
    };
    [
        read_chat(&ask("/v1/chat/completions", &[], &chat)),
        read_responses(&ask("/v1/responses", &[], &responses)),
        read_messages(&ask("/v1/messages", ANTHROPIC, &messages)),
        read_ollama(&ask("/api/chat", &[], &ollama)),
    ]
}

fn words(wire: usize) -> fn(StopReason) -> &'static str {
    match wire {
        0 => |stop| {
            if stop == StopReason::ToolUse {
                "tool_calls"
            } else {
                "stop"
            }
        },
        1 => |_| "completed",
        2 => |stop| {
            if stop == StopReason::ToolUse {
                "tool_use"
            } else {
                "end_turn"
            }
        },
        _ => |_| "stop",
    }
}

fn check(text: &str, tool: Option<&str>) {
    for (wire, mut read) in over_wires(text, tool).into_iter().enumerate() {
        let local = local(script(), &request(text, tool), words(wire));
        // Chat completions and Ollama have no place for the opaque token.
        if matches!(wire, 0 | 3) {
            read.signature.clone_from(&local.signature);
        }
        assert_eq!(read, local, "wire {wire}");
    }
}

#[test]
fn plain_text_is_the_same_piece_by_piece() {
    check("morning", None);
}

#[test]
fn reasoning_and_tool_calls_are_the_same() {
    check("Paris \"quoted\" \\ {{text}}", Some("weather"));
}

#[test]
fn explicit_usage_reaches_every_wire_in_its_own_counting() {
    let mut answer = Answer::text("Counted.");
    answer.usage = Some(instar_demo::script::UsageRow {
        input_tokens: 100,
        output_tokens: 7,
        cache_read_tokens: 60,
        cache_write_tokens: 10,
        reasoning_tokens: 0,
    });
    let script = Script {
        otherwise: answer,
        ..Script::default()
    };
    let server = ScriptedServer::start(script);
    let base = &server.base_url;
    let user = json!({"role": "user", "content": "x"});
    let body = json!({"model": "m", "messages": [user], "max_tokens": 5});
    let chat = post(base, "/v1/chat/completions", &[], &body).json();
    assert_eq!(chat["usage"]["prompt_tokens"], 100);
    assert_eq!(chat["usage"]["prompt_tokens_details"]["cached_tokens"], 60);
    assert_eq!(chat["choices"][0]["message"]["content"], "Counted.");
    let messages = post(base, "/v1/messages", ANTHROPIC, &body).json();
    assert_eq!(messages["usage"]["input_tokens"], 30);
    assert_eq!(messages["usage"]["cache_read_input_tokens"], 60);
    assert_eq!(messages["usage"]["cache_creation_input_tokens"], 10);
    let body = json!({"model": "m", "input": "x"});
    let responses = post(base, "/v1/responses", &[], &body).json();
    assert_eq!(responses["usage"]["total_tokens"], 107);
    assert_eq!(
        responses["usage"]["input_tokens_details"]["cached_tokens"],
        60
    );
    let body = json!({"model": "m", "messages": [user], "stream": false});
    let ollama = post(base, "/api/chat", &[], &body).json();
    assert_eq!(
        (&ollama["prompt_eval_count"], &ollama["eval_count"]),
        (&json!(100), &json!(7))
    );
}
