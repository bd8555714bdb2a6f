//! Starts a bench: builds what it measures with the `dist` profile, then hands over.

use clap::Args;

use crate::run::{cargo, must, target};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The bench, for example `gateway`; `list` names them all
    name: String,
    /// Arguments for the bench: `--data DIR`, `--seed N`, `--json`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let asks_for_binary = |argument: &String| argument == "--gateway" || argument == "--months";
    let packages: &[&str] = match options.name.as_str() {
        // These measure code, not the binary, unless they are asked to.
        "agentdojo" | "clustering" | "healing" | "policy" | "rollout"
            if !options.rest.iter().any(asks_for_binary) =>
        {
            &["instar-bench"]
        }
        _ => &["instar-cli", "instar-bench", "instar-testkit"],
    };
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile=dist"]);
    for package in packages {
        build.args(["--package", package]);
    }
    if options
        .rest
        .iter()
        .any(|argument| argument == "--components")
    {
        build.args(["--features", "instar-cli/components"]);
    }
    // Results go to standard output as JSON, so the build must not speak there.
    let status = build.stdout(std::process::Stdio::null()).status()?;
    anyhow::ensure!(
        status.success(),
        "the build of what the bench measures failed"
    );
    let folder = target().join("dist");
    let mut command = std::process::Command::new(folder.join("instar-bench"));
    command
        .arg(&options.name)
        .args(&options.rest)
        .env("INSTAR_BENCH_BIN_DIR", &folder);
    if options.rest.iter().any(|argument| argument == "--json") {
        let status = command.status()?;
        anyhow::ensure!(status.success(), "the bench ended with {status}");
        return Ok(());
    }
    must(&mut command)
}
