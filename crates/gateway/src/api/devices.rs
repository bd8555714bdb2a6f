//! `/devices`: the owner's word about devices of the control plane.
//!
//! Changes need more than the API token: it is what existing clients hold, and whoever holds it alone
//! lets no device in. The command line of the same user and a signed-in browser are the owner.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::api::Done;
use instar_protocol::devices::{RenameDevice, RotateDevice};
use serde_json::Value;

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::control::method::Refusal;
use crate::control::methods::devices::{self, Hand};
use crate::problem::ApiProblem;

type Answer = Result<Json<Value>, ApiProblem>;

impl From<Refusal> for ApiProblem {
    fn from(refusal: Refusal) -> Self {
        match refusal.code {
            "FORBIDDEN" => Self::forbidden(refusal.message),
            "UNAVAILABLE" => Self::unavailable(refusal.message),
            _ if refusal.message.starts_with("unknown ") => Self::not_found(refusal.message)
                .next("`instar devices list` shows those that there are"),
            _ => Self::invalid(refusal.message),
        }
    }
}

/// Refuses whoever holds the API token and nothing else.
fn owner(caller: &Caller) -> Result<&'static str, ApiProblem> {
    super::owner::present(
        caller,
        "the API token alone decides nothing about devices",
        "use the devices page of a signed-in browser, or `instar devices` on this machine",
    )
}

pub(super) async fn list(State(app): State<AppState>, _caller: Caller) -> Answer {
    Ok(Json(devices::listed(&app).await?))
}

pub(super) async fn approve(
    State(app): State<AppState>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer {
    let by = owner(&caller)?;
    let changed = app.clone();
    let change = async move { devices::approved(&changed, &request, Hand::owner(), by).await };
    Ok(Json(devices::whole(&app, change).await?))
}

pub(super) async fn reject(
    State(app): State<AppState>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer {
    let _by = owner(&caller)?;
    Ok(Json(devices::rejected(&app, &request)?))
}

pub(super) async fn rename(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(given): Strict<RenameDevice>,
) -> Answer {
    let _by = owner(&caller)?;
    Ok(Json(
        devices::renamed(&app, &id, &given.label, Hand::owner()).await?,
    ))
}

pub(super) async fn rotate(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(given): Strict<RotateDevice>,
) -> Answer {
    let _by = owner(&caller)?;
    let changed = app.clone();
    let change = async move {
        let role = devices::device(&changed, &id).await?.role;
        devices::rotated(&changed, &id, &role, given.scopes.as_deref(), Hand::owner()).await
    };
    Ok(Json(devices::whole(&app, change).await?))
}

pub(super) async fn revoke(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer {
    let _by = owner(&caller)?;
    let changed = app.clone();
    let change = async move {
        let role = devices::device(&changed, &id).await?.role;
        devices::revoked(&changed, &id, &role, Hand::owner()).await
    };
    Ok(Json(devices::whole(&app, change).await?))
}

pub(super) async fn remove(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let _by = owner(&caller)?;
    let changed = app.clone();
    let change = async move { devices::removed(&changed, &id, Hand::owner()).await };
    let _removed = devices::whole(&app, change).await?;
    Ok(Json(Done {
        ok: true,
        changed: true,
    }))
}
