//! Makes what is given away: one binary, an archive, a Debian package, a bill of materials, sums.
//!
//! The same sources and the same `SOURCE_DATE_EPOCH` give the same bytes: files are packed in a
//! fixed order with that time and no owner, and no path of the machine that built is kept. Each
//! artefact is tried before it counts as made.

mod archive;
mod build;
mod debian;
mod image;
mod sbom;
mod smoke;

use anyhow::{Context as _, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{output, root, say, target, works};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to build for; without it musl if its standard library is there, which gives a static
    /// binary, or else this machine
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Where the artefacts go; without it `dist-out` beside the builds
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Take this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Pack only; do not try what was packed
    #[arg(long)]
    no_smoke: bool,
}

/// What every artefact is made of.
struct Release {
    version: String,
    triple: String,
    /// Seconds since 1970; the time of everything that is packed.
    epoch: u64,
    binary: PathBuf,
    out: PathBuf,
    /// Scratch, emptied at the start.
    work: PathBuf,
}

impl Release {
    /// `instar-0.1.0-x86_64-unknown-linux-musl`.
    fn name(&self) -> String {
        format!("instar-{}-{}", self.version, self.triple)
    }

    /// `amd64`, as Debian says it.
    fn debian_arch(&self) -> anyhow::Result<&'static str> {
        match self.triple.split('-').next() {
            Some("x86_64") => Ok("amd64"),
            Some("aarch64") => Ok("arm64"),
            other => bail!("Debian's name for {other:?} is not known here"),
        }
    }

    /// Runs a program with the time that everything is to have.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("SOURCE_DATE_EPOCH", self.epoch.to_string())
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        command
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let triple = match &options.target {
        Some(triple) => triple.clone(),
        None => build::usual_triple()?,
    };
    let epoch = epoch()?;
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => build::build(&triple, epoch)?,
    };
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| target().join("dist-out"));
    let out = std::path::absolute(out)?;
    let work = out.join("work");
    if work.exists() {
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    let release = Release {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        triple,
        epoch,
        binary,
        out,
        work,
    };
    say(&format!("binary: {}", build::linkage(&release.binary)?));
    let bill = sbom::write(&release)?;
    let archive = archive::pack(&release, &bill)?;
    let package = debian::pack(&release)?;
    image::check()?;
    if !options.no_smoke {
        smoke::bill(&bill)?;
        smoke::binary(&release)?;
        smoke::archive(&release, &archive)?;
        smoke::package(&release, &package)?;
    }
    sums(&release, &[&archive, &package, &bill])?;
    std::fs::remove_dir_all(&release.work)?;
    say(&format!("made: {}", release.out.display()));
    Ok(())
}

/// The time of the sources: `SOURCE_DATE_EPOCH`, or that of the last commit.
fn epoch() -> anyhow::Result<u64> {
    if let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") {
        let text = text.to_string_lossy().into_owned();
        return text.parse().context("SOURCE_DATE_EPOCH is not a number");
    }
    let mut git = Command::new("git");
    git.current_dir(root()).args(["log", "-1", "--format=%ct"]);
    output(&mut git)?
        .trim()
        .parse()
        .context("git does not say when the last commit was")
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn sums(release: &Release, files: &[&Path]) -> anyhow::Result<()> {
    let mut names: Vec<&str> = files
        .iter()
        .filter_map(|file| file.file_name()?.to_str())
        .collect();
    names.sort_unstable();
    let text = output(
        release
            .command("sha256sum")
            .current_dir(&release.out)
            .args(&names),
    )?;
    std::fs::write(release.out.join("SHA256SUMS"), &text)?;
    let mut check = release.command("sha256sum");
    check
        .current_dir(&release.out)
        .args(["--check", "--strict", "SHA256SUMS"]);
    anyhow::ensure!(works(&mut check), "the sums do not fit what was made");
    for line in text.lines() {
        say(line);
    }
    Ok(())
}
