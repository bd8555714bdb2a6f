//! Events to an answer.

use instar_protocol::model::{ModelEvent, Reasoning, StopReason, Usage};
use instar_protocol::tool::ToolCall;

/// Bytes of text that are counted as one token where no vendor has counted.
const BYTES_PER_TOKEN: usize = 4;

/// An estimate of the tokens in so many bytes.
pub(crate) fn tokens_of(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) text: String,
    reasoning: Option<Reasoning>,
    pub(crate) tool_calls: Vec<ToolCall>,
    end: Option<(StopReason, Usage)>,
    /// What the vendor has said so far about the usage of an answer that has not ended.
    pub(crate) seen: Usage,
    /// Our estimate of the request's tokens, once it was sent: from then on it may have to be paid.
    pub(crate) sent_tokens: Option<u64>,
    /// The caller has seen something: another answer must not follow.
    pub(crate) shown: bool,
}

impl Gathered {
    pub(crate) fn add(&mut self, event: &ModelEvent) {
        match event {
            ModelEvent::Text { delta } => {
                self.shown = true;
                self.text.push_str(delta);
            }
            ModelEvent::Reasoning { delta, signature } => {
                self.shown |= !delta.is_empty();
                let reasoning = self.reasoning.get_or_insert_default();
                reasoning.text.push_str(delta);
                if signature.is_some() {
                    reasoning.signature.clone_from(signature);
                }
            }
            ModelEvent::ToolCall { call } => {
                self.shown = true;
                self.tool_calls.push(call.clone());
            }
            ModelEvent::Finish { stop, usage } => self.end = Some((*stop, *usage)),
        }
    }

    /// Stop reason and usage, once the last event was seen.
    pub(crate) fn end(&self) -> Option<(StopReason, Usage)> {
        self.end
    }

    /// What an answer that broke off used, and whether a part of that is estimated. `None` if there
    /// is nothing to pay.
    pub(crate) fn used(&self) -> Option<(Usage, bool)> {
        let sent_tokens = self.sent_tokens?;
        let mut usage = self.seen;
        let mut estimated = false;
        if usage.input_tokens == 0 {
            usage.input_tokens = sent_tokens;
            estimated = true;
        }
        // Vendors tell the output at the end; what was told before may be its beginning alone.
        let output = tokens_of(self.bytes());
        if usage.output_tokens < output {
            usage.output_tokens = output;
            estimated = true;
        }
        Some((usage, estimated))
    }

    fn bytes(&self) -> usize {
        let reasoning = self.reasoning.as_ref().map_or(0, |said| said.text.len());
        let calls = self
            .tool_calls
            .iter()
            .map(|call| call.name.len() + call.arguments.to_string().len());
        self.text.len() + reasoning + calls.sum::<usize>()
    }

    pub(crate) fn take_reasoning(&mut self) -> Option<Reasoning> {
        self.reasoning.take()
    }
}
