//! Changes by plain forms. A form of a page of ours names a call of the API and carries its fields;
//! here it becomes that call, made by the same person on the same road, so that a change needs no
//! script and no handler of its own. The script sends the same form as JSON and stays on the page.

use axum::Form;
use axum::body::Body;
use axum::extract::State;
use axum::extract::{Extension, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use instar_protocol::api::ApiError;
use maud::{Markup, html};
use serde_json::{Map, Value};
use std::convert::Infallible;
use tower::ServiceExt as _;

use super::pages::refusal_with_way_back;
use super::words::Reader;
use crate::app::AppState;
use crate::door::{Caller, FORM_FIELD, form_token};
use crate::http::{Ends, is_plain};
use crate::problem::ApiProblem;

/// Where these forms go.
pub(super) const PATH: &str = "/act";
/// The field that names the call: `PATCH /api/v1/sessions/…`.
const ACT: &str = "act";
/// The field with the page that follows.
const THEN: &str = "then";
/// The API's answers to changes are short.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// What the forms of this page carry, for whoever looks at it.
#[derive(Clone, Debug)]
pub(super) struct Forms(String);

impl<S: Send + Sync> FromRequestParts<S> for Forms {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Without randomness there is no token, and the door refuses the form.
        Ok(Self(form_token(&parts.headers).unwrap_or_default()))
    }
}

/// A change that a page offers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Act<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    /// The page to see afterwards; a call whose answer is to be read is shown instead.
    pub(super) then: &'a str,
    /// What the script does with the answer: `reload`, `undo`, `probe`.
    pub(super) script: &'static str,
}

impl Forms {
    /// The form of a change around its fields and buttons.
    pub(super) fn form(&self, act: Act<'_>, inside: &Markup) -> Markup {
        html! {
            form method="post" action=(PATH) data-send=(act.method) data-path=(act.path) data-then=(act.script) {
                input type="hidden" name=(FORM_FIELD) value=(self.0);
                input type="hidden" name=(ACT) value={ (act.method) " " (act.path) };
                input type="hidden" name=(THEN) value=(act.then);
                (inside)
            }
        }
    }
}

/// A form as a call.
struct Called {
    method: Method,
    path: String,
    then: String,
    body: Value,
}

impl Called {
    /// The fields of a form that was shown to be ours.
    fn read(fields: Vec<(String, String)>) -> Option<Self> {
        let (mut act, mut then, mut body) = (None, None, Map::new());
        for (name, value) in fields {
            match name.as_str() {
                FORM_FIELD => {}
                ACT => act = Some(value),
                THEN => then = Some(value),
                _ => drop(body.insert(name, Value::String(value))),
            }
        }
        let act = act?;
        let (method, path) = act.split_once(' ')?;
        let method = match method {
            "POST" => Method::POST,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => return None,
        };
        let then = then.filter(|then| then.starts_with('/') && !then.starts_with("//"))?;
        let is_call = path.starts_with("/api/v1/") && !path.contains(['?', '#']) && is_plain(path);
        is_call.then(|| Self {
            method,
            path: path.to_owned(),
            then,
            body: Value::Object(body),
        })
    }
}

/// Makes the call that a form names, and shows the page that follows.
pub(super) async fn act(
    State(app): State<AppState>,
    caller: Caller,
    Extension(ends): Extension<Ends>,
    Reader(words): Reader,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let Some(called) = Called::read(fields) else {
        return ApiProblem::invalid("this form names no change").into_response();
    };
    let then = called.then.clone();
    let probe = called.path.ends_with("/models/probe");
    let (status, body) = match call(app.clone(), caller, ends, called).await {
        Ok(answer) => answer,
        Err(problem) => return problem.into_response(),
    };
    if !status.is_success() {
        let problem = problem(status, &body);
        return (status, refusal_with_way_back(words, &problem, &then)).into_response();
    }
    if probe {
        return super::rooms::models::tried(&app, words, &body)
            .await
            .into_response();
    }
    match HeaderValue::from_str(&then) {
        Ok(then) => (StatusCode::SEE_OTHER, [(header::LOCATION, then)]).into_response(),
        Err(_) => ApiProblem::invalid("this form leads nowhere").into_response(),
    }
}

async fn call(
    app: AppState,
    caller: Caller,
    ends: Ends,
    called: Called,
) -> Result<(StatusCode, Value), ApiProblem> {
    let request = Request::builder()
        .method(called.method)
        .uri(called.path)
        .header(header::CONTENT_TYPE, "application/json")
        .extension(caller)
        .extension(ends)
        .body(Body::from(called.body.to_string()))
        .map_err(|_| ApiProblem::invalid("this form names no change"))?;
    let router = crate::api::routes().into_router().with_state(app);
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX).await;
    let bytes = bytes.map_err(|_| ApiProblem::internal())?;
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// The API's refusal, in its own words.
fn problem(status: StatusCode, body: &Value) -> ApiProblem {
    let told: Option<ApiError> = serde_json::from_value(body.clone()).ok();
    match told {
        Some(told) => ApiProblem {
            next_step: told.error.next_step,
            ..ApiProblem::new(status, "refused", told.error.message)
        },
        None => ApiProblem::new(status, "refused", "this cannot be changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Option<Called> {
        let fields = fields.iter();
        Called::read(
            fields
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_form_names_one_call_of_the_api_and_a_page_of_ours() {
        let path = "PATCH /api/v1/sessions/x";
        let called = read(&[("form", "t"), ("act", path), ("then", "/s"), ("title", "a")]);
        let called = called.unwrap();
        assert_eq!(called.body, serde_json::json!({ "title": "a" }));
        assert_eq!(called.method, Method::PATCH);
        for act in [
            "GET /api/v1/sessions",
            "PATCH /v1/responses",
            "PATCH /api/v1/../x",
            "PATCH /api/v1/x?y=1",
            "PATCH",
        ] {
            assert!(read(&[("act", act), ("then", "/s")]).is_none(), "{act}");
        }
        for then in ["//elsewhere", "https://elsewhere", ""] {
            assert!(read(&[("act", path), ("then", then)]).is_none(), "{then}");
        }
    }
}
