//! `instar schedule`.

use instar_protocol::Timestamp;
use instar_protocol::heartbeat::BeatEnd;
use instar_protocol::schedule::{RunSchedule, ScheduleRun, ScheduleRuns, ScheduleShown, Schedules};

use super::events::escape;
use crate::args::Schedule;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, span, visible};

const PATH: &str = "/api/v1/schedules";
/// Characters of what was told that a line shows; the inbox has the whole.
const TOLD_CHARS: usize = 60;

pub(crate) async fn run(command: &Schedule, run: &Context) -> anyhow::Result<()> {
    match command {
        Schedule::List => list(run).await,
        Schedule::Show { name, agent } => show(name, agent.as_deref(), run).await,
        Schedule::Run { name, agent } => begin(name, agent.clone(), run).await,
        Schedule::Runs { name, agent, limit } => {
            runs(name.as_deref(), agent.as_deref(), *limit, run).await
        }
    }
}

async fn list(run: &Context) -> anyhow::Result<()> {
    let state: Schedules = run.client()?.get(PATH).await?;
    let out = &run.out;
    if out.json() {
        return out.value(&state);
    }
    if !state.enabled {
        out.note("schedules are switched off: cron.enabled is false");
    }
    if state.schedules.is_empty() {
        out.note("no agent has a schedule; docs/schedules.md says how one is written");
        return Ok(());
    }
    let now = run.now();
    let rows = state.schedules.iter().map(|one| {
        vec![
            (Style::Plain, one.agent.to_string()),
            (Style::Strong, one.name.clone()),
            (Style::Plain, one.when.clone()),
            (Style::Plain, next(one, now)),
            (Style::Faint, last(one, now)),
        ]
    });
    let rows: Vec<_> = rows.collect();
    out.table(&["agent", "schedule", "when", "next", "last"], &rows);
    Ok(())
}

fn next(one: &ScheduleShown, now: Timestamp) -> String {
    match (&one.problem, one.next.first()) {
        (Some(problem), _) => problem.clone(),
        (None, Some(next)) => format!("in {}", span(next.since(now))),
        (None, None) => "never again".to_owned(),
    }
}

fn last(one: &ScheduleShown, now: Timestamp) -> String {
    let last = one.last.as_ref();
    last.map_or_else(String::new, |last| {
        format!("{}: {}", ago(last.at, now), ended(last))
    })
}

async fn show(name: &str, agent: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let state: Schedules = run.client()?.get(PATH).await?;
    let is_meant = |one: &&ScheduleShown| {
        one.name == name && agent.is_none_or(|agent| one.agent.as_str() == agent)
    };
    let Some(one) = state.schedules.iter().find(is_meant) else {
        let why = format!("there is no schedule {}", visible(name));
        return Err(Failure::new(Code::NotFound, why)
            .next("`instar schedule list` shows those that there are")
            .into());
    };
    let out = &run.out;
    if out.json() {
        return out.value(one);
    }
    let zone = one.zone.as_deref().unwrap_or("the owner's zone");
    out.line(&format!(
        "{} of {}: {}, {zone}",
        one.name, one.agent, one.when
    ));
    for line in one.text.lines() {
        out.line(&format!("  {}", visible(line)));
    }
    let now = run.now();
    if one.next.is_empty() {
        out.line(&next(one, now));
    }
    for at in &one.next {
        out.line(&format!("next in {}", span(at.since(now))));
    }
    if one.last.is_some() {
        out.line(&format!("last {}", last(one, now)));
    }
    Ok(())
}

async fn begin(name: &str, agent: Option<String>, run: &Context) -> anyhow::Result<()> {
    let body = RunSchedule {
        agent,
        name: name.to_owned(),
    };
    let begun: ScheduleRun = run.client()?.post(&format!("{PATH}/run"), &body).await?;
    if run.out.json() {
        return run.out.value(&begun);
    }
    run.out
        .note("it runs: what it finds worth telling comes into the inbox (instar inbox)");
    Ok(())
}

async fn runs(
    name: Option<&str>,
    agent: Option<&str>,
    limit: usize,
    run: &Context,
) -> anyhow::Result<()> {
    let mut path = format!("{PATH}/runs?limit={limit}");
    for (key, value) in [("name", name), ("agent", agent)] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", escape(value)));
        }
    }
    let found: ScheduleRuns = run.client()?.get(&path).await?;
    let out = &run.out;
    if out.json() {
        return out.value(&found);
    }
    if found.runs.is_empty() {
        out.note("nothing has run");
        return Ok(());
    }
    let now = run.now();
    let rows = found.runs.iter().map(|one| {
        let by = if one.by_hand { "by hand" } else { "" };
        vec![
            (Style::Faint, ago(one.at, now)),
            (Style::Plain, one.agent.to_string()),
            (Style::Strong, one.name.clone()),
            (Style::Plain, ended(one)),
            (Style::Faint, by.to_owned()),
        ]
    });
    let rows: Vec<_> = rows.collect();
    out.table(&["when", "agent", "schedule", "how it ended", ""], &rows);
    Ok(())
}

fn ended(run: &ScheduleRun) -> String {
    match &run.end {
        None => "under way".to_owned(),
        Some(BeatEnd::Quiet | BeatEnd::Repeated) => "nothing to tell".to_owned(),
        Some(BeatEnd::Told { text, .. }) => {
            let first: String = text.chars().take(TOLD_CHARS).collect();
            format!("told: {}", visible(&first))
        }
        Some(BeatEnd::Skipped { reason }) => format!("left out: {}", visible(reason)),
        Some(BeatEnd::Failed { reason }) => format!("failed: {}", visible(reason)),
    }
}
