//! `/memory`: what an agent keeps in mind, and what a candidate noted that was taken back.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::amend::{NoteEdit, NoteEdits};
use instar_protocol::api::Done;
use instar_protocol::memory::{MemoryFiles, MemoryFound, MemoryText, Quarantine};
use instar_protocol::{AgentId, Readers};
use instar_tools::files::FileError;
use instar_tools::memory::RESULTS_MAX;
use serde::Deserialize;

use super::input::Asked;
use super::owner;
use super::search::TEXT_BYTES_MAX;
use crate::app::{App, AppState};
use crate::auth::Caller;
use crate::hands::AmendError;
use crate::problem::ApiProblem;

/// Results when nobody says how many.
const RESULTS: usize = 6;

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Whose {
    agent: Option<AgentId>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    #[serde(default)]
    agent: Option<AgentId>,
    path: String,
}

/// What is looked for. Also the parameters of the socket's `memory.search`.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemoryQuery {
    pub(crate) query: String,
    #[serde(default)]
    pub(crate) agent: Option<AgentId>,
    #[serde(default)]
    pub(crate) limit: Option<usize>,
}

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<Whose>,
) -> Result<Json<MemoryFiles>, ApiProblem> {
    let agent = agent(&app, query.agent)?;
    Ok(Json(app.memory.listed(&agent).await?))
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<Wanted>,
) -> Result<Json<MemoryText>, ApiProblem> {
    let agent = agent(&app, query.agent)?;
    Ok(Json(app.memory.shown(&agent, &query.path).await?))
}

pub(super) async fn search(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<MemoryQuery>,
) -> Result<Json<MemoryFound>, ApiProblem> {
    Ok(Json(found(&app, query).await?))
}

/// Notes with these words, the best fit first, for their owner.
pub(crate) async fn found(app: &App, query: MemoryQuery) -> Result<MemoryFound, ApiProblem> {
    let text = query.query.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(ApiProblem::invalid(format!(
            "query is 1 to {TEXT_BYTES_MAX} bytes"
        )));
    }
    let limit = query.limit.unwrap_or(RESULTS);
    if !(1..=RESULTS_MAX).contains(&limit) {
        return Err(ApiProblem::invalid(format!("limit is 1 to {RESULTS_MAX}")));
    }
    let agent = agent(app, query.agent)?;
    let found = app
        .memory
        .find(&agent, None, &Readers::Private, (text, limit));
    let (results, ..) = found.await?;
    Ok(MemoryFound {
        agent_id: agent,
        provider: "none".to_owned(),
        search_mode: "fts-only".to_owned(),
        results,
    })
}

pub(super) async fn quarantine(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Quarantine>, ApiProblem> {
    Ok(Json(app.memory.quarantine().await?))
}

pub(super) async fn restore(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    present(&caller)?;
    done(app.memory.restore(&id).await?, &id)
}

pub(super) async fn forget(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    present(&caller)?;
    done(app.memory.forget(&id).await?, &id)
}

pub(super) async fn edits(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<NoteEdits>, ApiProblem> {
    let edits = app.store.note_edits().await?;
    Ok(Json(NoteEdits { edits }))
}

pub(super) async fn accept(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NoteEdit>, ApiProblem> {
    let who = decides(&caller)?;
    Ok(Json(app.memory.accept(&id, who).await?))
}

pub(super) async fn refuse(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NoteEdit>, ApiProblem> {
    let who = decides(&caller)?;
    Ok(Json(app.memory.refuse(&id, who).await?))
}

pub(super) async fn undo(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<NoteEdit>, ApiProblem> {
    let who = decides(&caller)?;
    Ok(Json(app.memory.undo(&id, who).await?))
}

fn decides(caller: &Caller) -> Result<&'static str, ApiProblem> {
    owner::present(
        caller,
        "only the owner in person decides about proposed corrections of notes",
        "run `instar memory edit list` on the machine of the gateway",
    )
}

fn present(caller: &Caller) -> Result<(), ApiProblem> {
    owner::present(
        caller,
        "only the owner in person decides about notes in quarantine",
        "run `instar memory quarantine list` on the machine of the gateway",
    )
    .map(drop)
}

fn done(changed: bool, id: &str) -> Result<Json<Done>, ApiProblem> {
    match changed {
        true => Ok(Json(Done { ok: true, changed })),
        false => Err(
            ApiProblem::not_found(format!("there is no note {id} in quarantine"))
                .next("`instar memory quarantine list` shows those that there are"),
        ),
    }
}

fn agent(app: &App, named: Option<AgentId>) -> Result<AgentId, ApiProblem> {
    let agent = named.unwrap_or_else(|| app.default_agent());
    if app.config.current().value.agent_config().has_agent(&agent) {
        return Ok(agent);
    }
    Err(ApiProblem::not_found(format!("there is no agent {agent}"))
        .next("`instar agents list` shows those that there are"))
}

impl From<AmendError> for ApiProblem {
    fn from(error: AmendError) -> Self {
        let next = "`instar memory edit list` shows what is proposed, and what became of it";
        match error {
            AmendError::Missing(_) => Self::not_found(error.to_string()).next(next),
            AmendError::File(error) => error.into(),
            AmendError::Store(error) => error.into(),
            AmendError::State(_) | AmendError::Stale | AmendError::Full(_) => {
                Self::conflict(error.to_string()).next(next)
            }
        }
    }
}

impl From<FileError> for ApiProblem {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Missing(path) => {
                Self::not_found(format!("there is no {path} among the notes"))
                    .next("`instar memory list` shows those that there are")
            }
            error => Self::conflict(error.to_string()),
        }
    }
}
