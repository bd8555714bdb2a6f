//! Changes the code that decides, one small change at a time, and asks the tests to notice.

mod together;
mod weave;

use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cache, must, output, root, say, target};
use crate::tools::cargo_tools;

/// Built from its source, as it is published in no other form.
const PACKAGE: &str = "cargo-mutants@27.1.0";

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only the code of this part; all four otherwise
    #[arg(long)]
    part: Option<Part>,
    /// Only the K-th of N equal parts of the changes, counted from 0: `0/8`
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// Only these files
    #[arg(long)]
    file: Vec<String>,
    /// Print the changes and make none
    #[arg(long)]
    list: bool,
    /// Put all changes into one build, each behind a switch: much quicker; what does not compile so is told
    #[arg(long)]
    together: bool,
    /// Only the changes that did not compile in one build, one by one
    #[arg(long, conflicts_with = "together")]
    rest: bool,
    /// Leave tests out that have this in their names
    #[arg(long)]
    skip: Vec<String>,
    /// Try again what an earlier run has caught as well
    #[arg(long)]
    anew: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
enum Part {
    Policy,
    Egress,
    Door,
    Sandbox,
}

impl Part {
    const ALL: [Self; 4] = [Self::Policy, Self::Egress, Self::Door, Self::Sandbox];

    fn package(self) -> &'static str {
        match self {
            Self::Policy => "instar-policy",
            Self::Egress => "instar-egress",
            Self::Door => "instar-gateway",
            Self::Sandbox => "instar-sandbox",
        }
    }

    /// The files in which something is decided.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &["crates/policy/src/**/*.rs"],
            Self::Egress => &["crates/egress/src/**/*.rs"],
            // Who somebody is, what he may, and which requests are heard at all.
            Self::Door => &[
                "crates/gateway/src/door/**/*.rs",
                "crates/gateway/src/control/handshake.rs",
                "crates/gateway/src/control/pairing.rs",
                "crates/gateway/src/control/scope.rs",
                "crates/gateway/src/http/guard.rs",
                "crates/gateway/src/http/host.rs",
                "crates/gateway/src/http/path.rs",
            ],
            // What runs on the other side of the walls is shown by attempts to get out.
            Self::Sandbox => &[
                "crates/sandbox/src/bind.rs",
                "crates/sandbox/src/spec.rs",
                "crates/sandbox/src/root/*.rs",
            ],
        }
    }
}

/// Changes are written into a copy of the tree. What survives is listed at the end and fails the
/// chore; what cannot matter is excused with its reason in `.cargo/mutants.toml`. What was caught once is
/// kept beside the builds, so that a run that was broken off goes on where it was.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = install()?;
    let parts = options
        .part
        .map_or_else(|| Part::ALL.to_vec(), |part| vec![part]);
    let mut survived = Vec::new();
    for part in parts {
        say(&format!("mutants: {}", part.package()));
        let mut command = command(&program, part, options)?;
        if options.list {
            must(&mut command)?;
        } else if options.together {
            let missed = together(&mut command, part, options)?;
            survived.extend(missed);
        } else if let Err(error) = must(&mut command) {
            survived.push(format!("{}: {error}", part.package()));
        }
    }
    anyhow::ensure!(survived.is_empty(), "{}", survived.join("; "));
    Ok(())
}

/// The changes of a part in one build.
fn together(command: &mut Command, part: Part, options: &Options) -> anyhow::Result<Vec<String>> {
    let listed = output(command.arg("--json"))?;
    let features = match part {
        Part::Sandbox => vec!["--no-default-features".to_owned()],
        _ => Vec::new(),
    };
    let task = together::Together {
        package: part.package().to_owned(),
        changes: serde_json::from_str(&listed)?,
        kept: kept(part),
        build: target().join("mutants/build"),
        skip: options.skip.clone(),
        features,
        dropped: BTreeSet::new(),
    };
    task.run()
}

fn command(program: &Path, part: Part, options: &Options) -> anyhow::Result<Command> {
    // Each part keeps its own list of what was caught.
    let kept = kept(part);
    std::fs::create_dir_all(&kept)?;
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .env("CARGO_TARGET_DIR", target().join("mutants/build"))
        // One file changes at a time, and nobody reads a backtrace.
        .env("CARGO_INCREMENTAL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .args(["mutants", "--package", part.package()])
        .args(["--jobs=1", "--no-shuffle", "--colors=never"])
        .arg("--output")
        .arg(&kept);
    if part == Part::Sandbox {
        command.arg("--no-default-features");
    }
    if options.file.is_empty() {
        for file in part.files() {
            command.args(["--file", file]);
        }
    }
    for file in &options.file {
        command.args(["--file", file]);
    }
    if let Some(shard) = &options.shard {
        command.args(["--shard", shard]);
    }
    if options.rest {
        for name in together::not_built(&kept)? {
            command.args(["--re", &whole(&name)]);
        }
    }
    if options.list || options.together {
        command.arg("--list");
        return Ok(command);
    }
    if !options.anew {
        command.arg("--iterate");
    }
    // The runner that ends with the first test that fails.
    let runner = cargo_tools(&cache()?)?;
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(runner).chain(std::env::split_paths(&paths));
    command.env("PATH", std::env::join_paths(paths)?);
    command.arg("--test-tool=nextest");
    // That the tests pass as they are is what the test run shows.
    command.args(["--baseline=skip", "--timeout=300", "--", "--tests"]);
    if !options.skip.is_empty() {
        command.arg("--");
        for name in &options.skip {
            command.args(["--skip", name]);
        }
    }
    Ok(command)
}

fn install() -> anyhow::Result<PathBuf> {
    let folder = cache()?.join("cargo-tools");
    let program = folder.join("bin/cargo-mutants");
    if !program.exists() {
        must(
            Command::new("cargo")
                .args(["install", "--quiet", "--locked", PACKAGE, "--root"])
                .arg(&folder),
        )?;
    }
    Ok(program)
}

/// Where the changed copy of the tree, the builds and the outcomes of a part are.
fn kept(part: Part) -> PathBuf {
    target().join("mutants").join(part.package())
}

/// The pattern that this text alone is.
fn whole(text: &str) -> String {
    let mut pattern = "^".to_owned();
    for sign in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(sign) {
            pattern.push('\\');
        }
        pattern.push(sign);
    }
    pattern + "$"
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn a_name_is_a_pattern_of_itself_alone() {
        let name = "src/a.rs:3:7: replace || with == in f -> Option<T>";
        let pattern = r"^src/a\.rs:3:7: replace \|\| with == in f \-> Option<T>$";
        assert_eq!(whole(name), pattern);
    }
}
