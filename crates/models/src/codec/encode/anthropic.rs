//! Writes requests for Anthropic's messages.

use super::{Encoded, part_text, pictures, result_text};
use crate::codec::signature::{ThinkingBlock, read_thinking};
use instar_protocol::message::Part;
use instar_protocol::model::{ModelMessage, Reasoning, ToolChoice};
use instar_protocol::tool::ToolCall;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    messages: Vec<Message<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop_sequences: &'a [String],
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Ephemeral>,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Cow<'a, Value>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        content: Shown<'a>,
        is_error: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<Ephemeral>,
    },
    Thinking {
        thinking: &'a str,
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
}

/// What a result holds: text alone, or text and pictures.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

#[derive(Serialize)]
struct Ephemeral {
    r#type: &'static str,
}

const EPHEMERAL: Ephemeral = Ephemeral {
    r#type: "ephemeral",
};

#[derive(Serialize)]
struct Source<'a> {
    r#type: &'static str,
    media_type: &'a str,
    data: &'a str,
}

#[derive(Serialize)]
struct Tool<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
}

pub(super) fn encode(what: Encoded<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let request = what.request;
    let sampling = &request.sampling;
    let body = Body {
        model: what.model,
        max_tokens: sampling
            .max_output_tokens
            .map_or(what.max_tokens, u64::from),
        messages: messages(&what),
        stream: true,
        system: system(&what),
        tools: request
            .tools
            .iter()
            .map(|tool| Tool {
                name: &tool.name,
                description: &tool.description,
                input_schema: &tool.parameters,
            })
            .collect(),
        tool_choice: tool_choice(&what),
        temperature: sampling.temperature,
        // The vendor takes one of the two.
        top_p: sampling.top_p.filter(|_| sampling.temperature.is_none()),
        stop_sequences: &sampling.stop,
    };
    serde_json::to_vec(&body)
}

fn tool_choice(what: &Encoded<'_>) -> Option<Value> {
    if what.request.tools.is_empty() {
        return None;
    }
    match &what.request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::None => Some(json!({"type": "none"})),
        ToolChoice::Required => Some(json!({"type": "any"})),
        ToolChoice::Named(name) => Some(json!({"type": "tool", "name": name})),
    }
}

fn system<'a>(what: &Encoded<'a>) -> Vec<Block<'a>> {
    let sections = what
        .request
        .system
        .iter()
        .filter(|section| !section.text.is_empty());
    // The vendor takes four marks; one is kept for the end of the conversation.
    let mut marks = 3;
    sections
        .map(|section| {
            let mark = section.cache_here && marks > 0;
            marks -= usize::from(mark);
            Block::Text {
                text: section.text.as_str().into(),
                cache_control: mark.then_some(EPHEMERAL),
            }
        })
        .collect()
}

/// Results of tools go in the user's turn right after the calls; neighbours of one role are joined.
fn messages<'a>(what: &Encoded<'a>) -> Vec<Message<'a>> {
    let mut out: Vec<Message<'a>> = vec![];
    for message in &what.request.messages {
        let (role, content) = match message {
            ModelMessage::User { parts } => (
                "user",
                parts.iter().filter_map(|part| user(what, part)).collect(),
            ),
            ModelMessage::Assistant {
                text,
                tool_calls,
                reasoning,
            } => (
                "assistant",
                assistant(what, text, tool_calls, reasoning.as_ref()),
            ),
            ModelMessage::Tool {
                call_id,
                text,
                is_error,
                attached,
                ..
            } => {
                let result = Block::ToolResult {
                    tool_use_id: what.tool_ids().adapt(call_id),
                    content: shown(what, text, attached),
                    is_error: *is_error,
                    cache_control: None,
                };
                ("user", vec![result])
            }
        };
        if content.is_empty() {
            continue;
        }
        match out.last_mut().filter(|last| last.role == role) {
            Some(last) => last.content.extend(content),
            None => out.push(Message { role, content }),
        }
    }
    mark_end(what, &mut out);
    out
}

fn shown<'a>(what: &Encoded<'a>, said: &'a str, attached: &'a [Part]) -> Shown<'a> {
    let said = result_text(what, said, attached);
    let pictures = pictures(what, attached);
    if pictures.is_empty() {
        return Shown::Text(said);
    }
    let mut blocks: Vec<Block<'a>> = text(said).into_iter().collect();
    blocks.extend(pictures.into_iter().map(|(mime, data)| image(mime, data)));
    Shown::Blocks(blocks)
}

fn image<'a>(media_type: &'a str, data: &'a str) -> Block<'a> {
    Block::Image {
        source: Source {
            r#type: "base64",
            media_type,
            data,
        },
    }
}

/// Marks the conversation's end, so that the next turn finds all before it in the cache.
fn mark_end(what: &Encoded<'_>, messages: &mut [Message<'_>]) {
    if !(what.quirks.cache_markers && what.request.system.iter().any(|section| section.cache_here))
    {
        return;
    }
    let last = messages
        .last_mut()
        .and_then(|message| message.content.last_mut());
    if let Some(Block::Text { cache_control, .. } | Block::ToolResult { cache_control, .. }) = last
    {
        *cache_control = Some(EPHEMERAL);
    }
}

fn user<'a>(what: &Encoded<'a>, part: &'a Part) -> Option<Block<'a>> {
    if let Part::Image { object, mime } = part
        && let Some(data) = what.image(object)
    {
        return Some(image(mime, data));
    }
    text(part_text(part))
}

/// The vendor refuses empty texts.
fn text(text: Cow<'_, str>) -> Option<Block<'_>> {
    (!text.trim().is_empty()).then_some(Block::Text {
        text,
        cache_control: None,
    })
}

fn assistant<'a>(
    what: &Encoded<'a>,
    said: &'a str,
    tool_calls: &'a [ToolCall],
    reasoning: Option<&'a Reasoning>,
) -> Vec<Block<'a>> {
    let thinking = reasoning
        .and_then(|reasoning| read_thinking(reasoning.signature.as_deref()?, &reasoning.text));
    let mut blocks: Vec<Block<'a>> = thinking
        .into_iter()
        .flatten()
        .map(|(block, thinking)| match block {
            ThinkingBlock::Thinking(_, signature) => Block::Thinking {
                thinking,
                signature,
            },
            ThinkingBlock::Redacted(data) => Block::RedactedThinking { data },
        })
        .collect();
    blocks.extend(text(said.into()));
    blocks.extend(tool_calls.iter().map(|call| Block::ToolUse {
        id: what.tool_ids().adapt(&call.id),
        name: &call.name,
        input: object(&call.arguments),
    }));
    blocks
}

/// Arguments as the object that vendors want; what was not one is put into one.
pub(super) fn object(arguments: &Value) -> Cow<'_, Value> {
    if arguments.is_object() {
        Cow::Borrowed(arguments)
    } else {
        Cow::Owned(json!({"arguments": arguments}))
    }
}
