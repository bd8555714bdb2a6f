//! One codec per wire format: a request to bytes, bytes to events. No I/O, bounded, total.
//!
//! [`encode()`] builds a request body; [`Decoder`] is pushed the bytes of the answer as they come
//! and yields the same events however the bytes were cut.

mod encode;

mod anthropic;
mod ollama;
mod openai_chat;
mod openai_responses;

pub(crate) mod bounds;
pub(crate) mod signature;
pub mod tool_ids;

pub use encode::{Encoded, Images, encode};

use crate::config::Api;
use bounds::Bounded;
use instar_protocol::model::{ModelEvent, Usage};

/// Why a stream of an answer cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the answer is not what the wire format says: {0}")]
    Malformed(String),
    #[error("{0} of the answer is too large")]
    TooLarge(&'static str),
    #[error("the answer ended before it was complete")]
    Early,
    /// The vendor reported an error inside the stream.
    #[error("the vendor broke off: {kind}: {message}")]
    Vendor { kind: String, message: String },
}

impl DecodeError {
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Reads an answer. Made for one answer, then thrown away.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    bounded: Bounded,
}

#[derive(Debug)]
enum Format {
    Chat(openai_chat::Chat),
    Responses(openai_responses::Responses),
    Messages(anthropic::Messages),
    Ollama(ollama::Ollama),
}

impl Decoder {
    /// A decoder for one answer. `seed` makes the ids of tool calls that come without one.
    #[must_use]
    pub fn new(api: Api, seed: u64) -> Self {
        let format = match api {
            Api::OpenaiCompletions => Format::Chat(openai_chat::Chat::default()),
            Api::OpenaiResponses => Format::Responses(openai_responses::Responses::default()),
            Api::AnthropicMessages => Format::Messages(anthropic::Messages::default()),
            Api::Ollama => Format::Ollama(ollama::Ollama::default()),
        };
        Self {
            format,
            bounded: Bounded::new(seed),
        }
    }

    /// Feeds bytes and appends the events that they complete. Bytes after the last event of a
    /// sound stream are ignored.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ModelEvent>) -> Result<(), DecodeError> {
        match &mut self.format {
            Format::Chat(chat) => chat.push(bytes, &mut self.bounded, out),
            Format::Responses(format) => format.push(bytes, &mut self.bounded, out),
            Format::Messages(format) => format.push(bytes, &mut self.bounded, out),
            Format::Ollama(format) => format.push(bytes, &mut self.bounded, out),
        }
    }

    /// What the vendor has said so far about usage; the end of the answer may say more.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match &self.format {
            Format::Chat(chat) => chat.usage(),
            Format::Messages(format) => format.usage(),
            // These tell it in their last event only.
            Format::Responses(_) | Format::Ollama(_) => Usage::default(),
        }
    }

    /// Says that the bytes have ended.
    pub fn finish(&mut self, out: &mut Vec<ModelEvent>) -> Result<(), DecodeError> {
        match &mut self.format {
            Format::Chat(chat) => chat.finish(&mut self.bounded, out),
            Format::Responses(_) | Format::Messages(_) => self.bounded.whole(),
            Format::Ollama(format) => format.finish(&mut self.bounded, out),
        }
    }
}

/// Reads a whole answer at once: the events up to the end or the error. What fuzzing enters by.
pub fn decode(api: Api, bytes: &[u8]) -> (Vec<ModelEvent>, Result<(), DecodeError>) {
    let mut decoder = Decoder::new(api, 0);
    let mut events = Vec::new();
    let end = match decoder.push(bytes, &mut events) {
        Ok(()) => decoder.finish(&mut events),
        Err(error) => Err(error),
    };
    (events, end)
}
