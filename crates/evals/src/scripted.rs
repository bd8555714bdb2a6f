//! A provider that plays a script: for suites that have to come out the same everywhere.

use instar_demo::{Player, Script};
use instar_protocol::Label;
use instar_protocol::message::Part;
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, Sampling, StopReason, ToolChoice,
};
use serde_json::Value;

use crate::error::Trouble;
use crate::provider::{Answer, Call, Provider, Step, Tokens};
use crate::suite::ProviderSpec;

/// The name of this provider; the script is its configuration.
pub(crate) const NAME: &str = "scripted";

#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
}

impl Scripted {
    pub(crate) fn new(spec: &ProviderSpec) -> Result<Self, Trouble> {
        let script = match &spec.config {
            Value::Null => Script::saying("{{text}}"),
            config => match serde_json::from_value::<Script>(config.clone()) {
                Ok(script) => script,
                Err(error) => return Trouble::wrong(format!("the script of {NAME:?}: {error}")),
            },
        };
        match script.check() {
            Ok(()) => Ok(Self { script }),
            Err(error) => Trouble::wrong(format!("the script of {NAME:?}: {error}")),
        }
    }
}

impl Provider for Scripted {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        // Counters begin anew with each call, so that no answer depends on who asked before.
        let player = Player::new(self.script.clone());
        let player = player.map_err(|error| Trouble::Wrong(error.to_string()))?;
        let request = ModelRequest {
            system: Vec::new(),
            messages: vec![ModelMessage::User {
                parts: vec![Part::text(call.prompt)],
            }],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            sampling: Sampling::default(),
            label: Label::owner(),
        };
        let mut text = String::new();
        let mut answer = Answer::default();
        let mut steps = Vec::new();
        for (_, event) in player.answer(NAME, &request) {
            match event {
                ModelEvent::Text { delta } => text.push_str(&delta),
                ModelEvent::ToolCall { call } => {
                    steps.push(Step::tool(&call.name, call.arguments));
                }
                ModelEvent::Finish { stop, usage } => {
                    answer.tokens = Tokens {
                        prompt: usage.input_tokens,
                        completion: usage.output_tokens,
                    };
                    answer.finish = Some(reason(stop).to_owned());
                }
                ModelEvent::Reasoning { .. } => {}
            }
        }
        Ok(Answer {
            output: Value::String(text),
            cost: Some(0.0),
            steps: Some(steps),
            ..answer
        })
    }
}

/// What others call the reason for an end.
fn reason(stop: StopReason) -> &'static str {
    match stop {
        StopReason::Stop => "stop",
        StopReason::ToolUse => "tool_calls",
        StopReason::Length => "length",
        _ => "other",
    }
}
