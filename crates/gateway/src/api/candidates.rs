//! `/candidates`: releases that nothing serves yet. Everybody who may read reads them; the owner alone
//! makes one and takes one back. None of it changes what any turn is served.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::{Label, Timestamp};
use instar_release::{Candidate, Listed, Proposal, Releases, read_deltas};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::{Asked, PageQuery, Strict};
use super::queries::{PAGE, PAGE_MAX, QueryError, missing_release, page};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// A candidate as it is handed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCandidate {
    /// The release that it changes: an id, the beginning of one, `stable` or `stable~1`.
    #[serde(default = "stable")]
    pub from: String,
    /// One delta, or a list of them.
    pub deltas: Value,
    #[serde(default)]
    pub reason: String,
}

fn stable() -> String {
    instar_release::STABLE.to_owned()
}

/// The newest first.
pub async fn list(releases: &Releases, limit: Option<usize>) -> Result<Vec<Listed>, QueryError> {
    let limit = page("limit", limit, PAGE, PAGE_MAX)?;
    releases.candidates(limit).await.map_err(missing_release)
}

/// One by its id or the beginning of it.
pub async fn one(releases: &Releases, name: &str) -> Result<Candidate, QueryError> {
    releases.candidate(name).await.map_err(missing_release)
}

/// Stores a candidate of the owner's.
pub async fn new(
    releases: &Releases,
    asked: NewCandidate,
    now: Timestamp,
) -> Result<Candidate, QueryError> {
    let proposal = Proposal {
        from: asked.from,
        deltas: read_deltas(asked.deltas).map_err(missing_release)?,
        proposer: "owner".to_owned(),
        reason: asked.reason,
        evidence: Label::owner(),
        sources: Vec::new(),
    };
    let made = releases.propose(proposal, now).await;
    made.map_err(missing_release)
}

pub async fn withdraw(
    releases: &Releases,
    name: &str,
    now: Timestamp,
) -> Result<Candidate, QueryError> {
    let withdrawn = releases.withdraw(name, now).await;
    withdrawn.map_err(missing_release)
}

pub(super) async fn all(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<Listed>>, ApiProblem> {
    Ok(Json(list(&app.releases, query.limit).await?))
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Candidate>, ApiProblem> {
    Ok(Json(one(&app.releases, &name).await?))
}

pub(super) async fn make(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<NewCandidate>,
) -> Result<Json<Candidate>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(new(&app.releases, asked, app.clock.now()).await?))
}

pub(super) async fn take_back(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Candidate>, ApiProblem> {
    owner(&caller)?;
    let now = app.clock.now();
    Ok(Json(withdraw(&app.releases, &name, now).await?))
}

/// What stands in a candidate counts as the owner's own text.
fn owner(caller: &Caller) -> Result<(), ApiProblem> {
    super::owner::alone(caller, "only the owner can make or withdraw a candidate")
}
