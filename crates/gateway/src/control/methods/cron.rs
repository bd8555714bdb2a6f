//! `cron.*`: schedules in the protocol's words, as jobs.
//!
//! Jobs are read and run here. They are a part of the behaviour and written in the configuration, so that
//! `cron.add` and its like say how that is done.

use instar_agent::RunError;
use instar_protocol::heartbeat::BeatEnd;
use instar_protocol::schedule::{ScheduleRun, ScheduleShown};
use instar_protocol::{AgentId, SessionKey, Timestamp};
use instar_release::When;
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::api::schedules::RUNS_MAX;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

const PAGE: usize = 50;
const ADDED: &str = "a schedule is a part of the configuration: write it with config.patch, as \
    agents.entries.ID.schedules.NAME or agents.defaults.schedules.NAME, or propose it with candidate.new \
    as set_schedule";

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "cron.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "cron.get",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(get(call)),
    },
    Method {
        name: "cron.status",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(status(call)),
    },
    Method {
        name: "cron.runs",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(runs(call)),
    },
    Method {
        name: "cron.run",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(run(call)),
    },
    Method {
        name: "cron.add",
        need: Need::Scope(Scope::Admin),
        advertised: false,
        run: |call| Box::pin(written(call)),
    },
    Method {
        name: "cron.update",
        need: Need::Scope(Scope::Admin),
        advertised: false,
        run: |call| Box::pin(written(call)),
    },
    Method {
        name: "cron.remove",
        need: Need::Scope(Scope::Admin),
        advertised: false,
        run: |call| Box::pin(written(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ListParams {
    limit: Option<usize>,
    offset: usize,
    agent_id: Option<String>,
    query: Option<String>,
    enabled: Option<String>,
    schedule_kind: Option<String>,
    last_run_status: Option<String>,
    trigger: Option<String>,
    sort_by: Option<String>,
    sort_dir: Option<String>,
}

/// True if nothing is asked for, or everything, or this.
fn fits(asked: Option<&String>, is: &str) -> bool {
    asked.is_none_or(|asked| asked == "all" || asked == is)
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let params: ListParams =
        call.read(&["includeDisabled", "compact", "includeDeliveryPreviews"])?;
    let agent = params.agent_id.as_deref();
    let agent = agent.map(|id| key::agent(&call.app, id)).transpose()?;
    let state = call.app.sessions.schedules();
    let enabled = state.enabled;
    let words = params.query.as_deref().unwrap_or_default().to_lowercase();
    let is_meant = |one: &ScheduleShown| {
        let text = format!("{} {}", one.name, one.text).to_lowercase();
        let last = one.last.as_ref().and_then(|run| run.end.as_ref());
        agent.as_ref().is_none_or(|agent| one.agent == *agent)
            && text.contains(&words)
            && fits(
                params.enabled.as_ref(),
                if enabled { "enabled" } else { "disabled" },
            )
            && fits(params.schedule_kind.as_ref(), kind(one))
            && fits(
                params.last_run_status.as_ref(),
                last.map_or("unknown", outcome),
            )
            && fits(params.trigger.as_ref(), "unconditional")
    };
    let mut all = state.schedules;
    all.retain(is_meant);
    match params.sort_by.as_deref() {
        Some("name") => all.sort_by(|one, two| one.name.cmp(&two.name)),
        Some("updatedAtMs") => all.sort_by_key(|one| one.since),
        // What is over comes last.
        _ => all.sort_by_key(|one| (one.next.is_empty(), one.next.first().copied())),
    }
    if params.sort_dir.as_deref() == Some("desc") {
        all.reverse();
    }
    let jobs: Vec<Value> = all.iter().map(|one| job(&call.app, one, enabled)).collect();
    let mut page = paged(jobs, params.offset, params.limit, "jobs");
    page["snapshotRevision"] = json!(revision(&call.app));
    page["deliveryPreviews"] = json!({});
    Ok(page)
}

/// Schedules change with the release.
fn revision(app: &App) -> String {
    let stable = app.releases.stable();
    stable.map_or_else(|| "empty".to_owned(), |release| release.id.to_string())
}

fn paged(all: Vec<Value>, offset: usize, limit: Option<usize>, called: &str) -> Value {
    let limit = limit.unwrap_or(PAGE).clamp(1, RUNS_MAX);
    let total = all.len();
    let page: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let end = offset + page.len();
    let mut told = json!({
        "total": total, "offset": offset, "limit": limit, "hasMore": end < total,
        "nextOffset": (end < total).then_some(end),
    });
    told[called] = json!(page);
    told
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Named {
    id: Option<String>,
    job_id: Option<String>,
    mode: Option<String>,
}

impl Named {
    fn find(&self, app: &App) -> Result<(ScheduleShown, bool), Refusal> {
        let id = self.id.as_ref().or(self.job_id.as_ref());
        let id = id.ok_or_else(|| Refusal::invalid("id is missing"))?;
        let state = app.sessions.schedules();
        let mut all = state.schedules.into_iter();
        let found = all.find(|one| id_of(&one.agent, &one.name) == *id);
        let found = found.ok_or_else(|| {
            let id: String = id.chars().take(80).collect();
            Refusal::invalid(format!(
                "there is no job {id}: cron.list shows those that there are"
            ))
        })?;
        Ok((found, state.enabled))
    }
}

async fn get(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.params()?;
    let (found, enabled) = named.find(&call.app)?;
    Ok(job(&call.app, &found, enabled))
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn status(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    let state = call.app.sessions.schedules();
    let next = state.schedules.iter().filter_map(|one| one.next.first());
    Ok(json!({
        "enabled": state.enabled,
        "triggersEnabled": false,
        "storage": "sqlite",
        "jobs": state.schedules.len(),
        "nextWakeAtMs": next.min().filter(|_| state.enabled).map(|next| next.millis()),
    }))
}

/// What is due runs by itself, so that somebody who asks for no more than that finds nothing to do.
async fn run(call: Call) -> Result<Value, Refusal> {
    let named: Named = call.read(&["expectedProcessInstanceId"])?;
    let (found, _) = named.find(&call.app)?;
    match named.mode.as_deref() {
        Some("due") => return Ok(json!({ "ok": true, "ran": false, "reason": "not-due" })),
        None | Some("force" | "if-enabled") => {}
        Some(_) => return Err(Refusal::invalid("mode is due, force or if-enabled")),
    }
    match call.app.sessions.run_schedule(&found.agent, &found.name) {
        Ok(run) => Ok(json!({ "ok": true, "enqueued": true, "runId": run.id })),
        Err(RunError::UnderWay(_)) => {
            Ok(json!({ "ok": true, "ran": false, "reason": "already-running" }))
        }
        Err(error @ RunError::Unknown(..)) => Err(Refusal::invalid(error.to_string())),
    }
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct RunsParams {
    agent_id: Option<String>,
    id: Option<String>,
    job_id: Option<String>,
    run_id: Option<String>,
    limit: Option<usize>,
    offset: usize,
    statuses: Option<Vec<String>>,
    status: Option<String>,
    query: Option<String>,
    sort_dir: Option<String>,
}

async fn runs(call: Call) -> Result<Value, Refusal> {
    let params: RunsParams = call.read(&["scope", "deliveryStatuses", "deliveryStatus"])?;
    let agent = params.agent_id.as_deref();
    let agent = agent.map(|id| key::agent(&call.app, id)).transpose()?;
    let job = params.id.as_ref().or(params.job_id.as_ref());
    let words = params.query.as_deref().unwrap_or_default().to_lowercase();
    let is_meant = |run: &&ScheduleRun| {
        let Some(end) = &run.end else { return false };
        let listed = params.statuses.as_ref();
        agent.as_ref().is_none_or(|agent| run.agent == *agent)
            && job.is_none_or(|job| id_of(&run.agent, &run.name) == *job)
            && params.run_id.as_ref().is_none_or(|id| run.id == *id)
            && listed.is_none_or(|listed| listed.iter().any(|status| status == outcome(end)))
            && fits(params.status.as_ref(), outcome(end))
            && run.name.contains(&words)
    };
    let all = call.app.sessions.schedule_runs().await?;
    let mut entries: Vec<Value> = all.iter().filter(is_meant).map(entry).collect();
    if params.sort_dir.as_deref() == Some("asc") {
        entries.reverse();
    }
    Ok(paged(entries, params.offset, params.limit, "entries"))
}

/// Whatever is asked for: the configuration says it.
async fn written(_call: Call) -> Result<Value, Refusal> {
    Err(Refusal::invalid(ADDED))
}

fn id_of(agent: &AgentId, name: &str) -> String {
    format!("{agent}:{name}")
}

fn kind(one: &ScheduleShown) -> &str {
    one.when.split(' ').next().unwrap_or_default()
}

fn schedule(app: &App, one: &ScheduleShown) -> Value {
    match When::parse(&one.when) {
        Ok(When::Every(minutes)) => {
            json!({ "kind": "every", "everyMs": u64::from(minutes) * 60_000, "anchorMs": 0 })
        }
        Ok(When::Cron(cron)) => {
            let mut shown = json!({ "kind": "cron", "expr": cron.to_string(), "staggerMs": 0 });
            let config = app.config.current();
            let owners = &config.value.agents.defaults.user_timezone;
            if let Some(zone) = one.zone.as_ref().or(owners.as_ref()) {
                shown["tz"] = json!(zone);
            }
            shown
        }
        // The moment is told while it is to come; after that, the time on the clock on the wall.
        _ => {
            let wall = one.when.strip_prefix("at ").unwrap_or(&one.when);
            let at = one
                .next
                .first()
                .map_or_else(|| wall.to_owned(), |next| moment(*next));
            json!({ "kind": "at", "at": at })
        }
    }
}

fn moment(at: Timestamp) -> String {
    let at = i64::try_from(at.millis()).unwrap_or_default();
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or_default()
        .to_string()
}

/// A schedule in the protocol's words.
fn job(app: &App, one: &ScheduleShown, enabled: bool) -> Value {
    let since = one.since.unwrap_or_else(|| app.clock.now()).millis();
    let next = one
        .next
        .first()
        .filter(|_| enabled)
        .map(|next| next.millis());
    let key = SessionKey::under(&one.agent, &["cron", &one.name]);
    let mut job = json!({
        "id": id_of(&one.agent, &one.name),
        "name": one.name,
        "agentId": one.agent.as_str(),
        "enabled": enabled,
        "createdAtMs": since,
        "updatedAtMs": since,
        "schedule": schedule(app, one),
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": { "kind": "agentTurn", "message": one.text },
        "delivery": { "mode": "none" },
        "state": { "scheduleActivatedAtMs": since },
    });
    if let Ok(key) = key {
        job["sessionKey"] = json!(key.as_str());
    }
    if let Some(next) = next {
        job["nextRunAtMs"] = json!(next);
        job["state"]["nextRunAtMs"] = json!(next);
    }
    let Some(last) = &one.last else { return job };
    let Some(end) = &last.end else {
        job["state"]["runningAtMs"] = json!(last.at.millis());
        return job;
    };
    let status = outcome(end);
    job["lastRunAtMs"] = json!(last.at.millis());
    job["lastRunStatus"] = json!(status);
    job["state"]["lastRunAtMs"] = json!(last.at.millis());
    job["state"]["lastRunStatus"] = json!(status);
    job["state"]["lastDurationMs"] = json!(last.duration_ms);
    if let Some(why) = why(end) {
        job["lastRunError"] = json!(why);
        job["state"]["lastError"] = json!(why);
    }
    job
}

/// A run that is over, in the protocol's words. What was told lies in the inbox, and went to no channel.
fn entry(run: &ScheduleRun) -> Value {
    let mut shown = json!({
        "ts": run.at.millis() + run.duration_ms,
        "jobId": id_of(&run.agent, &run.name),
        "action": "finished",
        "deliveryStatus": "not-requested",
        "runId": run.id,
        "runAtMs": run.at.millis(),
        "durationMs": run.duration_ms,
        "jobName": run.name,
    });
    if let Ok(key) = SessionKey::under(&run.agent, &["cron", &run.name]) {
        shown["sessionKey"] = json!(key.as_str());
    }
    let Some(end) = &run.end else { return shown };
    shown["status"] = json!(outcome(end));
    if let Some(why) = why(end) {
        shown["error"] = json!(why);
    }
    if let BeatEnd::Told { text, .. } = end {
        shown["summary"] = json!(text);
    }
    shown
}

fn outcome(end: &BeatEnd) -> &'static str {
    match end {
        BeatEnd::Quiet | BeatEnd::Told { .. } | BeatEnd::Repeated => "ok",
        BeatEnd::Skipped { .. } => "skipped",
        BeatEnd::Failed { .. } => "error",
    }
}

fn why(end: &BeatEnd) -> Option<&str> {
    match end {
        BeatEnd::Skipped { reason } | BeatEnd::Failed { reason } => Some(reason),
        BeatEnd::Quiet | BeatEnd::Told { .. } | BeatEnd::Repeated => None,
    }
}
