//! The HTTP API that OpenAI clients speak: `/v1/chat/completions`, `/v1/responses`, `/v1/models`.
//!
//! Read [`ask`] first: both endpoints turn a request into the same value. `chat` and `responses`
//! read their own wire form into it and write their own out of an outcome; `door` submits it, `run`
//! follows it. Nothing in a request carries authority: who asks is decided by the credential.

mod ask;
mod chat;
mod responses;

mod body;
mod content;
mod door;
mod fields;
mod keys;
mod models;
mod names;
mod problem;
mod run;
mod spoken;

use axum::routing::{get, post};

use crate::http::Routes;

/// The routes of this API. Sign-in, limits and headers are the router's around them.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/responses", post(responses::create))
        .route("/v1/responses/{id}", get(responses::show))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::show))
}
