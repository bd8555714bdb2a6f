//! Changes the code that decides, one small change at a time, and asks the tests to notice.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::process::Command;

use crate::run::{cache, must, root, say, target};

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
    /// Only this file
    #[arg(long)]
    file: Option<String>,
    /// Print the changes and make none
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, ValueEnum, Debug)]
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
            Self::Door => &["crates/gateway/src/door/**/*.rs"],
            // What runs on the other side of the walls is shown by attempts to get out.
            Self::Sandbox => &["crates/sandbox/src/spec.rs", "crates/sandbox/src/root/*.rs"],
        }
    }
}

/// Changes are written into a copy of the tree. What survives is listed at the end and fails the
/// chore; what cannot matter is excused with its reason in `.cargo/mutants.toml`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = install()?;
    let parts = options
        .part
        .map_or_else(|| Part::ALL.to_vec(), |part| vec![part]);
    for part in parts {
        say(&format!("mutants: {}", part.package()));
        let mut command = Command::new(&program);
        command
            .current_dir(root())
            .env("CARGO_TARGET_DIR", target().join("mutants"))
            .args([
                "mutants",
                "--package",
                part.package(),
                "--jobs=1",
                "--no-shuffle",
            ])
            .arg("--output")
            .arg(target().join("mutants"));
        match &options.file {
            Some(file) => {
                command.args(["--file", file]);
            }
            None => {
                for file in part.files() {
                    command.args(["--file", file]);
                }
            }
        }
        if let Some(shard) = &options.shard {
            command.args(["--shard", shard]);
        }
        if options.list {
            command.arg("--list");
        }
        must(&mut command)?;
    }
    Ok(())
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
