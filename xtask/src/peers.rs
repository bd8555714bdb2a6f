//! Programs of others as people have them: promptfoo on the same suites, and the whole command line client
//! of OpenClaw, unmodified, against the built gateway. Big and slow, so they run only when asked for.

use anyhow::Context as _;
use std::path::Path;
use std::process::Command;

use crate::run::{cache, cargo, must, output, root, say, target};
use crate::tools::Tools;

/// The client; it needs the newer Node beside it.
const CLIENT: &str = "openclaw@2026.9.6";
const NODE: &str = "node@24";

/// What the suites of cases are compared with, and the part of its database that is built for this machine.
const SUITES: &str = "promptfoo@0.121.20";
const SUITES_NATIVE: &str = "@libsql/linux-x64-gnu@0.5.29";

/// Runs promptfoo and our runner on the same files and compares them case by case.
fn suites() -> anyhow::Result<()> {
    let folder = cache()?.join("promptfoo");
    let program = folder.join("node_modules/promptfoo/dist/src/entrypoint.js");
    if !program.exists() {
        std::fs::create_dir_all(&folder)?;
        // Without what it can do without, it is a third of its size.
        must(
            Command::new("npm")
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                    "--omit=optional",
                    "--prefix",
                ])
                .arg(&folder)
                .args([SUITES, SUITES_NATIVE]),
        )?;
    }
    must(
        cargo()
            .args([
                "test",
                "--quiet",
                "--package",
                "instar-evals",
                "--test",
                "it",
                "peers::",
            ])
            .env("INSTAR_TEST_PROMPTFOO", &program),
    )
    .context("a case comes out otherwise than in promptfoo")?;
    must(
        cargo()
            .args(["test", "--quiet", "--package", "instar-cli", "--test", "it"])
            .arg("scripts::scripts_decide_as")
            .env("INSTAR_TEST_PROMPTFOO", &program),
    )
    .context("a script decides otherwise than in promptfoo")?;
    say("promptfoo and our runner agree on every case of the corpus");
    Ok(())
}

/// Runs the client's commands one after the other and writes the table of what works.
pub(crate) fn run(tools: &Tools) -> anyhow::Result<()> {
    suites()?;
    let folder = cache()?.join("peers");
    let modules = folder.join("node_modules");
    install(&folder, &modules)?;
    must(cargo().args([
        "build",
        "--quiet",
        "--package",
        "instar-cli",
        "--package",
        "instar-testkit",
    ]))?;
    let built = target().join("debug");
    let version = output(Command::new(built.join("instar")).arg("--version"))?;
    let version = version.split_whitespace().last().unwrap_or_default();
    let node = modules.join("node/bin/node");
    let out = root().join("docs/peers.md");
    let input = [
        ("modules", tools.node_modules().display().to_string()),
        (
            "client",
            modules.join("openclaw/openclaw.mjs").display().to_string(),
        ),
        ("node", node.display().to_string()),
        ("instar", built.join("instar").display().to_string()),
        ("model", built.join("scripted-model").display().to_string()),
        ("out", out.display().to_string()),
        ("version", version.to_owned()),
    ];
    let input: Vec<String> = input
        .iter()
        .map(|(name, value)| format!("{name:?}: {value:?}"))
        .collect();
    let script = root().join("crates/cli/tests/control/stock.mjs");
    let mut command = Command::new(&node);
    command
        .arg(script)
        .env("INSTAR_PEERS_INPUT", format!("{{{}}}", input.join(", ")));
    must(&mut command).context("a client that exists does not work; the table says which")?;
    say(&format!("wrote {}", out.display()));
    Ok(())
}

/// About 650 MB, once.
fn install(folder: &Path, modules: &Path) -> anyhow::Result<()> {
    let complete = ["openclaw/package.json", "node/bin/node"]
        .iter()
        .all(|file| modules.join(file).exists());
    if complete {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    must(
        Command::new("npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
                "--prefix",
            ])
            .arg(folder)
            .args([NODE, CLIENT]),
    )
}
