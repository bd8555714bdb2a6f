//! The one listener and the one router.
//!
//! A request passes, in this order: limits of the connection (`serve`), the path, the host and the
//! origin (`guard`), the door, the body's limits, and only then a handler. Whatever is not named
//! in [`guard::is_open`] needs a caller, known route or not.

mod guard;
mod open;
mod routes;
mod serve;
mod stall;

mod body;
mod headers;
mod host;
mod lasting;
mod path;
mod peers;
mod shares;
mod sign_in;

pub(crate) use body::HELD_KIB;
pub(crate) use guard::Ends;
pub(crate) use path::is_plain;
pub(crate) use peers::PeerLimits;
pub(crate) use routes::Routes;
pub(crate) use serve::{Listening, listen};
pub(crate) use shares::{Share, Shares};

use axum::Router;
use axum::routing::{get, post};

use crate::app::AppState;
use crate::{api, mcp, openai, web};

fn routes() -> Routes {
    Routes::default()
        .merge(api::routes())
        .merge(openai::routes())
        .merge(mcp::routes())
        .merge(web::routes())
        .route("/health", get(open::health))
        .route("/healthz", get(open::health))
        .route("/ready", get(open::ready))
        .route("/readyz", get(open::ready))
        .route("/metrics", get(open::metrics))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
}

/// Every path that the gateway serves, with its parameters in braces.
#[must_use]
pub fn paths() -> Vec<String> {
    routes().into_paths()
}

/// Every route of the gateway.
pub(crate) fn router(app: AppState) -> Router {
    routes()
        .into_router()
        .fallback(open::not_found)
        // The guard has read and bounded the body already.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(app)
}

#[cfg(test)]
mod tests;
