//! Schedules as faces show them, and what is kept of their runs.

use serde::{Deserialize, Serialize};

use crate::heartbeat::BeatEnd;
use crate::session::AgentId;
use crate::time::Timestamp;

/// One run of a schedule, or the time at which one was left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRun {
    pub id: String,
    pub agent: AgentId,
    pub name: String,
    /// The time that it was for.
    pub due: Timestamp,
    /// When it began.
    pub at: Timestamp,
    /// Somebody had it run, and no clock.
    pub by_hand: bool,
    pub duration_ms: u64,
    /// How it ended; nothing while it is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<BeatEnd>,
}

/// `GET /api/v1/schedules`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedules {
    /// False if the configuration switches them off.
    pub enabled: bool,
    pub schedules: Vec<ScheduleShown>,
}

/// A schedule, when it comes next and how it went last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleShown {
    pub agent: AgentId,
    pub name: String,
    /// `every 2h`, `at 2026-12-24T18:00` or `cron 0 8 * * 1-5`.
    pub when: String,
    /// The zone of its times; without one, that of the owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    pub text: String,
    /// Since when it has been counted so; nothing before the first look at the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The next times; none if it is over.
    pub next: Vec<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ScheduleRun>,
    /// Why it does not come, if something is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// `GET /api/v1/schedules/runs`: the newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRuns {
    pub runs: Vec<ScheduleRun>,
}

/// `POST /api/v1/schedules/run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSchedule {
    /// The default agent, if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    pub name: String,
}
