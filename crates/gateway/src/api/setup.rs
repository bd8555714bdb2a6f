//! Setting up over HTTP: one wizard per visit, an answer at a time. Keys go in and never come out.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use instar_protocol::api::Done;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::{ApiProblem, chain};
use crate::setup::{DeskError, Setup, SetupError, Tongue, View};

/// Whether there is anything to set up.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    /// Every question was answered once.
    finished: bool,
    /// The configuration names the model that answers.
    model_chosen: bool,
    model: String,
}

pub(super) async fn standing(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<Json<Standing>, ApiProblem> {
    owner_only(&caller)?;
    let config = app.config.current();
    Ok(Json(Standing {
        finished: Setup::is_finished(&app.state_dir),
        model_chosen: config.value.agents.defaults.model.is_some(),
        model: app.default_model(),
    }))
}

pub(super) async fn start(
    State(app): State<AppState>,
    caller: Caller,
) -> Result<(StatusCode, Json<View>), ApiProblem> {
    owner_only(&caller)?;
    let setup = Setup::within(&app, "setup API");
    let view = app.desk.start(setup, Tongue::English).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// An answer; without one the question that stands is told again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Move {
    #[serde(default)]
    answer: Option<Given>,
    /// Return to the question before.
    #[serde(default)]
    back: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Given {
    step_id: String,
    /// Absent: what the step suggests.
    #[serde(default)]
    value: Option<Value>,
}

/// It may hold a key.
impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given")
            .field("step_id", &self.step_id)
            .finish_non_exhaustive()
    }
}

pub(super) async fn next(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Strict(given): Strict<Move>,
) -> Result<Json<View>, ApiProblem> {
    owner_only(&caller)?;
    if given.back {
        return Ok(Json(app.desk.back(&id).await?));
    }
    let answer = given.answer;
    let answer = answer
        .as_ref()
        .map(|one| (one.step_id.as_str(), one.value.clone()));
    Ok(Json(app.desk.next(&id, answer).await?))
}

pub(super) async fn cancel(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Done>, ApiProblem> {
    owner_only(&caller)?;
    let changed = app.desk.cancel(&id);
    Ok(Json(Done { ok: true, changed }))
}

fn owner_only(caller: &Caller) -> Result<(), ApiProblem> {
    if caller.principal.is_owner() {
        return Ok(());
    }
    Err(ApiProblem::forbidden("only the owner can set things up"))
}

impl From<DeskError> for ApiProblem {
    fn from(error: DeskError) -> Self {
        let text = error.to_string();
        match error {
            DeskError::Gone => Self::not_found(text),
            DeskError::Refused(_) => Self::invalid(text),
            DeskError::OtherStep(_) | DeskError::Busy => Self::conflict(text),
            DeskError::Setup(SetupError::Config(_)) => Self::conflict(text)
                .next("mend the configuration first: `instar config validate` names each problem"),
            DeskError::Setup(error) => {
                tracing::error!(error = %chain(&error), "setting up cannot begin");
                Self::internal()
            }
            DeskError::Random(error) => {
                tracing::error!(%error, "no wizard could be named");
                Self::internal()
            }
        }
    }
}
