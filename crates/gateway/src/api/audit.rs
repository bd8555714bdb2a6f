//! `/audit`: the receipts, and whether their chain is whole.

use axum::Json;
use axum::extract::State;
use instar_protocol::approvals::ReceiptPage;
use instar_protocol::receipt::{ChainHead, ChainReport};

use super::input::Asked;
use super::records::{self, ChainQuery, ReceiptsQuery};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

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
