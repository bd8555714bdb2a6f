//! Heartbeats: what an agent looks after by itself, and how that ended.

use instar_agent::WakeError;
use instar_protocol::AgentId;
use instar_protocol::heartbeat::{Beat, BeatEnd};
use instar_release::Heartbeat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

/// Characters of what was told that an event shows; the inbox has the whole.
const PREVIEW_CHARS: usize = 200;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "last-heartbeat",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(last(call)),
    },
    Method {
        name: "set-heartbeats",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(set(call)),
    },
    Method {
        name: "wake",
        need: Need::Scope(Scope::Write),
        advertised: true,
        run: |call| Box::pin(wake(call)),
    },
];

impl From<WakeError> for Refusal {
    fn from(error: WakeError) -> Self {
        Self::invalid(error.to_string())
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn last(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let last = call.app.sessions.last_beat();
    Ok(last.map_or(Value::Null, |beat| shown(&beat)))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Set {
    enabled: bool,
}

async fn set(call: Call) -> Result<Value, Refusal> {
    let Set { enabled } = call.params()?;
    call.app.sessions.set_beating(enabled);
    Ok(json!({ "ok": true, "enabled": enabled }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wake {
    mode: Mode,
    text: String,
    #[serde(default)]
    agent_id: Option<String>,
    #[serde(default)]
    session_key: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Now,
    NextHeartbeat,
}

/// The conversation that a client names says which agent is meant; its heartbeats have their own.
async fn wake(call: Call) -> Result<Value, Refusal> {
    let given: Wake = call.params()?;
    let app = &call.app;
    let agent = match &given.session_key {
        Some(name) => key::parse(app, name, given.agent_id.as_deref())?.agent(),
        None => None,
    };
    let agent = match agent {
        Some(agent) => agent,
        None => key::agent_or_default(app, given.agent_id.as_deref())?,
    };
    let sessions = &app.sessions;
    sessions.wake_agent(&agent, &given.text, given.mode == Mode::Now)?;
    Ok(json!({ "ok": true }))
}

/// A beat in the protocol's words.
pub(crate) fn shown(beat: &Beat) -> Value {
    let (status, reason, preview) = match &beat.end {
        BeatEnd::Quiet => ("ok-token", None, None),
        BeatEnd::Repeated => ("ok-token", Some("said before"), None),
        BeatEnd::Told { text, .. } => {
            let preview: String = text.chars().take(PREVIEW_CHARS).collect();
            ("sent", None, Some(preview))
        }
        BeatEnd::Skipped { reason } => ("skipped", Some(reason.as_str()), None),
        BeatEnd::Failed { reason } => ("failed", Some(reason.as_str()), None),
    };
    let mut shown = json!({
        "ts": beat.at.millis(), "status": status, "agentId": beat.agent.as_str(),
        "durationMs": beat.duration_ms,
    });
    if let Some(reason) = reason {
        shown["reason"] = json!(reason);
    }
    if let Some(preview) = preview {
        shown["preview"] = json!(preview);
    }
    shown
}

fn find(app: &App, agent: &AgentId) -> Option<Heartbeat> {
    let all = app.sessions.heartbeats();
    all.into_iter()
        .find_map(|(has, heartbeat)| (has == *agent).then_some(heartbeat))
}

/// Seconds between two beats of an agent; 0 for none.
pub(super) fn seconds(app: &App, agent: &AgentId) -> u64 {
    find(app, agent).map_or(0, |heartbeat| u64::from(heartbeat.every_minutes) * 60)
}

/// An agent's heartbeat in reports.
pub(super) fn of(app: &App, agent: &AgentId) -> Value {
    let found = find(app, agent);
    let minutes = found
        .as_ref()
        .map_or(0, |heartbeat| heartbeat.every_minutes);
    json!({
        "enabled": found.is_some() && app.sessions.is_beating(),
        "every": format!("{minutes}m"),
        "everyMs": found.as_ref().map(|_| u64::from(minutes) * 60_000),
        "prompt": found.map_or_else(String::new, |heartbeat| heartbeat.text),
        "target": "owner",
        "ackMaxChars": instar_agent::BEAT_ASIDE_CHARS_MAX,
    })
}

/// Those of all agents, shortly.
pub(super) fn of_all(app: &App) -> Value {
    let enabled = app.sessions.is_beating();
    let all = app.sessions.heartbeats();
    let agents: Vec<Value> = all
        .iter()
        .map(|(agent, heartbeat)| {
            let minutes = heartbeat.every_minutes;
            json!({
                "agentId": agent.as_str(), "enabled": enabled, "every": format!("{minutes}m"),
                "everyMs": u64::from(minutes) * 60_000,
            })
        })
        .collect();
    json!({ "defaultAgentId": app.default_agent().as_str(), "agents": agents })
}
