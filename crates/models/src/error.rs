//! Failures: their class from status and body, the operator's words, the user's words.

use crate::catalog::Provider;
use crate::codec::DecodeError;
use crate::scrub::scrub;
use instar_egress::EgressError;
use instar_protocol::Secret;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::UserError;
use instar_protocol::model::{Attempt, ModelRef};
use serde_json::Value;
use std::time::Duration;

/// A call that ended without an answer.
#[derive(Debug, thiserror::Error)]
#[error("model call failed ({class:?}): {operator}")]
pub struct ModelError {
    pub class: ErrorClass,
    /// For the log: vendor, status, excerpt with secrets removed.
    pub operator: String,
    pub user: UserError,
    /// Each with what it used all the same, as far as the vendor said it, else our estimate. It is
    /// in the ledger.
    pub attempts: Vec<Attempt>,
    /// Text that had arrived before the failure.
    pub partial: String,
}

/// One attempt's failure.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) class: ErrorClass,
    pub(crate) operator: String,
    pub(crate) retry_after: Option<Duration>,
    /// What the user is told instead of the class's usual words.
    pub(crate) message: Option<String>,
}

impl Failure {
    pub(crate) fn new(class: ErrorClass, operator: impl Into<String>) -> Self {
        Self {
            class,
            operator: operator.into(),
            retry_after: None,
            message: None,
        }
    }

    pub(crate) fn saying(mut self, message: String) -> Self {
        self.message = Some(message);
        self
    }

    pub(crate) fn egress(error: &EgressError) -> Self {
        let class = match error {
            EgressError::Refused { .. } | EgressError::Tls { .. } => ErrorClass::Config,
            EgressError::Timeout { .. } => ErrorClass::Timeout,
            EgressError::Resolve { .. }
            | EgressError::Connect { .. }
            | EgressError::Redirects
            | EgressError::Downgrade
            | EgressError::Broken { .. } => ErrorClass::Network,
            EgressError::TooLong { .. } => ErrorClass::Malformed,
        };
        Self::new(class, scrub(&chain(error), &[]))
    }

    pub(crate) fn decode(error: &DecodeError, secrets: &[Secret]) -> Self {
        let class = match error {
            DecodeError::Malformed(_) | DecodeError::TooLarge(_) => ErrorClass::Malformed,
            DecodeError::Early => ErrorClass::Network,
            DecodeError::Vendor { kind, message } => {
                classify_words(kind, message).unwrap_or(ErrorClass::Server)
            }
        };
        Self::new(class, scrub(&error.to_string(), secrets))
    }

    /// From an answer that is not a success.
    pub(crate) fn status(
        status: u16,
        body: &[u8],
        retry_after: Option<Duration>,
        secrets: &[Secret],
    ) -> Self {
        let (kind, message) = vendor_words(body);
        let class = classify(status, &kind, &message);
        Self {
            class,
            operator: scrub(&format!("status {status}: {kind} {message}"), secrets),
            retry_after,
            message: None,
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// The vendor's own kind and message, from whichever of the usual shapes the body has.
fn vendor_words(body: &[u8]) -> (String, String) {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return (
            String::new(),
            String::from_utf8_lossy(body).trim().to_owned(),
        );
    };
    // Google answers with a list of one.
    let value = value.get(0).cloned().unwrap_or(value);
    let error = match value.get("error") {
        Some(Value::String(text)) => return (String::new(), text.clone()),
        Some(error) => error,
        None => &value,
    };
    let word = |name: &str| match error.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let kinds = ["type", "code", "status"].into_iter().filter_map(word);
    let message = word("message")
        .or_else(|| word("detail"))
        .unwrap_or_else(|| error.to_string());
    (kinds.collect::<Vec<_>>().join(" "), message)
}

/// The class of a failed answer. The vendor's words refine the status.
fn classify(status: u16, kind: &str, message: &str) -> ErrorClass {
    let words = classify_words(kind, message);
    match status {
        401 => ErrorClass::Auth,
        403 => match words {
            Some(class @ (ErrorClass::Quota | ErrorClass::Refusal | ErrorClass::Rate)) => class,
            _ => ErrorClass::Auth,
        },
        402 => ErrorClass::Quota,
        408 | 504 => ErrorClass::Timeout,
        413 => ErrorClass::ContextLength,
        429 => match words {
            Some(ErrorClass::Quota) => ErrorClass::Quota,
            _ => ErrorClass::Rate,
        },
        400 | 422 => match words {
            Some(
                class @ (ErrorClass::ContextLength
                | ErrorClass::Refusal
                | ErrorClass::Auth
                | ErrorClass::Quota),
            ) => class,
            _ => ErrorClass::Config,
        },
        500..=599 => match words {
            Some(class @ (ErrorClass::ContextLength | ErrorClass::Rate)) => class,
            _ => ErrorClass::Server,
        },
        // 404 is a model or an address that does not exist; the rest are ours to set right too.
        _ => ErrorClass::Config,
    }
}

/// What words alone say; vendors use the same few.
fn classify_words(kind: &str, message: &str) -> Option<ErrorClass> {
    let text = format!("{kind} {message}").to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&[
        "context_length",
        "context length",
        "maximum context",
        "context window",
        "prompt is too long",
        "exceed_context",
        "too many tokens",
        "input token count",
        "request_too_large",
    ]) {
        Some(ErrorClass::ContextLength)
    } else if has(&[
        "insufficient_quota",
        "insufficient balance",
        "insufficient_balance",
        "billing",
        "credit balance",
        "exceeded your current quota",
        "spending limit",
        "requires more credits",
    ]) {
        Some(ErrorClass::Quota)
    } else if has(&[
        "rate_limit",
        "rate limit",
        "too many requests",
        "resource_exhausted",
        "overloaded",
    ]) {
        Some(ErrorClass::Rate)
    } else if has(&[
        "content_filter",
        "content_policy",
        "content management policy",
        "flagged",
        "moderation",
        "safety system",
    ]) {
        Some(ErrorClass::Refusal)
    } else if has(&[
        "invalid_api_key",
        "api key not valid",
        "api_key_invalid",
        "authentication",
        "unauthorized",
        "invalid api key",
        "incorrect api key",
        "permission",
    ]) {
        Some(ErrorClass::Auth)
    } else {
        None
    }
}

/// What the user reads: what happened, and what to do.
pub(crate) fn user_error(
    class: ErrorClass,
    model: &ModelRef,
    provider: Option<&Provider>,
) -> UserError {
    let name = provider.map_or(model.provider(), |provider| provider.name.as_str());
    let id = model.provider();
    let local = provider.is_some_and(|provider| provider.vendor.is_some_and(|vendor| vendor.local));
    let address = provider
        .map(|provider| provider.origin.to_string())
        .unwrap_or_default();
    let (message, next_step) = match class {
        ErrorClass::Auth => (
            format!("{name} refused the key."),
            format!("Set a valid key with `instar secrets set {id}` and try again."),
        ),
        ErrorClass::Quota => (
            format!("The account at {name} has no credit or quota left."),
            format!("Top it up at {name}, or add a fallback model in `agents.defaults.model.fallbacks`."),
        ),
        ErrorClass::Rate => (
            format!("{name} is limiting how often it is called."),
            "Wait a minute and try again, or add a fallback model in `agents.defaults.model.fallbacks`.".into(),
        ),
        ErrorClass::ContextLength => (
            format!("The conversation is longer than {model} can take."),
            "Send /compact to shorten it or /new to start afresh.".into(),
        ),
        ErrorClass::Refusal => (
            format!("{name} declined to answer this under its own rules."),
            "Say it differently, or choose another model with /model.".into(),
        ),
        ErrorClass::Network if local => (
            format!("No answer from {name} at {address}."),
            format!("Start {name}, or set `models.providers.{id}.baseUrl` to where it runs."),
        ),
        ErrorClass::Network => (
            format!("The connection to {name} failed."),
            "Check the network and try again; `instar models probe` tests the connection.".into(),
        ),
        ErrorClass::Server => (
            format!("{name} has a problem on its side."),
            "Try again in a minute, or add a fallback model in `agents.defaults.model.fallbacks`.".into(),
        ),
        ErrorClass::Malformed => (
            format!("{name} sent an answer that cannot be read."),
            format!("Check that `models.providers.{id}.api` names the wire format that it speaks; then try again."),
        ),
        ErrorClass::Timeout => (
            format!("{name} took too long to answer."),
            format!("Try again, or raise `models.providers.{id}.timeoutSeconds`."),
        ),
        ErrorClass::Budget => (
            "The spending limit is reached; no model was called.".into(),
            "Raise `models.budget` with `instar config set`, or wait until the period is over.".into(),
        ),
        ErrorClass::Cancelled => ("Stopped.".into(), "Send a message to go on.".into()),
        ErrorClass::Config if provider.is_none() => (
            format!("There is no model provider called {id}."),
            "Run `instar models list` to see the providers, and set one with `instar models set`.".into(),
        ),
        ErrorClass::Config => (
            format!("{name} did not accept the request for {model}."),
            format!(
                "Check the model's name with `instar models list`, and the key with `instar secrets set {id}`; the log has {name}'s own words."
            ),
        ),
        ErrorClass::Tool | ErrorClass::Storage | ErrorClass::Loop | ErrorClass::Internal => (
            "The call could not be made because of an error in Instar.".into(),
            "Look at `instar logs`, and report it if it happens again.".into(),
        ),
    };
    UserError {
        class,
        message,
        next_step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_words_of_the_vendors() {
        let cases: &[(u16, &str, ErrorClass)] = &[
            (
                401,
                r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                ErrorClass::Auth,
            ),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota"}}"#,
                ErrorClass::Quota,
            ),
            (
                429,
                r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#,
                ErrorClass::Rate,
            ),
            (
                400,
                r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#,
                ErrorClass::ContextLength,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
                ErrorClass::ContextLength,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
                ErrorClass::Quota,
            ),
            (
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                ErrorClass::Rate,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
                ErrorClass::Auth,
            ),
            (
                402,
                r#"{"error":{"message":"Insufficient Balance"}}"#,
                ErrorClass::Quota,
            ),
            (
                404,
                r#"{"error":"model 'x' not found"}"#,
                ErrorClass::Config,
            ),
            (
                400,
                r#"{"error":{"code":"content_filter","message":"flagged"}}"#,
                ErrorClass::Refusal,
            ),
            (503, "<html>upstream</html>", ErrorClass::Server),
            (413, "", ErrorClass::ContextLength),
            (504, "", ErrorClass::Timeout),
            (
                403,
                r#"{"error":{"message":"Country not supported"}}"#,
                ErrorClass::Auth,
            ),
        ];
        for (status, body, class) in cases {
            let failure = Failure::status(*status, body.as_bytes(), None, &[]);
            assert_eq!(failure.class, *class, "{status} {body}");
        }
    }
}
