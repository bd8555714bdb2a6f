//! Reads Anthropic's messages stream.

use super::DecodeError;
use super::bounds::Bounded;
use super::openai_chat::vendor_error;
use super::signature::{ThinkingBlock, write_thinking};
use crate::stream::sse::Splitter;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use serde::Deserialize;
use serde_json::Value;

/// Blocks that carry nothing we use; more of them than this is not an answer.
const BLOCKS_MAX: u64 = 4096;

#[derive(Debug, Default)]
pub(crate) struct Messages {
    splitter: Splitter,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    usage: Usage,
    stop: Option<StopReason>,
    open: Open,
    thinking: Vec<ThinkingBlock>,
}

/// The block that is open; blocks do not overlap.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Nothing,
    Text,
    Thinking {
        bytes: usize,
        signature: String,
    },
    Tool {
        key: u64,
        /// What came whole at the block's start; used if no piece follows.
        whole: Option<String>,
    },
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Wire {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    ContentBlockStop,
    MessageDelta {
        delta: End,
        #[serde(default)]
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    /// Pings and events that do not exist yet.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default)]
        signature: String,
    },
    RedactedThinking {
        data: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    /// Tools that run at the vendor, and blocks that do not exist yet.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(default)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

impl Messages {
    pub(crate) fn usage(&self) -> Usage {
        self.state.usage
    }

    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        let state = &mut self.state;
        self.splitter
            .push(bytes, &mut |_, data| state.event(data, bounded, out))
    }
}

impl State {
    fn event(
        &mut self,
        data: &[u8],
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if bounded.finished {
            return Ok(());
        }
        match serde_json::from_slice(data).map_err(|error| DecodeError::json(&error))? {
            Wire::MessageStart { message } => {
                self.usage(message.usage.unwrap_or_default());
                Ok(())
            }
            Wire::ContentBlockStart {
                index,
                content_block,
            } => self.begin(index, content_block, bounded, out),
            Wire::ContentBlockDelta { delta } => self.delta(delta, bounded, out),
            Wire::ContentBlockStop => self.close(bounded),
            Wire::MessageDelta { delta, usage } => {
                self.usage(usage.unwrap_or_default());
                if let Some(reason) = delta.stop_reason {
                    self.stop = Some(stop_reason(&reason));
                }
                Ok(())
            }
            Wire::MessageStop => self.end(bounded, out),
            Wire::Error { error } => Err(vendor_error(&error)),
            Wire::Other => Ok(()),
        }
    }

    /// The vendor counts what it read from and wrote to its cache apart from the input.
    fn usage(&mut self, wire: WireUsage) {
        let known = &mut self.usage;
        let fresh = wire.input_tokens.unwrap_or_else(|| {
            known
                .input_tokens
                .saturating_sub(known.cache_read_tokens + known.cache_write_tokens)
        });
        known.cache_read_tokens = wire
            .cache_read_input_tokens
            .unwrap_or(known.cache_read_tokens);
        known.cache_write_tokens = wire
            .cache_creation_input_tokens
            .unwrap_or(known.cache_write_tokens);
        known.input_tokens = fresh
            .saturating_add(known.cache_read_tokens)
            .saturating_add(known.cache_write_tokens);
        known.output_tokens = wire.output_tokens.unwrap_or(known.output_tokens);
    }

    fn begin(
        &mut self,
        index: u64,
        block: Block,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if index >= BLOCKS_MAX {
            return Err(DecodeError::TooLarge("the number of blocks"));
        }
        self.close(bounded)?;
        self.open = match block {
            Block::Text { text } => {
                bounded.text(text, out)?;
                Open::Text
            }
            Block::Thinking {
                thinking,
                signature,
            } => {
                let bytes = thinking.len();
                bounded.reasoning(thinking, out)?;
                bounded.count_signature(signature.len())?;
                Open::Thinking { bytes, signature }
            }
            Block::RedactedThinking { data } => {
                bounded.count_signature(data.len())?;
                self.thinking.push(ThinkingBlock::Redacted(data));
                Open::Other
            }
            Block::ToolUse { id, name, input } => {
                let call = bounded.call(index)?;
                call.id(&id)?;
                call.name(&name)?;
                let whole = input.as_object().is_some_and(|input| !input.is_empty());
                Open::Tool {
                    key: index,
                    whole: whole.then(|| input.to_string()),
                }
            }
            Block::Other => Open::Other,
        };
        Ok(())
    }

    fn delta(
        &mut self,
        delta: Delta,
        bounded: &mut Bounded,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        match (&mut self.open, delta) {
            (Open::Text, Delta::Text { text }) => bounded.text(text, out),
            (Open::Thinking { bytes, .. }, Delta::Thinking { thinking }) => {
                *bytes += thinking.len();
                bounded.reasoning(thinking, out)
            }
            (Open::Thinking { signature, .. }, Delta::Signature { signature: piece }) => {
                bounded.count_signature(piece.len())?;
                signature.push_str(&piece);
                Ok(())
            }
            (Open::Tool { key, whole }, Delta::InputJson { partial_json }) => {
                if !partial_json.is_empty() {
                    *whole = None;
                }
                bounded.call(*key)?.arguments(&partial_json)
            }
            (Open::Other, _) | (_, Delta::Other) => Ok(()),
            (
                _,
                Delta::Text { .. }
                | Delta::Thinking { .. }
                | Delta::Signature { .. }
                | Delta::InputJson { .. },
            ) => Err(DecodeError::Malformed(
                "a piece does not fit its block".into(),
            )),
        }
    }

    fn close(&mut self, bounded: &mut Bounded) -> Result<(), DecodeError> {
        match std::mem::take(&mut self.open) {
            Open::Thinking { bytes, signature } => {
                self.thinking
                    .push(ThinkingBlock::Thinking(bytes, signature));
                Ok(())
            }
            Open::Tool {
                key,
                whole: Some(whole),
            } => bounded.call(key)?.arguments(&whole),
            Open::Nothing | Open::Text | Open::Tool { .. } | Open::Other => Ok(()),
        }
    }

    fn end(&mut self, bounded: &mut Bounded, out: &mut Vec<ModelEvent>) -> Result<(), DecodeError> {
        self.close(bounded)?;
        let Some(stop) = self.stop else {
            return Err(DecodeError::Malformed(
                "the message stops without a reason".into(),
            ));
        };
        if let Some(signature) = write_thinking(&self.thinking) {
            out.push(ModelEvent::Reasoning {
                delta: String::new(),
                signature: Some(signature),
            });
        }
        bounded.finish(stop, self.usage, out)
    }
}

fn stop_reason(word: &str) -> StopReason {
    match word {
        "tool_use" => StopReason::ToolUse,
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "refusal" => StopReason::Refusal,
        _ => StopReason::Stop,
    }
}
