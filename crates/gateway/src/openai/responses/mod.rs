//! `POST /v1/responses` and `GET /v1/responses/{id}`.

mod reply;
mod request;
mod stored;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use instar_protocol::live::{LiveEvent, Outcome};

use super::body::{self, Encoder, Streaming};
use super::door;
use super::problem::Problem;
use crate::api::sse;
use crate::app::AppState;
use crate::auth::Caller;
use reply::Builder;

pub(super) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = door::json_body(&headers, body)?;
    let known = door::known(&app);
    let request::ResponsesAsk {
        ask,
        previous,
        echo,
    } = request::parse(&body, &known)?;
    drop(body);
    let continued = match previous {
        Some(id) => Some(
            stored::find(&app.store, "previous_response_id", &id)
                .await?
                .inbound
                .session_key,
        ),
        None => None,
    };
    let stream = ask.stream;
    let begun = door::begin(&app, &caller, &headers, &known, ask, continued).await?;
    let created = begun.at.millis() / 1_000;
    let builder = Builder::new(stored::stem(&begun.running.inbound), created, echo);
    if stream {
        return Ok(sse::response(Streaming::new(
            app.sessions.clone(),
            builder,
            begun.running,
        )));
    }
    let outcome = begun
        .running
        .outcome()
        .await
        .ok_or_else(|| Problem::lost("the gateway is shutting down; try again"))?;
    let value = builder.whole(&outcome)?;
    Ok(body::json(&app.sessions, &outcome, &value))
}

/// A response as it stands now: finished, failed, cancelled or still in progress.
pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = stored::find(&app.store, "response_id", &id).await?;
    let value = stored::response(&app.store, &found).await?;
    Ok(Json(value).into_response())
}

impl Encoder for Builder {
    fn begin(&mut self) -> Bytes {
        Self::begin(self)
    }
    fn live(&mut self, event: &LiveEvent) -> Option<Bytes> {
        Self::live(self, event)
    }
    fn finish(&mut self, outcome: &Outcome) -> Bytes {
        Self::finish(self, outcome)
    }
    fn fail(&mut self, problem: &Problem) -> Bytes {
        Self::fail(self, problem)
    }
}
