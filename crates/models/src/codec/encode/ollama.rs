//! Writes requests for Ollama's own chat.

use super::anthropic::object;
use super::{Encoded, PICTURES_OF_RESULTS, part_text, pictures, result_text};
use instar_protocol::message::Part;
use instar_protocol::model::{ModelMessage, ToolChoice};
use instar_protocol::tool::ToolSpec;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    options: Options<'a>,
}

#[derive(Serialize)]
struct Options<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_predict: Option<u32>,
    /// Without it the server cuts the beginning off at its own small default.
    #[serde(skip_serializing_if = "Option::is_none")]
    num_ctx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
}

#[derive(Serialize, Default)]
struct Message<'a> {
    role: &'static str,
    content: Cow<'a, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Call<'a> {
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: Cow<'a, Value>,
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
}

pub(super) fn encode(what: Encoded<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let sampling = &what.request.sampling;
    let body = Body {
        model: what.model,
        messages: messages(&what),
        stream: true,
        tools: tools(&what),
        options: Options {
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            frequency_penalty: sampling.frequency_penalty,
            presence_penalty: sampling.presence_penalty,
            num_predict: sampling.max_output_tokens,
            num_ctx: what.context_window,
            seed: sampling.seed,
            stop: &sampling.stop,
        },
    };
    serde_json::to_vec(&body)
}

/// The server knows no choice of tools; what can be said by leaving tools out is said that way.
fn tools<'a>(what: &Encoded<'a>) -> Vec<Tool<'a>> {
    let wanted = |tool: &&Arc<ToolSpec>| match &what.request.tool_choice {
        ToolChoice::Auto | ToolChoice::Required => true,
        ToolChoice::None => false,
        ToolChoice::Named(name) => tool.name == *name,
    };
    let tools = what.request.tools.iter().filter(wanted);
    tools
        .map(|function| Tool {
            r#type: "function",
            function,
        })
        .collect()
}

fn messages<'a>(what: &Encoded<'a>) -> Vec<Message<'a>> {
    let system = what.system();
    let mut out = vec![];
    if !system.is_empty() {
        out.push(Message {
            role: "system",
            content: system.into(),
            ..Message::default()
        });
    }
    let mut waiting = vec![];
    for message in &what.request.messages {
        if !matches!(message, ModelMessage::Tool { .. }) {
            out.extend(pictures_of_results(std::mem::take(&mut waiting)));
        }
        out.push(match message {
            ModelMessage::User { parts } => user(what, parts),
            ModelMessage::Assistant {
                text, tool_calls, ..
            } => Message {
                role: "assistant",
                content: text.into(),
                tool_calls: tool_calls
                    .iter()
                    .map(|call| Call {
                        function: Function {
                            name: &call.name,
                            arguments: object(&call.arguments),
                        },
                    })
                    .collect(),
                ..Message::default()
            },
            ModelMessage::Tool {
                name,
                text,
                attached,
                ..
            } => {
                waiting.extend(pictures(what, attached).into_iter().map(|(_, data)| data));
                Message {
                    role: "tool",
                    content: result_text(what, text, attached),
                    tool_name: Some(name),
                    ..Message::default()
                }
            }
        });
    }
    out.extend(pictures_of_results(waiting));
    out
}

/// Templates of models show pictures of people's messages alone.
fn pictures_of_results(images: Vec<&str>) -> Option<Message<'_>> {
    (!images.is_empty()).then(|| Message {
        role: "user",
        content: PICTURES_OF_RESULTS.into(),
        images,
        ..Message::default()
    })
}

fn user<'a>(what: &Encoded<'a>, parts: &'a [Part]) -> Message<'a> {
    let mut images = vec![];
    let mut texts = vec![];
    for part in parts {
        match part {
            Part::Image { object, .. } if what.image(object).is_some() => {
                images.extend(what.image(object))
            }
            other => texts.push(part_text(other)),
        }
    }
    Message {
        role: "user",
        content: texts.join("\n").into(),
        images,
        ..Message::default()
    }
}
