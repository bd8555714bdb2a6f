//! Writes requests for OpenAI's responses.

use super::chat::arguments;
use super::{Encoded, part_text, pictures, result_text};
use crate::codec::signature::read_items;
use instar_protocol::message::Part;
use instar_protocol::model::{ModelMessage, ToolChoice};
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: Vec<Item<'a>>,
    stream: bool,
    /// The conversation is kept here, not at the vendor.
    store: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    instructions: String,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    include: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Item<'a> {
    Message {
        role: &'static str,
        content: Vec<Piece<'a>>,
    },
    Call {
        r#type: &'static str,
        call_id: Cow<'a, str>,
        name: &'a str,
        arguments: String,
    },
    Result {
        r#type: &'static str,
        call_id: Cow<'a, str>,
        output: Shown<'a>,
    },
    /// A reasoning item, as it came.
    Reasoning(Value),
}

/// What a result holds: text alone, or text and pictures.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Text(Cow<'a, str>),
    Pieces(Vec<Piece<'a>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Piece<'a> {
    InputText { text: Cow<'a, str> },
    InputImage { image_url: String },
    OutputText { text: &'a str },
}

#[derive(Serialize)]
struct Tool<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
    /// Schemas come from tools as they are; the vendor's strict subset is not asked of them.
    strict: bool,
}

pub(super) fn encode(what: Encoded<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let sampling = &what.request.sampling;
    let samples = what.samples();
    let body = Body {
        model: what.model,
        input: input(&what),
        stream: true,
        store: false,
        instructions: what.system(),
        include: if what.reasoning {
            &["reasoning.encrypted_content"]
        } else {
            &[]
        },
        tools: what
            .request
            .tools
            .iter()
            .map(|tool| Tool {
                r#type: "function",
                name: &tool.name,
                description: &tool.description,
                parameters: &tool.parameters,
                strict: false,
            })
            .collect(),
        tool_choice: tool_choice(&what),
        temperature: sampling.temperature.filter(|_| samples),
        top_p: sampling.top_p.filter(|_| samples),
        max_output_tokens: sampling.max_output_tokens,
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
        ToolChoice::Required => Some(json!("required")),
        ToolChoice::Named(name) => Some(json!({"type": "function", "name": name})),
    }
}

fn input<'a>(what: &Encoded<'a>) -> Vec<Item<'a>> {
    let mut items = vec![];
    for message in &what.request.messages {
        match message {
            ModelMessage::User { parts } => items.push(Item::Message {
                role: "user",
                content: parts.iter().map(|part| user(what, part)).collect(),
            }),
            ModelMessage::Assistant {
                text,
                tool_calls,
                reasoning,
            } => {
                let signature = reasoning
                    .as_ref()
                    .and_then(|reasoning| reasoning.signature.as_deref());
                let thoughts = signature.and_then(read_items).unwrap_or_default();
                items.extend(thoughts.into_iter().map(Item::Reasoning));
                if !text.is_empty() {
                    items.push(Item::Message {
                        role: "assistant",
                        content: vec![Piece::OutputText { text }],
                    });
                }
                items.extend(tool_calls.iter().map(|call| Item::Call {
                    r#type: "function_call",
                    call_id: what.tool_ids().adapt(&call.id),
                    name: &call.name,
                    arguments: arguments(&call.arguments),
                }));
            }
            ModelMessage::Tool {
                call_id,
                text,
                attached,
                ..
            } => items.push(Item::Result {
                r#type: "function_call_output",
                call_id: what.tool_ids().adapt(call_id),
                output: shown(what, text, attached),
            }),
        }
    }
    items
}

fn shown<'a>(what: &Encoded<'a>, said: &'a str, attached: &'a [Part]) -> Shown<'a> {
    let text = result_text(what, said, attached);
    let pictures = pictures(what, attached);
    if pictures.is_empty() {
        return Shown::Text(text);
    }
    let mut pieces = vec![Piece::InputText { text }];
    pieces.extend(pictures.into_iter().map(|(mime, data)| Piece::InputImage {
        image_url: format!("data:{mime};base64,{data}"),
    }));
    Shown::Pieces(pieces)
}

fn user<'a>(what: &Encoded<'a>, part: &'a Part) -> Piece<'a> {
    if let Part::Image { object, mime } = part
        && let Some(data) = what.image(object)
    {
        return Piece::InputImage {
            image_url: format!("data:{mime};base64,{data}"),
        };
    }
    Piece::InputText {
        text: part_text(part),
    }
}
