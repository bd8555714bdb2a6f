//! `/audit`: the receipts, and whether their chain is whole. `/security`: how the house is set up.

use axum::Json;
use axum::extract::State;
use instar_protocol::approvals::ReceiptPage;
use instar_protocol::receipt::{ChainHead, ChainReport};
use instar_protocol::security::SecurityReport;
use serde::Deserialize;

use super::input::Asked;
use super::records::{self, ChainQuery, ReceiptsQuery};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;
use crate::security::{self, Kept, Subject};

pub(super) async fn receipts(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<ReceiptsQuery>,
) -> Result<Json<ReceiptPage>, ApiProblem> {
    Ok(Json(records::receipts(&app.store, &query).await?))
}

pub(super) async fn chain(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<ChainQuery>,
) -> Result<Json<ChainReport>, ApiProblem> {
    Ok(Json(records::chain(&app.store, &query).await?))
}

pub(super) async fn head(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Option<ChainHead>>, ApiProblem> {
    Ok(Json(app.store.receipts_head().await?))
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SecurityQuery {
    deep: bool,
}

pub(super) async fn security(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<SecurityQuery>,
) -> Result<Json<SecurityReport>, ApiProblem> {
    Ok(Json(report(&app, query.deep).await?))
}

/// Looks at this gateway as an attacker would.
pub(crate) async fn report(app: &AppState, deep: bool) -> Result<SecurityReport, ApiProblem> {
    let subject = Subject {
        state: app.state_dir.clone(),
        config: Ok(app.config.current().value.clone()),
        kept: Kept::read(&app.store, app.clock.now(), deep).await?,
        tools: Some(app.toolbox.annotations()),
        deep,
    };
    let looked = tokio::task::spawn_blocking(move || security::audit(&subject)).await;
    looked.map_err(|error| {
        tracing::error!(%error, "the security audit failed");
        ApiProblem::internal()
    })
}
