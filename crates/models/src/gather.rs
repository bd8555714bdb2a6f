//! Events to an answer.

use instar_protocol::model::{ModelEvent, Reasoning, StopReason, Usage};
use instar_protocol::tool::ToolCall;

/// What has arrived of an answer.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) text: String,
    reasoning: Option<Reasoning>,
    pub(crate) tool_calls: Vec<ToolCall>,
    end: Option<(StopReason, Usage)>,
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

    pub(crate) fn take_reasoning(&mut self) -> Option<Reasoning> {
        self.reasoning.take()
    }
}
