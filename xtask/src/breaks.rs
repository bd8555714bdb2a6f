//! Deliberate breaks: one replacement in a scratch copy, and the test that has to notice it.

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::run::{cache, cargo, root, say};

/// How long the test of a feature may take on a broken copy: longer than any of them takes on a busy
/// machine, as one that does not end counts as one that noticed.
const BREAK_SECONDS_MAX: u32 = 600;

/// What `timeout` ends with when it had to step in.
const TIMED_OUT: i32 = 124;

/// One replacement in one file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Break {
    file: String,
    find: String,
    replace: String,
}

/// Something that is shown by a test which fails when it is broken.
pub(crate) struct Breakable {
    pub(crate) name: String,
    /// `package::binary test::path`, as the test runner names it.
    pub(crate) test: String,
    pub(crate) breaks: Break,
}

/// Breaks each in a copy of its own, or all in one, and fails if a test still passes.
pub(crate) fn run(all: &[Breakable], together: bool) -> anyhow::Result<()> {
    let copy = cache()?.join("broken");
    std::fs::create_dir_all(&copy)?;
    // A second run would mend what the first has broken, under its hands.
    let alone = std::fs::File::create(cache()?.join("broken.lock"))?;
    alone.lock()?;
    let mut unnoticed = Vec::new();
    let size = if together { all.len().max(1) } else { 1 };
    for group in all.chunks(size) {
        copy_tree(&copy)?;
        group.iter().try_for_each(|one| one.apply(&copy))?;
        for one in group {
            if let Err(error) = one.show(&copy) {
                say(&format!("break {}: {error:#}", one.name));
                unnoticed.push(one.name.as_str());
            }
        }
    }
    ensure!(unnoticed.is_empty(), "not shown: {}", unnoticed.join(", "));
    Ok(())
}

impl Breakable {
    /// Whether the break fits one place.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let path = root().join(&self.breaks.file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("the break of {} names {}", self.name, path.display()))?;
        let count = text.matches(&self.breaks.find).count();
        let (name, file) = (&self.name, &self.breaks.file);
        ensure!(
            count == 1,
            "the break of {name} fits {count} places in {file}"
        );
        Ok(())
    }

    fn apply(&self, copy: &Path) -> anyhow::Result<()> {
        let path = copy.join(&self.breaks.file);
        let text = std::fs::read_to_string(&path)?;
        let broken = text.replacen(&self.breaks.find, &self.breaks.replace, 1);
        let (name, file) = (&self.name, &self.breaks.file);
        ensure!(
            broken != text,
            "{name}: the break changes nothing in {file}"
        );
        Ok(std::fs::write(&path, broken)?)
    }

    /// Runs the one test in the broken copy and fails if it still passes.
    fn show(&self, copy: &Path) -> anyhow::Result<()> {
        let (binary, test) = self
            .test
            .split_once(' ')
            .context("the test is not `binary test`")?;
        let name = &self.name;
        say(&format!(
            "break {name}: building and running {test} on a broken copy"
        ));
        let runner = build(copy, binary).context("the broken copy shows nothing")?;
        // Not through cargo: the time that it takes to build must not count as noticing.
        let run = Command::new("timeout")
            .arg(BREAK_SECONDS_MAX.to_string())
            .arg(&runner.executable)
            .current_dir(&runner.package)
            .env("CARGO_MANIFEST_DIR", &runner.package)
            .args(["--exact", test, "--nocapture"])
            .output()?;
        let printed =
            [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let why = noticed(run.status.code(), &printed.concat()).context(test.to_owned())?;
        say(&format!(
            "break {name}: {test} fails on the broken copy, as it must: {why}"
        ));
        Ok(())
    }
}

/// A built test program.
struct Runner {
    executable: PathBuf,
    /// The folder of its package.
    package: PathBuf,
}

/// Builds the tests of the package in `package::binary` and finds that binary.
fn build(copy: &Path, binary: &str) -> anyhow::Result<Runner> {
    let (package, name) = binary.split_once("::").unwrap_or((binary, binary));
    let messages = cargo()
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", cache()?.join("broken-target"))
        .args(["test", "--quiet", "--no-run", "--package", package])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()?;
    if !messages.status.success() {
        bail!("it does not build");
    }
    let messages = String::from_utf8_lossy(&messages.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|built| {
            // A library's own tests have its name as the compiler writes it.
            let target = built["target"]["name"].as_str()?.replace('-', "_");
            let ours = built["profile"]["test"] == true && target == name.replace('-', "_");
            let executable = built["executable"].as_str().filter(|_| ours)?;
            let package = Path::new(built["manifest_path"].as_str()?).parent()?;
            Some(Runner {
                executable: executable.into(),
                package: package.to_owned(),
            })
        })
        .with_context(|| format!("no test program {binary} was built"))
}

/// How the test noticed the break; an error if it did not, or did not run.
fn noticed(code: Option<i32>, printed: &str) -> anyhow::Result<String> {
    match code {
        Some(0) if printed.contains("SKIPPED: ") => bail!("was skipped, so it shows nothing"),
        Some(0) if !printed.contains("test result: ok. 1 passed") => bail!("there is no such test"),
        Some(0) => bail!("passes on the broken copy: it does not guard this feature"),
        // A break may make a test wait for ever for what does not come: it has noticed, then.
        Some(TIMED_OUT) => Ok(format!("it did not end within {BREAK_SECONDS_MAX} s")),
        _ => {
            let mut lines = printed.lines();
            let place = lines.find(|line| line.contains("panicked at"));
            let words = lines.next().unwrap_or_default();
            Ok(format!("{} {words}", place.unwrap_or("it was killed")))
        }
    }
}

/// Brings the copy to what git tracks, in its present state. Files that are the same keep their
/// time, so that only what a break touches is built anew.
fn copy_tree(to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    let files = crate::run::output(Command::new("git").current_dir(root()).args([
        "ls-files",
        "-z",
        "-co",
        "--exclude-standard",
    ]))?;
    let files = files.split('\0').filter(|file| root().join(file).is_file());
    let files: BTreeSet<&str> = files.collect();
    for file in &files {
        let (from, target) = (root().join(file), to.join(file));
        let bytes = std::fs::read(&from)?;
        if std::fs::read(&target).is_ok_and(|old| old == bytes) {
            continue;
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::copy(&from, &target)?;
    }
    // The copy is no repository of its own: what is in it beyond the list is left from before.
    remove_others(to, to, &files)
}

fn remove_others(top: &Path, folder: &Path, files: &BTreeSet<&str>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(top, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(top)?.to_string_lossy().into_owned();
        if !files.contains(name.as_str()) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_that_ran_and_failed_has_noticed() {
        let ok = "running 1 test\ntest result: ok. 1 passed; 0 failed";
        let refused = |code, printed: &str| noticed(code, printed).unwrap_err().to_string();
        assert!(refused(Some(0), ok).contains("does not guard"));
        assert!(refused(Some(0), &format!("SKIPPED: no node\n{ok}")).contains("skipped"));
        assert!(refused(Some(0), "test result: ok. 0 passed").contains("no such test"));
        let failed = "thread 'a' panicked at a.rs:1:2:\nsomething ran\nnote";
        let said = noticed(Some(101), failed).unwrap();
        assert!(said.ends_with("a.rs:1:2: something ran"), "{said}");
        assert!(noticed(Some(TIMED_OUT), "").unwrap().contains("600 s"));
        assert!(noticed(None, "").unwrap().contains("killed"));
    }
}
