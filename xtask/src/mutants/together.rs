//! All changes of a package in one build, each behind a switch of its own: built once, run once for each.
//!
//! What does not compile so is left out and told; cargo-mutants tries it by itself. A change that no test
//! reaches needs no run to be known as one that nobody notices.

use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::weave::{Change, Woven, weave};
use crate::run::{cargo, output, root, say};

/// The number of the change that is on, and the file that tests note in which they reach.
const SWITCH: &str = "INSTAR_CHANGED";
const SEEN: &str = "INSTAR_CHANGED_SEEN";
/// What does not compile shows in turns: each hides others.
const ROUNDS: usize = 30;
/// What came of each change, a line each.
const OUTCOMES: &str = "outcomes.txt";
const NOT_BUILT: &str = "not built ";
/// No test takes longer by itself; changed it gets ten times what it took, and this.
const TEST_TIME: Duration = Duration::from_secs(300);
const MORE_TIME: Duration = Duration::from_secs(20);

/// The switches, put behind the last line of the crate.
fn switches(count: usize) -> String {
    format!(
        r#"
#[doc(hidden)]
#[allow(warnings, clippy::all)]
pub mod __changed {{
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{{AtomicBool, Ordering}};
    static SWITCH: OnceLock<(usize, Option<String>)> = OnceLock::new();
    static SEEN: [AtomicBool; {count}] = [const {{ AtomicBool::new(false) }}; {count}];
    pub fn on(number: usize) -> bool {{
        let (switch, seen) = SWITCH.get_or_init(|| {{
            let number = std::env::var("{SWITCH}").ok().and_then(|text| text.parse().ok());
            (number.unwrap_or(usize::MAX), std::env::var("{SEEN}").ok())
        }});
        if let Some(file) = seen && !SEEN[number].swap(true, Ordering::Relaxed) {{
            let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
            let _ = file.and_then(|mut file| file.write_all(format!("{{number}}\n").as_bytes()));
        }}
        number == *switch
    }}
}}
"#
    )
}

/// A package whose changes are tried together.
#[derive(Debug)]
pub(super) struct Together {
    pub(super) package: String,
    pub(super) changes: Vec<Change>,
    /// Where the changed copy of the tree, the builds and the outcomes are.
    pub(super) kept: PathBuf,
    pub(super) build: PathBuf,
    /// Tests with these words in their names are left out.
    pub(super) skip: Vec<String>,
    pub(super) features: Vec<String>,
    pub(super) dropped: BTreeSet<usize>,
}

#[derive(Debug)]
struct Test {
    program: PathBuf,
    name: String,
    took: Duration,
    reaches: BTreeSet<usize>,
}

impl Together {
    fn tree(&self) -> PathBuf {
        self.kept.join("tree")
    }

    fn folder(&self) -> PathBuf {
        let name = self.package.trim_start_matches("instar-");
        Path::new("crates").join(name)
    }

    /// Tries every change; the names of those that nobody noticed.
    pub(super) fn run(mut self) -> anyhow::Result<Vec<String>> {
        self.copy()?;
        let (programs, woven) = self.built()?;
        let tests = self.tests(&programs)?;
        say(&format!(
            "{} changes, {} of them in one build, {} tests",
            self.changes.len(),
            woven.len(),
            tests.len()
        ));
        let alone = (0..self.changes.len()).filter(|number| !woven.contains(number));
        let mut lines: Vec<String> = alone
            .map(|number| format!("{NOT_BUILT}{}", self.changes[number].name))
            .collect();
        self.keep(&lines)?;
        let mut missed = Vec::new();
        for number in &woven {
            let name = &self.changes[*number].name;
            let reach: Vec<&Test> = tests
                .iter()
                .filter(|test| test.reaches.contains(number))
                .collect();
            match self.noticed(*number, &reach)? {
                Some(by) => lines.push(format!("caught {name} ({by})")),
                None => {
                    say(&format!("missed: {name} ({} tests reach it)", reach.len()));
                    lines.push(format!("missed {name} ({} tests reach it)", reach.len()));
                    missed.push(name.clone());
                }
            }
            self.keep(&lines)?;
        }
        say(&format!(
            "{} caught, {} missed, {} to be tried one by one; {}",
            woven.len() - missed.len(),
            missed.len(),
            self.changes.len() - woven.len(),
            self.kept.join(OUTCOMES).display()
        ));
        Ok(missed)
    }

    fn keep(&self, lines: &[String]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.kept.join(OUTCOMES), lines.join("\n"))?)
    }

    /// The files that git knows, as they are now.
    fn copy(&self) -> anyhow::Result<()> {
        let listed = output(Command::new("git").current_dir(root()).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        for name in listed.lines() {
            let (from, to) = (root().join(name), self.tree().join(name));
            if from.is_file() {
                std::fs::create_dir_all(to.parent().unwrap_or(&to))?;
                put(&to, &std::fs::read(from)?)?;
            }
        }
        Ok(())
    }

    fn woven(&self) -> anyhow::Result<BTreeMap<String, Woven>> {
        let mut by_file: BTreeMap<&str, Vec<(usize, &Change)>> = BTreeMap::new();
        for (number, change) in self.changes.iter().enumerate() {
            let list = by_file.entry(&change.file).or_default();
            if !self.dropped.contains(&number) {
                list.push((number, change));
            }
        }
        let lib = self.folder().join("src/lib.rs");
        let mut all = BTreeMap::new();
        for (file, list) in by_file {
            let text = std::fs::read_to_string(root().join(file))?;
            let mut woven = weave(&text, &list).with_context(|| file.to_owned())?;
            if Path::new(file) == lib {
                woven.text += &switches(self.changes.len());
            }
            put(&self.tree().join(file), woven.text.as_bytes())?;
            all.insert(file.to_owned(), woven);
        }
        if !all.keys().any(|file| Path::new(file) == lib) {
            let text = std::fs::read_to_string(root().join(&lib))? + &switches(self.changes.len());
            put(&self.tree().join(&lib), text.as_bytes())?;
        }
        Ok(all)
    }

    /// Builds the tests, and leaves out what does not compile until the rest does.
    fn built(&mut self) -> anyhow::Result<(Vec<PathBuf>, BTreeSet<usize>)> {
        for _ in 0..ROUNDS {
            let woven = self.woven()?;
            let mut command = cargo();
            command
                .current_dir(self.tree())
                .env("CARGO_TARGET_DIR", &self.build)
                .env("CARGO_INCREMENTAL", "1")
                .env("CARGO_PROFILE_DEV_DEBUG", "false")
                .args(["test", "--package", &self.package, "--tests", "--no-run"])
                .arg("--message-format=json")
                .args(&self.features);
            let told = command.output()?;
            let text = String::from_utf8_lossy(&told.stdout);
            let messages: Vec<serde_json::Value> = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect();
            if told.status.success() {
                let numbers = woven.values().flat_map(|one| one.lines.keys().copied());
                return Ok((programs(&messages), numbers.collect()));
            }
            let before = self.dropped.len();
            let said = self.leave_out(&messages, &woven);
            say(&format!(
                "{} changes do not compile so far",
                self.dropped.len()
            ));
            if self.dropped.len() == before {
                // What stopped it before the compiler had a word, a full disk for one, stands there.
                let aside = String::from_utf8_lossy(&told.stderr);
                let last = aside.lines().rev().find(|line| !line.trim().is_empty());
                bail!(
                    "it does not compile without a change either:\n{said}{}",
                    last.unwrap_or_default()
                );
            }
        }
        bail!("it did not come to compile in {ROUNDS} rounds")
    }

    /// Leaves out the changes that errors are about; what was said of them.
    fn leave_out(
        &mut self,
        messages: &[serde_json::Value],
        woven: &BTreeMap<String, Woven>,
    ) -> String {
        let mut said = String::new();
        for message in messages.iter().map(|one| &one["message"]) {
            if message["level"] != "error" {
                continue;
            }
            said += message["rendered"].as_str().unwrap_or_default();
            let spans = message["spans"].as_array().into_iter().flatten();
            for span in spans.filter(|span| span["is_primary"] == true) {
                let file = woven.get(span["file_name"].as_str().unwrap_or_default());
                let at = |name: &str| {
                    let number = span[name].as_u64();
                    number.and_then(|number| usize::try_from(number).ok())
                };
                let (line, column) = (at("line_start"), at("column_start"));
                if let (Some(file), Some(line), Some(column)) = (file, line, column) {
                    self.dropped.extend(file.about(line, column));
                }
            }
        }
        said
    }

    /// The tests that pass by themselves, the quickest first, with what each reaches.
    fn tests(&self, programs: &[PathBuf]) -> anyhow::Result<Vec<Test>> {
        let seen = self.kept.join("seen");
        let mut found = Vec::new();
        for program in programs {
            let listed = output(Command::new(program).args(["--list", "--format", "terse"]))?;
            for name in listed
                .lines()
                .filter_map(|line| line.strip_suffix(": test"))
            {
                if self.skip.iter().any(|part| name.contains(part.as_str())) {
                    continue;
                }
                put(&seen, b"")?;
                let mut test = Test {
                    program: program.clone(),
                    name: name.to_owned(),
                    took: Duration::ZERO,
                    reaches: BTreeSet::new(),
                };
                let began = Instant::now();
                if !self.passes(&test, SEEN, &seen.display().to_string(), TEST_TIME)? {
                    say(&format!("left out, as it fails unchanged: {name}"));
                    continue;
                }
                test.took = began.elapsed();
                let text = std::fs::read_to_string(&seen)?;
                test.reaches = text.lines().filter_map(|line| line.parse().ok()).collect();
                found.push(test);
            }
        }
        found.sort_by_key(|test| test.took);
        Ok(found)
    }

    /// The first test that fails with this change.
    fn noticed(&self, number: usize, reach: &[&Test]) -> anyhow::Result<Option<String>> {
        for test in reach {
            let limit = test.took * 10 + MORE_TIME;
            if !self.passes(test, SWITCH, &number.to_string(), limit)? {
                return Ok(Some(test.name.clone()));
            }
        }
        Ok(None)
    }

    fn passes(
        &self,
        test: &Test,
        name: &str,
        value: &str,
        limit: Duration,
    ) -> anyhow::Result<bool> {
        let folder = self.tree().join(self.folder());
        let mut child = Command::new(&test.program)
            .args(["--exact", &test.name])
            .current_dir(&folder)
            .env("CARGO_MANIFEST_DIR", &folder)
            .env(name, value)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            if began.elapsed() > limit {
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The changes that the last run could not build with the others.
pub(super) fn not_built(kept: &Path) -> anyhow::Result<Vec<String>> {
    let file = kept.join(OUTCOMES);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{}: run it with --together first", file.display()))?;
    let names = text.lines().filter_map(|line| line.strip_prefix(NOT_BUILT));
    Ok(names.map(str::to_owned).collect())
}

fn programs(messages: &[serde_json::Value]) -> Vec<PathBuf> {
    messages
        .iter()
        .filter(|one| one["reason"] == "compiler-artifact" && one["profile"]["test"] == true)
        .filter_map(|one| one["executable"].as_str().map(PathBuf::from))
        .collect()
}

/// Writes what is new; what is not keeps its time, so that nothing is built again for it.
fn put(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(std::fs::write(file, bytes)?)
}
