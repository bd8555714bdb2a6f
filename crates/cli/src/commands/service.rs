//! `instar gateway install|uninstall|start|stop|restart`.

use instar_config::StateDir;
use instar_gateway::config::{AuthMode, InstarConfig};
use instar_gateway::setup::{KeyPlace, Setup};
use serde_json::json;
use std::collections::BTreeMap;

use super::config::explain;
use super::process::{self, Running};
use crate::args::Gateway;
use crate::client::Client;
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::progress::waiting;
use crate::service::{Manager, Plan, Reach, Standing, is_a_build, lingers};

pub(crate) async fn run(command: &Gateway, run: &Context) -> anyhow::Result<()> {
    match command {
        Gateway::Install { print: true, .. } => print(run),
        Gateway::Install { force, .. } => install_and_say(*force, run).await,
        Gateway::Uninstall => uninstall(run),
        Gateway::Start => start(run).await,
        Gateway::Stop => stop(run).await,
        Gateway::Restart => restart(run).await,
        Gateway::Run { .. } | Gateway::Status => {
            anyhow::bail!("{command:?} was sent down the wrong road; this is a defect in Instar")
        }
    }
}

/// What a service of this installation is now.
pub(crate) fn plan(state: &StateDir, run: &Context) -> anyhow::Result<Plan> {
    Plan::of(
        state,
        run.profile(),
        config(state, run)?.gateway.shutdown_grace_seconds,
    )
}

fn config(state: &StateDir, run: &Context) -> anyhow::Result<InstarConfig> {
    let file = state.config_file();
    let loaded = instar_config::load_with(file, &environment, InstarConfig::problems)
        .map_err(|error| explain(error, run))?;
    Ok(loaded.value)
}

fn print(run: &Context) -> anyhow::Result<()> {
    let (manager, plan) = (Manager::here(), plan(&run.state()?, run)?);
    if run.out.json() {
        return run.out.value(&json!({
            "manager": manager.name(), "file": manager.file(&plan)?, "text": manager.text(&plan),
        }));
    }
    run.out
        .note(&format!("# {}", manager.file(&plan)?.display()));
    run.out.piece(&manager.text(&plan));
    Ok(())
}

async fn install_and_say(force: bool, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    state.prepare()?;
    let (manager, plan) = (Manager::here(), plan(&state, run)?);
    if let Reach::Not { why, next } = manager.reach() {
        if !run.out.json() {
            run.out.note(&format!(
                "# nothing was installed; this is what belongs into {}",
                manager.file(&plan)?.display()
            ));
            run.out.piece(&manager.text(&plan));
        }
        return Err(Failure::new(Code::Failed, why).next(next).into());
    }
    let file = install(&state, force, run).await?;
    if run.out.json() {
        return run.out.value(&json!({
            "installed": plan.name, "manager": manager.name(), "file": file,
            "linger": lingers(), "pid": manager.main_pid(&plan),
        }));
    }
    run.out.line(&format!(
        "{} runs as a service of {}",
        plan.name,
        manager.name()
    ));
    run.out.note(&format!("written: {}", file.display()));
    hint_at_linger(run);
    hint_at_key(&state, run).await;
    if let Ok(Some(client)) = Client::find(&state) {
        run.out.line(&format!("it listens on {}", client.run.url));
    }
    Ok(())
}

/// Without lingering the service ends with the last session of its user.
pub(crate) fn hint_at_linger(run: &Context) {
    if lingers() == Some(false) {
        run.out.note(
            "it stops when you log out; `loginctl enable-linger` keeps it running from boot on",
        );
    }
}

/// A key that is only in this terminal's environment is none for the service.
async fn hint_at_key(state: &StateDir, run: &Context) {
    let Ok(setup) = Setup::open(
        state.clone(),
        environment,
        "instar gateway",
        BTreeMap::new(),
    ) else {
        return;
    };
    let Ok(offer) = setup.look().await else {
        return;
    };
    let (model, vendors) = (offer.model.unwrap_or_default(), offer.vendors);
    let needed = vendors.iter().find_map(|vendor| match &vendor.key {
        KeyPlace::Environment(variable)
            if model.is_empty() || model.starts_with(&format!("{}/", vendor.id)) =>
        {
            Some((vendor, variable))
        }
        _ => None,
    });
    if let Some((vendor, variable)) = needed {
        let id = &vendor.id;
        run.out.note(&format!(
            "{variable} is set in this terminal and the service does not see it; keep a copy: \
             `instar onboard`, or `printenv {variable} | instar secrets set {id}`"
        ));
    }
}

/// Writes the service and starts it. A gateway that runs beside it is not pushed aside.
pub(crate) async fn install(
    state: &StateDir,
    force: bool,
    run: &Context,
) -> anyhow::Result<std::path::PathBuf> {
    let (manager, plan) = (Manager::here(), plan(state, run)?);
    if manager.standing(&plan)? == Standing::Foreign && !force {
        let message = format!("{} was not made by Instar", manager.file(&plan)?.display());
        return Err(Failure::new(Code::Failed, message)
            .next("look at it, and add --force to put Instar's own in its place")
            .into());
    }
    if let Some(other) = Running::find(state)?
        && manager.main_pid(&plan) != Some(other.pid)
    {
        let message = format!(
            "a gateway (pid {}) runs already, and not as this service",
            other.pid
        );
        return Err(Failure::new(Code::Locked, message)
            .next("stop it with `instar gateway stop`, then install again")
            .into());
    }
    if is_a_build(&plan.program) {
        run.out.note(&format!(
            "warning: the service will run {}, which the next build replaces; `cargo install` or the \
             Debian package put it where it stays",
            plan.program.display()
        ));
    }
    show_first_token(state, run)?;
    waiting("starting", run, apart(move || manager.install(&plan))).await
}

/// A service has nobody to show the token to: it is made and shown here, before the first start.
pub(crate) fn show_first_token(state: &StateDir, run: &Context) -> anyhow::Result<()> {
    if config(state, run)?.gateway.auth.mode != AuthMode::Token {
        return Ok(());
    }
    if let Some(token) = instar_gateway::door::token_if_first(state)? {
        run.out.note(&format!(
            "API token for programs, shown this once: {}",
            token.expose()
        ));
    }
    Ok(())
}

fn uninstall(run: &Context) -> anyhow::Result<()> {
    let (manager, plan) = (Manager::here(), plan(&run.state()?, run)?);
    match manager.standing(&plan)? {
        Standing::Absent => {
            let message = format!("there is no service {}", plan.name);
            return Err(Failure::new(Code::NotFound, message)
                .next("`instar gateway stop` stops one that was started otherwise")
                .into());
        }
        Standing::Foreign => {
            let message = format!("{} was not made by Instar", manager.file(&plan)?.display());
            return Err(Failure::new(Code::Failed, message)
                .next("remove it by hand")
                .into());
        }
        Standing::Current | Standing::Old => {}
    }
    if let Reach::Not { why, next } = manager.reach() {
        return Err(Failure::new(Code::Failed, why).next(next).into());
    }
    let file = manager.uninstall(&plan)?;
    if run.out.json() {
        return run
            .out
            .value(&json!({ "uninstalled": plan.name, "file": file }));
    }
    run.out.line(&format!(
        "{} is no service any more; {} is as it was",
        plan.name,
        plan.state.display()
    ));
    Ok(())
}

/// The service, if it is installed and its manager answers.
fn service(plan: &Plan) -> anyhow::Result<Option<Manager>> {
    let manager = Manager::here();
    let installed = manager.standing(plan)? != Standing::Absent;
    Ok((installed && manager.reach() == Reach::Reached).then_some(manager))
}

async fn start(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    state.prepare()?;
    if let Some(other) = Running::find(&state)? {
        return started(&state, other.pid, run);
    }
    let plan = plan(&state, run)?;
    show_first_token(&state, run)?;
    if let Some(manager) = service(&plan)? {
        waiting("starting", run, apart(move || manager.start(&plan))).await?;
    } else {
        process::in_background(&plan, &process::Origin::here(), &state, run).await?;
    }
    match Running::find(&state)? {
        Some(running) => started(&state, running.pid, run),
        None => Err(Failure::new(Code::Failed, "it did not stay up")
            .next("see why with `instar gateway run`")
            .into()),
    }
}

fn started(state: &StateDir, pid: u32, run: &Context) -> anyhow::Result<()> {
    let url = Client::last_run(state)?
        .map(|last| last.url)
        .unwrap_or_default();
    if run.out.json() {
        return run
            .out
            .value(&json!({ "running": true, "pid": pid, "url": url }));
    }
    run.out.line(&format!("running at {url} (pid {pid})"));
    Ok(())
}

async fn stop(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    let Some(running) = Running::find(&state)? else {
        // What asks for nothing to run is content.
        if run.out.json() {
            return run.out.value(&json!({ "stopped": null }));
        }
        run.out
            .note(&format!("no gateway runs on {}", state.root().display()));
        return Ok(());
    };
    let plan = plan_or_usual(&state, run)?;
    let pid = running.pid;
    end(running, &plan, &state, run).await?;
    if run.out.json() {
        return run.out.value(&json!({ "stopped": pid }));
    }
    run.out
        .line(&format!("the gateway (pid {pid}) has stopped"));
    Ok(())
}

/// Stopping must work with a configuration that cannot be read any more.
pub(crate) fn plan_or_usual(state: &StateDir, run: &Context) -> anyhow::Result<Plan> {
    let loaded = instar_config::load::<InstarConfig>(state.config_file(), &environment);
    let config = loaded.map(|loaded| loaded.value).unwrap_or_default();
    Plan::of(state, run.profile(), config.gateway.shutdown_grace_seconds)
}

/// Ends it by the hand that started it: a manager would take a plain signal for a failure.
async fn end(running: Running, plan: &Plan, state: &StateDir, run: &Context) -> anyhow::Result<()> {
    let manager = service(plan)?.filter(|manager| manager.main_pid(plan) == Some(running.pid));
    match manager {
        Some(manager) => {
            let plan = plan.clone();
            waiting(
                "stopping: letting turns finish",
                run,
                apart(move || manager.stop(&plan)),
            )
            .await
        }
        None => running.end(plan.stop, state, run).await,
    }
}

async fn restart(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    // A configuration that would not start again is found before anything is stopped.
    let plan = plan(&state, run)?;
    let Some(running) = Running::find(&state)? else {
        return start(run).await;
    };
    let manager = service(&plan)?.filter(|manager| manager.main_pid(&plan) == Some(running.pid));
    if let Some(manager) = manager {
        waiting("restarting", run, apart(move || manager.start(&plan))).await?;
    } else {
        let origin = process::Origin::of(&running, &state)?;
        running.end(plan.stop, &state, run).await?;
        process::in_background(&plan, &origin, &state, run).await?;
        run.out.note(
            "it runs in the background now; `instar gateway stop` stops it, `instar logs` shows its log",
        );
    }
    match Running::find(&state)? {
        Some(running) => started(&state, running.pid, run),
        None => Err(Failure::new(Code::Failed, "it did not come back")
            .next("see why with `instar gateway run`")
            .into()),
    }
}

/// Runs a program of the system while this one says that it waits.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}
