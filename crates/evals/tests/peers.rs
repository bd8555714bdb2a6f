//! The same suites here and in promptfoo, case by case. `cargo xtask test --peers` installs it and says where
//! it is; without it, only what is written down in the corpus is run.

use instar_evals::{Arm, BuiltIn, Options, Outcome, Report, Suite, run};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn corpus() -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    found.sort();
    found
}

fn ours(path: &Path) -> Report {
    let suite = Suite::open(path).unwrap();
    let arm = Arm {
        name: "only".to_owned(),
        release: None,
        providers: &BuiltIn,
    };
    run(&suite, &[arm], &Options::default()).unwrap()
}

/// What promptfoo makes of a suite.
fn theirs(program: &str, path: &Path, scratch: &Path) -> Value {
    let out = scratch.join("out.json");
    let output = Command::new("node")
        .arg(program)
        .args([
            "eval",
            "--no-cache",
            "--no-table",
            "--no-progress-bar",
            "--no-write",
            "-c",
        ])
        .arg(path)
        .arg("-o")
        .arg(&out)
        .env("PROMPTFOO_CONFIG_DIR", scratch)
        .env("PROMPTFOO_DISABLE_TELEMETRY", "1")
        .env("PROMPTFOO_DISABLE_UPDATE", "1")
        .env("PROMPTFOO_DISABLE_REMOTE_GENERATION", "1")
        .output()
        .unwrap();
    let text = std::fs::read(&out)
        .unwrap_or_else(|error| panic!("{}: {error}: {output:?}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn differs(here: f64, there: &Value) -> bool {
    here.is_nan() || (here - there.as_f64().unwrap()).abs() > 1e-9
}

/// There, a prompt that is JSON is stored without its white space.
fn same_prompt(there: &str, here: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text).ok();
    there == here || parsed(there).is_some_and(|there| Some(there) == parsed(here))
}

/// Where the two differ, in words; nothing if they agree.
fn differences(ours: &Report, theirs: &Value) -> Vec<String> {
    let arm = &ours.arms[0];
    let rows = theirs["results"]["results"].as_array().unwrap();
    let mut found = Vec::new();
    if rows.len() != arm.rows.len() {
        found.push(format!(
            "{} rows here, {} there",
            arm.rows.len(),
            rows.len()
        ));
    }
    for row in &arm.rows {
        let there = rows
            .iter()
            .find(|one| one["testIdx"] == row.case && one["promptIdx"] == row.column);
        let place = format!("case {} column {}", row.case, row.column);
        let Some(there) = there else {
            found.push(format!("{place}: not there"));
            continue;
        };
        let outcome = match (there["success"].as_bool(), there["failureReason"].as_u64()) {
            (Some(true), _) => Outcome::Passed,
            (_, Some(2)) => Outcome::Error,
            _ => Outcome::Failed,
        };
        let same_outcome = match row.outcome {
            // What is not done here may be anything there.
            Outcome::Unsupported => true,
            other => other == outcome,
        };
        if !same_outcome {
            let why = there["error"].as_str().unwrap_or_default();
            let why: String = why.chars().take(200).collect();
            found.push(format!(
                "{place}: {:?} ({}), there {outcome:?} ({why})",
                row.outcome, row.reason
            ));
            continue;
        }
        if row.outcome == Outcome::Unsupported {
            continue;
        }
        let score = there["score"].as_f64().unwrap();
        if (score - row.score).abs() > 1e-9 {
            found.push(format!(
                "{place}: score {} ({}), there {score}",
                row.score, row.reason
            ));
        }
        let prompt = there["prompt"]["raw"].as_str().unwrap_or_default();
        if !same_prompt(prompt, &row.prompt) && row.outcome != Outcome::Error {
            found.push(format!(
                "{place}: prompt {:?}, there {}",
                row.prompt, there["prompt"]["raw"]
            ));
        }
        for (name, value) in there["namedScores"].as_object().unwrap() {
            let here = row.named.get(name).copied().unwrap_or(f64::NAN);
            if differs(here, value) {
                found.push(format!("{place}: metric {name} {here}, there {value}"));
            }
        }
    }
    let columns = theirs["results"]["prompts"].as_array().unwrap();
    for (column, there) in arm.columns.iter().zip(columns) {
        for (name, value) in there["metrics"]["namedScores"].as_object().unwrap() {
            let here = column.named.get(name).copied().unwrap_or(f64::NAN);
            if differs(here, value) {
                found.push(format!("column: metric {name} {here}, there {value}"));
            }
        }
        for (count, name) in [
            (column.passed, "testPassCount"),
            (column.checks_passed, "assertPassCount"),
            (column.checks_failed, "assertFailCount"),
        ] {
            let all_supported = arm
                .rows
                .iter()
                .all(|row| row.outcome != Outcome::Unsupported);
            if all_supported && there["metrics"][name] != count {
                found.push(format!(
                    "column: {name} {count}, there {}",
                    there["metrics"][name]
                ));
            }
        }
    }
    found
}

/// The cases of the corpus that are not decided here, by what they ask for.
const UNSUPPORTED: [&str; 3] = [
    "unsupported: \"frobnicate\" in a schema",
    "unsupported: \"if\" in an expression",
    "unsupported: \\p in a pattern",
];

#[test]
fn every_case_of_the_corpus_comes_out_as_promptfoo_had_it() {
    let text = std::fs::read(folder().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let mut unsupported = Vec::new();
    for path in corpus() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let report = ours(&path);
        let rows = expected[name].as_array().unwrap();
        assert_eq!(rows.len(), report.arms[0].rows.len(), "{name}");
        for row in &report.arms[0].rows {
            let there = rows
                .iter()
                .find(|one| one[0] == row.case && one[1] == row.column)
                .unwrap();
            if row.outcome == Outcome::Unsupported {
                unsupported.push(row.reason.clone());
                continue;
            }
            let outcome = serde_json::to_value(row.outcome).unwrap();
            assert_eq!(
                outcome, there[2],
                "{name} {} {}: {}",
                row.case, row.column, row.reason
            );
            let score = there[3].as_f64().unwrap();
            assert!(
                (score - row.score).abs() < 1e-9,
                "{name} {}: {} is not {score}",
                row.case,
                row.score
            );
        }
    }
    unsupported.sort();
    assert_eq!(unsupported, UNSUPPORTED);
}

#[test]
fn promptfoo_has_the_same_prompts_outcomes_scores_and_metrics() {
    let Ok(program) = std::env::var("INSTAR_TEST_PROMPTFOO") else {
        skipped("promptfoo is not installed; `cargo xtask test --peers` does it");
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut found = Vec::new();
    for path in corpus() {
        let theirs = theirs(&program, &path, scratch.path());
        let name = path.file_stem().unwrap().to_str().unwrap();
        let differing = differences(&ours(&path), &theirs);
        found.extend(differing.into_iter().map(|one| format!("{name} {one}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Says why a test did not run.
#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
