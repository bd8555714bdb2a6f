//! Health, readiness, metrics, and what is not there.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::AppState;
use crate::health::Phase;
use crate::problem::ApiProblem;

/// The process lives.
pub(super) async fn health() -> Response {
    Json(json!({ "ok": true, "status": "live" })).into_response()
}

/// The gateway takes messages. It says no more than that to whoever asks.
pub(super) async fn ready(State(app): State<AppState>) -> Response {
    let status = match app.conditions.phase() {
        Phase::Starting => "starting",
        Phase::Draining => "draining",
        Phase::Ready if app.store.health().is_some() => "degraded",
        Phase::Ready => "ready",
    };
    let ok = status == "ready";
    let code = if ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(json!({ "ok": ok, "status": status }))).into_response()
}

/// The counters, for Prometheus.
pub(super) async fn metrics(State(app): State<AppState>) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        "text/plain; version=0.0.4; charset=utf-8",
    )];
    (kind, crate::metrics::page(&app)).into_response()
}

pub(super) async fn not_found() -> ApiProblem {
    ApiProblem::not_found("there is nothing at this path")
}
