//! Reads a chat-completions body.
//!
//! Fields that are not listed here are tolerated and mean nothing; none of them could carry
//! authority, because who asks is decided by the credential alone.

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
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    temperature: Option<f64>,
    #[serde(default)]
    top_p: Option<f64>,
    #[serde(default)]
    frequency_penalty: Option<f64>,
    #[serde(default)]
    presence_penalty: Option<f64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    seed: Option<i64>,
    #[serde(default)]
    stop: Option<fields::Stop>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    tools: Option<Vec<Tool>>,
    #[serde(default)]
    tool_choice: Option<Value>,
    #[serde(default)]
    response_format: Option<Value>,
}

#[derive(Deserialize, Debug, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize, Debug)]
struct Tool {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    function: Option<Function>,
}

#[derive(Deserialize, Debug)]
struct Function {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
}

#[derive(Deserialize, Debug)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content<Piece>>,
    #[serde(default)]
    tool_calls: Option<Vec<EarlierCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize, Debug)]
struct EarlierCall {
    id: String,
    function: EarlierFunction,
}

#[derive(Deserialize, Debug)]
struct EarlierFunction {
    name: String,
    #[serde(default)]
    arguments: String,
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
    image_url: Option<ImageUrl>,
    #[serde(default)]
    file: Option<FileData>,
}

#[derive(Deserialize, Debug)]
#[serde(untagged)]
enum ImageUrl {
    Object { url: String },
    Text(String),
}

#[derive(Deserialize, Debug)]
struct FileData {
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    file_data: Option<String>,
}

/// A chat request: what is asked, and how the answer is wanted.
#[derive(Debug, PartialEq)]
pub(crate) struct ChatAsk {
    pub(crate) ask: Ask,
    pub(crate) include_usage: bool,
}

/// Reads and checks a body.
pub(crate) fn parse(body: &[u8], known: &Known) -> Result<ChatAsk, Problem> {
    let body: Body = fields::read(body)?;
    let target = known.target(&body.model)?;
    if body.n.is_some_and(|n| n != 1) {
        return Err(Problem::invalid(
            "n",
            "n has to be 1: a turn has one answer",
        ));
    }
    fields::plain_format("response_format", body.response_format.as_ref())?;
    let tools = body
        .tools
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(index, tool)| read_tool(index, tool))
        .collect::<Result<Vec<_>, _>>()?;
    let tool_choice = fields::tool_choice(&tools, body.tool_choice.as_ref())?;
    let max_output_tokens =
        match fields::tokens("max_completion_tokens", body.max_completion_tokens)? {
            Some(tokens) => Some(tokens),
            None => fields::tokens("max_tokens", body.max_tokens)?,
        };
    let sampling = Sampling {
        temperature: fields::range("temperature", body.temperature, 0.0, 2.0)?,
        top_p: fields::range("top_p", body.top_p, 0.0, 1.0)?,
        max_output_tokens,
        frequency_penalty: fields::range("frequency_penalty", body.frequency_penalty, -2.0, 2.0)?,
        presence_penalty: fields::range("presence_penalty", body.presence_penalty, -2.0, 2.0)?,
        seed: body.seed,
        stop: fields::stops(body.stop)?,
    };
    let (messages, instructions) = read_messages(body.messages)?;
    let ask = Ask {
        model: body.model,
        target,
        user: fields::user(body.user)?,
        stream: body.stream.unwrap_or_default(),
        messages,
        instructions,
        sampling,
        tools,
        tool_choice,
    };
    ask.check("messages")?;
    Ok(ChatAsk {
        ask,
        include_usage: body
            .stream_options
            .and_then(|options| options.include_usage)
            .unwrap_or_default(),
    })
}

fn read_tool(index: usize, tool: Tool) -> Result<instar_protocol::tool::ToolSpec, Problem> {
    let at = format!("tools[{index}]");
    match tool.function {
        Some(function) if tool.kind == "function" => fields::tool(
            &format!("{at}.function"),
            function.name,
            function.description,
            function.parameters,
        ),
        _ => Err(Problem::invalid(
            format!("{at}.type"),
            "only tools of type function are accepted",
        )),
    }
}

fn read_messages(messages: Vec<Message>) -> Result<(Vec<DraftMessage>, Option<String>), Problem> {
    let mut allowance = Allowance::default();
    let mut instructions: Vec<String> = Vec::new();
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        match message.role.as_str() {
            "system" | "developer" => instructions.push(Content::text_only(&at, message.content)?),
            "user" => {
                allowance.next_message();
                read.push(DraftMessage::User(Content::drafts(
                    &at,
                    message.content,
                    &mut allowance,
                )?));
            }
            "assistant" => read.push(DraftMessage::Assistant {
                text: Content::text_only(&at, message.content)?,
                tool_calls: message
                    .tool_calls
                    .unwrap_or_default()
                    .into_iter()
                    .map(|call| {
                        fields::earlier_call(call.id, call.function.name, call.function.arguments)
                    })
                    .collect(),
            }),
            "tool" => read.push(DraftMessage::Tool {
                call_id: message
                    .tool_call_id
                    .filter(|id| !id.is_empty())
                    .ok_or_else(|| {
                        Problem::invalid(
                            format!("{at}.tool_call_id"),
                            "a tool message has to name its tool_call_id",
                        )
                    })?,
                text: Content::text_only(&at, message.content)?,
            }),
            other => {
                return Err(Problem::invalid(
                    format!("{at}.role"),
                    format!(
                        "role '{}' is not known; use system, developer, user, assistant or tool",
                        shorten(other)
                    ),
                ));
            }
        }
    }
    let instructions = instructions.join("\n\n");
    let instructions = (!instructions.trim().is_empty()).then_some(instructions);
    Ok((read, instructions))
}

impl content::Piece for Piece {
    fn text(self) -> Option<String> {
        match self.kind.as_str() {
            "text" => self.text,
            "refusal" => self.refusal,
            _ => None,
        }
    }

    fn draft(self, at: String, allowance: &mut Allowance) -> Result<Draft, Problem> {
        match (self.kind.as_str(), self.text, self.image_url, self.file) {
            ("text", Some(text), ..) => Ok(Draft::Text(text)),
            ("image_url", _, Some(ImageUrl::Object { url } | ImageUrl::Text(url)), _) => allowance
                .image_url(&url)
                .map_err(|error| media(format!("{at}.image_url"), &error)),
            ("file", _, _, Some(file)) => {
                let data = file.file_data.ok_or_else(|| {
                    Problem::invalid(
                        format!("{at}.file"),
                        "files are sent along as file_data; uploaded files are not known here",
                    )
                })?;
                allowance
                    .file(file.filename.as_deref().unwrap_or_default(), "", &data)
                    .map_err(|error| media(format!("{at}.file"), &error))
            }
            (kind, ..) => Err(Problem::invalid(
                at,
                format!(
                    "content of type '{}' is not accepted or incomplete; use text, image_url or file",
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

    fn check(body: &Value) -> Result<ChatAsk, Problem> {
        let known = Known {
            agents: vec![AgentId::main()],
            models: vec!["demo/guide".to_owned()].into(),
        };
        parse(body.to_string().as_bytes(), &known)
    }

    fn with(extra: &Value) -> Value {
        let mut body = json!({"model": "instar", "messages": [{"role": "user", "content": "hi"}]});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    #[test]
    fn system_and_developer_texts_become_instructions() {
        let read = check(&json!({"model": "instar", "messages": [
            {"role": "system", "content": "one"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "2"}]},
            {"role": "developer", "content": [{"type": "text", "text": "two"}]},
        ]}))
        .unwrap();
        assert_eq!(read.ask.instructions.as_deref(), Some("one\n\ntwo"));
        assert_eq!(read.ask.messages.len(), 3);
        assert_eq!(
            read.ask.messages[2],
            DraftMessage::Tool {
                call_id: "c1".to_owned(),
                text: "2".to_owned()
            }
        );
        let DraftMessage::Assistant { tool_calls, .. } = &read.ask.messages[1] else {
            panic!("not the assistant")
        };
        assert_eq!(tool_calls[0].arguments, json!({"a": 1}));
    }

    #[test]
    fn refusals_name_the_field() {
        for (extra, param) in [
            (json!({"temperature": 2.5}), "temperature"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"top_p": -1}), "top_p"),
            (json!({"presence_penalty": 3}), "presence_penalty"),
            (json!({"frequency_penalty": -3}), "frequency_penalty"),
            (json!({"max_tokens": 0}), "max_tokens"),
            (
                json!({"max_completion_tokens": -1}),
                "max_completion_tokens",
            ),
            (json!({"stop": ["1", "2", "3", "4", "5"]}), "stop"),
            (json!({"n": 2}), "n"),
            (json!({"model": "gpt-4o"}), "model"),
            (json!({"tool_choice": "required"}), "tool_choice"),
            (json!({"tools": [{"type": "web_search"}]}), "tools[0].type"),
            (
                json!({"response_format": {"type": "json_object"}}),
                "response_format",
            ),
            (json!({"messages": []}), "messages"),
            (
                json!({"messages": [{"role": "system", "content": "x"}]}),
                "messages",
            ),
            (
                json!({"messages": [{"role": "user", "content": "  "}]}),
                "messages",
            ),
            (
                json!({"messages": [{"role": "robot", "content": "x"}]}),
                "messages[0].role",
            ),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                "messages[0].tool_call_id",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]}]}),
                "messages[0].content[0].image_url",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
                "messages[0].content[0]",
            ),
        ] {
            let problem = check(&with(&extra)).unwrap_err();
            assert_eq!(problem.status, 400, "{extra}");
            assert_eq!(
                problem.param.as_deref(),
                Some(param),
                "{extra}: {}",
                problem.message
            );
        }
    }

    #[test]
    fn unknown_fields_are_tolerated_and_change_nothing() {
        let plain = check(&with(&json!({}))).unwrap();
        for name in [
            "approved",
            "permit",
            "principal",
            "owner",
            "scopes",
            "label",
            "store",
            "metadata",
        ] {
            let mut extra = json!({});
            extra[name] = json!(true);
            assert_eq!(check(&with(&extra)).unwrap(), plain, "{name}");
        }
    }
}
