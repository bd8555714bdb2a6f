//! The whole test run, as CI and people start it.

use anyhow::{Context, bail};
use clap::Args;
use std::collections::BTreeMap;
use std::process::Command;

use crate::run::{cargo, must, output, root, say, works};
use crate::tools::Tools;
use crate::{features, fuzz, peers};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Seconds that each fuzz target gets
    #[arg(long, default_value_t = 5)]
    fuzz_seconds: u32,
    /// Only the checks that need no test run: format, lints, licences, tables, documentation
    #[arg(long)]
    checks_only: bool,
    /// Only the big programs of others (900 MB): promptfoo on our suites, and a client against the built
    /// gateway; writes docs/peers.md
    #[arg(long)]
    peers: bool,
}

/// Checks first, because they fail fastest; the tests last, so that their summary ends the run.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let tools = Tools::install()?;
    if options.peers {
        return peers::run(&tools);
    }
    must(cargo().args(["fmt", "--all", "--check"]))?;
    must(cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    deny(&tools)?;
    must(
        Command::new(tools.program("typos"))
            .current_dir(root())
            .args(["--format", "brief"]),
    )?;
    // The pages are for people in the house: links into private modules are welcome.
    let flags = "-D warnings -A rustdoc::private_intra_doc_links";
    must(cargo().env("RUSTDOCFLAGS", flags).args([
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]))?;
    features::check()?;
    if options.checks_only {
        return Ok(());
    }
    fuzz::each(&tools, options.fuzz_seconds, None)?;
    examples()?;
    tests(&tools)
}

/// The packages whose documentation holds code that is a test: the runner of the others knows none.
const WITH_EXAMPLES: [&str; 1] = ["instar-policy"];

/// Examples in documentation, those that must not compile among them.
fn examples() -> anyhow::Result<()> {
    for package in WITH_EXAMPLES {
        let told = output(cargo().args(["test", "--doc", "--package", package]))?;
        let passed = examples_passed(&told);
        anyhow::ensure!(passed > 0, "{package} has no example that ran:\n{told}");
        say(&format!(
            "{passed} examples in the documentation of {package} passed"
        ));
    }
    Ok(())
}

/// How many examples the runner of documentation says that passed.
fn examples_passed(told: &str) -> usize {
    told.lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "))
        .filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok())
        .sum()
}

/// Licences, bans and sources always; advisories only where their database can be had.
fn deny(tools: &Tools) -> anyhow::Result<()> {
    let program = tools.program("cargo-deny");
    must(
        Command::new(&program)
            .current_dir(root())
            .args(["check", "bans", "licenses", "sources"]),
    )?;
    let database = works(
        Command::new(&program)
            .current_dir(root())
            .args(["fetch", "db"]),
    );
    if !database {
        say("skipped: advisories, because the advisory database cannot be fetched from here");
        return Ok(());
    }
    must(
        Command::new(&program)
            .current_dir(root())
            .args(["check", "advisories"]),
    )
}

fn tests(tools: &Tools) -> anyhow::Result<()> {
    let mut command = Command::new(tools.program("cargo-nextest"));
    command
        .current_dir(root())
        .args(["nextest", "run", "--workspace", "--profile", "ci"]);
    tools.lend(&mut command)?;
    let run = must(&mut command);
    // The runner keeps its reports beside the workspace, wherever cargo builds.
    let report = root().join("target/nextest/ci/junit.xml");
    let text = std::fs::read_to_string(&report)
        .with_context(|| format!("the runner left no report at {}", report.display()))?;
    let results = Results::read(&text);
    for (test, why) in &results.skipped {
        say(&format!("skipped: {test}: {why}"));
    }
    for test in &results.unsteady {
        say(&format!(
            "passed at the second try only, to be mended: {test}"
        ));
    }
    let ran = run.and_then(|()| features::check_ran(&results.passed));
    let failed = results.passed.values().filter(|passed| !**passed).count();
    let passed = results.passed.len() - failed;
    say(&format!(
        "{passed} passed ({} of them at the second try only), {failed} failed, {} skipped",
        results.unsteady.len(),
        results.skipped.len()
    ));
    ran
}

/// What the runner's report says, by `binary test`.
struct Results {
    /// Tests that ran, and whether they passed.
    passed: BTreeMap<String, bool>,
    /// Tests that printed `SKIPPED: why`: they showed nothing, so they count as not run.
    skipped: Vec<(String, String)>,
    /// Those that failed before they passed.
    unsteady: Vec<String>,
}

impl Results {
    /// Reads the runner's JUnit file: its own regular output, not XML from elsewhere.
    fn read(text: &str) -> Self {
        let mut results = Self {
            passed: BTreeMap::new(),
            skipped: Vec::new(),
            unsteady: Vec::new(),
        };
        for case in text.split("<testcase ").skip(1) {
            let case = case.split("</testcase>").next().unwrap_or(case);
            let head = case.split('>').next().unwrap_or(case);
            let (Some(name), Some(class)) = (attribute(head, "name"), attribute(head, "classname"))
            else {
                continue;
            };
            let id = format!("{class} {name}");
            let failed = case.contains("<failure") || case.contains("<error");
            if case.contains("<flakyFailure") || case.contains("<flakyError") {
                results.unsteady.push(id.clone());
            }
            match case.split_once("SKIPPED: ") {
                Some((_, rest)) if !failed => {
                    let why = rest.lines().next().unwrap_or_default();
                    results.skipped.push((id, why.to_owned()));
                }
                _ => {
                    results.passed.insert(id, !failed);
                }
            }
        }
        results
    }
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let (_, rest) = head.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.to_owned())
}

/// Rewrites the documentation that the binary generates from its own types.
pub(crate) fn write_generated_docs() -> anyhow::Result<()> {
    for (arguments, file) in GENERATED {
        let text = output(
            cargo()
                .args(["run", "--quiet", "--package", "instar-cli", "--"])
                .args(*arguments),
        )?;
        if text.trim().is_empty() {
            bail!("{arguments:?} printed nothing");
        }
        std::fs::write(root().join(file), text)?;
        say(&format!("wrote {file}"));
    }
    Ok(())
}

/// Commands whose output is a page of the documentation. A test in `cli` compares them.
const GENERATED: &[(&[&str], &str)] = &[
    (&["config", "schema", "--markdown"], "docs/configuration.md"),
    (&["manual"], "docs/commands.md"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_counted_where_all_passed() {
        let told = "running 2 tests\n\ntest result: ok. 2 passed; 0 failed; 0 ignored";
        assert_eq!(examples_passed(told), 2);
        assert_eq!(
            examples_passed("test result: FAILED. 1 passed; 1 failed"),
            0
        );
    }

    #[test]
    fn the_report_tells_passed_failed_and_skipped() {
        let text = r#"<testsuites><testsuite name="a">
            <testcase name="one" classname="a::it" time="0.1"></testcase>
            <testcase name="two" classname="a::it" time="0.1"><failure message="no"/></testcase>
            <testcase name="three" classname="a::it" time="0.1"><system-out>SKIPPED: no python
            </system-out></testcase><testcase name="four" classname="a::it" time="0.1">
            <flakyFailure message="no"></flakyFailure></testcase></testsuite></testsuites>"#;
        let results = Results::read(text);
        assert_eq!(results.passed.get("a::it one"), Some(&true));
        assert_eq!(results.passed.get("a::it two"), Some(&false));
        assert_eq!(results.passed.get("a::it four"), Some(&true));
        assert_eq!(results.unsteady, ["a::it four"]);
        assert_eq!(
            results.skipped,
            [("a::it three".to_owned(), "no python".to_owned())]
        );
    }
}
