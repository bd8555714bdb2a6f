//! The way from a request that was read to a run: whose conversation, what is new, submitted.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use instar_protocol::InboundId;
use instar_protocol::Timestamp;
use instar_protocol::message::{Inbound, OnRestart};
use instar_protocol::model::ModelRef;
use instar_protocol::session::{AgentId, SessionKey};

use super::ask::{Ask, Memory};
use super::keys::{self, Place};
use super::names::{Known, Listed};
use super::problem::Problem;
use super::run::{Running, StopRule};
use crate::app::AppState;
use crate::auth::Caller;

/// The surface that messages of this API carry.
pub(crate) const SURFACE: &str = "openai";

/// A run that was begun for a request.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) running: Running,
    pub(crate) at: Timestamp,
}

/// The agents and models that requests may name.
pub(crate) fn known(app: &AppState) -> Known {
    Known {
        agents: app.agents(),
        models: Listed::of(app.models.clone()),
    }
}

/// The body, if it says that it is JSON and was read whole.
///
/// A page of another origin cannot send this content type without asking first.
pub(crate) fn json_body(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Bytes, Problem> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        let problem = Problem::body("send the body with `Content-Type: application/json`");
        return Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    body.map_err(|rejection| Problem::body(rejection.body_text()).with_status(rejection.status()))
}

/// Stores the request's message and begins its run.
pub(crate) async fn begin(
    app: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    known: &Known,
    mut ask: Ask,
    continued: Option<SessionKey>,
) -> Result<Begun, Problem> {
    let overrides = HeaderOverrides::read(headers, known)?;
    if let Some(agent) = overrides.agent {
        ask.target.agent = agent;
    }
    if let Some(model) = overrides.model {
        ask.target.model = Some(model);
    }
    let idempotency_key = keys::idempotency_key(headers)?;
    let at = app.clock.now();
    let id = InboundId::new(at, app.random());
    let fresh = idempotency_key.as_deref().map_or_else(
        || id.as_str().trim_start_matches("inb_").to_owned(),
        |key| format!("again {key}"),
    );
    let agent = ask.target.agent.clone();
    let (place, mut stop) = match continued {
        Some(key) => (continue_at(key, &agent)?, StopRule::OnceStarted),
        None => {
            let place = keys::place(known, &agent, headers, ask.user.as_deref(), &fresh)?;
            let stop = if place.own {
                StopRule::Always
            } else {
                StopRule::Never
            };
            (place, stop)
        }
    };
    if idempotency_key.is_some() {
        stop = StopRule::Never;
    }
    let memory = memory_of(app, &place).await?;
    let turn = ask.into_turn(&app.store, memory).await?;
    let inbound = Inbound {
        id,
        session_key: place.key.clone(),
        principal: caller.principal.clone(),
        received_at: at,
        surface: SURFACE.to_owned(),
        on_restart: if idempotency_key.is_some() {
            OnRestart::Resume
        } else {
            OnRestart::Interrupt
        },
        // Other surfaces have keys of their own: theirs and ours must not meet.
        idempotency_key: idempotency_key.map(|key| format!("{SURFACE}:{key}")),
        parts: turn.parts,
        overrides: turn.overrides,
    };
    let submitted = if place.own && inbound.idempotency_key.is_none() {
        app.sessions.submit_first(inbound).await?
    } else {
        app.sessions.submit(inbound).await?
    };
    Ok(Begun {
        running: Running::new(&app.sessions, &app.tasks, place.key, stop, submitted),
        at,
    })
}

/// What headers say about the backend; they choose among what is configured and nothing else.
struct HeaderOverrides {
    agent: Option<AgentId>,
    model: Option<ModelRef>,
}

impl HeaderOverrides {
    fn read(headers: &HeaderMap, known: &Known) -> Result<Self, Problem> {
        let agent = keys::header(headers, "agent-id")?
            .map(|id| known.agent(id))
            .transpose()?;
        let model = keys::header(headers, "model")?
            .map(|name| known.model("x-instar-model", name))
            .transpose()?;
        Ok(Self { agent, model })
    }
}

/// The conversation of an earlier response; it stays with its agent.
fn continue_at(key: SessionKey, agent: &AgentId) -> Result<Place, Problem> {
    match key.agent() {
        Some(owner) if owner != *agent => Err(Problem::invalid(
            "model",
            format!("the previous response is agent '{owner}' speaking; ask for instar/{owner}"),
        )),
        Some(_) | None => Ok(Place { key, own: false }),
    }
}

async fn memory_of(app: &AppState, place: &Place) -> Result<Memory, Problem> {
    if place.own {
        return Ok(Memory::Fresh);
    }
    let row = app
        .store
        .session_by_key(&place.key)
        .await
        .map_err(|error| Problem::store(&error))?;
    match row {
        Some(row) if row.entries > 0 && row.deleted_at.is_none() => Ok(Memory::Stored),
        Some(_) | None => Ok(Memory::Fresh),
    }
}
