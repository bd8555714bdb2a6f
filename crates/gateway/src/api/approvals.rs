//! `/approvals` and `/rules`: what waits for the owner, the owner's answer, and what was kept of it.
//!
//! Whoever has a credential may look. Only the owner in person answers, and names the digest of what
//! was shown to him: an answer to anything else is refused.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use instar_agent::{AnswerError, Asking, Letters, Said};
use instar_protocol::api::Done;
use instar_protocol::approval::Question;
use instar_protocol::approvals::{
    AnswerQuestion, OwnersWord, QuestionList, RuleList, ShownQuestion,
};
use instar_protocol::letter::Letter;
use instar_protocol::{QuestionId, RuleId};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::input::{Asked, Strict, WantsStream};
use super::records::{self, QuestionsQuery};
use super::sse::{self, Source};
use crate::app::AppState;
use crate::auth::Caller;
use crate::policing;
use crate::problem::ApiProblem;

impl From<AnswerError> for ApiProblem {
    fn from(error: AnswerError) -> Self {
        let text = error.to_string();
        match error {
            AnswerError::Unknown(_) => {
                Self::not_found(text).next("`instar approvals list` shows those that wait")
            }
            AnswerError::Settled { .. } => {
                Self::conflict(text).next("`instar approvals list --all` shows what became of it")
            }
            AnswerError::TooLate(_) => {
                Self::conflict(text).next("let the agent ask again, and answer sooner")
            }
            AnswerError::NotOffered(_) => Self::invalid(text),
            AnswerError::Store(error) => error.into(),
        }
    }
}

fn owner(caller: &Caller) -> Result<&'static str, ApiProblem> {
    super::owner::present(
        caller,
        "the API token alone answers no questions and revokes no rules",
        "use the approvals page of a signed-in browser, or `instar approvals` on this machine",
    )
}

/// The questions; as a stream: how many are open, letters included, now and whenever that changes.
pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    WantsStream(stream): WantsStream,
    Asked(query): Asked<QuestionsQuery>,
) -> Result<Response, ApiProblem> {
    if stream {
        return Ok(sse::response(Waiting::of(&app)));
    }
    let now = app.clock.now();
    let found = records::questions(&app.store, &query, now).await?;
    let agreed = policing::often_agreed(&app.store, &super::in_force(&app), now).await?;
    Ok(Json(QuestionList { agreed, ..found }).into_response())
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<ShownQuestion>, ApiProblem> {
    let question = asked(&app, &QuestionId::from_stored(id)).await?;
    Ok(Json(ShownQuestion::of(&question)))
}

pub(super) async fn answer(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(given): Strict<AnswerQuestion>,
) -> Result<Json<ShownQuestion>, ApiProblem> {
    let by = owner(&caller)?;
    let id = QuestionId::from_stored(id);
    if asked(&app, &id).await?.digest != given.digest {
        return Err(ApiProblem::conflict(
            "this is not the answer to what is asked: the digest is another",
        )
        .next("look at the question again, and answer what it shows"));
    }
    let answered = said(&app, &id, given.answer, by).await?;
    Ok(Json(ShownQuestion::of(&answered)))
}

/// Takes the owner's answer from whichever face it came.
pub(crate) async fn said(
    app: &AppState,
    id: &QuestionId,
    word: OwnersWord,
    by: &str,
) -> Result<Question, AnswerError> {
    let said = Said {
        approved: word.is_yes(),
        by: by.to_owned(),
        always: word.keeps_a_rule(),
        pinned: word == OwnersWord::Pinned,
    };
    let (app, id) = (app.clone(), id.clone());
    let work = app.tasks.clone();
    // The answer is stored as a whole, also when who gave it goes away meanwhile.
    let answered = work.spawn(async move { app.sessions.asking().answer(&id, said).await });
    match answered.await {
        Ok(answered) => answered,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

pub(crate) async fn asked(app: &AppState, id: &QuestionId) -> Result<Question, AnswerError> {
    let found = app.store.question(id).await?;
    found.ok_or_else(|| AnswerError::Unknown(id.clone()))
}

pub(super) async fn rules(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<RuleList>, ApiProblem> {
    Ok(Json(records::rules(&app.store, app.clock.now()).await?))
}

pub(super) async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let by = owner(&caller)?;
    let id = RuleId::from_stored(id);
    let changed = app.sessions.asking().revoke(&id, by).await?;
    if !changed && app.store.rule(&id).await?.is_none() {
        return Err(ApiProblem::not_found(format!("there is no rule {id}"))
            .next("`instar approvals rules` shows those that there are"));
    }
    Ok(Json(Done { ok: true, changed }))
}

/// How many questions are open, as a stream.
struct Waiting {
    asking: Asking,
    changes: broadcast::Receiver<Arc<Question>>,
    letters: Letters,
    left: broadcast::Receiver<Arc<Letter>>,
    closing: CancellationToken,
    is_told: bool,
}

impl Waiting {
    fn of(app: &AppState) -> Self {
        let asking = app.sessions.asking().clone();
        let letters = app.sessions.letters().clone();
        Self {
            // Before the first look, so that no change falls between.
            changes: asking.watch(),
            asking,
            left: letters.watch(),
            letters,
            closing: app.closing.clone(),
            is_told: false,
        }
    }

    async fn advance(&mut self) -> Option<Bytes> {
        if self.is_told {
            tokio::select! {
                changed = self.changes.recv() => match changed {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                left = self.left.recv() => match left {
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                },
                () = self.closing.cancelled() => return None,
            }
        }
        self.is_told = true;
        let open = self.asking.open().await.ok()?;
        let letters = self.letters.open().await.ok()?;
        let asked = open.iter().map(|question| question.id.as_str());
        let ids: Vec<&str> = asked
            .chain(letters.iter().map(|letter| letter.id.as_str()))
            .collect();
        let told = json!({ "open": ids.len(), "ids": ids });
        Some(sse::event(Some("waiting"), None, &told))
    }
}

impl Source for Waiting {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}
