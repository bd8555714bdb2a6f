//! Signing a browser in and out.

use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::Markup;
use serde::Deserialize;

use super::guard::{Ends, refusal_of};
use crate::app::AppState;
use crate::config::AuthMode;
use crate::door::{AuthProblem, session_cookie};
use crate::problem::ApiProblem;
use crate::web::sign_in::{Ask, form, not_any_more, with_code};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Link {
    code: Option<String>,
}

/// What the form sends: the code of a link, or a token or password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    code: Option<String>,
    secret: Option<String>,
}

/// The form. Opening a link spends nothing: sending the form does.
pub(super) async fn page(
    State(app): State<AppState>,
    headers: HeaderMap,
    Query(link): Query<Link>,
) -> Response {
    match link.code {
        Some(code) => html(StatusCode::OK, &with_code(&headers, &code)),
        None => html(StatusCode::OK, &form(&headers, ask(&app), None)),
    }
}

/// The form, for somebody who asked for a page without being signed in.
pub(super) fn needed(app: &AppState, headers: &HeaderMap, wrong: bool) -> Response {
    let why = wrong.then(|| not_any_more(headers));
    html(StatusCode::UNAUTHORIZED, &form(headers, ask(app), why))
}

pub(super) async fn sign_in(
    State(app): State<AppState>,
    Extension(ends): Extension<Ends>,
    headers: HeaderMap,
    Form(given): Form<SignIn>,
) -> Response {
    let signed_in = match (given.code.as_deref(), given.secret.as_deref()) {
        (Some(code), None) => app.auth.sign_in_with_code(code, ends.peer).await,
        (None, Some(secret)) => app.auth.sign_in_with_secret(secret, ends.peer).await,
        _ => return ApiProblem::invalid("send either a code or a secret").into_response(),
    };
    match signed_in {
        Ok(session) => {
            let cookie =
                session_cookie(Some(session.cookie.expose()), session.seconds, https(&app));
            moved("/", &cookie)
        }
        Err(problem) => failed(&app, &headers, &problem, given.code.is_some()),
    }
}

pub(super) async fn sign_out(State(app): State<AppState>, headers: HeaderMap) -> Response {
    if let Err(error) = app.auth.sign_out(&headers).await {
        return ApiProblem::from(error).into_response();
    }
    if let Some(session) = app.auth.session_digest(&headers) {
        app.control.close_session(&session);
    }
    moved("/sign-in", &session_cookie(None, 0, https(&app)))
}

fn failed(app: &AppState, headers: &HeaderMap, problem: &AuthProblem, code: bool) -> Response {
    let wrong = if code {
        "This link was used or is over. `instar up` prints a new one, for a running gateway too."
    } else {
        "That is not right."
    };
    let refusal = refusal_of(app, problem.clone());
    let text = match problem {
        AuthProblem::Wrong | AuthProblem::Missing => wrong.to_owned(),
        AuthProblem::Locked(wait) => {
            format!("Too many attempts. Wait {} seconds.", wait.as_secs().max(1))
        }
        AuthProblem::Unavailable(_) => "Nobody can be let in at present; see the log.".to_owned(),
    };
    let mut response = html(refusal.status, &form(headers, ask(app), Some(&text)));
    if let Some(seconds) = refusal.retry_after {
        let value = HeaderValue::from(seconds);
        let _old = response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn ask(app: &AppState) -> Ask {
    match app.config.current().value.gateway.auth.mode {
        AuthMode::Token => Ask::Token,
        AuthMode::Password => Ask::Password,
        AuthMode::TrustedProxy => Ask::Proxy,
    }
}

/// True if browsers reach this gateway over TLS.
fn https(app: &AppState) -> bool {
    let config = app.config.current();
    let origin = config.value.gateway.public_origin.as_deref();
    app.tls.is_some() || origin.is_some_and(|origin| origin.starts_with("https://"))
}

fn html(status: StatusCode, page: &Markup) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // With `no-referrer` the form's origin would be sent as `null`.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, page.0.clone()).into_response()
}

fn moved(to: &'static str, cookie: &str) -> Response {
    let Ok(cookie) = HeaderValue::from_str(cookie) else {
        return ApiProblem::internal().into_response();
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    let _old = headers.insert(header::LOCATION, HeaderValue::from_static(to));
    let _old = headers.insert(header::SET_COOKIE, cookie);
    response
}
