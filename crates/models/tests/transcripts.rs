//! Decoders against transcripts in each vendor's documented shape, cut in every way.

use instar_models::codec::{DecodeError, Decoder};
use instar_models::config::Api;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: &[(&str, Api, &str)] = &[
    (
        "chat_text",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_text.sse"),
    ),
    (
        "chat_tools",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_tools.sse"),
    ),
    (
        "chat_refusal",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_refusal.sse"),
    ),
    (
        "chat_length",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_length.sse"),
    ),
    (
        "chat_deepseek",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_deepseek.sse"),
    ),
    (
        "chat_openrouter_error",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_openrouter_error.sse"),
    ),
    (
        "chat_mistral",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_mistral.sse"),
    ),
    (
        "chat_gemini",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_gemini.sse"),
    ),
    (
        "chat_groq",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_groq.sse"),
    ),
    (
        "chat_xai",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_xai.sse"),
    ),
    (
        "chat_moonshot",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_moonshot.sse"),
    ),
    (
        "chat_minimax",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_minimax.sse"),
    ),
    (
        "chat_zai",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_zai.sse"),
    ),
    (
        "chat_together",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_together.sse"),
    ),
    (
        "chat_fireworks",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_fireworks.sse"),
    ),
    (
        "chat_vllm",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_vllm.sse"),
    ),
    (
        "chat_llamacpp",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_llamacpp.sse"),
    ),
    (
        "chat_lmstudio",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_lmstudio.sse"),
    ),
    (
        "chat_docker",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_docker.sse"),
    ),
    (
        "chat_openrouter",
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_openrouter.sse"),
    ),
    (
        "anthropic_thinking_tools",
        Api::AnthropicMessages,
        include_str!("transcripts/anthropic_thinking_tools.sse"),
    ),
    (
        "anthropic_error",
        Api::AnthropicMessages,
        include_str!("transcripts/anthropic_error.sse"),
    ),
    (
        "anthropic_refusal",
        Api::AnthropicMessages,
        include_str!("transcripts/anthropic_refusal.sse"),
    ),
    (
        "responses_full",
        Api::OpenaiResponses,
        include_str!("transcripts/responses_full.sse"),
    ),
    (
        "responses_incomplete",
        Api::OpenaiResponses,
        include_str!("transcripts/responses_incomplete.sse"),
    ),
    (
        "responses_failed",
        Api::OpenaiResponses,
        include_str!("transcripts/responses_failed.sse"),
    ),
    (
        "responses_error",
        Api::OpenaiResponses,
        include_str!("transcripts/responses_error.sse"),
    ),
    (
        "ollama_tools",
        Api::Ollama,
        include_str!("transcripts/ollama_tools.ndjson"),
    ),
    (
        "ollama_length",
        Api::Ollama,
        include_str!("transcripts/ollama_length.ndjson"),
    ),
    (
        "ollama_error",
        Api::Ollama,
        include_str!("transcripts/ollama_error.ndjson"),
    ),
];

fn decode(api: Api, pieces: &[&[u8]]) -> (Vec<ModelEvent>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(api, 7);
    let mut events = vec![];
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut events) {
            return (joined(events), Err(error));
        }
    }
    let end = decoder.finish(&mut events);
    (joined(events), end)
}

/// Events that differ only in where a text was cut are the same.
fn joined(events: Vec<ModelEvent>) -> Vec<ModelEvent> {
    let mut out: Vec<ModelEvent> = vec![];
    for event in events {
        match (out.last_mut(), event) {
            (Some(ModelEvent::Text { delta }), ModelEvent::Text { delta: more }) => {
                delta.push_str(&more)
            }
            (
                Some(ModelEvent::Reasoning { delta, signature }),
                ModelEvent::Reasoning {
                    delta: more,
                    signature: last,
                },
            ) => {
                delta.push_str(&more);
                *signature = last.or(signature.take());
            }
            (_, event) => out.push(event),
        }
    }
    out
}

fn named(name: &str) -> (Vec<ModelEvent>, Result<(), DecodeError>) {
    let (_, api, text) = ALL.iter().find(|row| row.0 == name).unwrap();
    decode(*api, &[text.as_bytes()])
}

/// Text, reasoning, calls as (id, name, arguments), stop and usage of a sound transcript.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    text: String,
    reasoning: String,
    calls: Vec<(String, String, Value)>,
    stop: Option<StopReason>,
    usage: [u64; 5],
}

fn seen(name: &str) -> Seen {
    let (events, end) = named(name);
    end.unwrap();
    let mut seen = Seen::default();
    for event in events {
        match event {
            ModelEvent::Text { delta } => seen.text.push_str(&delta),
            ModelEvent::Reasoning { delta, .. } => seen.reasoning.push_str(&delta),
            ModelEvent::ToolCall { call } => seen.calls.push((call.id, call.name, call.arguments)),
            ModelEvent::Finish { stop, usage } => {
                assert!(seen.stop.is_none(), "{name} ends twice");
                seen.stop = Some(stop);
                let Usage {
                    input_tokens,
                    output_tokens,
                    cache_read_tokens,
                    cache_write_tokens,
                    reasoning_tokens,
                } = usage;
                seen.usage = [
                    input_tokens,
                    output_tokens,
                    cache_read_tokens,
                    cache_write_tokens,
                    reasoning_tokens,
                ];
            }
        }
    }
    seen
}

fn call(id: &str, name: &str, arguments: Value) -> (String, String, Value) {
    (id.into(), name.into(), arguments)
}

#[test]
fn chat_completions_text_and_usage() {
    let want = Seen {
        text: "Grüße aus 🌍.".into(),
        stop: Some(StopReason::Stop),
        usage: [1200, 9, 1024, 0, 4],
        ..Seen::default()
    };
    assert_eq!(seen("chat_text"), want);
}

#[test]
fn chat_completions_parallel_calls_with_mixed_pieces() {
    let want = Seen {
        calls: vec![
            call("call_A", "weather", json!({"city": "Köln"})),
            call("call_B", "clock", json!({"zone": "Europe/Berlin"})),
        ],
        stop: Some(StopReason::ToolUse),
        usage: [80, 40, 0, 0, 0],
        ..Seen::default()
    };
    assert_eq!(seen("chat_tools"), want);
}

#[test]
fn chat_completions_refusal_and_length() {
    let refusal = seen("chat_refusal");
    assert_eq!(
        (refusal.text.as_str(), refusal.stop),
        ("I will not help with that.", Some(StopReason::Refusal))
    );
    let length = seen("chat_length");
    assert_eq!(
        (length.text.as_str(), length.stop),
        ("It goes on", Some(StopReason::Length))
    );
    assert!(length.calls.is_empty(), "a call that was cut is not a call");
}

#[test]
fn dialects_of_chat_completions() {
    let deepseek = seen("chat_deepseek");
    assert_eq!(
        (deepseek.reasoning.as_str(), deepseek.text.as_str()),
        ("Two and two.", "Four.")
    );
    assert_eq!(deepseek.usage, [14, 12, 0, 0, 8]);
    let mistral = seen("chat_mistral");
    assert_eq!(
        (mistral.reasoning.as_str(), mistral.text.as_str()),
        ("Let me see.", "Done.")
    );
    assert_eq!(mistral.calls, [call("D681PevKs", "note", json!({"a": 1}))]);
    let gemini = seen("chat_gemini");
    assert_eq!(
        gemini.calls,
        [call("function-call-77", "weather", json!({"city": "Oslo"}))]
    );
    assert_eq!(gemini.stop, Some(StopReason::ToolUse));
}

#[test]
fn vendors_that_speak_chat_completions_in_their_own_way() {
    let text = |name: &str, reasoning: &str, text: &str, usage: [u64; 5]| {
        let want = Seen {
            text: text.into(),
            reasoning: reasoning.into(),
            stop: Some(StopReason::Stop),
            usage,
            ..Seen::default()
        };
        assert_eq!(seen(name), want, "{name}");
    };
    text("chat_groq", "One sum.", "Five.", [21, 9, 16, 0, 0]);
    text("chat_moonshot", "", "你好。", [19, 4, 8, 0, 0]);
    text("chat_minimax", "Short.", "Hello there.", [41, 9, 0, 0, 0]);
    text("chat_together", "", "Hi you", [12, 3, 0, 0, 0]);
    text("chat_fireworks", "", "Fine.", [33, 2, 32, 0, 0]);
    text("chat_vllm", "Well.", "Yes.", [16, 6, 0, 0, 0]);
    text("chat_lmstudio", "", "Sure!", [11, 2, 0, 0, 0]);
    let usage = [900, 25, 640, 0, 11];
    text("chat_openrouter", "Let me think.", "Done.", usage);

    let calls = |name: &str, reasoning: &str, wanted, usage: [u64; 5]| {
        let want = Seen {
            reasoning: reasoning.into(),
            calls: vec![wanted],
            stop: Some(StopReason::ToolUse),
            usage,
            ..Seen::default()
        };
        assert_eq!(seen(name), want, "{name}");
    };
    let bern = call("call_7", "weather", json!({"city": "Bern"}));
    // What the model thought is beside the completion there, and is paid as output.
    calls("chat_xai", "Look it up.", bern, [30, 30, 24, 0, 12]);
    let note = call("call_-72", "note", json!({"a": 1}));
    calls("chat_zai", "A tool.", note, [170, 15, 43, 0, 0]);
    let graz = call("Zk3nQ8vT", "weather", json!({"city": "Graz"}));
    calls("chat_llamacpp", "", graz, [141, 22, 0, 0, 0]);

    let docker = seen("chat_docker");
    assert_eq!(
        (docker.text.as_str(), docker.stop, docker.usage),
        ("Aye.", Some(StopReason::Length), [36, 2, 0, 0, 0])
    );
}

#[test]
fn anthropic_thinking_signatures_and_calls() {
    let want = Seen {
        text: "I will look.".into(),
        reasoning: "Für Köln I need the weather.".into(),
        calls: vec![
            call("toolu_01", "weather", json!({"city": "Köln"})),
            call("toolu_02", "clock", json!({})),
        ],
        stop: Some(StopReason::ToolUse),
        usage: [1012, 89, 900, 100, 0],
    };
    assert_eq!(seen("anthropic_thinking_tools"), want);
    assert_eq!(seen("anthropic_refusal").stop, Some(StopReason::Refusal));
}

#[test]
fn responses_family() {
    let want = Seen {
        text: "One moment.".into(),
        reasoning: "Looking up".into(),
        calls: vec![
            call("call_x", "weather", json!({"city": "Oslo"})),
            call("call_y", "clock", json!({"zone": "UTC"})),
        ],
        stop: Some(StopReason::ToolUse),
        usage: [50, 31, 20, 0, 16],
    };
    assert_eq!(seen("responses_full"), want);
    let cut = seen("responses_incomplete");
    assert_eq!(
        (cut.text.as_str(), cut.stop),
        ("A long", Some(StopReason::Length))
    );
}

#[test]
fn ollama_thinking_calls_and_length() {
    let tools = seen("ollama_tools");
    assert_eq!(tools.reasoning, "The user wants two facts.");
    assert_eq!(tools.stop, Some(StopReason::ToolUse));
    assert_eq!(tools.usage, [26, 290, 0, 0, 0]);
    assert_eq!(tools.calls[0].1, "weather");
    assert!(tools.calls[0].0.starts_with("call_"), "an id is made");
    assert_eq!(tools.calls[0].2, json!({"city": "Tromsø", "days": 2}));
    assert_eq!(tools.calls[1], call("call_9", "clock", json!({})));
    assert_eq!(seen("ollama_length").stop, Some(StopReason::Length));
}

#[test]
fn errors_inside_streams_keep_the_text_and_name_the_kind() {
    for (name, text, kind) in [
        ("chat_openrouter_error", "Half an ans", "server_error"),
        ("anthropic_error", "Almost", "overloaded_error"),
        ("responses_failed", "", "rate_limit_exceeded"),
        ("responses_error", "", "server_error"),
        ("ollama_error", "Well", "error"),
    ] {
        let (events, end) = named(name);
        match end {
            Err(DecodeError::Vendor { kind: got, .. }) => assert_eq!(got, kind, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
        let said: String = events
            .iter()
            .filter_map(|event| match event {
                ModelEvent::Text { delta } => Some(delta.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, text, "{name}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_never_a_success() {
    for (name, api, text) in ALL {
        let bytes = text.as_bytes();
        let whole = decode(*api, &[bytes]);
        for end in (0..bytes.len()).step_by(7) {
            let (events, result) = decode(*api, &[&bytes[..end]]);
            let finished = matches!(events.last(), Some(ModelEvent::Finish { .. }));
            assert_eq!(finished, result.is_ok(), "{name} cut at {end}");
            if finished && whole.1.is_ok() {
                // Only after the vendor itself said that the answer is whole.
                let (ModelEvent::Finish { stop, .. }, Some(ModelEvent::Finish { stop: last, .. })) =
                    (events.last().unwrap(), whole.0.last())
                else {
                    panic!("{name} cut at {end}");
                };
                assert_eq!(stop, last, "{name} cut at {end}");
            }
        }
    }
}

#[test]
fn what_has_no_bound_is_cut() {
    let one = |api: Api, piece: &str| {
        let mut decoder = Decoder::new(api, 1);
        let mut events = vec![];
        for _ in 0..20_000 {
            if let Err(error) = decoder.push(piece.as_bytes(), &mut events) {
                return error;
            }
            events.clear();
        }
        panic!("{api:?} took everything")
    };
    let long = "x".repeat(10_000);
    let text =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n");
    assert_eq!(
        one(Api::OpenaiCompletions, &text),
        DecodeError::TooLarge("the text")
    );
    let arguments = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"{long}\"}}}}]}}}}]}}\n\n"
    );
    assert_eq!(
        one(Api::OpenaiCompletions, &arguments),
        DecodeError::TooLarge("a tool call's arguments")
    );
    let calls =
        "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"a\",\"arguments\":{}}}]}}\n";
    assert_eq!(
        one(Api::Ollama, calls),
        DecodeError::TooLarge("the number of tool calls")
    );
    assert_eq!(one(Api::Ollama, &long), DecodeError::TooLarge("a line"));
    assert_eq!(
        one(Api::AnthropicMessages, &format!("data: {long}")),
        DecodeError::TooLarge("an event")
    );
}

#[test]
fn arguments_that_are_not_json_stay_as_text() {
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{oops\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    let (events, end) = decode(Api::OpenaiCompletions, &[text.as_bytes()]);
    end.unwrap();
    assert!(
        matches!(&events[0], ModelEvent::ToolCall { call } if call.arguments == json!("{oops"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_gives_the_same_events(cuts in proptest::collection::vec(0.0f64..1.0, 0..40), crlf in any::<bool>()) {
        for (name, api, text) in ALL {
            let text = if crlf { text.replace('\n', "\r\n") } else { (*text).to_owned() };
            let bytes = text.as_bytes();
            let whole = decode(*api, &[bytes]);
            let mut places: Vec<usize> = cuts.iter().map(|cut| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place within a short text")]
                let place = (cut * bytes.len() as f64) as usize;
                place
            }).collect();
            places.push(bytes.len());
            places.sort_unstable();
            let mut pieces = vec![];
            let mut from = 0;
            for place in places {
                pieces.push(&bytes[from..place]);
                from = place;
            }
            prop_assert_eq!(decode(*api, &pieces), whole, "{}", name);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), which in 0usize..4) {
        let api = [Api::OpenaiCompletions, Api::OpenaiResponses, Api::AnthropicMessages, Api::Ollama][which];
        drop(decode(api, &[&bytes]));
    }
}

#[test]
fn every_byte_alone_gives_the_same_events() {
    for (name, api, text) in ALL {
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(
            decode(*api, &bytes),
            decode(*api, &[text.as_bytes()]),
            "{name}"
        );
    }
}
