//! Trying what was made, each as its user would get it.

use anyhow::{Context as _, bail, ensure};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Release;
use crate::run::{cache, must, output, say, works};
use crate::tools::environment;

/// Reads bills of materials strictly; from PyPI.
const VALIDATOR: &str = "cyclonedx-python-lib[json-validation]==11.12.0";
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn binary(release: &Release) -> anyhow::Result<()> {
    serves(release, &release.binary, "binary")?;
    let bytes = std::fs::read(&release.binary)?;
    for (name, folder) in [
        ("HOME", "/.cargo/registry"),
        ("HOME", "/.rustup/toolchains"),
    ] {
        let Ok(home) = std::env::var(name) else {
            continue;
        };
        let path = format!("{home}{folder}");
        let kept = bytes
            .windows(path.len())
            .any(|part| part == path.as_bytes());
        ensure!(
            !kept,
            "the binary names {path}, a path of the machine that built it"
        );
    }
    Ok(())
}

pub(super) fn archive(release: &Release, archive: &Path) -> anyhow::Result<()> {
    let folder = release.work.join("unpacked");
    std::fs::create_dir_all(&folder)?;
    must(
        release
            .command("tar")
            .arg("-xzf")
            .arg(archive)
            .arg("-C")
            .arg(&folder),
    )?;
    serves(
        release,
        &folder.join(release.name()).join("instar"),
        "archive",
    )
}

/// Installs the package into an empty root of its own, uses it, and removes it.
pub(super) fn package(release: &Release, package: &Path) -> anyhow::Result<()> {
    let folder = release.work.join("root");
    let database = folder.join("var/lib/dpkg");
    for name in ["info", "updates", "triggers"] {
        std::fs::create_dir_all(database.join(name))?;
    }
    std::fs::write(database.join("status"), "")?;
    let dpkg = |action: &str, what: &Path| {
        let mut command = release.command("dpkg");
        command
            .arg(format!("--root={}", folder.display()))
            .arg(format!("--log={}", folder.join("dpkg.log").display()))
            // The root is empty: what the package depends on is outside of it.
            .args(["--force-not-root", "--force-depends", action])
            .arg(what);
        command
    };
    must(&mut dpkg("--install", package))?;
    let installed = folder.join("usr/bin/instar");
    serves(release, &installed, "Debian package")?;
    must(&mut dpkg("--purge", Path::new("instar")))?;
    ensure!(!installed.exists(), "the package leaves its program behind");
    if works(Command::new("lintian").arg("--version")) {
        // Its findings are for people; errors are for us.
        let mut lintian = release.command("lintian");
        lintian.args(["--allow-root", "--fail-on", "error"]);
        // A static binary is meant, and Debian's own list of bugs does not know of it.
        let meant = "statically-linked-binary,shared-library-lacks-prerequisites,initial-upload-closes-no-bugs";
        lintian.args(["--suppress-tags", meant]);
        must(lintian.arg(package))?;
    }
    Ok(())
}

/// Has the bill read by a checker that knows the published schema, where that can be had.
pub(super) fn bill(bill: &Path) -> anyhow::Result<()> {
    const CHECK: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(wrong) if wrong else 0)
";
    let python = environment(&cache()?.join("cyclonedx"))?;
    let has_it = || {
        works(Command::new(&python).args(["-c", "import cyclonedx.validation.json, jsonschema"]))
    };
    let install = ["-m", "pip", "install", "-q", VALIDATOR];
    let can_get_it = || works(Command::new(&python).args(install)) && has_it();
    if !(has_it() || can_get_it()) {
        say(
            "skipped: the bill of materials was not held against its schema, no checker can be had",
        );
        return Ok(());
    }
    output(Command::new(&python).args(["-c", CHECK]).arg(bill))?;
    say("tried: bill of materials: fits the schema of CycloneDX 1.6");
    Ok(())
}

/// Starts a gateway with this program in an empty home, asks it, and stops it.
fn serves(release: &Release, program: &Path, what: &str) -> anyhow::Result<()> {
    let home = release.work.join("home");
    if home.exists() {
        std::fs::remove_dir_all(&home)?;
    }
    std::fs::create_dir_all(&home)?;
    let instar = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("HOME", &home);
        command
    };
    let version = output(&mut instar(&["version"]))?;
    ensure!(
        version.trim() == format!("instar {}", release.version),
        "{what}: it says that it is {version}"
    );
    let port = free_port()?;
    let gateway = instar(&["gateway", "run", "--port", &port])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut gateway = Ended(gateway);
    let begun = Instant::now();
    while !works(&mut instar(&["health"])) {
        if let Some(status) = gateway.0.try_wait()? {
            bail!("{what}: the gateway ended with {status}");
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "{what}: the gateway is not ready"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let answer = output(&mut instar(&["agent", "--message", "hello"]))?;
    ensure!(!answer.trim().is_empty(), "{what}: the agent said nothing");
    must(&mut instar(&["gateway", "stop"]))?;
    let status = gateway.0.wait().context("waiting for the gateway")?;
    ensure!(status.success(), "{what}: the gateway ended with {status}");
    say(&format!("tried: {what}: starts, answers, stops"));
    Ok(())
}

/// A process that does not outlive this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It has ended already if all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port().to_string())
}
