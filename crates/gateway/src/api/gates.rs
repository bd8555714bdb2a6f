//! What the gates say of a candidate, the owner's yes, and going back to an earlier release. Everybody
//! who may read reads the table; the owner alone asks, approves, rebases and goes back.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::ReleaseId;
use instar_release::Candidate;
use instar_release::gate::Table;
use serde::{Deserialize, Serialize};

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::gates;
use crate::problem::ApiProblem;

/// Where the owner's yes comes from: his own devices, never a conversation.
const OWNER: &str = "owner";
/// The longest reason for going back.
const REASON_BYTES_MAX: usize = 1_000;

/// Going back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RollBack {
    /// A release that was stable before, by any of its names; the last one if nothing is said.
    pub to: Option<String>,
    pub reason: String,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolledBack {
    pub from: ReleaseId,
    pub to: ReleaseId,
}

pub(super) async fn table(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Table>, ApiProblem> {
    Ok(Json(gates::table(&app, &name).await?))
}

pub(super) async fn check(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Table>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(gates::check(&app, &name).await?))
}

pub(super) async fn approve(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Table>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(approved(&app, &name).await?))
}

/// The owner says yes.
pub(crate) async fn approved(app: &AppState, name: &str) -> Result<Table, ApiProblem> {
    let (asked, owners) = (gates::asked(app), gates::owners(app));
    let approved = app.releases.approve_candidate(name, OWNER, &owners, asked);
    let candidate = approved.await.map_err(gates::problem)?;
    let table = gates::table(app, &candidate.id).await?;
    gates::own::let_go(app, &table).await;
    Ok(table)
}

pub(super) async fn rebase(
    State(app): State<AppState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Candidate>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(rebased(&app, &name).await?))
}

pub(crate) async fn rebased(app: &AppState, name: &str) -> Result<Candidate, ApiProblem> {
    let rebased = app.releases.rebase_candidate(name, app.clock.now());
    rebased.await.map_err(gates::problem)
}

pub(super) async fn roll_back(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<RollBack>,
) -> Result<Json<RolledBack>, ApiProblem> {
    owner(&caller)?;
    Ok(Json(went_back(&app, asked).await?))
}

/// In force with the next turn of every conversation.
pub(crate) async fn went_back(app: &AppState, asked: RollBack) -> Result<RolledBack, ApiProblem> {
    if asked.reason.len() > REASON_BYTES_MAX {
        let why = format!("reason: more than {REASON_BYTES_MAX} bytes");
        return Err(ApiProblem::invalid(why));
    }
    let reason = match asked.reason.as_str() {
        "" => "the owner went back",
        reason => reason,
    };
    let (now, random) = (app.clock.now(), app.random());
    let to = asked.to.as_deref();
    let went = app
        .releases
        .roll_back(to, OWNER, reason, now, random)
        .await?;
    Ok(RolledBack {
        from: went.from,
        to: went.to,
    })
}

fn owner(caller: &Caller) -> Result<(), ApiProblem> {
    super::owner::alone(
        caller,
        "only the owner can check, approve and rebase candidates, and go back to a release",
    )
}
