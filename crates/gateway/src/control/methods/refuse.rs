//! Refusals of the house in the words of the protocol.

use instar_agent::{RewindError, SubmitError};
use instar_config::ConfigError;
use instar_release::ReleaseError;
use instar_store::StoreError;

use crate::api::media::MediaError;
use crate::api::queries::QueryError;
use crate::control::method::Refusal;
use crate::problem::ApiProblem;

impl From<ApiProblem> for Refusal {
    fn from(problem: ApiProblem) -> Self {
        let text = match &problem.next_step {
            Some(step) => format!("{}; {step}", problem.message),
            None => problem.message.clone(),
        };
        if problem.status.is_server_error() || problem.retry_after.is_some() {
            Self::unavailable(text)
        } else {
            Self::invalid(text)
        }
    }
}

macro_rules! like_the_api {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                ApiProblem::from(error).into()
            }
        }
    )*};
}

like_the_api!(
    StoreError,
    SubmitError,
    RewindError,
    ReleaseError,
    QueryError,
    MediaError
);

impl From<ConfigError> for Refusal {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Changed { .. } => {
                Self::invalid("config changed since last load; re-run config.get and retry")
            }
            ConfigError::Invalid(problems) => {
                let told: Vec<String> = problems.iter().map(told).collect();
                Self::invalid(format!("invalid config: {}", told.join("; ")))
            }
            ConfigError::Read { .. } | ConfigError::Write { .. } | ConfigError::State(_) => {
                Self::unavailable(crate::problem::chain(&error))
            }
            ConfigError::UnknownKey { .. }
            | ConfigError::Path(_)
            | ConfigError::Uneditable { .. } => Self::invalid(error.to_string()),
        }
    }
}

/// A problem without the path of its file.
fn told(problem: &instar_config::Problem) -> String {
    let mut text = format!("{}: {}", problem.path, problem.message);
    for more in [&problem.expected, &problem.hint].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    text
}
