//! `/heartbeat`: when agents look after things by themselves.

use axum::Json;
use axum::extract::State;
use instar_agent::WakeError;
use instar_protocol::heartbeat::{Beating, Heartbeats, SetHeartbeats, WakeAgent};
use instar_protocol::{AgentId, Timestamp};
use instar_release::{Heartbeat, Hours};

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

impl From<WakeError> for ApiProblem {
    fn from(error: WakeError) -> Self {
        let text = error.to_string();
        match error {
            WakeError::UnknownAgent(_) => {
                Self::not_found(text).next("`instar agents list` shows those that there are")
            }
            WakeError::Full(_) => Self::conflict(text).next("wake it now, without --later"),
            WakeError::Long | WakeError::NoHeartbeat(_) => Self::invalid(text),
        }
    }
}

pub(super) async fn show(State(app): State<AppState>, _caller: Caller) -> Json<Heartbeats> {
    Json(read(&app))
}

/// Off is off for the owner's own reasons, so that only he switches.
pub(super) async fn set(
    State(app): State<AppState>,
    caller: Caller,
    Strict(given): Strict<SetHeartbeats>,
) -> Result<Json<Heartbeats>, ApiProblem> {
    super::owner::alone(&caller, "only the owner switches heartbeats on and off")?;
    app.sessions.set_beating(given.enabled);
    Ok(Json(read(&app)))
}

pub(super) async fn wake(
    State(app): State<AppState>,
    caller: Caller,
    Strict(given): Strict<WakeAgent>,
) -> Result<Json<Heartbeats>, ApiProblem> {
    super::owner::alone(&caller, "only the owner wakes an agent")?;
    let agent = match &given.agent {
        Some(id) => AgentId::parse(id).map_err(|error| ApiProblem::invalid(error.to_string()))?,
        None => app.default_agent(),
    };
    app.sessions.wake_agent(&agent, &given.text, given.now)?;
    Ok(Json(read(&app)))
}

fn read(app: &AppState) -> Heartbeats {
    let now = app.clock.now();
    let all = app.sessions.heartbeats().into_iter();
    Heartbeats {
        enabled: app.sessions.is_beating(),
        agents: all
            .map(|(agent, heartbeat)| beating(agent, heartbeat, now))
            .collect(),
        last: app.sessions.last_beat().map(|beat| (*beat).clone()),
    }
}

fn beating(agent: AgentId, heartbeat: Heartbeat, now: Timestamp) -> Beating {
    let next = heartbeat.next_after(now.millis() / 60_000);
    Beating {
        agent,
        every_minutes: heartbeat.every_minutes,
        offset_minutes: heartbeat.offset_minutes,
        hours: heartbeat.hours.map(told),
        next: Timestamp::from_millis(next * 60_000),
        text: heartbeat.text,
    }
}

fn told(hours: Hours) -> String {
    let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{}-{}", time(hours.from), time(hours.until))
}
