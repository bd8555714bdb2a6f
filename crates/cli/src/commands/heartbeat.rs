//! `instar heartbeat`.

use instar_protocol::Timestamp;
use instar_protocol::heartbeat::{Beat, BeatEnd, Beating, Heartbeats, SetHeartbeats, WakeAgent};

use crate::args::Heartbeat;
use crate::context::Context;
use crate::out::{Style, ago, span};

const PATH: &str = "/api/v1/heartbeat";

pub(crate) async fn run(command: &Heartbeat, run: &Context) -> anyhow::Result<()> {
    match command {
        Heartbeat::Status => {
            let state: Heartbeats = run.client()?.get(PATH).await?;
            if run.out.json() {
                return run.out.value(&state);
            }
            show(&state, run);
            Ok(())
        }
        Heartbeat::Wake { text, agent, later } => {
            let body = WakeAgent {
                agent: agent.clone(),
                text: text.clone().unwrap_or_default(),
                now: !later,
            };
            let told = if *later {
                "it is told with the next heartbeat"
            } else {
                "woken: what it finds worth telling comes into the inbox (instar inbox)"
            };
            send("/wake", &body, told, run).await
        }
        Heartbeat::On => set(true, "heartbeats are on", run).await,
        Heartbeat::Off => {
            let told = "heartbeats are off, until `instar heartbeat on` or the next start";
            set(false, told, run).await
        }
    }
}

async fn set(enabled: bool, told: &str, run: &Context) -> anyhow::Result<()> {
    send("", &SetHeartbeats { enabled }, told, run).await
}

async fn send(
    way: &str,
    body: &impl serde::Serialize,
    told: &str,
    run: &Context,
) -> anyhow::Result<()> {
    let state: Heartbeats = run.client()?.post(&format!("{PATH}{way}"), body).await?;
    if run.out.json() {
        return run.out.value(&state);
    }
    run.out.note(told);
    Ok(())
}

fn show(state: &Heartbeats, run: &Context) {
    let out = &run.out;
    let now = run.now();
    if !state.enabled {
        out.line(&out.paint(Style::Warn, "heartbeats are switched off"));
    }
    if state.agents.is_empty() {
        out.line("no agent has a heartbeat");
        out.note("set one: instar config set agents.defaults.heartbeat.every 30m");
    }
    for agent in &state.agents {
        out.line(&rhythm(agent, now));
        for line in agent.text.lines() {
            out.line(&format!("  {}", instar_protocol::approval::visible(line)));
        }
    }
    if let Some(last) = &state.last {
        out.line(&ended(last, now));
    }
}

fn rhythm(agent: &Beating, now: Timestamp) -> String {
    let mut told = format!("{}: every {} minutes", agent.agent, agent.every_minutes);
    if agent.offset_minutes > 0 {
        told.push_str(&format!(", {} after the even times", agent.offset_minutes));
    }
    if let Some(hours) = &agent.hours {
        told.push_str(&format!(", {hours}"));
    }
    format!("{told}; next in {}", span(agent.next.since(now)))
}

fn ended(beat: &Beat, now: Timestamp) -> String {
    let visible = instar_protocol::approval::visible;
    let end = match &beat.end {
        BeatEnd::Quiet => "nothing to tell".to_owned(),
        BeatEnd::Repeated => "it said what it had said before".to_owned(),
        BeatEnd::Told { letter, text } => {
            format!("left a letter ({letter}): {}", visible(text))
        }
        BeatEnd::Skipped { reason } => format!("left out: {}", visible(reason)),
        BeatEnd::Failed { reason } => format!("failed: {}", visible(reason)),
    };
    format!("last, {} of {}: {end}", ago(beat.at, now), beat.agent)
}
