//! Refusals of our own API, in the one shape that its clients know.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use instar_agent::{RewindError, SubmitError};
use instar_protocol::api::{ApiError, ApiErrorBody};
use instar_release::ReleaseError;
use instar_store::StoreError;

/// A refusal or failure: a status, a word for programs, a sentence and a next step for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiProblem {
    pub status: StatusCode,
    pub kind: &'static str,
    pub message: String,
    pub next_step: Option<String>,
    /// Seconds after which trying again can help.
    pub retry_after: Option<u64>,
}

impl ApiProblem {
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            next_step: None,
            retry_after: None,
        }
    }

    /// 400: the request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// 404: what the request names is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 401: no credential, or one that is not good.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "this needs a credential",
        )
        .next("send `Authorization: Bearer TOKEN`, or open the link that `instar up` prints")
    }

    /// 403: who asks is known and may not.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 409: what is there does not allow it now.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// 429, with the seconds to wait.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self {
            retry_after: Some(retry_after.max(1)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limited",
                "too many requests or failed attempts",
            )
        }
        .next(format!("wait {} seconds", retry_after.max(1)))
    }

    /// 503: it will work again later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(5),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }

    /// 500. The cause goes to the log and never to the caller.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong inside the gateway",
        )
        .next("look into `instar logs`")
    }

    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// The body as it is sent.
    #[must_use]
    pub fn body(&self) -> ApiError {
        ApiError {
            error: ApiErrorBody {
                kind: self.kind.to_owned(),
                message: self.message.clone(),
                next_step: self.next_step.clone(),
            },
        }
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<StoreError> for ApiProblem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %chain(&error), "the store failed a request");
        if error.is_disk() {
            return Self::unavailable(format!("the store cannot be used: {error}"))
                .next(error.next_step());
        }
        Self::internal()
    }
}

impl From<SubmitError> for ApiProblem {
    fn from(error: SubmitError) -> Self {
        let text = error.to_string();
        match error {
            SubmitError::ShuttingDown => Self::unavailable(text),
            SubmitError::QueueFull => Self::rate_limited(5),
            SubmitError::UnknownAgent(_) => {
                Self::not_found(text).next("`instar config get agents.entries` shows the agents")
            }
            SubmitError::UnknownEntry(_) => Self::not_found(text)
                .next("`instar sessions show --ids` shows those that there are"),
            SubmitError::Misplaced(_) => Self::invalid(text),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<RewindError> for ApiProblem {
    fn from(error: RewindError) -> Self {
        let text = error.to_string();
        match error {
            RewindError::UnknownSession(_) => {
                Self::not_found(text).next("`instar sessions list` shows those that there are")
            }
            RewindError::UnknownEntry(_) => Self::not_found(text)
                .next("`instar sessions show --ids` shows those that there are"),
            RewindError::Busy => Self::conflict(text),
            RewindError::Store(error) => error.into(),
        }
    }
}

impl From<ReleaseError> for ApiProblem {
    fn from(error: ReleaseError) -> Self {
        let text = error.to_string();
        match error {
            ReleaseError::Unknown(_) | ReleaseError::UnknownCandidate(_) => Self::not_found(text),
            ReleaseError::Ambiguous { .. }
            | ReleaseError::Static { .. }
            | ReleaseError::Delta { .. }
            | ReleaseError::Bundle(_)
            | ReleaseError::Refused { .. }
            | ReleaseError::ManyCandidates(_) => Self::invalid(text),
            ReleaseError::NothingBefore
            | ReleaseError::Already(_)
            | ReleaseError::NeverStable(_) => Self::conflict(text),
            ReleaseError::Store(error) => error.into(),
            ReleaseError::Tampered { .. }
            | ReleaseError::Decode { .. }
            | ReleaseError::Canonical(_) => {
                tracing::error!(error = %chain(&error), "a release cannot be read");
                Self::internal()
            }
        }
    }
}

/// An error and everything that caused it, in one line for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
