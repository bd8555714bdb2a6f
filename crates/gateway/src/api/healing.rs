//! `/healing`: trials of fixes, the case that choices are made from, and recipes of the owner's. Everybody
//! who may read reads; the owner alone brings and bans recipes.

use axum::Json;
use axum::extract::State;
use instar_protocol::lab::Case;
use instar_protocol::{AgentId, Timestamp};
use instar_release::{Candidate, Releases};
use instar_store::Store;
use serde::{Deserialize, Serialize};

use super::input::{Asked, Strict};
use super::queries::{QueryError, missing_release};
use crate::app::AppState;
use crate::auth::Caller;
use crate::healing::{self, GeneAsked, HealingError, Rehearsal, Rehearsed, TrialView};
use crate::lab;
use crate::problem::ApiProblem;

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CaseQuery {
    agent: Option<String>,
}

impl From<HealingError> for QueryError {
    fn from(error: HealingError) -> Self {
        match error {
            HealingError::Store(error) => Self::Store(error),
            HealingError::Release(error) => missing_release(error),
        }
    }
}

pub async fn list(store: &Store) -> Result<Vec<TrialView>, QueryError> {
    Ok(healing::trials(store).await?)
}

pub async fn told(store: &Store, releases: &Releases, agent: &str) -> Result<Case, QueryError> {
    Ok(healing::case(store, releases, agent).await?)
}

pub async fn kept(
    house: (&Store, &Releases),
    asked: GeneAsked,
    now: Timestamp,
) -> Result<GeneAsked, QueryError> {
    healing::keep_gene(house, asked, now).await
}

pub(super) async fn trials(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<TrialView>>, ApiProblem> {
    healing::fold(&app).await.map_err(QueryError::from)?;
    Ok(Json(list(&app.store).await?))
}

pub(super) async fn case(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<CaseQuery>,
) -> Result<Json<Case>, ApiProblem> {
    let agent = query.agent.unwrap_or_else(|| AgentId::main().to_string());
    let case = healing::case_here(&app, &agent).await;
    Ok(Json(case.map_err(QueryError::from)?))
}

/// Which recipe is to be tried about which fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trying {
    /// The id of a fault or the beginning of it.
    pub fault: String,
    /// The recipe; without one, the one that is believed in most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

pub(super) async fn attempt(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Trying>,
) -> Result<Json<Candidate>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden("only the owner puts fixes on trial"));
    }
    let agent = asked.agent.unwrap_or_else(|| AgentId::main().to_string());
    let made = lab::attempt(&app, &asked.fault, asked.gene.as_deref(), &agent);
    Ok(Json(made.await?))
}

pub(super) async fn rehearse(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Rehearsal>,
) -> Result<Json<Rehearsed>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden("only the owner rehearses fixes"));
    }
    Ok(Json(healing::rehearse(&app, asked).await?))
}

pub(super) async fn gene(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<GeneAsked>,
) -> Result<Json<GeneAsked>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden(
            "only the owner brings recipes and bans them",
        ));
    }
    let house = (&app.store, &app.releases);
    Ok(Json(kept(house, asked, app.clock.now()).await?))
}
