//! `instar lab`.

use anyhow::Context as _;
use instar_gateway::Running;
use instar_gateway::api::faults::RunAsked;
use instar_gateway::lab::{Cycle, Outcome, cycle};
use instar_improve::gep;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

use super::review::Review;
use super::{offline, up};
use crate::args::{Lab, LabRun};
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::{Out, Style, files as file_count, visible};

/// Bytes of a file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Where the pages are while the lab runs without a gateway.
const DASHBOARD_PORT: u16 = 8420;
/// Between two cycles that found something, and the longest pause.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSE_MAX: Duration = Duration::from_secs(300);

pub(crate) async fn run(command: &Lab, run: &Context) -> anyhow::Result<()> {
    match command {
        Lab::Run(asked) => work(asked, run).await,
        Lab::Export { dir } => export(dir, run).await,
        Lab::Import { dir, dry_run } => import(dir, *dry_run, run).await,
        Lab::Walls => super::walls::run(run),
        Lab::Forget => forget(run).await,
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
    let mut review = if asked.review {
        Some(Review::begin(run).await?)
    } else {
        None
    };
    // From before the first cycle on: whoever stops it in the middle of one is heard at its end.
    let mut interrupt = asked
        .repeat
        .then(|| signal(SignalKind::interrupt()))
        .transpose()?;
    loop {
        let done = one(place, asked.at_any_load).await?;
        line(&done, run.out)?;
        if let Some(review) = &mut review {
            review.look(run).await?;
        }
        let Some(interrupt) = &mut interrupt else {
            return match done.outcome {
                Outcome::Done => Ok(()),
                Outcome::BackedOff => Err(Failure::new(Code::Failed, done.why)
                    .next("try again later, or with --at-any-load")
                    .into()),
                Outcome::Failed => Err(Failure::new(Code::Failed, done.why)
                    .next("see `instar logs`; `instar doctor` checks the walls")
                    .into()),
            };
        };
        pause = match (done.outcome, done.more, done.signs) {
            (Outcome::Done, true, _) => Duration::ZERO,
            (Outcome::Done, false, 1..) => PAUSE,
            _ => (pause * 2).min(PAUSE_MAX),
        };
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
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
    let running = up::start_here(&run.state()?, port, run).await?;
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

/// The ledger as files. They are a picture of it: nothing is ever read back from them.
async fn export(dir: &Path, run: &Context) -> anyhow::Result<()> {
    let ledger = match offline::live(run).await? {
        Some(client) => client.get("/api/v1/lab/ledger").await?,
        None => offline::ledger(run).await?,
    };
    let ledger: gep::Ledger = serde_json::from_value(ledger)?;
    let files = gep::write(&ledger)?;
    for (path, text) in &files {
        let file = dir.join(path);
        let folder = file.parent().unwrap_or(dir);
        let failed = || format!("writing {}", file.display());
        std::fs::create_dir_all(folder).with_context(failed)?;
        std::fs::write(&file, text).with_context(failed)?;
    }
    if run.out.json() {
        return run.out.value(&files.keys().collect::<Vec<_>>());
    }
    run.out
        .line(&format!("{} in {}", file_count(files.len()), dir.display()));
    Ok(())
}

/// Takes over of a folder of another engine what is to be believed.
async fn import(dir: &Path, dry_run: bool, run: &Context) -> anyhow::Result<()> {
    let report = gep::read(|path| bounded(&dir.join(path)));
    let kept = match (dry_run, offline::live(run).await?) {
        (true, _) => None,
        (false, Some(client)) => Some(client.post("/api/v1/lab/foreign", &report.takeover).await?),
        (false, None) => Some(offline::take_over(run, Some(report.takeover.clone())).await?),
    };
    if run.out.json() {
        let mut told = serde_json::to_value(&report)?;
        told["kept"] = serde_json::json!(kept);
        return run.out.value(&told);
    }
    told(&report, run.out);
    match kept {
        None => run.out.note("nothing was kept: --dry-run"),
        Some(kept) => run.out.note(&format!(
            "{kept} records are new here; `instar gene allow ID` takes a recipe into use, `instar lab forget` drops all"
        )),
    }
    Ok(())
}

fn told(report: &gep::Report, out: Out) {
    out.line(&format!(
        "{} genes, {} capsules, {} of failures, {} events; {} of them are what they say",
        report.genes, report.capsules, report.failed_capsules, report.events, report.verified
    ));
    for doubt in &report.doubts {
        let (asset, why) = (visible(&doubt.asset), visible(&doubt.why));
        out.line(&out.paint(Style::Bad, &format!("  not believed: {asset}: {why}")));
    }
    for path in &report.missing {
        out.note(&format!("{path} is not there or cannot be read"));
    }
    let signals: Vec<&str> = report.signals.iter().map(|kind| kind.name()).collect();
    out.line(&format!("  its genes are for: {}", signals.join(", ")));
    for id in &report.proposed {
        out.line(&format!("  proposed, not in use: {}", visible(id)));
    }
    out.line(&format!(
        "  {} genes are prose for a model and are only shown; {} are here already",
        report.prose_only, report.known
    ));
    out.line(&format!(
        "  {} capsules name their evidence and count a little; the rest are records",
        report.counted
    ));
    out.note(&format!(
        "{} command lines are in it and none was run; {} assets name their machine and that is not kept; {} rows of \
         feedback and lessons have no address and are left out",
        report.commands, report.fingerprints, report.rows_without_address
    ));
}

/// Drops what was kept of other engines.
async fn forget(run: &Context) -> anyhow::Result<()> {
    let gone: usize = match offline::live(run).await? {
        Some(client) => client.delete("/api/v1/lab/foreign").await?,
        None => offline::take_over(run, None).await?,
    };
    if run.out.json() {
        return run.out.value(&gone);
    }
    run.out
        .line(&format!("{gone} records of other engines are gone"));
    Ok(())
}

/// The text of a file that is not endless.
fn bounded(file: &Path) -> Option<String> {
    let mut text = String::new();
    let open = std::fs::File::open(file).ok()?;
    let read = open.take(FILE_BYTES_MAX).read_to_string(&mut text);
    read.is_ok().then_some(text)
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
