//! `POST /v1/chat/completions`.

pub(crate) mod reply;
mod request;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::Response;
use instar_protocol::live::{LiveEvent, Outcome};

use super::body::{self, Encoder, Streaming};
use super::door;
use super::problem::Problem;
use crate::api::sse;
use crate::app::AppState;
use crate::auth::Caller;
use reply::{Chunks, Heading, completion};

pub(super) async fn create(
    State(app): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = door::json_body(&headers, body)?;
    let known = door::known(&app);
    let request::ChatAsk { ask, include_usage } = request::parse(&body, &known)?;
    drop(body);
    let (model, stream) = (ask.model.clone(), ask.stream);
    let begun = door::begin(&app, &caller, &headers, &known, ask, None).await?;
    let heading = Heading {
        id: id_of(&begun.running),
        created: begun.at.millis() / 1_000,
        model,
    };
    if stream {
        let chunks = Chunks::new(heading, include_usage);
        return Ok(sse::response(Streaming::new(
            app.sessions.clone(),
            chunks,
            begun.running,
        )));
    }
    let outcome = begun
        .running
        .outcome()
        .await
        .ok_or_else(|| Problem::lost("the gateway is shutting down; try again"))?;
    let value = completion(&heading, &outcome)?;
    Ok(body::json(&app.sessions, &outcome, &value))
}

fn id_of(running: &super::run::Running) -> String {
    let id = running.inbound.as_str();
    format!("chatcmpl_{}", id.strip_prefix("inb_").unwrap_or(id))
}

impl Encoder for Chunks {
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
        Self::fail(problem)
    }
}
