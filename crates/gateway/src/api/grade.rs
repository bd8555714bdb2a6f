//! `POST /grade` and `/place`: the model that grades and the one that compares, for suites that run elsewhere.

use axum::Json;
use axum::extract::State;
use instar_protocol::Label;
use instar_protocol::api::{Grade, GradeGiven, Place, Placed};

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::gates::{grader, places};
use crate::problem::ApiProblem;

/// The longest question, and the longest material that it is asked of.
const SYSTEM_BYTES_MAX: usize = 8 * 1024;
const USER_BYTES_MAX: usize = 512 * 1024;

/// One metered call; the owner alone.
pub(super) async fn grade(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Grade>,
) -> Result<Json<GradeGiven>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden(
            "only the owner can have answers graded",
        ));
    }
    for (field, text, most) in [
        ("system", &asked.system, SYSTEM_BYTES_MAX),
        ("user", &asked.user, USER_BYTES_MAX),
    ] {
        if text.trim().is_empty() || text.len() > most {
            let why = format!("{field}: some text is needed, of at most {most} bytes");
            return Err(ApiProblem::invalid(why));
        }
    }
    let Some(model) = grader::model(&app) else {
        return Err(
            ApiProblem::unavailable("no model is there that could grade")
                .next("name one in `improve.rollout.grader`, or set one with `instar models set`"),
        );
    };
    let agent = app.default_agent();
    let said = grader::ask(
        &app,
        &model,
        &agent,
        Label::owner(),
        asked.system,
        asked.user,
    )
    .await;
    match said {
        Some(text) => Ok(Json(GradeGiven {
            text,
            model: model.to_string(),
        })),
        None => Err(
            ApiProblem::unavailable(format!("{model}, which grades, did not answer"))
                .next("`instar models probe` tells why; `improve.rollout.grader` names another"),
        ),
    }
}

/// One call of the owner's embedder; the owner alone.
pub(super) async fn place(
    State(app): State<AppState>,
    caller: Caller,
    Strict(asked): Strict<Place>,
) -> Result<Json<Placed>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden(
            "only the owner can have texts compared",
        ));
    }
    let bytes: usize = asked.texts.iter().map(String::len).sum();
    if bytes > USER_BYTES_MAX {
        let why = format!("texts: at most {USER_BYTES_MAX} bytes in all");
        return Err(ApiProblem::invalid(why));
    }
    let model = places::model(&app).ok_or_else(|| {
        ApiProblem::not_found("no embedder is named")
            .next("name one in `improve.embedder`, as `ollama/nomic-embed-text`")
    })?;
    let agent = app.default_agent();
    let places = places::of(&app, &model, &agent, &asked.texts).await;
    let places = places.map_err(ApiProblem::unavailable)?;
    Ok(Json(Placed {
        places,
        model: model.to_string(),
    }))
}
