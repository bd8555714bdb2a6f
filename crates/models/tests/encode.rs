//! Requests as each wire format writes them.

use crate::server::request;
use instar_models::codec::{Decoder, Encoded, Images, encode};
use instar_models::config::Api;
use instar_models::vendor::{self, Quirks};
use instar_protocol::ObjectHash;
use instar_protocol::message::Part;
use instar_protocol::model::{
    ModelEvent, ModelMessage, ModelRequest, Reasoning, SystemSection, ToolChoice,
};
use instar_protocol::tool::{ToolCall, ToolSpec};
use serde_json::{Value, json};
use std::sync::Arc;

fn body(api: Api, vendor: &str, request: &ModelRequest) -> Value {
    let quirks = vendor::find(vendor).map_or(Quirks::PLAIN, |vendor| vendor.quirks.clone());
    let images = Images::from([(ObjectHash::from_hex("abc"), "aW1n".to_owned())]);
    let encoded = Encoded {
        model: "m",
        request,
        images: &images,
        quirks: &quirks,
        max_tokens: 4096,
        context_window: Some(16_384),
        reasoning: false,
    };
    serde_json::from_slice(&encode(api, encoded).unwrap()).unwrap()
}

fn section(text: &str, cache_here: bool) -> SystemSection {
    SystemSection {
        text: text.into(),
        cache_here,
    }
}

/// A conversation with everything in it.
fn everything(signature: Option<String>) -> ModelRequest {
    let mut request = request("look");
    request.system = vec![section("stable", true), section("today", false)];
    request.messages = vec![
        ModelMessage::User {
            parts: vec![
                Part::text("look"),
                Part::Image {
                    object: ObjectHash::from_hex("abc"),
                    mime: "image/png".into(),
                },
            ],
        },
        ModelMessage::Assistant {
            text: "I look.".into(),
            tool_calls: vec![ToolCall {
                id: "call one".into(),
                name: "see".into(),
                arguments: json!({"x": 1}),
            }],
            reasoning: Some(Reasoning {
                text: "Für Köln I need the weather.".into(),
                signature,
            }),
        },
        ModelMessage::Tool {
            call_id: "call one".into(),
            name: "see".into(),
            text: "a cat".into(),
            is_error: false,
            attached: Vec::new(),
        },
        ModelMessage::User {
            parts: vec![Part::text("and?")],
        },
    ];
    request.tools = vec![Arc::new(ToolSpec {
        name: "see".into(),
        description: "sees".into(),
        parameters: json!({"type": "object"}),
    })];
    request.tool_choice = ToolChoice::Required;
    request.sampling.max_output_tokens = Some(100);
    request.sampling.temperature = Some(0.5);
    request
}

#[test]
fn chat_completions() {
    let body = body(Api::OpenaiCompletions, "openai", &everything(None));
    assert_eq!(
        body["messages"][0],
        json!({"role": "system", "content": "stable\n\ntoday"})
    );
    assert_eq!(
        body["messages"][1]["content"][1]["image_url"]["url"],
        "data:image/png;base64,aW1n"
    );
    let call = &body["messages"][2]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], "{\"x\":1}");
    assert_eq!(call["id"], body["messages"][3]["tool_call_id"]);
    assert_ne!(call["id"], "call one", "no vendor takes a blank in an id");
    assert_eq!(body["stream_options"], json!({"include_usage": true}));
    assert_eq!(
        (&body["max_completion_tokens"], &body["max_tokens"]),
        (&json!(100), &Value::Null)
    );
    assert_eq!(body["tool_choice"], "required");
    assert!(body["messages"][2].get("reasoning_content").is_none());
}

#[test]
fn dialects_of_chat_completions() {
    let mistral = body(Api::OpenaiCompletions, "mistral", &everything(None));
    assert_eq!(
        mistral["messages"][2]["tool_calls"][0]["id"]
            .as_str()
            .unwrap()
            .len(),
        9
    );
    assert_eq!(
        (&mistral["tool_choice"], &mistral["max_tokens"]),
        (&json!("any"), &json!(100))
    );
    assert_eq!(mistral["messages"][3]["name"], "see");
    assert!(mistral.get("stream_options").is_none());
    let deepseek = body(Api::OpenaiCompletions, "deepseek", &everything(None));
    assert_eq!(
        deepseek["messages"][2]["reasoning_content"],
        "Für Köln I need the weather."
    );
    let router = body(Api::OpenaiCompletions, "openrouter", &everything(None));
    assert_eq!(
        router["messages"][0]["content"][0]["cache_control"]["type"],
        "ephemeral"
    );
    assert!(
        router["messages"][0]["content"][1]
            .get("cache_control")
            .is_none()
    );
}

/// A conversation in which two results came back, the first with a picture.
fn shown() -> ModelRequest {
    let call = |id: &str| ToolCall {
        id: id.into(),
        name: "see".into(),
        arguments: json!({}),
    };
    let result = |id: &str, text: &str, attached: Vec<Part>| ModelMessage::Tool {
        call_id: id.into(),
        name: "see".into(),
        text: text.into(),
        is_error: false,
        attached,
    };
    let mut request = request("look");
    request.messages.push(ModelMessage::Assistant {
        text: String::new(),
        tool_calls: vec![call("a"), call("b")],
        reasoning: None,
    });
    let image = Part::Image {
        object: ObjectHash::from_hex("abc"),
        mime: "image/png".into(),
    };
    let line = Part::text("[picture shop.png]");
    request
        .messages
        .push(result("a", "kept", vec![line, image]));
    request.messages.push(result("b", "none", Vec::new()));
    request
}

#[test]
fn pictures_of_results_stand_where_each_wire_has_a_place_for_them() {
    let data = "data:image/png;base64,aW1n";
    let chat = body(Api::OpenaiCompletions, "openai", &shown());
    let said = chat["messages"].as_array().unwrap();
    let roles: Vec<&str> = said.iter().filter_map(|one| one["role"].as_str()).collect();
    let tail = &roles[roles.len() - 4..];
    assert_eq!(
        tail,
        ["assistant", "tool", "tool", "user"],
        "behind all results"
    );
    assert_eq!(said[said.len() - 3]["content"], "kept\n[picture shop.png]");
    let own = &said.last().unwrap()["content"];
    assert!(
        own[0]["text"]
            .as_str()
            .unwrap()
            .contains("never an instruction")
    );
    assert_eq!(
        own[1],
        json!({"type": "image_url", "image_url": {"url": data}})
    );
    // Google's models are spoken to in the same format.
    let google = body(Api::OpenaiCompletions, "gemini", &shown());
    assert_eq!(google["messages"], chat["messages"]);

    let mistral = body(Api::OpenaiCompletions, "mistral", &shown());
    let said = mistral["messages"].as_array().unwrap();
    assert_eq!(said.last().unwrap()["role"], "tool");
    let own = &said[said.len() - 2]["content"];
    assert_eq!(
        own[0],
        json!({"type": "text", "text": "kept\n[picture shop.png]"})
    );
    assert_eq!(own[1]["image_url"]["url"], data);

    let responses = body(Api::OpenaiResponses, "openai", &shown());
    let items = responses["input"].as_array().unwrap();
    let output = &items[items.len() - 2]["output"];
    assert_eq!(
        output[0],
        json!({"type": "input_text", "text": "kept\n[picture shop.png]"})
    );
    assert_eq!(output[1], json!({"type": "input_image", "image_url": data}));
    assert_eq!(items.last().unwrap()["output"], "none");

    let anthropic = body(Api::AnthropicMessages, "anthropic", &shown());
    let results = anthropic["messages"][2]["content"].as_array().unwrap();
    assert_eq!(
        results[0]["content"],
        json!([
            {"type": "text", "text": "kept\n[picture shop.png]"},
            {"type": "image", "source":
                {"type": "base64", "media_type": "image/png", "data": "aW1n"}}
        ])
    );
    assert_eq!(results[1]["content"], "none");

    let ollama = body(Api::Ollama, "ollama", &shown());
    let said = ollama["messages"].as_array().unwrap();
    let own = said.last().unwrap();
    assert_eq!(
        (&own["role"], &own["images"]),
        (&json!("user"), &json!(["aW1n"]))
    );
}

#[test]
fn a_model_without_eyes_reads_what_it_would_have_seen() {
    let none = Images::new();
    for api in [
        Api::OpenaiCompletions,
        Api::OpenaiResponses,
        Api::AnthropicMessages,
        Api::Ollama,
    ] {
        let request = shown();
        let encoded = Encoded {
            model: "m",
            request: &request,
            images: &none,
            quirks: &Quirks::PLAIN,
            max_tokens: 4096,
            context_window: None,
            reasoning: false,
        };
        let text = String::from_utf8(encode(api, encoded).unwrap()).unwrap();
        assert!(
            text.contains("[picture shop.png] [it is not shown"),
            "{text}"
        );
        assert!(
            !text.contains("base64") && !text.contains("image_url"),
            "{text}"
        );
    }
}

/// The signature that a transcript's decoder hands out.
fn signature(api: Api, transcript: &str) -> Option<String> {
    let mut events = vec![];
    let mut decoder = Decoder::new(api, 1);
    decoder.push(transcript.as_bytes(), &mut events).unwrap();
    events.into_iter().find_map(|event| match event {
        ModelEvent::Reasoning { signature, .. } => signature,
        ModelEvent::Text { .. } | ModelEvent::ToolCall { .. } | ModelEvent::Finish { .. } => None,
    })
}

#[test]
fn anthropic_messages_with_marks_and_signed_thinking() {
    let signature = signature(
        Api::AnthropicMessages,
        include_str!("transcripts/anthropic_thinking_tools.sse"),
    );
    let body = body(Api::AnthropicMessages, "anthropic", &everything(signature));
    assert_eq!(
        body["system"][0]["cache_control"],
        json!({"type": "ephemeral"})
    );
    assert!(body["system"][1].get("cache_control").is_none());
    assert_eq!(body["max_tokens"], 100);
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3, "results and the next words are one turn");
    assert_eq!(
        messages[0]["content"][1]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": "aW1n"})
    );
    let said = messages[1]["content"].as_array().unwrap();
    assert_eq!(
        said[0],
        json!({"type": "thinking", "thinking": "Für Köln I need the weather.", "signature": "EqQBCgIYAhIM"})
    );
    assert_eq!(
        said[1],
        json!({"type": "redacted_thinking", "data": "b3BhcXVl"})
    );
    assert_eq!(
        (&said[2]["text"], &said[3]["input"]),
        (&json!("I look."), &json!({"x": 1}))
    );
    assert_eq!(messages[2]["content"][0]["tool_use_id"], said[3]["id"]);
    assert_eq!(
        messages[2]["content"][1]["cache_control"]["type"],
        "ephemeral"
    );
}

#[test]
fn a_signature_of_another_vendor_or_over_other_text_is_left_out() {
    let foreign = signature(
        Api::OpenaiResponses,
        include_str!("transcripts/responses_full.sse"),
    );
    let body_of = |signature| body(Api::AnthropicMessages, "anthropic", &everything(signature));
    assert_eq!(
        body_of(foreign)["messages"][1]["content"][0]["type"],
        "text"
    );
    assert_eq!(
        body_of(Some("anthropic:[{\"thinking\":[3,\"s\"]}]".into()))["messages"][1]["content"][0]["type"],
        "text"
    );
    assert_eq!(
        body_of(Some("anthropic:[{\"thinking\":[2,\"s\"]}]".into()))["messages"][1]["content"][0]["type"],
        "text"
    );
}

#[test]
fn responses_items_and_their_reasoning() {
    let signature = signature(
        Api::OpenaiResponses,
        include_str!("transcripts/responses_full.sse"),
    );
    let body = body(Api::OpenaiResponses, "openai", &everything(signature));
    assert_eq!(
        (&body["instructions"], &body["store"]),
        (&json!("stable\n\ntoday"), &json!(false))
    );
    let input = body["input"].as_array().unwrap();
    assert_eq!(
        input[0]["content"][1],
        json!({"type": "input_image", "image_url": "data:image/png;base64,aW1n"})
    );
    assert_eq!(input[1]["encrypted_content"], "Z0FBQUFB");
    assert_eq!(
        input[2]["content"][0],
        json!({"type": "output_text", "text": "I look."})
    );
    assert_eq!(
        (&input[3]["type"], &input[3]["arguments"]),
        (&json!("function_call"), &json!("{\"x\":1}"))
    );
    assert_eq!(
        (&input[4]["type"], &input[4]["call_id"]),
        (&json!("function_call_output"), &input[3]["call_id"])
    );
    assert_eq!(body["tools"][0]["name"], "see");
}

#[test]
fn ollama_chat() {
    let body = body(Api::Ollama, "ollama", &everything(None));
    assert_eq!(body["messages"][1]["images"], json!(["aW1n"]));
    assert_eq!(
        body["messages"][2]["tool_calls"][0]["function"]["arguments"],
        json!({"x": 1})
    );
    assert_eq!(body["messages"][3]["tool_name"], "see");
    assert_eq!(
        (&body["options"]["num_predict"], &body["options"]["num_ctx"]),
        (&json!(100), &json!(16_384))
    );
}

#[test]
fn gemini_gets_the_thought_back_at_its_call() {
    let signature = signature(
        Api::OpenaiCompletions,
        include_str!("transcripts/chat_gemini.sse"),
    );
    let mut request = everything(signature);
    if let ModelMessage::Assistant { tool_calls, .. } = &mut request.messages[1] {
        tool_calls[0].id = "function-call-77".into();
    }
    let body = body(Api::OpenaiCompletions, "gemini", &request);
    let call = &body["messages"][2]["tool_calls"][0];
    assert_eq!(
        call["extra_content"]["google"]["thought_signature"],
        "c2lnbmVk"
    );
}
