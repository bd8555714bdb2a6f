//! Refusals and failures in the shape that OpenAI clients know.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use instar_agent::SubmitError;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::UserError;
use instar_store::StoreError;
use serde_json::{Value, json};

use crate::api::media::MediaError;
use crate::problem::chain;

/// One refusal or failure, with the field it is about if there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// `invalid_request_error`, `api_error`, …
    pub(crate) kind: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) code: Option<&'static str>,
    /// Seconds after which trying again can help.
    retry_after: Option<u32>,
    /// True if the gateway has already tried again as often as makes sense.
    settled: bool,
}

impl Problem {
    /// The request is wrong in one field.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                message.into(),
            )
        }
    }

    /// The body as a whole cannot be read.
    pub(crate) fn body(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request_error",
            message.into(),
        )
    }

    pub(crate) fn not_found(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            code: Some("not_found"),
            ..Self::new(
                StatusCode::NOT_FOUND,
                "invalid_request_error",
                message.into(),
            )
        }
    }

    /// The run ended without an answer although nobody said why.
    pub(crate) fn lost(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api_error", message.into())
    }

    /// A run that was stopped before it said anything.
    pub(crate) fn stopped() -> Self {
        Self {
            code: Some("stopped"),
            settled: true,
            ..Self::new(
                StatusCode::CONFLICT,
                "api_error",
                "the run was stopped before it answered".to_owned(),
            )
        }
    }

    pub(crate) fn store(error: &StoreError) -> Self {
        tracing::error!(error = %chain(error), "the store refused a request of the HTTP API");
        let message = match error {
            StoreError::Full => "the disk is full; free some space, then try again",
            StoreError::ReadOnly => {
                "the state folder is read-only; make it writable, then try again"
            }
            StoreError::Gone => {
                "the file of the store was moved or removed; put it back or restart the gateway"
            }
            StoreError::Overwritten => {
                "the file of the store was overwritten; stop the gateway and start it again"
            }
            StoreError::Busy => "too many writes are waiting; try again shortly",
            StoreError::Closed => "the gateway is shutting down",
            StoreError::Sql { .. }
            | StoreError::Decode { .. }
            | StoreError::Missing { .. }
            | StoreError::Object(_)
            | StoreError::Io { .. } => "the store failed; `instar doctor` says more",
        };
        Self {
            code: Some("storage"),
            retry_after: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "api_error",
                message.to_owned(),
            )
        }
    }

    /// A turn failed. The status says whose fault it is; the caller's own credential was fine, so
    /// a vendor's "unauthorized" is not passed on as 401.
    pub(crate) fn from_user_error(error: &UserError) -> Self {
        let (status, kind, code) = match error.class {
            ErrorClass::Auth => (StatusCode::BAD_GATEWAY, "api_error", "upstream_auth"),
            ErrorClass::Quota => (
                StatusCode::TOO_MANY_REQUESTS,
                "insufficient_quota",
                "insufficient_quota",
            ),
            ErrorClass::Rate => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit_error",
                "rate_limit_exceeded",
            ),
            ErrorClass::Budget => (
                StatusCode::TOO_MANY_REQUESTS,
                "insufficient_quota",
                "budget_exceeded",
            ),
            ErrorClass::ContextLength => (
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                "context_length_exceeded",
            ),
            ErrorClass::Refusal => (
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                "content_filter",
            ),
            ErrorClass::Network => (StatusCode::BAD_GATEWAY, "api_error", "upstream_unreachable"),
            ErrorClass::Server => (StatusCode::BAD_GATEWAY, "api_error", "upstream_error"),
            ErrorClass::Malformed => (StatusCode::BAD_GATEWAY, "api_error", "upstream_malformed"),
            ErrorClass::Timeout => (StatusCode::GATEWAY_TIMEOUT, "api_error", "timeout"),
            ErrorClass::Cancelled => (StatusCode::CONFLICT, "api_error", "stopped"),
            ErrorClass::Config => (
                StatusCode::SERVICE_UNAVAILABLE,
                "api_error",
                "configuration",
            ),
            ErrorClass::Storage => (StatusCode::SERVICE_UNAVAILABLE, "api_error", "storage"),
            ErrorClass::Tool => (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "tool"),
            ErrorClass::Loop => (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "loop"),
            ErrorClass::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "api_error", "internal"),
        };
        let message = match (error.message.trim(), error.next_step.trim()) {
            (message, "") => message.to_owned(),
            (message, next) => format!("{} {next}", sentence(message)),
        };
        Self {
            code: Some(code),
            settled: true,
            ..Self::new(status, kind, message)
        }
    }

    /// The same with a word for programs.
    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// The same under another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The body of the refusal.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        })
    }

    fn new(status: StatusCode, kind: &'static str, message: String) -> Self {
        Self {
            status,
            message,
            kind,
            param: None,
            code: None,
            retry_after: None,
            settled: false,
        }
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::ShuttingDown => Self {
                retry_after: Some(5),
                ..Self::lost("the gateway is shutting down; try again in a moment")
            },
            SubmitError::QueueFull => Self {
                code: Some("queue_full"),
                retry_after: Some(1),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "rate_limit_error",
                    "too many messages are waiting in this conversation".to_owned(),
                )
            },
            SubmitError::UnknownAgent(agent) => unknown_agent(&agent),
            // No request of this API names a place.
            SubmitError::UnknownEntry(_) | SubmitError::Misplaced(_) => {
                Self::body(error.to_string())
            }
            SubmitError::Store(error) => Self::store(&error),
        }
    }
}

/// The agent that the caller named is not configured.
pub(crate) fn unknown_agent(agent: &str) -> Problem {
    Problem::invalid("model", format!("Unknown agent '{}'.", shorten(agent)))
        .with_code("unknown_agent")
}

/// An attachment was refused; `param` says which.
pub(crate) fn media(param: impl Into<String>, error: &MediaError) -> Problem {
    Problem::invalid(param, error.to_string())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.settled {
            // The official clients try again on 409, 429 and 5xx by themselves unless this says no;
            // the gateway has already been through its own retries and fallbacks.
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

/// A caller's text, short enough and tame enough to be put into a message.
pub(crate) fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    if text.chars().count() > 80 {
        shown.push('…');
    }
    shown
}

fn sentence(message: &str) -> String {
    if message.ends_with(['.', '!', '?']) {
        message.to_owned()
    } else {
        format!("{message}.")
    }
}
