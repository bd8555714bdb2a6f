//! The binary.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cargo, must, output, root, target, works};

const MUSL: &str = "x86_64-unknown-linux-musl";

/// musl if it can be built for here: a static binary runs on every Linux of its kind.
pub(super) fn usual_triple() -> anyhow::Result<String> {
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say what it builds for")?;
    let has_library =
        output(Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]))
            .is_ok_and(|folder| Path::new(folder.trim()).exists());
    let can = host == "x86_64-unknown-linux-gnu"
        && has_library
        && works(Command::new("musl-gcc").arg("--version"));
    Ok(if can {
        MUSL.to_owned()
    } else {
        host.to_owned()
    })
}

/// Builds the binary with the `dist` profile and without the paths of this machine.
pub(super) fn build(triple: &str, epoch: u64) -> anyhow::Result<PathBuf> {
    let home = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .context("HOME is not set")?;
    let places = [
        (home, "/cargo"),
        (target().display().to_string(), "/target"),
        (root().display().to_string(), "/instar"),
    ];
    let rust: Vec<String> = places
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={from}={to}"))
        .collect();
    let c: Vec<String> = places
        .iter()
        .map(|(from, to)| format!("-ffile-prefix-map={from}={to}"))
        .collect();
    let mut command = cargo();
    command
        .args([
            "build",
            "--locked",
            "--profile=dist",
            "--package=instar-cli",
            "--bin=instar",
        ])
        .args(["--target", triple])
        .env("RUSTFLAGS", rust.join(" "))
        .env("CFLAGS", c.join(" "))
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    if triple == MUSL {
        command.env("CC_x86_64_unknown_linux_musl", "musl-gcc");
    }
    must(&mut command)?;
    Ok(target().join(triple).join("dist/instar"))
}

/// What the binary needs of the system that it runs on.
pub(super) fn linkage(binary: &Path) -> anyhow::Result<String> {
    // `ldd` ends with a failure where there is nothing to load.
    let said = Command::new("ldd").arg(binary).output()?;
    let text =
        String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    let needs: Vec<&str> = text
        .lines()
        .filter(|line| line.contains(".so"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let size = std::fs::metadata(binary)?.len() / 1024 / 1024;
    Ok(if needs.is_empty() {
        format!("{size} MB, static: it needs nothing of the system")
    } else {
        format!("{size} MB, it needs {}", needs.join(", "))
    })
}
