//! `instar doctor`: what is wrong, what to do about it, and with `--fix` the doing.

use instar_config::StateDir;
use instar_gateway::config::InstarConfig;
use instar_gateway::ports;
use instar_protocol::api::{Finding, Severity};
use instar_sandbox::native::Native;
use instar_sandbox::probe::{State, probe};
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _};
use std::net::{IpAddr, Ipv4Addr};

use super::mend::{Mend, leftovers};
use super::process::Running;
use crate::args::Doctor;
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};
use crate::service::{Manager, Reach, Standing, lingers, run as ask};

/// Ports that are tried for one that is free.
const PORTS_TRIED: u16 = 50;

/// A finding, and what would mend it.
struct Found {
    finding: Finding,
    mend: Option<Mend>,
}

impl Found {
    fn new(check: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            finding: Finding {
                check: check.to_owned(),
                severity,
                message: message.into(),
                next_step: None,
            },
            mend: None,
        }
    }

    fn next(mut self, step: impl Into<String>) -> Self {
        self.finding.next_step = Some(step.into());
        self
    }

    fn mended_by(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }
}

/// What became of a mend.
enum Fate {
    Done(String),
    Declined,
    Failed(String),
}

pub(crate) async fn run(command: &Doctor, run: &Context) -> anyhow::Result<()> {
    let found = crate::progress::waiting("looking", run, gather(run)).await?;
    if !command.fix {
        return tell(&found, run);
    }
    let mut worst = Severity::Fine;
    let mut rows = Vec::new();
    for one in &found {
        let fate = one.mend.as_ref().map(|mend| treat(mend, command.yes, run));
        if !matches!(fate, Some(Fate::Done(_))) {
            worst = worst.max(one.finding.severity);
        }
        if run.out.json() {
            rows.push(row(one, fate.as_ref()));
        } else {
            report(run.out, &one.finding, fate.as_ref());
        }
    }
    if run.out.json() {
        run.out.value(&rows)?;
    }
    verdict(worst)
}

fn tell(found: &[Found], run: &Context) -> anyhow::Result<()> {
    let findings: Vec<&Finding> = found.iter().map(|one| &one.finding).collect();
    if run.out.json() {
        run.out.value(&findings)?;
    } else {
        for finding in &findings {
            report(run.out, finding, None);
        }
        let mendable = found.iter().filter(|one| one.mend.is_some()).count();
        if mendable > 0 {
            run.out.note(&format!(
                "{mendable} of these can be mended by `instar doctor --fix`"
            ));
        }
    }
    let worst = findings.iter().map(|one| one.severity).max();
    verdict(worst.unwrap_or(Severity::Fine))
}

fn verdict(worst: Severity) -> anyhow::Result<()> {
    if worst < Severity::Error {
        return Ok(());
    }
    Err(Failure::new(Code::Failed, "something is broken")
        .next("see the lines marked error")
        .into())
}

/// What the gateway finds, or what can be seen without one; then what is around it.
async fn gather(run: &Context) -> anyhow::Result<Vec<Found>> {
    let state = run.state()?;
    let live = super::offline::live(run).await?;
    let findings: Vec<Finding> = match &live {
        Some(client) => client.get("/api/v1/doctor").await?,
        None => super::offline::doctor(run).await?,
    };
    let mut found: Vec<Found> = findings
        .into_iter()
        .map(|finding| {
            let open = finding.check == "modes" && finding.severity == Severity::Error;
            Found {
                finding,
                mend: open.then(|| Mend::Modes(state.root().to_owned())),
            }
        })
        .collect();
    if state.root().exists() {
        found.extend(files(&state)?);
    }
    if live.is_none() {
        found.extend(port(&state));
    }
    found.extend(service(&state, run));
    found.extend(walls(live.as_ref().map(|client| client.run.pid)));
    found.extend(time());
    Ok(found)
}

/// The walls around programs, layer by layer, each tried. Chatting goes on without them. Which control
/// groups there are is a matter of the gateway's process, where one runs.
fn walls(gateway: Option<u32>) -> Vec<Found> {
    let layers = probe(&Native::of_this_binary(), gateway).into_iter();
    layers
        .map(|layer| {
            let (severity, why) = match layer.state {
                State::Holds => (Severity::Fine, "holds".to_owned()),
                State::Weak(why) => (Severity::Notice, why),
                State::Missing(why) if layer.name == "walls" => {
                    let why = format!("missing, so agents run no programs: {why}");
                    (Severity::Warning, why)
                }
                State::Missing(why) => (Severity::Notice, format!("missing: {why}")),
            };
            Found::new("sandbox", severity, format!("{}: {why}", layer.name))
        })
        .collect()
}

/// What ended programs left behind.
fn files(state: &StateDir) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    if let Some(last) = Client::last_run(state).unwrap_or(None)
        && Running::find(state)?.is_none()
    {
        let message = format!(
            "the run file is of a gateway (pid {}) that is gone",
            last.pid
        );
        found.push(
            Found::new("run-file", Severity::Notice, message)
                .next("the next start replaces it")
                .mended_by(Mend::Files(vec![state.run_file()])),
        );
    }
    let left = leftovers(state.root());
    if !left.is_empty() {
        let message = format!(
            "{} half-written files of programs that were cut off",
            left.len()
        );
        found.push(
            Found::new("left-overs", Severity::Notice, message)
                .next("they are not used; remove them")
                .mended_by(Mend::Files(left)),
        );
    }
    Ok(found)
}

/// The port that a start would want.
fn port(state: &StateDir) -> Option<Found> {
    let loaded = instar_config::load::<InstarConfig>(state.config_file(), &environment).ok()?;
    let own = environment("INSTAR_GATEWAY_PORT").and_then(|text| text.parse().ok());
    let port = own.unwrap_or(loaded.value.gateway.port);
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if ports::is_free(here, port) {
        return Some(Found::new(
            "port",
            Severity::Fine,
            format!("{port} is free"),
        ));
    }
    let by = ports::holder(port).map_or_else(
        || "another user's program".to_owned(),
        |holder| holder.to_string(),
    );
    let found = Found::new("port", Severity::Error, format!("{port} is taken by {by}"))
        .next("end that program, or set gateway.port to another port");
    let free = (port.saturating_add(1)..=port.saturating_add(PORTS_TRIED))
        .find(|port| ports::is_free(here, *port));
    Some(match free {
        Some(free) if own.is_none() => found.mended_by(Mend::Port {
            state: state.clone(),
            port: free,
        }),
        _ => found,
    })
}

/// The service, if there is one.
fn service(state: &StateDir, run: &Context) -> Vec<Found> {
    const CHECK: &str = "service";
    let manager = Manager::here();
    let Ok(plan) = super::service::plan_or_usual(state, run) else {
        return Vec::new();
    };
    let installed = match manager.standing(&plan) {
        Ok(Standing::Absent) => {
            return vec![
                Found::new(CHECK, Severity::Fine, "not installed as a service")
                    .next("`instar gateway install` starts it at every log-in"),
            ];
        }
        Ok(Standing::Current) => Found::new(CHECK, Severity::Fine, "as it would be written now"),
        Ok(Standing::Old) => Found::new(
            CHECK,
            Severity::Warning,
            "what is installed differs from what this program would write",
        )
        .next("`instar gateway install` writes it anew")
        .mended_by(Mend::Service(Box::new(plan))),
        Ok(Standing::Foreign) => Found::new(
            CHECK,
            Severity::Notice,
            "installed, but not written by Instar",
        )
        .next("`instar gateway install --force` replaces it"),
        Err(error) => Found::new(CHECK, Severity::Warning, error.to_string())
            .next("make the service's file readable"),
    };
    let mut found = vec![installed];
    if let Reach::Not { why, next } = manager.reach() {
        found.push(Found::new("manager", Severity::Warning, why).next(next));
    }
    match lingers() {
        Some(false) => found.push(
            Found::new(
                "linger",
                Severity::Warning,
                "the service ends when you log out",
            )
            .next("run `loginctl enable-linger`")
            .mended_by(Mend::Linger),
        ),
        Some(true) => found.push(Found::new(
            "linger",
            Severity::Fine,
            "the service runs without anybody logged in",
        )),
        None => {}
    }
    found
}

/// Whether something keeps the clock right. A machine that cannot say is not complained about.
fn time() -> Option<Found> {
    let mut command = std::process::Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]);
    let output = ask(&mut command)
        .ok()
        .filter(|output| output.status.success())?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(Found::new(
            "time",
            Severity::Fine,
            "the clock is kept right",
        )),
        "no" => Some(
            Found::new(
                "time",
                Severity::Notice,
                "nothing keeps the machine's clock right",
            )
            .next("run `timedatectl set-ntp true` as root")
            .mended_by(Mend::TimeSync),
        ),
        _ => None,
    }
}

fn treat(mend: &Mend, yes: bool, run: &Context) -> Fate {
    if !yes && !agreed(&mend.proposal(), run) {
        return Fate::Declined;
    }
    match mend.apply() {
        Ok(done) => Fate::Done(done),
        Err(error) => Fate::Failed(crate::out::chain(&error)),
    }
}

/// Asks on the terminal; where there is none, nobody agreed.
fn agreed(proposal: &str, run: &Context) -> bool {
    if run.out.json() || !std::io::stdin().is_terminal() {
        return false;
    }
    run.out.ask(&format!("{proposal}? [y/N] "));
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.is_ok() && matches!(line.trim(), "y" | "Y" | "yes")
}

fn row(one: &Found, fate: Option<&Fate>) -> serde_json::Value {
    let mut row = json!(one.finding);
    if let (Some(mend), Some(fate)) = (&one.mend, fate) {
        let (done, message) = match fate {
            Fate::Done(what) => (true, what.clone()),
            Fate::Declined => (
                false,
                "not agreed to; `--yes` agrees to everything".to_owned(),
            ),
            Fate::Failed(why) => (false, why.clone()),
        };
        row["fix"] = json!({ "proposal": mend.proposal(), "done": done, "message": message });
    }
    row
}

fn report(out: Out, finding: &Finding, fate: Option<&Fate>) {
    let (style, word) = match (finding.severity, fate) {
        (_, Some(Fate::Done(_))) => (Style::Good, "mended"),
        (Severity::Fine, _) => (Style::Good, "fine"),
        (Severity::Notice, _) => (Style::Plain, "note"),
        (Severity::Warning, _) => (Style::Warn, "warning"),
        (Severity::Error, _) => (Style::Bad, "error"),
    };
    let word = out.paint(style, &format!("{word:<8}"));
    out.line(&format!("{word} {:<16} {}", finding.check, finding.message));
    let more = match fate {
        Some(Fate::Done(what)) => Some(format!("done: {what}")),
        Some(Fate::Failed(why)) => Some(format!("could not be mended: {why}")),
        Some(Fate::Declined) => {
            Some("left as it is; `instar doctor --fix --yes` mends it".to_owned())
        }
        None => finding
            .next_step
            .as_ref()
            .map(|step| format!("next: {step}")),
    };
    if let Some(more) = more {
        out.line(&format!("{:<8} {:<16} {more}", "", ""));
    }
}
