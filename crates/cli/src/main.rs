//! The binary `instar`: reads the command line, hands over to one command, and turns its failure
//! into a message, a next step and an exit code.

mod args;
mod commands;

mod chat;
mod client;
mod context;
mod failure;
mod hide;
mod jobs;
mod keyboard;
mod lines;
mod manual;
mod memory;
mod out;
mod progress;
mod question;
mod service;
mod typed;

use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

use args::{Cli, Command, Gateway, Lab, Mcp};
use context::Context;
use failure::{Code, Failure};
use out::Out;

fn main() -> ExitCode {
    // Started a second time to build walls, this process has no business with anything below.
    if let Some(code) = instar_sandbox::stage() {
        return code.into();
    }
    if let Some(code) = jobs::work() {
        return code.into();
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exposure = hide::keys(&arguments);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return misread(&error),
    };
    let run = Context::new(&cli.global, exposure);
    match dispatch(&cli.command, &run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(run.out, &error),
    }
}

fn fail(out: Out, error: &anyhow::Error) -> ExitCode {
    out.failure(error);
    let code = error
        .downcast_ref::<Failure>()
        .map_or(Code::Failed, |one| one.code);
    ExitCode::from(code as u8)
}

/// Help and the version are asked for in the same way as mistakes are found.
fn misread(error: &clap::Error) -> ExitCode {
    match typed::failure(error) {
        Some(failure) => fail(Out::before_arguments(), &failure.into()),
        None => {
            // A reader that went away is no error.
            drop(error.print());
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage as u8))
        }
    }
}

/// Commands that only touch files run as they are; the rest get a runtime of the size they need.
fn dispatch(command: &Command, run: &Context) -> anyhow::Result<()> {
    match command {
        Command::Config(command) => commands::config::run(command, run),
        Command::Token(command) => commands::secrets::token(command, run),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "instar", &mut script);
            run.out.piece(&String::from_utf8(script)?);
            Ok(())
        }
        Command::Man { dir } => manual::pages(Cli::command(), dir, run.out),
        Command::Version => version(run),
        Command::Manual => {
            run.out.piece(&manual::markdown(Cli::command()));
            Ok(())
        }
        // The lab brings a gateway where none runs.
        Command::Up(_) | Command::Gateway(Gateway::Run { .. }) | Command::Lab(Lab::Run(_)) => {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(workers())
                .enable_all()
                .build()?
                .block_on(Box::pin(serve(command, run)))
        }
        _ => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(Box::pin(ask(command, run))),
    }
}

/// Half of the processors, for the store's threads and the models on this machine want some too. A
/// turn is a chain of small steps, which one busy thread does faster than two that wake each other.
fn workers() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.div_ceil(2).clamp(1, 8)
}

async fn serve(command: &Command, run: &Context) -> anyhow::Result<()> {
    match command {
        Command::Up(command) => commands::up::up(command, run).await,
        Command::Gateway(Gateway::Run { port }) => commands::up::run(*port, run).await,
        Command::Lab(command) => commands::lab::run(command, run).await,
        other => unreachable_here(other),
    }
}

async fn ask(command: &Command, run: &Context) -> anyhow::Result<()> {
    match command {
        Command::Status => commands::status::status(run).await,
        Command::Health => commands::status::health(run).await,
        Command::Doctor(command) => commands::doctor::run(command, run).await,
        Command::Gateway(Gateway::Status) => commands::status::gateway(run).await,
        Command::Gateway(command) => commands::service::run(command, run).await,
        Command::Onboard(command) => commands::onboard::run(command, run).await,
        Command::Logs(command) => commands::logs::run(command, run).await,
        Command::Secrets(command) => commands::secrets::run(command, run).await,
        Command::Models(command) => commands::models::run(command, run).await,
        Command::Devices(command) => commands::devices::run(command, run).await,
        Command::Tools(command) => commands::tools::run(command, run).await,
        Command::Skill(command) => commands::skill::run(command, run).await,
        Command::Undo { change } => commands::undo::run(change.as_deref(), run).await,
        Command::Memory(command) => commands::memory::run(command, run).await,
        Command::Approvals(command) => commands::approvals::run(command, run).await,
        Command::Inbox(command) => commands::inbox::run(command, run).await,
        Command::Heartbeat(command) => commands::heartbeat::run(command, run).await,
        Command::Schedule(command) => commands::schedule::run(command, run).await,
        Command::Policy(command) => commands::policy::run(command, run).await,
        Command::Audit(command) => commands::audit::run(command, run).await,
        Command::Security(command) => commands::security::run(command, run).await,
        Command::Sessions(command) => commands::sessions::run(command, run).await,
        Command::Chat(command) => chat::run(command, run).await,
        Command::Dashboard { no_open } => commands::dashboard::run(*no_open, run).await,
        Command::Agents(command) => commands::agents::run(command, run).await,
        Command::Agent(command) => commands::agent::run(command, run).await,
        Command::Usage(command) => commands::usage::run(command, run).await,
        Command::Release(command) => commands::release::run(command, run).await,
        Command::Candidate(command) => commands::candidate::run(command, run).await,
        Command::Demo(command) => commands::demo::run(command, run).await,
        Command::Gene(command) => commands::heal::gene(command, run).await,
        Command::Heal(command) => commands::heal::heal(command, run).await,
        Command::Rollout(command) => commands::rollout::run(command, run).await,
        Command::Fault(command) => commands::fault::run(command, run).await,
        Command::Lab(command) => commands::lab::run(command, run).await,
        Command::Eval(command) => commands::eval::run(command, run).await,
        Command::Events(command) => commands::events::run(command, run).await,
        Command::Acp(command) => commands::acp::run(command, run).await,
        Command::Mcp(Mcp::Serve) => commands::mcp::serve(run).await,
        other => unreachable_here(other),
    }
}

fn unreachable_here(command: &Command) -> anyhow::Result<()> {
    anyhow::bail!("{command:?} was sent down the wrong road; this is a defect in Instar")
}

fn version(run: &Context) -> anyhow::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    if run.out.json() {
        return run.out.value(&serde_json::json!({ "version": version }));
    }
    run.out.line(&format!("instar {version}"));
    Ok(())
}
