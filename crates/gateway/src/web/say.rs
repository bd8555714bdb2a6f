//! What plain forms of the chat page do: say something, choose a model, stop the answer.

use std::time::Duration;

use axum::Form;
use axum::extract::State;
use axum::response::Redirect;
use instar_protocol::api::SendMessage;
use instar_protocol::live::LiveEvent;
use instar_protocol::session::SessionKey;
use serde::Deserialize;

use super::pages::Refused;
use super::rooms::encoded;
use crate::api::{Keys, inbound};
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;

/// How long the next page waits for the answer, so that a short one is there at once.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// The first field, the form's token, was checked at the door.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
pub(super) struct Said {
    session: String,
    text: String,
    /// Chosen instead of something said.
    model: Option<String>,
    once: Option<String>,
}

pub(super) async fn say(
    State(app): State<AppState>,
    caller: Caller,
    Form(said): Form<Said>,
) -> Result<Redirect, Refused> {
    let text = match said.model {
        Some(model) => format!("/model {model}"),
        // Browsers send the lines of a text with carriage returns.
        None => said.text.replace("\r\n", "\n"),
    };
    let message = SendMessage {
        session: Some(said.session.clone()),
        text,
        idempotency_key: said.once,
        model: None,
        attachments: Vec::new(),
        attachments_of: None,
        parent: None,
    };
    let inbound = inbound(&app, &caller, Keys::Plain, message).await?;
    let submitted = app
        .sessions
        .submit(inbound)
        .await
        .map_err(ApiProblem::from)?;
    // Answered or not, the page shows how far it is.
    drop(tokio::time::timeout(ANSWER_WAIT, submitted.outcome).await);
    Ok(back(&said.session))
}

pub(super) async fn stop(
    State(app): State<AppState>,
    _caller: Caller,
    Form(said): Form<Said>,
) -> Result<Redirect, Refused> {
    let key = SessionKey::parse(&said.session)
        .map_err(|error| ApiProblem::invalid(format!("session: {error}")))?;
    let mut live = app.sessions.watch(&key).await.map_err(ApiProblem::from)?;
    if app.sessions.stop(&key).await {
        let ended = async {
            while let Ok(event) = live.recv().await {
                if matches!(*event, LiveEvent::Done { .. }) {
                    break;
                }
            }
        };
        // What is left of the answer is stored by then, so that the next page shows it.
        drop(tokio::time::timeout(ANSWER_WAIT, ended).await);
    }
    Ok(back(&said.session))
}

fn back(session: &str) -> Redirect {
    Redirect::to(&format!("/chat?session={}#say", encoded(session)))
}
