//! Conversations: list, show, export, delete, restore, stop, rewind.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use instar_protocol::api::{
    Done, RenameSession, Rewind, SearchReport, SessionDetail, SessionInfo, SessionList,
};
use instar_protocol::session::SessionKey;
use instar_store::{Op, SessionPatch, SessionRow, StoreError};
use serde::Deserialize;

use super::input::{Asked, Strict};
use super::queries::{self, Export, QueryError, SessionsQuery};
use super::search::{self, SearchQuery};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// The longest title.
const TITLE_CHARS_MAX: usize = 80;

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<SessionsQuery>,
) -> Result<Json<SessionList>, ApiProblem> {
    let mut list = queries::sessions(&app.store, &query).await?;
    for session in &mut list.sessions {
        mark_running(&app, session);
    }
    Ok(Json(list))
}

/// Words in what was said.
pub(super) async fn search(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<SearchQuery>,
) -> Result<Json<SearchReport>, ApiProblem> {
    Ok(Json(search::search(&app.store, &query).await?))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Asked(query): Asked<ShowQuery>,
) -> Result<Json<SessionDetail>, ApiProblem> {
    let mut detail = queries::session_detail(&app.store, &name, query.limit).await?;
    mark_running(&app, &mut detail.session);
    Ok(Json(detail))
}

/// The conversation as JSON lines, read from the store as the connection takes them.
pub(super) async fn export(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    let disposition = format!("attachment; filename=\"{}.jsonl\"", file_stem(&row));
    let lines = futures_util::stream::unfold(
        Some(Export::new(app.store.clone(), row)),
        |export| async move {
            let mut export = export?;
            match export.next().await {
                Ok(Some(lines)) => Some((Ok(lines), Some(export))),
                Ok(None) => None,
                // The reader sees a cut body, not a file that looks whole.
                Err(error) => Some((Err(error), None)),
            }
        },
    );
    let mut response = Response::new(Body::from_stream(lines));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jsonl; charset=utf-8"),
    );
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Takes the conversation out of sight; maintenance removes it later.
pub(super) async fn delete(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    if row.deleted_at.is_some() {
        return Ok(unchanged());
    }
    delete_session(&app, row).await?;
    Ok(changed())
}

/// Ends what runs in a conversation and takes it out of sight.
pub(crate) async fn delete_session(app: &AppState, row: SessionRow) -> Result<(), StoreError> {
    // A running turn would write into a conversation that is gone.
    let _was_running = app.sessions.stop(&row.key).await;
    let op = Op::DeleteSession {
        id: row.id,
        at: app.clock.now(),
    };
    app.store.commit(vec![op]).await?;
    app.sessions.refresh(&row.key).await;
    Ok(())
}

/// Gives the conversation another title.
pub(super) async fn rename(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Strict(to): Strict<RenameSession>,
) -> Result<Json<Done>, ApiProblem> {
    let title = to.title.trim();
    let plain = !title.chars().any(char::is_control);
    if title.is_empty() || title.chars().count() > TITLE_CHARS_MAX || !plain {
        return Err(ApiProblem::invalid(format!(
            "title: 1 to {TITLE_CHARS_MAX} characters on one line"
        )));
    }
    let row = queries::find_session(&app.store, &name).await?;
    if row.title.as_deref() == Some(title) {
        return Ok(unchanged());
    }
    let patch = SessionPatch {
        title: Some(title.to_owned()),
        ..SessionPatch::default()
    };
    let op = Op::PatchSession { id: row.id, patch };
    app.store.commit(vec![op]).await?;
    app.sessions.refresh(&row.key).await;
    Ok(changed())
}

pub(super) async fn restore(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let row = find_deleted(&app, &name).await?;
    if row.deleted_at.is_none() {
        return Ok(unchanged());
    }
    app.store
        .commit(vec![Op::RestoreSession { id: row.id }])
        .await?;
    app.sessions.refresh(&row.key).await;
    Ok(changed())
}

pub(super) async fn stop(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let key = match SessionKey::parse(&name) {
        Ok(key) => key,
        Err(_) => queries::find_session(&app.store, &name).await?.key,
    };
    if app.sessions.stop(&key).await {
        Ok(changed())
    } else {
        Ok(unchanged())
    }
}

/// Goes back to an entry: the next message follows it. What came after it stays stored.
pub(super) async fn rewind(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    Strict(to): Strict<Rewind>,
) -> Result<Json<Done>, ApiProblem> {
    let row = queries::find_session(&app.store, &name).await?;
    let changed = app.sessions.rewind(&row.id, to.entry.as_ref()).await?;
    Ok(Json(Done { ok: true, changed }))
}

/// A deleted conversation by id, or the one under a key that was deleted last.
async fn find_deleted(app: &AppState, name: &str) -> Result<SessionRow, ApiProblem> {
    match queries::find_session(&app.store, name).await {
        Err(QueryError::NotFound { what, name }) => {
            let query = SessionsQuery {
                search: Some(name.clone()),
                deleted: true,
                limit: Some(queries::PAGE_MAX),
                ..SessionsQuery::default()
            };
            let key = SessionKey::parse(&name).map_or(name.clone(), |key| key.to_string());
            let list = queries::sessions(&app.store, &query).await?;
            let found = list.sessions.into_iter().find(|session| session.key == key);
            match found {
                Some(session) => Ok(queries::find_session(&app.store, session.id.as_str()).await?),
                None => Err(QueryError::NotFound { what, name }.into()),
            }
        }
        other => Ok(other?),
    }
}

pub(crate) fn mark_running(app: &AppState, session: &mut SessionInfo) {
    session.running =
        SessionKey::parse(&session.key).is_ok_and(|key| app.sessions.is_running(&key));
}

/// The session's id, which the gateway made: plain in any header.
fn file_stem(row: &SessionRow) -> String {
    row.id
        .as_str()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect()
}

fn changed() -> Json<Done> {
    Json(Done {
        ok: true,
        changed: true,
    })
}

fn unchanged() -> Json<Done> {
    Json(Done {
        ok: true,
        changed: false,
    })
}
