//! The pages beside the chat, one file each: each reads what its API reads, and draws it.

mod agents;
mod approvals;
mod audit;
mod candidates;
mod config;
mod devices;
mod events;
mod fault;
mod faults;
mod health;
mod known;
mod letters;
mod lineage;
mod logs;
pub(super) mod models;
mod policy;
mod releases;
mod reports;
mod rollouts;
mod sessions;
mod setup;
mod usage;

pub(super) use sessions::encoded;

use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::words::{COOKIE, Words};
use crate::app::AppState;
use crate::door::Caller;
use crate::http::Routes;

/// How long a choice of language is remembered.
const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

pub(super) fn routes() -> Routes {
    Routes::default()
        .route("/approvals", get(approvals::page))
        .route("/approvals/open", get(approvals::open))
        .route("/approve/{id}", get(approvals::one))
        .route("/audit", get(audit::page))
        .route("/policy", get(policy::page))
        .route("/sessions", get(sessions::page))
        .route("/usage", get(usage::page))
        .route("/releases", get(releases::list))
        .route("/releases/{name}", get(releases::one))
        .route("/releases/{name}/lineage", get(lineage::page))
        .route("/reports", get(reports::list))
        .route("/reports/{name}", get(reports::one))
        .route("/candidates/{name}", get(candidates::one))
        .route("/rollouts", get(rollouts::list))
        .route("/rollouts/{name}", get(rollouts::one))
        .route("/events", get(events::page))
        .route("/faults", get(faults::page))
        .route("/faults/{name}", get(fault::one))
        .route("/agents", get(agents::page))
        .route("/models", get(models::page))
        .route("/devices", get(devices::page))
        .route("/config", get(config::page))
        .route("/config/key", get(config::edit))
        .route("/config/preview", post(config::preview))
        .route("/config/apply", post(config::apply))
        .route("/status", get(health::page))
        .route("/status/checks", get(health::checks))
        .route("/logs", get(logs::page))
        .route("/setup", get(setup::welcome).post(setup::begin))
        .route("/setup/{id}", get(setup::show).post(setup::answer))
        .route("/language", get(language))
}

#[derive(Deserialize, Debug)]
struct Choice {
    to: String,
    #[serde(default)]
    back: String,
}

/// Remembers a language in the browser and goes back to the page. It changes nothing else.
async fn language(
    State(_app): State<AppState>,
    _caller: Caller,
    Query(choice): Query<Choice>,
) -> Response {
    let known = Words::ALL.iter().find(|(name, ..)| *name == choice.to);
    let plain = |text: &str| {
        text.starts_with('/')
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'/' || b == b'-')
            && !text.starts_with("//")
    };
    let back = if plain(&choice.back) {
        choice.back.as_str()
    } else {
        "/chat"
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(back) = HeaderValue::from_str(back) {
        headers.insert(header::LOCATION, back);
    }
    if let Some((name, ..)) = known {
        let cookie =
            format!("{COOKIE}={name}; Path=/; Max-Age={YEAR_SECONDS}; SameSite=Strict; HttpOnly");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.insert(header::SET_COOKIE, cookie);
        }
    }
    response
}
