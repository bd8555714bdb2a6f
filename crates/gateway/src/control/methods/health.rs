//! Whether the gateway is well, who is connected, and what it runs on.

use serde::Deserialize;
use serde_json::{Value, json};

use super::heartbeat;
use crate::app::AppState;
use crate::control::method::{Call, Method, Need, Refusal, Scope};
use instar_store::SessionFilter;

/// Conversations that a health report names.
const RECENT: usize = 5;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "health",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(health(call)),
    },
    Method {
        name: "status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(status(call)),
    },
    Method {
        name: "system-presence",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(presence(call)),
    },
    Method {
        name: "system.info",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(info(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Probe {
    // A report is always made anew here.
    #[serde(default, rename = "probe")]
    _probe: bool,
    #[serde(default, rename = "includeSensitive")]
    _sensitive: bool,
}

async fn health(call: Call) -> Result<Value, Refusal> {
    let _params: Probe = call.params()?;
    value(&call.app).await
}

/// The report of `health`, of the handshake and of the event that follows it.
pub(crate) async fn value(app: &AppState) -> Result<Value, Refusal> {
    let began = std::time::Instant::now();
    let count = app.store.session_count().await?;
    let filter = SessionFilter {
        limit: RECENT,
        ..SessionFilter::default()
    };
    let now = app.clock.now();
    let recent: Vec<Value> = app
        .store
        .sessions(filter)
        .await?
        .iter()
        .map(|row| {
            let age = now.since(row.updated_at).as_millis();
            json!({
                "key": row.key.as_str(), "updatedAt": row.updated_at.millis(),
                "age": u64::try_from(age).unwrap_or(u64::MAX),
            })
        })
        .collect();
    let sessions = json!({
        "path": app.state_dir.root().join("instar.sqlite").display().to_string(),
        "count": count, "recent": recent,
    });
    let default = app.default_agent();
    let agents: Vec<Value> = app
        .agents()
        .iter()
        .map(|agent| {
            json!({
                "agentId": agent.as_str(), "isDefault": *agent == default,
                "heartbeat": heartbeat::of(app, agent),
                "sessions": sessions,
            })
        })
        .collect();
    Ok(json!({
        "ok": true,
        "ts": now.millis(),
        "durationMs": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": heartbeat::seconds(app, &default),
        "defaultAgentId": default.as_str(),
        "agents": agents,
        "sessions": sessions,
        "plugins": { "loaded": [], "errors": [] },
    }))
}

async fn status(call: Call) -> Result<Value, Refusal> {
    #[derive(Deserialize, Debug)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Params {
        #[serde(default, rename = "includeChannelSummary")]
        _channels: Option<bool>,
    }
    let _params: Params = call.params()?;
    let app = &call.app;
    let uptime = app.clock.now().since(app.started_at).as_millis();
    let problems: Vec<String> = [
        app.store_health(),
        app.config_health(),
        app.models_health(),
        app.budget_health(),
    ]
    .into_iter()
    .filter_map(|health| health.problem)
    .collect();
    let health = value(app).await?;
    Ok(json!({
        "runtimeVersion": env!("CARGO_PKG_VERSION"),
        "uptimeMs": u64::try_from(uptime).unwrap_or(u64::MAX),
        "model": app.default_model(),
        "release": app.releases.stable().map(|release| release.id.to_string()),
        "runningTurns": app.sessions.running(),
        "problems": problems,
        "heartbeat": heartbeat::of_all(app),
        "channelSummary": [],
        "queuedSystemEvents": [],
        "sessions": health["sessions"],
    }))
}

async fn presence(call: Call) -> Result<Value, Refusal> {
    let _params: Nothing = call.params()?;
    Ok(Value::Array(call.app.control.presence()))
}

async fn info(call: Call) -> Result<Value, Refusal> {
    let _params: Nothing = call.params()?;
    let app = &call.app;
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let uptime = app.clock.now().since(app.started_at).as_millis();
    let port = url::Url::parse(app.url())
        .ok()
        .and_then(|url| url.port_or_known_default());
    Ok(json!({
        "machineName": text(uname.nodename()),
        "hostname": text(uname.nodename()),
        "platform": std::env::consts::OS,
        "release": text(uname.release()),
        "arch": std::env::consts::ARCH,
        "osLabel": format!("{} {}", text(uname.sysname()), text(uname.release())),
        "port": port,
        "pid": std::process::id(),
        "processInstanceId": app.started_at.millis().to_string(),
        "uptimeMs": u64::try_from(uptime).unwrap_or(u64::MAX),
        "cpuCount": std::thread::available_parallelism().map_or(1, usize::from),
        "loadAverage": load_average(),
        "memoryTotalBytes": memory("MemTotal:"),
        "memoryFreeBytes": memory("MemAvailable:"),
        "nodeVersion": "none",
    }))
}

/// Zeros where the system does not tell.
fn load_average() -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let numbers = text.split(' ').filter_map(|number| number.parse().ok());
    let mut numbers: Vec<f64> = numbers.take(3).collect();
    numbers.resize(3, 0.0);
    numbers
}

/// Zero where the system does not tell.
fn memory(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1_024)
}
