//! The scripted model as a program of its own, for benches and browser tests.
//!
//! `scripted-model [--port N] [--script FILE] [--workers N]` prints its base URL on the first line
//! and serves until it is ended. Without a script it answers every request with the same words.

use anyhow::{Context, Result, bail};
use instar_demo::Script;
use instar_testkit::{ScriptedServer, ServerOptions};

fn main() -> Result<()> {
    let mut options = ServerOptions {
        workers: 2,
        requests_kept: 0,
        ..ServerOptions::default()
    };
    let mut script = Script::saying("Hello from the scripted model.");
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--port" => options.port = value()?.parse().context("reading --port")?,
            "--workers" => options.workers = value()?.parse().context("reading --workers")?,
            "--script" => {
                let path = value()?;
                let text =
                    std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
                script = Script::parse(&text).with_context(|| format!("reading {path}"))?;
            }
            other => bail!("unknown option {other}; known: --port N, --script FILE, --workers N"),
        }
    }
    let server = ScriptedServer::start_with(script, &options)?;
    #[expect(
        clippy::print_stdout,
        reason = "the caller reads the address from here"
    )]
    {
        println!("{}", server.base_url);
    }
    server.wait();
    Ok(())
}
