//! `/undo`: what tools changed in the files of the workspace, and taking it back.

use axum::Json;
use axum::extract::{Path, State};
use instar_protocol::UndoId;
use instar_protocol::api::{ChangeList, Done, ShownChange};
use instar_store::UndoRow;

use super::owner;
use crate::app::AppState;
use crate::auth::Caller;
use crate::hands::UndoError;
use crate::problem::ApiProblem;

const LISTED: usize = 100;

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<ChangeList>, ApiProblem> {
    let rows = app.files.changes(LISTED).await?;
    let changes = rows.into_iter().map(shown).collect();
    Ok(Json(ChangeList { changes }))
}

pub(super) async fn restore(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    let _by = owner::present(
        &caller,
        "only the owner in person takes back what a tool changed",
        "run `instar undo` on the machine of the gateway",
    )?;
    let changed = app.files.restore(&UndoId::from_stored(id)).await;
    let changed = changed.map_err(|error| match error {
        UndoError::Unknown(id) => ApiProblem::not_found(format!("there is no change {id}"))
            .next("`instar undo` shows those that there are"),
        UndoError::Store(error) => error.into(),
        error => ApiProblem::conflict(error.to_string())
            .next("look at the file; `instar undo` shows what changed it later"),
    })?;
    Ok(Json(Done { ok: true, changed }))
}

fn shown(row: UndoRow) -> ShownChange {
    ShownChange {
        id: row.id,
        at: row.at,
        session: row.session,
        path: row.path,
        made: row.before.is_none(),
        removed: row.after.is_none(),
        undone: row.undone_at.is_some(),
    }
}
