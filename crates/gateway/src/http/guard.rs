//! What every request passes before a handler sees it.

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use instar_protocol::Principal;
use instar_protocol::principal::Via;
use instar_protocol::redact::log_field;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tower::ServiceExt as _;

use super::host::Source;
use super::{body, headers, host, lasting, path, sign_in};
use crate::age;
use crate::app::AppState;
use crate::door::{self, AuthProblem, Caller, Peer, Proof};
use crate::problem::ApiProblem;

/// Beyond the longest turn, for what comes before and after it.
const AROUND_A_TURN: Duration = Duration::from_secs(60);

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// True for the few paths that need no caller.
pub(super) fn is_open(path: &str) -> bool {
    matches!(
        path,
        "/health" | "/healthz" | "/ready" | "/readyz" | "/sign-in"
    ) || path
        .strip_prefix("/assets/")
        .is_some_and(|name| !name.contains('/'))
}

/// Answers a request, whatever it is.
pub(crate) async fn answer(
    app: &AppState,
    router: Router,
    ends: Ends,
    request: Request<Body>,
) -> Response {
    let mut response = match admit(app, ends, request).await {
        Ok((request, proof)) => {
            let response = handle(app, router, request).await;
            match proof {
                Some(proof) => lasting::bind(app, proof, response),
                None => response,
            }
        }
        Err(refusal) => *refusal,
    };
    shape(&mut response);
    headers::secure(&mut response);
    let class = usize::from(response.status().as_u16() / 100);
    if let Some(counter) = app.metrics.requests.get(class) {
        counter.add(1);
    }
    response
}

type Refusal = Box<Response>;

fn refuse(problem: ApiProblem) -> Refusal {
    Box::new(problem.into_response())
}

/// A request that may be handled, with its body read, and what let it in.
async fn admit(
    app: &AppState,
    ends: Ends,
    request: Request<Body>,
) -> Result<(Request<Body>, Option<Proof>), Refusal> {
    let config = app.config.current();
    let gateway = &config.value.gateway;
    let (mut parts, unread) = request.into_parts();
    check_path(app, &parts)?;
    check_age(app, ends, &parts)?;
    let source = check_host_and_origin(app, ends, &parts)?;
    let control = parts.uri.path() == "/" && crate::control::is_upgrade(&parts.headers);
    let open = control || is_open(parts.uri.path());
    let caller = if control {
        // Its handshake proves who it is; a browser's session comes with the request.
        take_turn(app, ends)?;
        session(app, ends, &parts).await?
    } else if open {
        take_turn(app, ends)?;
        None
    } else {
        Some(call(app, ends, &parts).await?)
    };
    if !control {
        check_served(app, parts.uri.path())?;
    }
    let (mut intent, mut lasts) = (Intent::Shown, None);
    // A program that speaks from the owner's network proves itself in the handshake: what vouches for
    // the network alone opens no socket.
    let by_network =
        |caller: &Caller| matches!(caller.principal, Principal::Owner { via: Via::Identity });
    let caller =
        caller.filter(|caller| !(control && source == Source::Unsaid && by_network(caller)));
    if let Some(caller) = caller {
        let elsewhere = source == Source::Allowed || (control && source != Source::Ours);
        if caller.ambient && elsewhere {
            app.metrics.refused_origin.add(1);
            return Err(refuse(ApiProblem::forbidden(
                "what a browser sends by itself counts for this gateway's own page only",
            )));
        }
        intent = check_intent(&caller, source, &parts)?;
        lasts = Some(caller.proof.clone());
        let _old = parts.extensions.insert(caller);
    }
    let _old = parts.extensions.insert(ends);
    let max = if open {
        body::OPEN_BYTES_MAX
    } else {
        usize::try_from(gateway.limits.body_bytes).unwrap_or(usize::MAX)
    };
    let deadline = Duration::from_secs(gateway.limits.body_seconds.into());
    let bytes = body::read(unread, &parts.headers, max, deadline, &app.bodies)
        .await
        .map_err(refuse)?;
    if intent == Intent::InForm && !door::is_our_form(&parts.headers, &bytes) {
        return Err(refuse(
            ApiProblem::forbidden("this form was not made by the page that is open now")
                .next("load the page again and send the form once more"),
        ));
    }
    Ok((Request::from_parts(parts, Body::from(bytes)), lasts))
}

fn check_path(app: &AppState, request: &Parts) -> Result<(), Refusal> {
    let uri = &request.uri;
    if !path::is_plain(uri.path()) && !path::is_model(uri.path()) {
        app.metrics.refused_path.add(1);
        return Err(refuse(ApiProblem::invalid(
            "the path can be read in more than one way",
        )));
    }
    if uri.query().is_some_and(path::query_has_secret) {
        app.metrics.refused_path.add(1);
        return Err(refuse(
            ApiProblem::invalid("a secret never belongs into an address")
                .next("send it as `Authorization: Bearer …`"),
        ));
    }
    Ok(())
}

/// A version that is older than the owner lets it be answers to this machine only. What comes through
/// a tunnel or a proxy names another host than this machine.
fn check_age(app: &AppState, ends: Ends, request: &Parts) -> Result<(), Refusal> {
    let limit = app.config.current().value.gateway.max_version_age_days;
    if !age::is_over(limit, app.clock.now()) {
        return Ok(());
    }
    let host = request.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or("");
    let near = ends.peer.ip().to_canonical().is_loopback() && host::is_this_machine(host);
    if near {
        return Ok(());
    }
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Err(refuse(
        ApiProblem::new(
            status,
            "version_too_old",
            "this version is too old to be reached from elsewhere",
        )
        .next("install a newer one; on the machine itself it still answers"),
    ))
}

/// Who made the request, if it may come at all.
fn check_host_and_origin(app: &AppState, ends: Ends, request: &Parts) -> Result<Source, Refusal> {
    let config = app.config.current();
    let gateway = &config.value.gateway;
    let headers = &request.headers;
    let Some(named) = host::host(headers, &request.uri, ends.local, gateway) else {
        app.metrics.refused_host.add(1);
        let said = headers
            .get(header::HOST)
            .map(|host| host.to_str().unwrap_or("?"));
        tracing::warn!(
            host = log_field(said.unwrap_or("")),
            "a request for another host was refused"
        );
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Err(refuse(
            ApiProblem::new(
                status,
                "wrong_host",
                "this gateway does not answer to that host",
            )
            .next("use the address that `instar status` shows, or set gateway.publicOrigin"),
        ));
    };
    let spoken = if app.tls.is_some() { "https" } else { "http" };
    let source = host::source(headers, named, spoken, gateway);
    let foreign = source == Source::Foreign;
    let changes = !body::is_safe(&request.method) || crate::control::is_upgrade(headers);
    if foreign && (headers.contains_key(header::ORIGIN) || changes) {
        app.metrics.refused_origin.add(1);
        let said = headers
            .get(header::ORIGIN)
            .map(|origin| origin.to_str().unwrap_or("?"));
        tracing::warn!(
            origin = log_field(said.unwrap_or("")),
            "a request of another page was refused"
        );
        return Err(refuse(
            ApiProblem::forbidden("another page may not call this gateway")
                .next("name its origin in gateway.controlUi.allowedOrigins if it is yours"),
        ));
    }
    Ok(source)
}

/// Counts a request that has proved nothing.
fn take_turn(app: &AppState, ends: Ends) -> Result<(), Refusal> {
    let per_minute = app
        .config
        .current()
        .value
        .gateway
        .limits
        .requests_per_minute;
    let taken = app
        .peers
        .take(Peer::from(ends.peer), app.clock.now(), per_minute);
    taken.map_err(|wait| {
        app.metrics.rate_limited.add(1);
        refuse(ApiProblem::rate_limited(wait.as_secs()))
    })
}

/// The browser session that comes with an upgrade, if one does. A wrong one is refused here.
async fn session(app: &AppState, ends: Ends, request: &Parts) -> Result<Option<Caller>, Refusal> {
    match app.auth.caller(&request.headers, ends.peer).await {
        Ok(caller) => Ok(Some(caller)),
        Err(AuthProblem::Missing) => Ok(None),
        Err(problem) => Err(Box::new(refusal_of(app, problem).into_response())),
    }
}

async fn call(app: &AppState, ends: Ends, request: &Parts) -> Result<Caller, Refusal> {
    let problem = match app.auth.caller(&request.headers, ends.peer).await {
        Ok(caller) => return Ok(caller),
        Err(problem) => problem,
    };
    take_turn(app, ends)?;
    let page = request.method == Method::GET && wants_page(request);
    Err(match problem {
        AuthProblem::Missing | AuthProblem::Wrong if page => Box::new(sign_in::needed(
            app,
            &request.headers,
            matches!(problem, AuthProblem::Wrong),
        )),
        problem => Box::new(refusal_of(app, problem).into_response()),
    })
}

/// What a failed verification is answered with.
pub(super) fn refusal_of(app: &AppState, problem: AuthProblem) -> ApiProblem {
    match problem {
        AuthProblem::Missing => {
            app.metrics.auth_missing.add(1);
            ApiProblem::unauthorized()
        }
        AuthProblem::Wrong => {
            app.metrics.auth_wrong.add(1);
            tracing::warn!("a wrong credential was presented");
            ApiProblem::unauthorized()
        }
        AuthProblem::Locked(wait) => {
            app.metrics.auth_locked.add(1);
            ApiProblem::rate_limited(wait.as_secs().max(1))
        }
        AuthProblem::Unavailable(why) => {
            tracing::error!(why, "nobody can be let in");
            ApiProblem::unavailable("callers cannot be verified at present")
                .next("look into `instar logs`")
        }
    }
}

fn wants_page(request: &Parts) -> bool {
    let accept = request.headers.get(header::ACCEPT);
    accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// Whether a change is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Intent {
    Shown,
    /// The body has to show it: a form with the token of a page of ours.
    InForm,
}

/// A browser sends its cookie by itself: a change needs to be meant.
fn check_intent(caller: &Caller, source: Source, request: &Parts) -> Result<Intent, Refusal> {
    if !caller.ambient || body::is_safe(&request.method) {
        return Ok(Intent::Shown);
    }
    let headers = &request.headers;
    let from_page = source == Source::Ours;
    let deliberate = body::is_deliberate(headers) || request.uri.path() == "/sign-out";
    if from_page && deliberate {
        return Ok(Intent::Shown);
    }
    if from_page && door::is_form(headers) {
        return Ok(Intent::InForm);
    }
    Err(refuse(
        ApiProblem::forbidden("a change with a browser's cookie needs an origin and a JSON body")
            .next("programs send `Authorization: Bearer …` instead of the cookie"),
    ))
}

/// Parts that the owner has switched off are not there.
fn check_served(app: &AppState, path: &str) -> Result<(), Refusal> {
    let config = app.config.current();
    let gateway = &config.value.gateway;
    let endpoints = &gateway.http.endpoints;
    let page = !path.starts_with("/api/")
        && !path.starts_with("/v1/")
        && !matches!(
            path,
            "/health" | "/healthz" | "/ready" | "/readyz" | "/metrics" | "/mcp"
        );
    let off = match path {
        "/v1/chat/completions" => !endpoints.chat_completions.enabled,
        _ if path.starts_with("/v1/responses") => !endpoints.responses.enabled,
        "/mcp" => !endpoints.mcp.enabled,
        _ => page && !gateway.control_ui.enabled,
    };
    if off {
        let next = "the configuration switches it on: gateway.http.endpoints, gateway.controlUi";
        return Err(refuse(
            ApiProblem::not_found("this part is switched off").next(next),
        ));
    }
    Ok(())
}

/// Runs the handler: a panic becomes an answer, and so does one that takes too long to begin.
async fn handle(app: &AppState, router: Router, request: Request<Body>) -> Response {
    let timeout = app.config.current().value.agents.defaults.timeout_seconds;
    let timeout = Duration::from_secs(timeout.into()) + AROUND_A_TURN;
    let handling = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
    match tokio::time::timeout(timeout, handling).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => {
            let id = hex::encode(crate::random::ten());
            app.metrics.panics.add(1);
            tracing::error!(id, why = log_field(said(&*panic)), "a handler panicked");
            ApiProblem::internal()
                .next(format!("look for {id} in `instar logs`"))
                .into_response()
        }
        Err(_late) => ApiProblem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "the answer took too long",
        )
        .into_response(),
    }
}

/// The words of a panic.
fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without words")
}

/// Refusals of the router itself have no body yet.
fn shape(response: &mut Response) {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED && response.body().is_end_stream() {
        let allow = response.headers().get(header::ALLOW).cloned();
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let problem = ApiProblem::new(
            status,
            "method_not_allowed",
            "this path takes other methods",
        );
        *response = problem.into_response();
        if let Some(allow) = allow {
            let _old = response.headers_mut().insert(header::ALLOW, allow);
        }
    }
}
