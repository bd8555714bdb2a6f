//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::door;
use super::names::FORMS;
use super::problem::{Problem, shorten};
use crate::app::AppState;
use crate::auth::Caller;

pub(super) async fn list(State(app): State<AppState>, _caller: Caller) -> Json<Value> {
    let data: Vec<Value> = door::known(&app)
        .names()
        .iter()
        .map(|id| row(&app, id))
        .collect();
    Json(json!({"object": "list", "data": data}))
}

pub(super) async fn show(
    State(app): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    // Every name that a request may carry is found here, aliases included.
    match door::known(&app).target(&id) {
        Ok(_) => Ok(Json(row(&app, &id))),
        Err(_) => Err(Problem::not_found(
            "model",
            format!(
                "model '{}' is not known; valid forms are {FORMS}",
                shorten(&id)
            ),
        )
        .with_code("model_not_found")),
    }
}

fn row(app: &AppState, id: &str) -> Value {
    let owner = if id.starts_with("instar") {
        "instar"
    } else {
        id.split('/').next().unwrap_or(id)
    };
    json!({
        "id": id,
        "object": "model",
        "created": app.started_at.millis() / 1_000,
        "owned_by": owner,
    })
}
