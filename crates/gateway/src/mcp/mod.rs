//! `/mcp`: conversations as tools, resources and a prompt for clients of the Model Context Protocol.
//!
//! Every request stands for itself: there are no MCP sessions to keep, to bound or to lose at a
//! restart. Whoever gets here has passed the door like every other caller, so the library's own
//! checks of host and origin are off. [`tools`] lists what can be called; `instar mcp serve` carries
//! lines between a program's pipes and this path.

mod server;
mod tools;

mod read;
mod talk;
mod transcript;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;

use crate::app::AppState;
use crate::auth::Caller;
use crate::http::Routes;
use server::Server;

pub(crate) fn routes() -> Routes {
    Routes::default().route("/mcp", any(serve))
}

async fn serve(State(app): State<AppState>, caller: Caller, request: Request) -> Response {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(app.closing.child_token())
        // The guard has checked the host and the origin, and has read and bounded the body.
        .disable_allowed_hosts()
        .with_max_request_body_bytes(usize::MAX);
    let server = Server { app, caller };
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    service.handle(request).await.map(Body::new)
}
