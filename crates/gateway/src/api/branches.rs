//! Ways on from what was said: the branches of a conversation, another answer, a conversation of its
//! own. A message written anew is `POST /messages` with a `parent`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use instar_agent::RewindError;
use instar_protocol::api::{BranchList, Done, ForkSession, ForkedSession, Retry, Switch};
use instar_protocol::message::{Entry, EntryBody, Inbound, Place, plain_text};
use instar_protocol::session::SessionKey;
use instar_protocol::{EntryId, SessionId};
use instar_store::SessionRow;
use serde::Deserialize;

use super::input::{Asked, Strict, WantsStream};
use super::messages::{self, Keys, Sent};
use super::queries;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// A conversation, and an entry of it.
pub(crate) async fn entry_of(
    app: &AppState,
    session: &str,
    entry: &str,
) -> Result<(SessionRow, Entry), ApiProblem> {
    let row = queries::find_session(&app.store, session).await?;
    let id = EntryId::from_stored(entry);
    let found = app.store.branch(&row.id, Some(id.clone()), 1).await?;
    let entry = found
        .into_iter()
        .find(|entry| entry.id == id && entry.session == row.id)
        .ok_or(RewindError::UnknownEntry(id))?;
    Ok((row, entry))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<BranchList>, ApiProblem> {
    Ok(Json(
        queries::branches(&app.store, &name, query.limit).await?,
    ))
}

/// Goes over to the newest branch through an entry: the next message follows its end.
pub(super) async fn switch(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Strict(to): Strict<Switch>,
) -> Result<Json<Done>, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    let changed = app.sessions.switch(&row.id, &to.entry).await?;
    Ok(Json(Done { ok: true, changed }))
}

/// Has a message answered once more. The first answer stays stored.
pub(super) async fn retry(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
    WantsStream(stream): WantsStream,
    Strict(asked): Strict<Retry>,
) -> Result<Response, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    let inbound = again(&app, &caller, &row, asked)?;
    messages::submit(&app, inbound, stream).await
}

/// The message that has another answered once more.
pub(crate) fn again(
    app: &AppState,
    caller: &Caller,
    row: &SessionRow,
    asked: Retry,
) -> Result<Inbound, ApiProblem> {
    // Whoever may not write into a conversation may not have it go on either.
    let session_key = messages::session_key(app, Keys::of(caller), Some(row.key.as_str()))?;
    let sent = Sent {
        session_key,
        idempotency_key: asked.idempotency_key,
        model: asked.model,
        place: Some(Place::Again { entry: asked.entry }),
    };
    messages::plain(app, caller, sent)
}

/// Makes a conversation of its own of a branch.
pub(super) async fn fork(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Strict(asked): Strict<ForkSession>,
) -> Result<Json<ForkedSession>, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    let forked = fork_session(&app, &row, &asked.entry).await?;
    let text = forked.cut_before.as_ref().map(text_of);
    Ok(Json(ForkedSession {
        id: forked.id,
        key: forked.key.to_string(),
        text,
    }))
}

/// A conversation that was made of a branch.
pub(crate) struct Forked {
    pub(crate) id: SessionId,
    pub(crate) key: SessionKey,
    /// The message that the branch was cut before.
    pub(crate) cut_before: Option<Entry>,
}

/// Copies a branch into a conversation under a key of its own, below the same agent.
pub(crate) async fn fork_session(
    app: &AppState,
    row: &SessionRow,
    entry: &EntryId,
) -> Result<Forked, ApiProblem> {
    let tail = hex::encode(app.random());
    let key = SessionKey::under(&row.agent, &["fork", &tail])
        .map_err(|error| ApiProblem::invalid(error.to_string()))?;
    let forked = app
        .sessions
        .fork(&row.id, entry, &key)
        .await
        .map_err(|error: RewindError| ApiProblem::from(error))?;
    Ok(Forked {
        id: forked.session,
        key,
        cut_before: forked.cut_before,
    })
}

pub(crate) fn text_of(entry: &Entry) -> String {
    match &entry.body {
        EntryBody::User { parts, .. } => plain_text(parts),
        _ => String::new(),
    }
}
