//! A tiny real call, to see whether a model answers.

use crate::models::{Call, Models, Probe};
use instar_protocol::label::Label;
use instar_protocol::message::Part;
use instar_protocol::model::{ModelMessage, ModelRef, ModelRequest, Sampling, ToolChoice};
use instar_protocol::{AgentId, SessionId};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// Enough for a reasoning model to come to a word.
const PROBE_TOKENS: u32 = 64;

impl Models {
    /// Asks a model for one word, within twenty seconds. It costs what such a call costs.
    pub async fn probe(&self, model: &ModelRef) -> Probe {
        let begun = Instant::now();
        let request = ModelRequest {
            system: vec![],
            messages: vec![ModelMessage::User {
                parts: vec![Part::text("Answer with the one word: ready")],
            }],
            tools: vec![],
            tool_choice: ToolChoice::Auto,
            sampling: Sampling {
                max_output_tokens: Some(PROBE_TOKENS),
                ..Sampling::default()
            },
            label: Label::default(),
        };
        let answer = match AgentId::parse("main") {
            Ok(agent) => {
                let call = Call {
                    request: &request,
                    chain: std::slice::from_ref(model),
                    agent: &agent,
                    session: &SessionId::from_stored("probe"),
                    turn_spent_micros: 0,
                    deadline: begun + PROBE_TIMEOUT,
                    cancel: &CancellationToken::new(),
                    mend: crate::models::Mend::default(),
                };
                self.call(call, &mut |_| {}).await.map_err(|error| {
                    (
                        error.class,
                        format!("{} {}", error.user.message, error.user.next_step),
                    )
                })
            }
            Err(error) => Err((
                instar_protocol::event::ErrorClass::Internal,
                error.to_string(),
            )),
        };
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (class, message) = match answer {
            Ok(reply) => (
                None,
                format!("answered with {} output tokens", reply.usage.output_tokens),
            ),
            Err((class, message)) => (Some(class), message),
        };
        Probe {
            model: model.to_string(),
            ok: class.is_none(),
            millis,
            class,
            message,
        }
    }
}
