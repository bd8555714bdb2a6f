//! `/inbox`: what agents left for the owner, and what he says to it.
//!
//! Whoever has a credential may look. Only the owner in person answers: what is typed here is his word
//! in the conversation that asked.

use axum::Json;
use axum::extract::{Path, State};
use instar_agent::LetterError;
use instar_protocol::LetterId;
use instar_protocol::letter::{AnswerLetter, Letter, LetterList, Said, ShownLetter};

use super::input::{Asked, Strict};
use super::records::{self, LettersQuery};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

impl From<LetterError> for ApiProblem {
    fn from(error: LetterError) -> Self {
        let text = error.to_string();
        match error {
            LetterError::Unknown(_) => {
                Self::not_found(text).next("`instar inbox list` shows what waits")
            }
            LetterError::Settled { .. } => {
                Self::conflict(text).next("`instar inbox list --all` shows what became of it")
            }
            LetterError::TooLate(_) => {
                Self::conflict(text).next("say it in the conversation itself")
            }
            LetterError::Invalid(_) => Self::invalid(text),
            LetterError::Full => Self::conflict(text).next("`instar inbox list` shows what waits"),
            LetterError::Store(error) => error.into(),
        }
    }
}

fn owner(caller: &Caller) -> Result<&'static str, ApiProblem> {
    super::owner::present(
        caller,
        "the API token alone answers nothing in the owner's name",
        "use the approvals page of a signed-in browser, or `instar inbox` on this machine",
    )
}

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<LettersQuery>,
) -> Result<Json<LetterList>, ApiProblem> {
    let now = app.clock.now();
    Ok(Json(records::letters(&app.store, &query, now).await?))
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownLetter>, ApiProblem> {
    let letter = letter(&app, &LetterId::from_stored(id)).await?;
    Ok(Json(ShownLetter::of(&letter)))
}

pub(super) async fn answer(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(given): Strict<AnswerLetter>,
) -> Result<Json<ShownLetter>, ApiProblem> {
    let by = owner(&caller)?;
    let said = given.said().ok_or_else(|| {
        ApiProblem::invalid("an answer is a text, or the number of an option that is offered")
    })?;
    let id = LetterId::from_stored(id);
    let answered = replied(&app, &id, Some(said), by).await?;
    Ok(Json(ShownLetter::of(&answered)))
}

pub(super) async fn close(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownLetter>, ApiProblem> {
    let by = owner(&caller)?;
    let closed = replied(&app, &LetterId::from_stored(id), None, by).await?;
    Ok(Json(ShownLetter::of(&closed)))
}

/// Takes what the owner says to a letter, from whichever face it came; nothing puts it aside.
pub(crate) async fn replied(
    app: &AppState,
    id: &LetterId,
    said: Option<Said>,
    by: &str,
) -> Result<Letter, LetterError> {
    let (app, id, by) = (app.clone(), id.clone(), by.to_owned());
    let work = app.tasks.clone();
    // It is stored as a whole, also when who gave it goes away meanwhile.
    let done = work.spawn(async move {
        let letters = app.sessions.letters();
        match said {
            Some(said) => letters.answer(&id, said, &by).await,
            None => letters.close(&id).await,
        }
    });
    match done.await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(crate) async fn letter(app: &AppState, id: &LetterId) -> Result<Letter, LetterError> {
    let found = app.store.letter(id).await?;
    found.ok_or_else(|| LetterError::Unknown(id.clone()))
}
