//! `/schedules`: what agents do by themselves at times that were said beforehand.

use axum::Json;
use axum::extract::State;
use instar_agent::RunError;
use instar_protocol::AgentId;
use instar_protocol::schedule::{RunSchedule, ScheduleRun, ScheduleRuns, Schedules};
use serde::Deserialize;

use super::input::{Asked, Strict};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// Runs that are told at once, by themselves and at most.
const RUNS: usize = 50;
pub(crate) const RUNS_MAX: usize = 200;

impl From<RunError> for ApiProblem {
    fn from(error: RunError) -> Self {
        let text = error.to_string();
        match error {
            RunError::Unknown(..) => {
                Self::not_found(text).next("`instar schedule list` shows those that there are")
            }
            RunError::UnderWay(_) => {
                Self::conflict(text).next("`instar schedule runs` shows when it is over")
            }
        }
    }
}

/// Which runs are asked for.
#[derive(Deserialize, Debug, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RunsQuery {
    agent: Option<AgentId>,
    name: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(State(app): State<AppState>, _caller: Caller) -> Json<Schedules> {
    Json(app.sessions.schedules())
}

pub(super) async fn runs(
    State(app): State<AppState>,
    _caller: Caller,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<ScheduleRuns>, ApiProblem> {
    let limit = query.limit.unwrap_or(RUNS);
    if !(1..=RUNS_MAX).contains(&limit) {
        return Err(ApiProblem::invalid(format!("limit is 1 to {RUNS_MAX}")));
    }
    let is_meant = |run: &ScheduleRun| {
        query.agent.as_ref().is_none_or(|agent| run.agent == *agent)
            && query.name.as_ref().is_none_or(|name| run.name == *name)
    };
    let all = app.sessions.schedule_runs().await?;
    let runs = all.into_iter().filter(is_meant).take(limit).collect();
    Ok(Json(ScheduleRuns { runs }))
}

pub(super) async fn run(
    State(app): State<AppState>,
    caller: Caller,
    Strict(given): Strict<RunSchedule>,
) -> Result<Json<ScheduleRun>, ApiProblem> {
    super::owner::alone(&caller, "only the owner has a schedule run at once")?;
    let agent = match &given.agent {
        Some(id) => AgentId::parse(id).map_err(|error| ApiProblem::invalid(error.to_string()))?,
        None => app.default_agent(),
    };
    Ok(Json(app.sessions.run_schedule(&agent, &given.name)?))
}
