//! Heartbeats as faces show them.

use serde::{Deserialize, Serialize};

use crate::id::LetterId;
use crate::session::AgentId;
use crate::time::Timestamp;

/// A beat that is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    pub agent: AgentId,
    pub at: Timestamp,
    pub duration_ms: u64,
    #[serde(flatten)]
    pub end: BeatEnd,
}

/// How a beat ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum BeatEnd {
    /// The agent had nothing to tell.
    Quiet,
    /// It left this for its owner.
    Told {
        letter: LetterId,
        text: String,
    },
    /// It said what it had said within the day.
    Repeated,
    Skipped {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// `GET /api/v1/heartbeat`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeats {
    /// False while they are switched off, until then or until a restart.
    pub enabled: bool,
    /// The agents that have one.
    pub agents: Vec<Beating>,
    /// The last since the start.
    pub last: Option<Beat>,
}

/// When an agent beats.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beating {
    pub agent: AgentId,
    pub every_minutes: u32,
    pub offset_minutes: u32,
    /// `08:00-22:30`, in the owner's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    pub text: String,
    /// When the next one is due, if its hours allow it.
    pub next: Timestamp,
}

/// `POST /api/v1/heartbeat`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetHeartbeats {
    pub enabled: bool,
}

/// `POST /api/v1/heartbeat/wake`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WakeAgent {
    /// The default agent, if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    pub text: String,
    /// At once, and not with the next beat.
    pub now: bool,
}
