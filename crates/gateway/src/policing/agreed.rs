//! When another posture is worth a look.

use instar_policy::{Authority, Posture};
use instar_protocol::Timestamp;
use instar_store::Store;
use std::time::Duration;

use crate::api::queries::QueryError;
use crate::api::records::{QuestionsQuery, questions};

/// So many of the newest answers are looked at.
const ANSWERS: usize = 50;
/// So many times "yes" within a week is often.
const OFTEN: usize = 5;
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// How many questions the owner said yes to within a week, if they are many and the posture is the one
/// that asks about every effect. Another posture is offered by this and never chosen.
pub async fn often_agreed(
    store: &Store,
    authority: &Authority,
    now: Timestamp,
) -> Result<Option<usize>, QueryError> {
    if authority.posture != Posture::Careful {
        return Ok(None);
    }
    let query = QuestionsQuery {
        state: Some("answered".to_owned()),
        limit: Some(ANSWERS),
    };
    let found = questions(store, &query, now).await?;
    let answers = found.questions.iter().filter_map(|one| one.answer.as_ref());
    let agreed = answers.filter(|answer| answer.approved && now.since(answer.at) < WEEK);
    Ok(Some(agreed.count()).filter(|count| *count >= OFTEN))
}
