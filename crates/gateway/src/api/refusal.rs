//! What this API's own rooms refuse, as a refusal for its callers.

use super::media::MediaError;
use super::queries::QueryError;
use crate::problem::ApiProblem;

impl From<QueryError> for ApiProblem {
    fn from(error: QueryError) -> Self {
        let step = error.next_step();
        let problem = match error {
            QueryError::NotFound { .. } | QueryError::Nothing(_) => {
                Self::not_found(error.to_string())
            }
            QueryError::Conflict(why) => Self::conflict(why),
            QueryError::Invalid { .. } => Self::invalid(error.to_string()),
            QueryError::Store(error) => error.into(),
            QueryError::Release(error) => error.into(),
        };
        match step {
            Some(step) => problem.next(step),
            None => problem,
        }
    }
}

impl From<MediaError> for ApiProblem {
    fn from(error: MediaError) -> Self {
        Self::invalid(format!("attachments: {error}"))
    }
}
