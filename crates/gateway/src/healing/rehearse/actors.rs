//! Who stands in the place of the model and of the tool in a rehearsal.

use futures_util::future::BoxFuture;
use instar_policy::Annotation;
use instar_protocol::Label;
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, StopReason, Usage,
};
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_tools::{Caller, Output, Tool, ToolError};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};

use super::stage::{Prop, Take, Tried};

/// How long a model keeps silent: longer than the turn lasts.
const SILENCE_MS: u64 = 10_000;

/// The model: makes the call of the take, and then has nothing more to say; or does as models did.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) tool: Option<String>,
    pub(super) names: Vec<String>,
    pub(super) take: Arc<Mutex<Take>>,
}

impl Actor {
    /// As from afar: nothing comes at once, so that who has no time left hears nothing.
    fn as_recorded(tried: Tried) -> Vec<(u64, ModelEvent)> {
        match tried {
            Tried::Answered => the_end(1),
            Tried::Failed => Vec::new(),
            Tried::Silent => the_end(SILENCE_MS),
        }
    }
}

/// All that is said where nothing more is to be said, after a pause.
fn the_end(pause_ms: u64) -> Vec<(u64, ModelEvent)> {
    let delta = "That is all.".to_owned();
    vec![
        (pause_ms, ModelEvent::Text { delta }),
        finish(StopReason::Stop),
    ]
}

fn finish(stop: StopReason) -> (u64, ModelEvent) {
    let usage = Usage::default();
    (0, ModelEvent::Finish { stop, usage })
}

impl LocalModel for Actor {
    fn answer(&self, model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tool) = &self.tool else {
            return Self::as_recorded(take.say(model));
        };
        let is_asked = matches!(request.messages.last(), Some(ModelMessage::User { .. }));
        let has_tool = request.tools.iter().any(|spec| spec.name == *tool);
        if !(is_asked && has_tool) {
            return the_end(0);
        }
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: tool.clone(),
            arguments: take.arguments.clone(),
        };
        vec![
            (0, ModelEvent::ToolCall { call }),
            finish(StopReason::ToolUse),
        ]
    }

    fn models(&self) -> Vec<(String, String)> {
        let names = self.names.iter();
        names.map(|name| (name.clone(), String::new())).collect()
    }
}

/// The tool: takes what it takes, does nothing, and says what was recorded.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) prop: Prop,
    pub(super) take: Arc<Mutex<Take>>,
}

impl Tool for Recorded {
    fn spec(&self) -> &ToolSpec {
        &self.prop.spec
    }

    fn annotation(&self) -> Annotation {
        self.prop.annotation.clone()
    }

    fn run<'a>(
        &'a self,
        _arguments: &'a Value,
        _caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        let came = if take.tape.len() > 1 {
            Some(take.tape.remove(0))
        } else {
            take.tape.first().cloned()
        };
        let mut output = Output::words("done", Label::system());
        if let Some(came) = came {
            output.text = came.text;
            output.is_error = came.is_error;
        }
        Box::pin(async { Ok(output) })
    }
}
