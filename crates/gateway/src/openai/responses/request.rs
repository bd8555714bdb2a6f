//! Reads a responses body: a text or a list of items, with what the API documents beside it.

use serde::Deserialize;
use serde_json::Value;

use crate::api::media::{Allowance, Draft};
use crate::openai::ask::{Ask, DraftMessage};
use crate::openai::content::{self, Content};
use crate::openai::fields;
use crate::openai::names::Known;
use crate::openai::problem::{Problem, media, shorten};
use instar_protocol::model::Sampling;

#[derive(Deserialize, Debug)]
struct Body {
    model: String,
    input: Input,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    max_output_tokens: Option<u64>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    previous_response_id: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(default)]
    text: Option<Value>,
    #[serde(default)]
    background: Option<bool>,
    #[serde(default)]
    conversation: Option<Value>,
    #[serde(default)]
    prompt: Option<Value>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

#[derive(Deserialize, Debug)]
struct Tool {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
}

/// An input item; which fields it needs depends on its type.
#[derive(Deserialize, Debug)]
struct Item {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    content: Option<Content<Piece>>,
    #[serde(default)]
    call_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(default)]
    output: Option<Content<Piece>>,
}

#[derive(Deserialize, Debug)]
struct Piece {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    image_url: Option<String>,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    file_data: Option<String>,
}

/// A responses request: what is asked, and what the answer repeats.
#[derive(Debug, PartialEq)]
pub(crate) struct ResponsesAsk {
    pub(crate) ask: Ask,
    pub(crate) previous: Option<String>,
    pub(crate) echo: Echo,
}

/// Request fields that a response repeats.
#[derive(Debug, PartialEq, Clone, Default)]
pub(crate) struct Echo {
    pub(crate) model: String,
    pub(crate) instructions: Option<String>,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) tools: Vec<instar_protocol::tool::ToolSpec>,
    pub(crate) tool_choice: Option<Value>,
    pub(crate) metadata: Option<Value>,
    pub(crate) user: Option<String>,
    pub(crate) previous: Option<String>,
}

/// Reads and checks a body.
pub(crate) fn parse(body: &[u8], known: &Known) -> Result<ResponsesAsk, Problem> {
    let body: Body = fields::read(body)?;
    let target = known.target(&body.model)?;
    refuse_unsupported(&body)?;
    let tools = body
        .tools
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(index, tool)| read_tool(index, tool))
        .collect::<Result<Vec<_>, _>>()?;
    let tool_choice = fields::tool_choice(&tools, body.tool_choice.as_ref())?;
    let sampling = Sampling {
        temperature: fields::range("temperature", body.temperature, 0.0, 2.0)?,
        top_p: fields::range("top_p", body.top_p, 0.0, 1.0)?,
        max_output_tokens: fields::tokens("max_output_tokens", body.max_output_tokens)?,
        ..Sampling::default()
    };
    let (messages, spoken) = match body.input {
        Input::Text(text) => (vec![DraftMessage::User(vec![Draft::Text(text)])], None),
        Input::Items(items) => read_items(items)?,
    };
    let instructions = [body.instructions.clone(), spoken]
        .into_iter()
        .flatten()
        .filter(|text| !text.trim().is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    let user = fields::user(body.user)?;
    let echo = Echo {
        model: body.model.clone(),
        instructions: body.instructions,
        max_output_tokens: sampling.max_output_tokens,
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        tools: tools.clone(),
        tool_choice: body.tool_choice,
        metadata: body.metadata,
        user: user.clone(),
        previous: body.previous_response_id.clone(),
    };
    let ask = Ask {
        model: body.model,
        target,
        user,
        stream: body.stream.unwrap_or_default(),
        messages,
        instructions: (!instructions.is_empty()).then_some(instructions),
        sampling,
        tools,
        tool_choice,
    };
    ask.check("input")?;
    Ok(ResponsesAsk {
        ask,
        previous: body.previous_response_id,
        echo,
    })
}

/// Fields that ask for another behaviour than the gateway's are refused, not skipped.
fn refuse_unsupported(body: &Body) -> Result<(), Problem> {
    if body.background == Some(true) {
        return Err(Problem::invalid(
            "background",
            "background responses are not supported; use stream",
        ));
    }
    for (param, value) in [
        ("conversation", &body.conversation),
        ("prompt", &body.prompt),
    ] {
        if value.as_ref().is_some_and(|value| !value.is_null()) {
            return Err(Problem::invalid(
                param,
                format!("{param} is not supported; use previous_response_id or input"),
            ));
        }
    }
    let metadata_small = body
        .metadata
        .as_ref()
        .is_none_or(|metadata| metadata.to_string().len() <= 16_384);
    if !metadata_small {
        return Err(Problem::invalid(
            "metadata",
            "metadata may have at most 16384 bytes",
        ));
    }
    let format = body.text.as_ref().and_then(|text| text.get("format"));
    fields::plain_format("text.format", format)
}

fn read_tool(index: usize, tool: Tool) -> Result<instar_protocol::tool::ToolSpec, Problem> {
    let at = format!("tools[{index}]");
    if tool.kind != "function" {
        return Err(Problem::invalid(
            format!("{at}.type"),
            "only tools of type function are accepted",
        ));
    }
    fields::tool(
        &at,
        tool.name.unwrap_or_default(),
        tool.description,
        tool.parameters,
    )
}

fn read_items(items: Vec<Item>) -> Result<(Vec<DraftMessage>, Option<String>), Problem> {
    let mut allowance = Allowance::default();
    let mut spoken: Vec<String> = Vec::new();
    let mut messages: Vec<DraftMessage> = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("input[{index}]");
        match item.kind.as_deref().unwrap_or("message") {
            "message" => match item.role.as_deref() {
                Some("system" | "developer") => spoken.push(Content::text_only(&at, item.content)?),
                Some("user") => {
                    allowance.next_message();
                    messages.push(DraftMessage::User(Content::drafts(
                        &at,
                        item.content,
                        &mut allowance,
                    )?));
                }
                Some("assistant") => messages.push(DraftMessage::Assistant {
                    text: Content::text_only(&at, item.content)?,
                    tool_calls: Vec::new(),
                }),
                other => {
                    return Err(Problem::invalid(
                        format!("{at}.role"),
                        format!(
                            "role '{}' is not known; use system, developer, user or assistant",
                            shorten(other.unwrap_or_default())
                        ),
                    ));
                }
            },
            "function_call" => add_call(&at, item, &mut messages)?,
            "function_call_output" => messages.push(DraftMessage::Tool {
                call_id: required(&at, "call_id", item.call_id)?,
                text: Content::text_only(&format!("{at}.output"), item.output)?,
            }),
            // Clients hand a response's output back whole; our reasoning summaries say nothing new.
            "reasoning" => {}
            other => {
                return Err(Problem::invalid(
                    format!("{at}.type"),
                    format!(
                        "items of type '{}' are not accepted; use message, function_call or function_call_output",
                        shorten(other)
                    ),
                ));
            }
        }
    }
    let spoken = spoken.join("\n\n");
    Ok((messages, (!spoken.is_empty()).then_some(spoken)))
}

/// Calls of one answer belong to one assistant message.
fn add_call(at: &str, item: Item, messages: &mut Vec<DraftMessage>) -> Result<(), Problem> {
    let call = fields::earlier_call(
        required(at, "call_id", item.call_id)?,
        required(at, "name", item.name)?,
        item.arguments.unwrap_or_default(),
    );
    if let Some(DraftMessage::Assistant { tool_calls, .. }) = messages.last_mut() {
        tool_calls.push(call);
    } else {
        messages.push(DraftMessage::Assistant {
            text: String::new(),
            tool_calls: vec![call],
        });
    }
    Ok(())
}

fn required(at: &str, field: &str, value: Option<String>) -> Result<String, Problem> {
    value
        .filter(|text| !text.is_empty() && text.len() <= 256)
        .ok_or_else(|| {
            Problem::invalid(
                format!("{at}.{field}"),
                format!("{field} is missing, empty or too long"),
            )
        })
}

impl content::Piece for Piece {
    fn text(self) -> Option<String> {
        match self.kind.as_str() {
            "input_text" | "output_text" | "text" => self.text,
            "refusal" => self.refusal,
            _ => None,
        }
    }

    fn draft(self, at: String, allowance: &mut Allowance) -> Result<Draft, Problem> {
        match (
            self.kind.as_str(),
            self.text,
            self.image_url,
            self.file_data,
        ) {
            ("input_text" | "text", Some(text), ..) => Ok(Draft::Text(text)),
            ("input_image", _, Some(url), _) => allowance
                .image_url(&url)
                .map_err(|error| media(format!("{at}.image_url"), &error)),
            ("input_file", _, _, Some(data)) => allowance
                .file(self.filename.as_deref().unwrap_or_default(), "", &data)
                .map_err(|error| media(format!("{at}.file_data"), &error)),
            ("input_image" | "input_file", ..) => Err(Problem::invalid(
                at,
                "send the content along as a data: URL; uploaded files and addresses are not fetched",
            )),
            (kind, ..) => Err(Problem::invalid(
                at,
                format!(
                    "content of type '{}' is not accepted or incomplete; use input_text, input_image or input_file",
                    shorten(kind)
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::session::AgentId;
    use serde_json::json;

    fn check(body: &Value) -> Result<ResponsesAsk, Problem> {
        let known = Known {
            agents: vec![AgentId::main()],
            models: Vec::new().into(),
        };
        parse(body.to_string().as_bytes(), &known)
    }

    #[test]
    fn a_text_is_one_user_message() {
        let read = check(&json!({"model": "instar", "input": "hi", "store": false})).unwrap();
        assert_eq!(
            read.ask.messages,
            vec![DraftMessage::User(vec![Draft::Text("hi".to_owned())])]
        );
    }

    #[test]
    fn items_become_messages_and_calls_join_their_answer() {
        let read = check(&json!({"model": "instar", "instructions": "short", "input": [
            {"role": "developer", "content": "kind"},
            {"role": "user", "content": [{"type": "input_text", "text": "add"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "now", "annotations": []}]},
            {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{}"},
            {"type": "function_call", "call_id": "b", "name": "add", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a", "output": "1"},
            {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        ]}))
        .unwrap();
        assert_eq!(read.ask.instructions.as_deref(), Some("short\n\nkind"));
        assert_eq!(read.echo.instructions.as_deref(), Some("short"));
        let [
            _,
            DraftMessage::Assistant { text, tool_calls },
            DraftMessage::Tool { .. },
            DraftMessage::Tool { text: two, .. },
        ] = read.ask.messages.as_slice()
        else {
            panic!("{:?}", read.ask.messages)
        };
        assert_eq!(
            (text.as_str(), tool_calls.len(), two.as_str()),
            ("now", 2, "2")
        );
    }

    #[test]
    fn refusals_name_the_field() {
        for (body, param) in [
            (json!({"input": "x", "temperature": 3}), "temperature"),
            (
                json!({"input": "x", "max_output_tokens": 0}),
                "max_output_tokens",
            ),
            (json!({"input": "x", "background": true}), "background"),
            (json!({"input": "x", "conversation": "c"}), "conversation"),
            (
                json!({"input": "x", "text": {"format": {"type": "json_schema"}}}),
                "text.format",
            ),
            (
                json!({"input": "x", "tools": [{"type": "web_search"}]}),
                "tools[0].type",
            ),
            (
                json!({"input": "x", "tools": [{"type": "function"}]}),
                "tools[0].name",
            ),
            (json!({"input": []}), "input"),
            (
                json!({"input": [{"type": "item_reference", "id": "x"}]}),
                "input[0].type",
            ),
            (
                json!({"input": [{"type": "function_call_output", "output": "x"}]}),
                "input[0].call_id",
            ),
            (
                json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/"}]}]}),
                "input[0].content[0].image_url",
            ),
            (
                json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://x/"}]}]}),
                "input[0].content[0]",
            ),
        ] {
            let mut body = body;
            body["model"] = json!("instar");
            let problem = check(&body).unwrap_err();
            assert_eq!(
                problem.param.as_deref(),
                Some(param),
                "{body}: {}",
                problem.message
            );
        }
    }
}
