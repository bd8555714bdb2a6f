//! `POST /rehearse`: what the agent of a release or a candidate would answer, with no trace but what it costs.

use axum::Json;
use axum::extract::State;
use instar_agent::{Rehearsal, RehearseError};
use instar_protocol::api::{Rehearse, Rehearsed, Turn};
use instar_protocol::message::Part;
use instar_protocol::model::{Attempt, ModelMessage};
use instar_release::{Behaviour, ReleaseError, build};

use super::input::Strict;
use super::queries::missing_release;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

const TURNS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 512 * 1024;

pub(super) async fn rehearse(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Rehearse>,
) -> Result<Json<Rehearsed>, ApiProblem> {
    super::owner::alone(&caller, "only the owner can rehearse an answer")?;
    let bytes: usize = asked.messages.iter().map(|turn| turn.content.len()).sum();
    if asked.messages.is_empty() || asked.messages.len() > TURNS_MAX || bytes > TEXT_BYTES_MAX {
        let why = format!(
            "messages: 1 to {TURNS_MAX} are needed, of at most {TEXT_BYTES_MAX} bytes together"
        );
        return Err(ApiProblem::invalid(why));
    }
    let rehearsal = Rehearsal {
        behaviour: behaviour(&app, &asked.of).await?,
        agent: app.default_agent(),
        principal: caller.principal,
        messages: asked.messages.into_iter().map(spoken).collect(),
    };
    match app.sessions.rehearse(rehearsal).await {
        Ok(reply) => {
            let (usage, cost_micros) = Attempt::spent(&reply.attempts);
            Ok(Json(Rehearsed {
                text: reply.text,
                model: reply.model.to_string(),
                stop: reply.stop,
                calls: reply.tool_calls.into_iter().map(|call| call.name).collect(),
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cost_micros,
            }))
        }
        Err(error @ RehearseError::Agent(_)) => Err(ApiProblem::invalid(error.to_string())),
        Err(error @ RehearseError::Model(_)) => Err(ApiProblem::unavailable(format!(
            "the model did not answer: {error}"
        ))),
    }
}

/// That of a release, or else what a candidate would be.
async fn behaviour(app: &AppState, of: &str) -> Result<Behaviour, ApiProblem> {
    match app.releases.get(of).await {
        Ok(release) => Ok(release.behaviour),
        Err(ReleaseError::Unknown(_)) => {
            let candidate = app.releases.candidate(of).await;
            let candidate = candidate.map_err(missing_release)?;
            let parent = app.releases.get(candidate.spec.parent.as_str()).await;
            let parent = parent.map_err(missing_release)?;
            Ok(build(&parent.behaviour, &candidate.spec.deltas).map_err(missing_release)?)
        }
        Err(error) => Err(missing_release(error).into()),
    }
}

fn spoken(turn: Turn) -> ModelMessage {
    match turn {
        Turn {
            is_answer: false,
            content,
        } => ModelMessage::User {
            parts: vec![Part::text(content)],
        },
        Turn { content, .. } => ModelMessage::Assistant {
            text: content,
            tool_calls: Vec::new(),
            reasoning: None,
        },
    }
}
