//! What every decoder counts: text, reasoning, tool calls and the size of their arguments.

use super::DecodeError;
use instar_protocol::model::{ModelEvent, StopReason, Usage};
use instar_protocol::tool::ToolCall;
use serde_json::Value;
use sha2::{Digest, Sha256};

const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;
const ARGUMENT_BYTES_MAX: usize = 1024 * 1024;
const SIGNATURE_BYTES_MAX: usize = 1024 * 1024;
const CALLS_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 256;

/// A tool call whose arguments are still arriving.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// What the vendor tells calls apart by.
    pub(crate) key: u64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// The counters of one answer, and the tool calls that are gathered for it.
#[derive(Debug)]
pub(crate) struct Bounded {
    seed: u64,
    text: usize,
    signature: usize,
    pub(crate) calls: Vec<Gathering>,
    pub(crate) finished: bool,
}

impl Bounded {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            text: 0,
            signature: 0,
            calls: vec![],
            finished: false,
        }
    }

    /// For formats in which an answer always says that it ends: one that did not was cut.
    pub(crate) fn whole(&self) -> Result<(), DecodeError> {
        if self.finished {
            Ok(())
        } else {
            Err(DecodeError::Early)
        }
    }

    pub(crate) fn text(
        &mut self,
        delta: String,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if delta.is_empty() {
            return Ok(());
        }
        self.count_text(delta.len())?;
        out.push(ModelEvent::Text { delta });
        Ok(())
    }

    pub(crate) fn reasoning(
        &mut self,
        delta: String,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if delta.is_empty() {
            return Ok(());
        }
        self.count_text(delta.len())?;
        out.push(ModelEvent::Reasoning {
            delta,
            signature: None,
        });
        Ok(())
    }

    fn count_text(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.text += bytes;
        if self.text > TEXT_BYTES_MAX {
            return Err(DecodeError::TooLarge("the text"));
        }
        Ok(())
    }

    /// Counts bytes of what a vendor wants back with the reasoning.
    pub(crate) fn count_signature(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.signature += bytes;
        if self.signature > SIGNATURE_BYTES_MAX {
            return Err(DecodeError::TooLarge("the reasoning's signature"));
        }
        Ok(())
    }

    /// The call with this key, begun if it is new.
    pub(crate) fn call(&mut self, key: u64) -> Result<&mut Gathering, DecodeError> {
        let index = match self.calls.iter().position(|call| call.key == key) {
            Some(index) => index,
            None => {
                if self.calls.len() >= CALLS_MAX {
                    return Err(DecodeError::TooLarge("the number of tool calls"));
                }
                self.calls.push(Gathering {
                    key,
                    ..Gathering::default()
                });
                self.calls.len() - 1
            }
        };
        Ok(&mut self.calls[index])
    }

    /// Ends the answer: the gathered calls in the order in which they began, then the last event.
    pub(crate) fn finish(
        &mut self,
        stop: StopReason,
        usage: Usage,
        out: &mut Vec<ModelEvent>,
    ) -> Result<(), DecodeError> {
        if self.finished {
            return Ok(());
        }
        let calls = std::mem::take(&mut self.calls);
        let has_calls = !calls.is_empty();
        // An answer that was cut or refused has no calls that are known to be whole.
        let whole = !matches!(stop, StopReason::Length | StopReason::Refusal);
        for (index, call) in calls.into_iter().enumerate() {
            if whole {
                out.push(ModelEvent::ToolCall {
                    call: self.complete(index, call)?,
                });
            }
        }
        let stop = match stop {
            StopReason::Stop if has_calls => StopReason::ToolUse,
            StopReason::ToolUse if !has_calls => StopReason::Stop,
            other => other,
        };
        self.finished = true;
        out.push(ModelEvent::Finish { stop, usage });
        Ok(())
    }

    fn complete(&self, index: usize, call: Gathering) -> Result<ToolCall, DecodeError> {
        if call.name.is_empty() {
            return Err(DecodeError::Malformed("a tool call has no name".into()));
        }
        let id = if call.id.is_empty() {
            let digest = Sha256::digest(format!("{}:{index}", self.seed));
            format!("call_{}", hex::encode(&digest[..12]))
        } else {
            call.id
        };
        Ok(ToolCall {
            id,
            name: call.name,
            arguments: arguments(call.arguments),
        })
    }
}

/// Arguments as JSON; the raw text if they are not JSON, an empty object if there are none.
fn arguments(text: String) -> Value {
    if text.trim().is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

impl Gathering {
    pub(crate) fn id(&mut self, id: &str) -> Result<(), DecodeError> {
        name_fits(id)?;
        if self.id.is_empty() {
            id.clone_into(&mut self.id);
        }
        Ok(())
    }

    pub(crate) fn name(&mut self, name: &str) -> Result<(), DecodeError> {
        name_fits(name)?;
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
        }
        Ok(())
    }

    pub(crate) fn arguments(&mut self, piece: &str) -> Result<(), DecodeError> {
        if self.arguments.len() + piece.len() > ARGUMENT_BYTES_MAX {
            return Err(DecodeError::TooLarge("a tool call's arguments"));
        }
        self.arguments.push_str(piece);
        Ok(())
    }
}

fn name_fits(text: &str) -> Result<(), DecodeError> {
    if text.len() > NAME_BYTES_MAX {
        return Err(DecodeError::TooLarge("a tool call's name"));
    }
    Ok(())
}
