//! Writes requests for OpenAI's chat completions.

use super::{Encoded, PICTURES_OF_RESULTS, part_text, pictures, result_text};
use crate::codec::signature::ChatSignature;
use crate::vendor::{MaxTokens, ReasoningBack};
use instar_protocol::message::Part;
use instar_protocol::model::{ModelMessage, Reasoning, ToolChoice};
use instar_protocol::tool::ToolCall;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    /// Mistral's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    random_seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize, Default)]
struct Message<'a> {
    role: &'static str,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Value>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Piece<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Value>,
    },
    ImageUrl {
        image_url: ImageUrl,
    },
}

#[derive(Serialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
struct Call<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    function: Function<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: String,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: ToolFunction<'a>,
}

#[derive(Serialize)]
struct ToolFunction<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

pub(super) fn encode(what: Encoded<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let sampling = &what.request.sampling;
    let quirks = what.quirks;
    let samples = what.samples();
    let own_seed = quirks.random_seed;
    let body = Body {
        model: what.model,
        messages: messages(&what),
        stream: true,
        stream_options: quirks.stream_usage.then(|| json!({"include_usage": true})),
        tools: what
            .request
            .tools
            .iter()
            .map(|tool| Tool {
                r#type: "function",
                function: ToolFunction {
                    name: &tool.name,
                    description: &tool.description,
                    parameters: &tool.parameters,
                },
            })
            .collect(),
        tool_choice: tool_choice(&what),
        temperature: sampling.temperature.filter(|_| samples),
        top_p: sampling.top_p.filter(|_| samples),
        frequency_penalty: sampling.frequency_penalty.filter(|_| samples),
        presence_penalty: sampling.presence_penalty.filter(|_| samples),
        max_tokens: sampling
            .max_output_tokens
            .filter(|_| quirks.max_tokens == MaxTokens::MaxTokens),
        max_completion_tokens: sampling
            .max_output_tokens
            .filter(|_| quirks.max_tokens == MaxTokens::MaxCompletionTokens),
        seed: sampling.seed.filter(|_| !own_seed),
        random_seed: sampling.seed.filter(|_| own_seed),
        stop: &sampling.stop,
    };
    serde_json::to_vec(&body)
}

fn tool_choice(what: &Encoded<'_>) -> Option<Value> {
    if what.request.tools.is_empty() {
        return None;
    }
    match &what.request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!("none")),
        ToolChoice::Required => Some(json!(what.quirks.required_word)),
        ToolChoice::Named(name) => Some(json!({"type": "function", "function": {"name": name}})),
    }
}

fn messages<'a>(what: &Encoded<'a>) -> Vec<Message<'a>> {
    let mut out = Vec::with_capacity(what.request.messages.len() + 1);
    if !what.request.system.is_empty() {
        out.push(Message {
            role: "system",
            content: Some(system(what)),
            ..Message::default()
        });
    }
    let mut waiting = vec![];
    for message in &what.request.messages {
        if !matches!(message, ModelMessage::Tool { .. }) {
            out.extend(pictures_of_results(std::mem::take(&mut waiting)));
        }
        out.push(match message {
            ModelMessage::User { parts } => Message {
                role: "user",
                content: Some(user(what, parts)),
                ..Message::default()
            },
            ModelMessage::Assistant {
                text,
                tool_calls,
                reasoning,
            } => assistant(what, text, tool_calls, reasoning.as_ref()),
            ModelMessage::Tool {
                call_id,
                name,
                text,
                attached,
                ..
            } => Message {
                role: "tool",
                content: Some(result(what, text, attached, &mut waiting)),
                tool_call_id: Some(what.tool_ids().adapt(call_id)),
                name: what.quirks.tool_result_name.then_some(name),
                ..Message::default()
            },
        });
    }
    out.extend(pictures_of_results(waiting));
    out
}

/// A result. Its pictures wait for the end of the results, unless the vendor takes them in it.
fn result<'a>(
    what: &Encoded<'a>,
    said: &'a str,
    attached: &'a [Part],
    waiting: &mut Vec<Piece<'a>>,
) -> Content<'a> {
    let text = result_text(what, said, attached);
    let shown = pictures(what, attached);
    let pieces = shown.into_iter().map(|(mime, data)| picture(mime, data));
    if !what.quirks.pictures_in_results {
        waiting.extend(pieces);
        return Content::Text(text);
    }
    let pieces: Vec<Piece<'a>> = pieces.collect();
    if pieces.is_empty() {
        return Content::Text(text);
    }
    let mut all = vec![Piece::Text {
        text,
        cache_control: None,
    }];
    all.extend(pieces);
    Content::Parts(all)
}

/// The message of their own that pictures of results have on this wire.
fn pictures_of_results(pieces: Vec<Piece<'_>>) -> Option<Message<'_>> {
    if pieces.is_empty() {
        return None;
    }
    let mut all = vec![Piece::Text {
        text: PICTURES_OF_RESULTS.into(),
        cache_control: None,
    }];
    all.extend(pieces);
    Some(Message {
        role: "user",
        content: Some(Content::Parts(all)),
        ..Message::default()
    })
}

fn picture<'a>(mime: &str, data: &str) -> Piece<'a> {
    Piece::ImageUrl {
        image_url: ImageUrl {
            url: format!("data:{mime};base64,{data}"),
        },
    }
}

fn system<'a>(what: &Encoded<'a>) -> Content<'a> {
    let marked = what.request.system.iter().any(|section| section.cache_here);
    if !(what.quirks.cache_markers && marked) {
        return Content::Text(what.system().into());
    }
    let pieces = what.request.system.iter().map(|section| Piece::Text {
        text: section.text.as_str().into(),
        cache_control: section.cache_here.then(|| json!({"type": "ephemeral"})),
    });
    Content::Parts(pieces.collect())
}

fn user<'a>(what: &Encoded<'a>, parts: &'a [Part]) -> Content<'a> {
    if let [one @ (Part::Text { .. } | Part::File { .. })] = parts {
        return Content::Text(part_text(one));
    }
    let pieces = parts.iter().map(|part| {
        if let Part::Image { object, mime } = part
            && let Some(data) = what.image(object)
        {
            return picture(mime, data);
        }
        Piece::Text {
            text: part_text(part),
            cache_control: None,
        }
    });
    Content::Parts(pieces.collect())
}

fn assistant<'a>(
    what: &Encoded<'a>,
    text: &'a str,
    tool_calls: &'a [ToolCall],
    reasoning: Option<&'a Reasoning>,
) -> Message<'a> {
    let signature = reasoning
        .and_then(|reasoning| reasoning.signature.as_deref())
        .and_then(ChatSignature::read)
        .unwrap_or_default();
    let back = what.quirks.reasoning_back;
    let plain = back == ReasoningBack::Content
        || (back == ReasoningBack::ContentWithCalls && !tool_calls.is_empty());
    Message {
        role: "assistant",
        content: (!text.is_empty() || tool_calls.is_empty()).then(|| Content::Text(text.into())),
        tool_calls: tool_calls
            .iter()
            .map(|call| Call {
                id: what.tool_ids().adapt(&call.id),
                r#type: "function",
                function: Function {
                    name: &call.name,
                    arguments: arguments(&call.arguments),
                },
                extra_content: signature
                    .calls
                    .get(&call.id)
                    .filter(|_| back == ReasoningBack::Google)
                    .map(|thought| json!({"google": {"thought_signature": thought}})),
            })
            .collect(),
        reasoning_content: reasoning
            .filter(|_| plain)
            .map(|reasoning| reasoning.text.as_str()),
        reasoning_details: if back == ReasoningBack::Details {
            signature.details
        } else {
            vec![]
        },
        ..Message::default()
    }
}

/// Arguments as text; what was not JSON when it came goes back as it was.
pub(super) fn arguments(value: &Value) -> String {
    match value {
        Value::String(raw) => raw.clone(),
        other => other.to_string(),
    }
}
