//! Reads OpenAI's chat completions stream, in the dialects that vendors speak of it.

use super::DecodeError;
use super::bounds::Bounded;
use super::signature::{ChatSignature, merge_detail};
use crate::stream::sse::Splitter;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// The state of one answer.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    splitter: Splitter,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    stop: Option<StopReason>,
    refused: bool,
    usage: Usage,
    /// The answer has begun: a choice was seen.
    begun: bool,
    /// The key of the call that pieces without an index belong to.
    last_call: u64,
    signature: ChatSignature,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default, deserialize_with = "null_is_empty")]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    /// Groq's place for the usage.
    #[serde(default)]
    x_groq: Option<Groq>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Groq {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Content,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    reasoning_details: Vec<Value>,
    #[serde(default, deserialize_with = "null_is_empty")]
    tool_calls: Vec<CallDelta>,
}

#[derive(Deserialize)]
struct CallDelta {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
    #[serde(default)]
    extra_content: Option<Value>,
}

#[derive(Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct WireUsage {
    #[serde(alias = "input_tokens")]
    prompt_tokens: Option<u64>,
    #[serde(alias = "output_tokens")]
    completion_tokens: Option<u64>,
    #[serde(alias = "input_tokens_details")]
    prompt_tokens_details: Option<InputDetails>,
    #[serde(alias = "output_tokens_details")]
    completion_tokens_details: Option<OutputDetails>,
    total_tokens: Option<u64>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's name for cached tokens.
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    pub(crate) fn usage(&self) -> Usage {
        let input = self.prompt_tokens_details.as_ref();
        let cache_read = input
            .and_then(|details| details.cached_tokens)
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens);
        let reasoning = self
            .completion_tokens_details
            .as_ref()
            .and_then(|details| details.reasoning_tokens)
            .unwrap_or(0);
        let input_tokens = self.prompt_tokens.unwrap_or(0);
        let mut output_tokens = self.completion_tokens.unwrap_or(0);
        // Some count what was thought beside the completion (xAI): the total tells.
        let beside = input_tokens
            .checked_add(output_tokens)
            .and_then(|sum| sum.checked_add(reasoning));
        if reasoning > 0 && beside.is_some() && beside == self.total_tokens {
            output_tokens = output_tokens.saturating_add(reasoning);
        }
        Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens: cache_read.unwrap_or(0),
            cache_write_tokens: input
                .and_then(|details| details.cache_write_tokens)
                .unwrap_or(0),
            reasoning_tokens: reasoning,
        }
    }
}

impl Chat {
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        let state = &mut self.state;
        self.splitter.push(bytes, &mut |event, data| {
            state.event(event, data, bounded, out)
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        self.state.usage
    }

    /// Some servers end without `[DONE]`; a finish reason is what makes an answer whole.
    pub(crate) fn finish(
        &mut self,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if !bounded.finished && self.state.stop.is_none() {
            return Err(DecodeError::Early);
        }
        self.state.end(bounded, out)
    }
}

impl State {
    fn event(
        &mut self,
        event: &str,
        data: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if bounded.finished {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            if !self.begun {
                return Err(DecodeError::Malformed("the answer is empty".into()));
            }
            return self.end(bounded, out);
        }
        let chunk: Chunk =
            serde_json::from_slice(data).map_err(|error| DecodeError::json(&error))?;
        if let Some(error) = &chunk.error {
            return Err(vendor_error(error));
        }
        if event == "error" {
            return Err(vendor_error(
                &serde_json::from_slice(data).unwrap_or_default(),
            ));
        }
        let groq = chunk.x_groq.as_ref().and_then(|groq| groq.usage.as_ref());
        if let Some(usage) = chunk.usage.as_ref().or(groq) {
            self.usage = usage.usage();
        }
        // Only one answer is asked for; others would be mixed into it.
        for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
            self.choice(choice, bounded, out)?;
        }
        Ok(())
    }

    fn choice(
        &mut self,
        choice: Choice,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        self.begun = true;
        if let Some(usage) = &choice.usage {
            self.usage = usage.usage();
        }
        let delta = choice.delta.unwrap_or_default();
        let thinking = delta.reasoning_content.or(delta.reasoning);
        bounded.reasoning(thinking.unwrap_or_default(), out)?;
        bounded.reasoning(delta.content.thinking, out)?;
        bounded.text(delta.content.text, out)?;
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            self.refused = true;
            bounded.text(refusal, out)?;
        }
        for detail in delta.reasoning_details {
            bounded.count_signature(detail.to_string().len())?;
            merge_detail(&mut self.signature.details, detail);
        }
        for call in delta.tool_calls {
            self.call(call, bounded)?;
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("stop" | "end_turn" | "eos") => self.stop = Some(StopReason::Stop),
            Some("tool_calls" | "function_call") => self.stop = Some(StopReason::ToolUse),
            Some("length" | "model_length" | "max_tokens") => self.stop = Some(StopReason::Length),
            Some("content_filter" | "refusal" | "sensitive") => {
                self.stop = Some(StopReason::Refusal)
            }
            Some("error" | "network_error" | "insufficient_system_resource") => {
                return Err(DecodeError::Vendor {
                    kind: "server_error".into(),
                    message: "the answer was broken off".into(),
                });
            }
            Some(_) => self.stop = Some(StopReason::Stop),
        }
        Ok(())
    }

    fn call(&mut self, delta: CallDelta, bounded: &mut Bounded) -> Result<(), DecodeError> {
        let id = delta.id.unwrap_or_default();
        let key = match delta.index {
            Some(index) => index,
            // Without an index, a new id begins a new call.
            None if id.is_empty() => self.last_call,
            None => bounded
                .calls
                .iter()
                .find(|call| call.id == id)
                .map_or_else(|| bounded.calls.len() as u64, |call| call.key),
        };
        self.last_call = key;
        let call = bounded.call(key)?;
        call.id(&id)?;
        if let Some(function) = delta.function {
            call.name(function.name.as_deref().unwrap_or(""))?;
            match function.arguments {
                None | Some(Value::Null) => {}
                Some(Value::String(piece)) => call.arguments(&piece)?,
                // Some servers send the object itself.
                Some(whole) => call.arguments(&whole.to_string())?,
            }
        }
        let thought = delta
            .extra_content
            .as_ref()
            .and_then(|extra| extra.pointer("/google/thought_signature"))
            .and_then(Value::as_str);
        if let Some(thought) = thought {
            let id = call.id.clone();
            bounded.count_signature(id.len() + thought.len())?;
            self.signature.calls.insert(id, thought.to_owned());
        }
        Ok(())
    }

    fn end(&mut self, bounded: &mut Bounded, out: &mut Vec<ModelEvent>) -> Result<(), DecodeError> {
        if bounded.finished {
            return Ok(());
        }
        if let Some(signature) = std::mem::take(&mut self.signature).text() {
            out.push(ModelEvent::Reasoning {
                delta: String::new(),
                signature: Some(signature),
            });
        }
        let stop = self.stop.unwrap_or(StopReason::Stop);
        let stop = if self.refused {
            StopReason::Refusal
        } else {
            stop
        };
        bounded.finish(stop, self.usage, out)
    }
}

/// Kind and message of an error object, whichever of the usual shapes it has.
pub(crate) fn vendor_error(error: &Value) -> DecodeError {
    let inner = error
        .get("error")
        .filter(|inner| inner.is_object())
        .unwrap_or(error);
    let field = |name: &str| match inner.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let kind = field("type")
        .filter(|kind| kind != "error")
        .or_else(|| field("code"));
    let message = field("message").or_else(|| error.as_str().map(str::to_owned));
    DecodeError::Vendor {
        kind: kind
            .or_else(|| field("status"))
            .unwrap_or_else(|| "error".into()),
        message: message.unwrap_or_else(|| inner.to_string()),
    }
}

pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Content is a text, null, or (Mistral's reasoning models) a list of pieces.
#[derive(Default)]
struct Content {
    text: String,
    thinking: String,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, null or a list of pieces")
            }
            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::default())
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content {
                    text: text.to_owned(),
                    thinking: String::new(),
                })
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content {
                    text,
                    thinking: String::new(),
                })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut pieces: A) -> Result<Content, A::Error> {
                let mut content = Content::default();
                while let Some(piece) = pieces.next_element::<Value>()? {
                    content.piece(&piece);
                }
                Ok(content)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Content, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Content::default())
            }
        }
        deserializer.deserialize_any(ContentVisitor)
    }
}

impl Content {
    fn piece(&mut self, piece: &Value) {
        if let Some(text) = piece.get("text").and_then(Value::as_str) {
            self.text.push_str(text);
        }
        match piece.get("thinking") {
            Some(Value::String(text)) => self.thinking.push_str(text),
            Some(Value::Array(inner)) => {
                for text in inner.iter().filter_map(|inner| inner.get("text")?.as_str()) {
                    self.thinking.push_str(text);
                }
            }
            _ => {}
        }
    }
}
