//! `/faults` and `/lab`: what goes wrong, and the cycles that find it out. Everybody who may read reads;
//! the owner alone changes the register and starts a cycle.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::fault::FaultEdit;
use instar_protocol::lab::{Foreign, Takeover};
use serde::{Deserialize, Serialize};

use super::input::{Asked, PageQuery, Strict};
use super::queries::{PAGE, PAGE_MAX, QueryError, page};
use crate::app::AppState;
use crate::auth::Caller;
use crate::lab::{self, Cycle, EditView, FaultView, LabError, Likeness, MergeWord};
use crate::problem::ApiProblem;

/// What a cycle is asked for.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RunAsked {
    /// Also when the machine is busy.
    pub at_any_load: bool,
}

pub(super) async fn all(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<FaultView>>, ApiProblem> {
    Ok(Json(lab::list(&app.store).await?))
}

pub(super) async fn one(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<FaultView>, ApiProblem> {
    Ok(Json(lab::one(&app.store, &name).await?))
}

pub(super) async fn edits(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<EditView>>, ApiProblem> {
    let limit = page("limit", query.limit, PAGE, PAGE_MAX)?;
    Ok(Json(lab::edits(&app.store, limit).await?))
}

pub(super) async fn edit(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<FaultEdit>,
) -> Result<Json<FaultView>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(lab::edit(&app.store, asked, app.clock.now()).await?))
}

pub(super) async fn run(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<RunAsked>,
) -> Result<Json<Cycle>, ApiProblem> {
    owner(&caller)?;
    match Box::pin(lab::cycle(&app, asked.at_any_load)).await {
        Ok(cycle) => Ok(Json(cycle)),
        Err(LabError::Busy) => Err(ApiProblem::conflict("a cycle of the lab is under way")
            .next("wait for it: `instar lab log`")),
        Err(LabError::Store(error)) => Err(QueryError::from(error).into()),
    }
}

pub(super) async fn log(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<Cycle>>, ApiProblem> {
    let limit = page("limit", query.limit, PAGE, PAGE_MAX)?;
    Ok(Json(
        lab::log(&app.store, limit)
            .await
            .map_err(QueryError::from)?,
    ))
}

pub(super) async fn merges(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<Likeness>>, ApiProblem> {
    Ok(Json(lab::merges(&app.store).await?))
}

pub(super) async fn merge_word(
    State(app): State<AppState>,
    caller: Caller,
    Strict(word): Strict<MergeWord>,
) -> Result<Json<Option<FaultView>>, ApiProblem> {
    owner(&caller)?;
    let now = app.clock.now();
    Ok(Json(lab::merge_word(&app.store, word, now).await?))
}

pub(super) async fn ledger(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<lab::Ledger>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(lab::ledger(&app.store, &app.releases).await?))
}

pub(super) async fn foreign(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<Foreign>>, ApiProblem> {
    Ok(Json(lab::foreign(&app.store).await?))
}

pub(super) async fn take_over(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Takeover>,
) -> Result<Json<usize>, ApiProblem> {
    owner(&caller)?;
    let now = app.clock.now();
    Ok(Json(lab::take_over(&app.store, asked, now).await?))
}

pub(super) async fn forget(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<usize>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(lab::forget(&app.store).await?))
}

fn owner(caller: &Caller) -> Result<(), ApiProblem> {
    super::owner::alone(
        caller,
        "only the owner changes the register of faults and starts the lab",
    )
}
