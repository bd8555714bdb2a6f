//! Usage, releases, feedback and sign-in codes.

use axum::Json;
use axum::extract::{Path, State};
use instar_models::Dollars;
use instar_protocol::api::{Done, SendFeedback, SignInCode, UsageReport};
use instar_release::Change;
use serde::Deserialize;

use super::input::{Asked, PageQuery, Strict};
use super::queries::{self, Budgets, MoveRow, ReleaseRow};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;
use crate::skills::ShownRelease;

/// The longest comment on an answer.
const COMMENT_BYTES_MAX: usize = 4_000;

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageQuery {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
}

pub(super) async fn usage(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<UsageQuery>,
) -> Result<Json<UsageReport>, ApiProblem> {
    let budget = &app.config.current().value.models.budget;
    let report = queries::usage_in(
        &app.store,
        (query.from.as_deref(), query.to.as_deref()),
        Budgets {
            day: budget.per_day_usd.map(Dollars::micros),
            month: budget.per_month_usd.map(Dollars::micros),
        },
        app.clock.now(),
        &app.ledger.zone(),
    )
    .await?;
    Ok(Json(report))
}

pub(super) async fn releases(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<ReleaseRow>>, ApiProblem> {
    Ok(Json(queries::releases(&app.releases, query.limit).await?))
}

pub(super) async fn release_log(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Vec<MoveRow>>, ApiProblem> {
    Ok(Json(
        queries::release_log(&app.releases, None, query.limit).await?,
    ))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffQuery {
    from: String,
    to: String,
}

pub(super) async fn release_diff(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<DiffQuery>,
) -> Result<Json<Vec<Change>>, ApiProblem> {
    let changes = queries::release_diff(&app.releases, &query.from, &query.to).await?;
    Ok(Json(changes))
}

pub(super) async fn release(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<ShownRelease>, ApiProblem> {
    let found = queries::release(&app.releases, &name).await?;
    Ok(Json(ShownRelease::of(found)))
}

pub(super) async fn feedback(
    State(app): State<AppState>,
    caller: Caller,
    Strict(feedback): Strict<SendFeedback>,
) -> Result<Json<Done>, ApiProblem> {
    // Only the owner's word about an answer is evidence.
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden("only the owner can judge an answer"));
    }
    if feedback
        .comment
        .as_ref()
        .is_some_and(|text| text.len() > COMMENT_BYTES_MAX)
    {
        return Err(ApiProblem::invalid(format!(
            "comment: at most {COMMENT_BYTES_MAX} bytes are accepted"
        )));
    }
    let comment = feedback
        .comment
        .as_deref()
        .filter(|text| !text.trim().is_empty());
    let stored = app
        .sessions
        .feedback(&feedback.run, feedback.verdict, comment)
        .await?;
    if !stored {
        return Err(ApiProblem::not_found("there is no such run"));
    }
    Ok(Json(Done {
        ok: true,
        changed: true,
    }))
}

/// A link that signs one browser in, once.
pub(super) async fn sign_in_code(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<SignInCode>, ApiProblem> {
    let (url, expires_at) = app.sign_in_link().map_err(|error| {
        tracing::error!(%error, "no sign-in code could be made");
        ApiProblem::internal()
    })?;
    Ok(Json(SignInCode { url, expires_at }))
}
