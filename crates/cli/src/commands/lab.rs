//! `instar lab`.

use instar_gateway::Running;
use instar_gateway::api::faults::RunAsked;
use instar_gateway::lab::{Cycle, Outcome, cycle};
use std::time::Duration;

use super::{offline, up};
use crate::args::{Lab, LabRun};
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};

/// Where the pages are while the lab runs without a gateway.
const DASHBOARD_PORT: u16 = 8420;
/// Between two cycles that found something, and the longest pause.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(300);

pub(crate) async fn run(command: &Lab, run: &Context) -> anyhow::Result<()> {
    match command {
        Lab::Run(asked) => work(asked, run).await,
        Lab::Status => tell(&cycles(1, run).await?, run),
        Lab::Log { lines } => tell(&cycles(*lines, run).await?, run),
    }
}

async fn work(asked: &LabRun, run: &Context) -> anyhow::Result<()> {
    let place = match offline::live(run).await? {
        Some(client) => Place::Elsewhere(client),
        None => Place::Here(Box::new(headless(run).await?)),
    };
    let told = cycles_of(&place, asked, run).await;
    if let Place::Here(running) = place {
        running.shutdown().await;
    }
    told
}

/// Whose gateway does the work.
enum Place {
    Elsewhere(Client),
    Here(Box<Running>),
}

async fn cycles_of(place: &Place, asked: &LabRun, run: &Context) -> anyhow::Result<()> {
    let mut pause = PAUSE;
    loop {
        let done = one(place, asked.at_any_load).await?;
        line(&done, run.out)?;
        if !asked.repeat {
            return match done.outcome {
                Outcome::Done => Ok(()),
                Outcome::BackedOff => Err(Failure::new(Code::Failed, done.why)
                    .next("try again later, or with --at-any-load")
                    .into()),
                Outcome::Failed => Err(Failure::new(Code::Failed, done.why)
                    .next("see `instar logs`; `instar doctor` checks the walls")
                    .into()),
            };
        }
        pause = match (done.outcome, done.more, done.signs) {
            (Outcome::Done, true, _) => Duration::ZERO,
            (Outcome::Done, false, 1..) => PAUSE,
            _ => (pause * 2).min(PAUSE_MAX),
        };
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn one(place: &Place, at_any_load: bool) -> anyhow::Result<Cycle> {
    match place {
        Place::Elsewhere(client) => {
            client
                .post("/api/v1/lab/run", &RunAsked { at_any_load })
                .await
        }
        Place::Here(running) => Ok(Box::pin(cycle(running.app(), at_any_load)).await?),
    }
}

/// A gateway for as long as the lab works, on the port of the dashboard.
async fn headless(run: &Context) -> anyhow::Result<Running> {
    let told = environment("INSTAR_LAB_DASHBOARD_PORT").filter(|text| !text.is_empty());
    let port = match told {
        None => DASHBOARD_PORT,
        Some(text) => text.parse().map_err(|_| {
            Failure::new(Code::Usage, "INSTAR_LAB_DASHBOARD_PORT is no port")
                .next("use a number from 0 to 65535")
        })?,
    };
    let running = up::start(&run.state()?, Some(port), run).await?;
    if !run.out.json() {
        let (link, _ends) = running
            .sign_in_link()
            .map_err(|error| anyhow::anyhow!("making a sign-in link: {error}"))?;
        run.out.note(&format!(
            "pages while this runs: {}/faults (sign in: {link})",
            running.url()
        ));
    }
    Ok(running)
}

async fn cycles(limit: usize, run: &Context) -> anyhow::Result<Vec<Cycle>> {
    match offline::live(run).await? {
        Some(client) => client.get(&format!("/api/v1/lab/log?limit={limit}")).await,
        None => offline::cycles(run, limit).await,
    }
}

fn tell(cycles: &[Cycle], run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(&cycles);
    }
    if cycles.is_empty() {
        run.out.note("the lab has not run yet; `instar lab run`");
    }
    for cycle in cycles {
        line(cycle, run.out)?;
    }
    Ok(())
}

fn line(cycle: &Cycle, out: Out) -> anyhow::Result<()> {
    if out.json() {
        return out.value_line(cycle);
    }
    let time = out.paint(Style::Faint, &super::status::clock(cycle.at));
    let told = match cycle.outcome {
        Outcome::Done => format!(
            "{} events, {} signs, {} faults ({} new), {} merged, {} refused, {} ms{}",
            cycle.events,
            cycle.signs,
            cycle.faults_touched,
            cycle.faults_new,
            cycle.merged,
            cycle.refused,
            cycle.millis,
            if cycle.more {
                "; there are more events"
            } else {
                ""
            },
        ),
        Outcome::BackedOff => format!("waits: {}", cycle.why),
        Outcome::Failed => format!("failed: {}", cycle.why),
    };
    out.line(&format!("{time} {told}"));
    Ok(())
}
