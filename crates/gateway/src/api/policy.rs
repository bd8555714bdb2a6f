//! `/policy`: rules in words, rights, decisions explained, an owner's tests, and what another posture
//! would have changed. Nothing of it changes anything.

use axum::Json;
use axum::extract::{Path, State};
use instar_policy::{Authority, Role};
use instar_protocol::AgentId;
use instar_protocol::api::Done;
use instar_protocol::approval::visible;
use instar_protocol::contact::{Contacts, ForgetContact};
use instar_protocol::policy::{Explained, PolicyReport, PolicyTests, PostureReport};
use serde::Deserialize;

use super::input::{Asked, Strict};
use crate::app::AppState;
use crate::auth::Caller;
use crate::policing::{self, ExplainCall};
use crate::problem::ApiProblem;

/// The authority in force.
pub(crate) fn in_force(app: &AppState) -> Authority {
    let release = app.releases.stable();
    release.map_or_else(Authority::default, |release| {
        release.behaviour.authority.clone()
    })
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ReportQuery {
    agent: Option<AgentId>,
    #[serde(rename = "as")]
    role: Option<Role>,
}

pub(super) async fn report(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<ReportQuery>,
) -> Result<Json<PolicyReport>, ApiProblem> {
    let agent = query.agent.unwrap_or_else(|| app.default_agent());
    let role = query.role.unwrap_or(Role::Owner);
    Ok(Json(shown(&app, agent, role).await?))
}

/// Judging and reading files is work that others must not wait for.
pub(crate) async fn shown(
    app: &AppState,
    agent: AgentId,
    role: Role,
) -> Result<PolicyReport, ApiProblem> {
    let (authority, state) = (in_force(app), app.state_dir.clone());
    let config = app.config.current();
    apart(move || {
        let (_, problems) = policing::under(authority.clone(), &config.value, &state);
        policing::report(&authority, &agent, role, problems)
    })
    .await
}

pub(super) async fn explain(
    State(app): State<AppState>,
    _caller: Caller,
    Strict(asked): Strict<ExplainCall>,
) -> Result<Json<Explained>, ApiProblem> {
    let authority = in_force(&app);
    let told = policing::explain(&app.store, &authority, &asked, app.clock.now()).await?;
    Ok(Json(told))
}

pub(super) async fn decision(
    State(app): State<AppState>,
    _caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Explained>, ApiProblem> {
    let authority = in_force(&app);
    Ok(Json(policing::decision(&app.store, &authority, &id).await?))
}

pub(super) async fn test(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<PolicyTests>, ApiProblem> {
    let (authority, state) = (in_force(&app), app.state_dir.clone());
    let tests = apart(move || policing::test(&state, &authority)).await?;
    Ok(Json(tests))
}

#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PostureQuery {
    days: Option<u32>,
}

pub(super) async fn posture(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<PostureQuery>,
) -> Result<Json<PostureReport>, ApiProblem> {
    Ok(Json(replayed(&app, query.days).await?))
}

pub(crate) async fn replayed(
    app: &AppState,
    days: Option<u32>,
) -> Result<PostureReport, ApiProblem> {
    let authority = in_force(app);
    let writers = app.config.current().value.writers();
    let now = app.clock.now();
    Ok(policing::posture(&app.store, &authority, &writers, days, now).await?)
}

pub(super) async fn contacts(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Contacts>, ApiProblem> {
    Ok(Json(policing::contacts(&app.store, &in_force(&app)).await?))
}

pub(super) async fn forget(
    State(app): State<AppState>,
    _caller: Caller,
    Strict(asked): Strict<ForgetContact>,
) -> Result<Json<Done>, ApiProblem> {
    let known = app.store.contacts().await?;
    let Some(contact) = known.into_iter().find(|one| one.text == asked.text) else {
        return Err(ApiProblem::not_found(format!(
            "nobody is known as `{}`",
            visible(&asked.text)
        ))
        .next("`instar policy contacts` shows those whom you wrote to first; others are in policy.contacts"));
    };
    let gone = instar_agent::forgotten(contact, app.clock.now());
    app.store.commit(gone).await?;
    Ok(Json(Done {
        ok: true,
        changed: true,
    }))
}

async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiProblem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "policy could not be read");
        ApiProblem::internal()
    })
}
