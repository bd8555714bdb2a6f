//! The shape that promptfoo writes with `-o results.json`, so that its viewers and scripts read it.

use instar_policy::canonical;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use crate::report::{ArmReport, Outcome, Report, Row};
use crate::score::Checked;
use crate::suite::Suite;

/// One arm of a report. `time` is written as it is.
#[must_use]
pub fn promptfoo(suite: &Suite, report: &Report, arm: usize, time: &str) -> Value {
    let Some(arm) = report.arms.get(arm) else {
        return Value::Null;
    };
    let rows: Vec<_> = arm
        .rows
        .iter()
        .enumerate()
        .map(|(index, row)| one(suite, arm, row, index))
        .collect();
    let count = |outcomes: &[Outcome]| {
        arm.rows
            .iter()
            .filter(|r| outcomes.contains(&r.outcome))
            .count()
    };
    let digest = report.digest();
    let mut vars: Vec<&String> = suite
        .cases
        .iter()
        .flat_map(|case| case.vars.keys())
        .collect();
    vars.sort();
    vars.dedup();
    let took: f64 = arm.rows.iter().map(|row| row.latency_ms).sum();
    json!({
        "evalId": format!("eval-{}-{time}", &digest[..3.min(digest.len())]),
        "results": {
            "version": 3,
            "timestamp": time,
            "prompts": (0..arm.columns.len()).map(|at| column(arm, at)).collect::<Vec<_>>(),
            "results": rows,
            "stats": {
                "successes": count(&[Outcome::Passed]),
                "failures": count(&[Outcome::Failed]),
                "errors": count(&[Outcome::Error, Outcome::Unsupported]),
                "tokenUsage": tokens(
                    arm.rows.iter().map(|row| row.tokens.prompt).sum(),
                    arm.rows.iter().map(|row| row.tokens.completion).sum(),
                ),
                "durationMs": took,
            },
        },
        "config": {"description": suite.description},
        "shareableUrl": null,
        "metadata": {
            "suiteDigest": report.suite_digest, "reportDigest": digest, "arm": arm.name,
            "release": arm.release, "seed": report.seed.to_string(),
        },
        "vars": vars,
        "runtimeOptions": {"repeat": report.repeat},
    })
}

fn tokens(prompt: u64, completion: u64) -> Value {
    json!({"total": prompt + completion, "prompt": prompt, "completion": completion, "cached": 0})
}

fn column(arm: &ArmReport, at: usize) -> Value {
    let column = &arm.columns[at];
    json!({
        "id": canonical::sha256(column.prompt.as_bytes()),
        "raw": column.prompt,
        "label": column.label,
        "provider": column.provider,
        "metrics": {
            "score": column.score,
            "testPassCount": column.passed,
            "testFailCount": column.failed,
            "testErrorCount": column.errors,
            "assertPassCount": column.checks_passed,
            "assertFailCount": column.checks_failed,
            "totalLatencyMs": column.latency_ms,
            "tokenUsage": tokens(column.tokens.prompt, column.tokens.completion),
            "namedScores": column.named,
            "namedScoresCount": contributions(arm, at),
            "namedScoreWeights": column.named_weights,
            "cost": column.cost,
        },
    })
}

/// How many assertions each metric of a column comes from.
fn contributions(arm: &ArmReport, at: usize) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for row in arm.rows.iter().filter(|row| row.column == at) {
        for name in row.named.keys() {
            let of = |check: &&Checked| check.metric.as_ref() == Some(name);
            let count = row.checks.iter().filter(of).count().max(1);
            *counts.entry(name.as_str()).or_default() += count;
        }
    }
    counts
}

/// The assertion that was decided, as the suite has it, with the name of its metric filled in.
fn assertion(written: &Value, check: &Checked) -> Value {
    let mut assertion = written.as_object().cloned().unwrap_or_default();
    assertion.insert("type".to_owned(), check.kind.as_str().into());
    if let Some(metric) = &check.metric {
        assertion.insert("metric".to_owned(), metric.as_str().into());
    }
    Value::Object(assertion)
}

fn one(suite: &Suite, arm: &ArmReport, row: &Row, index: usize) -> Value {
    let column = &arm.columns[row.column];
    let written: Vec<Value> = suite
        .cases
        .get(row.case)
        .map(crate::suite::Case::written)
        .unwrap_or_default();
    // A set comes before what is in it, as among the checks of a row.
    let each = written.iter().flat_map(|one| {
        let inner = one.get("assert").and_then(Value::as_array);
        std::iter::once(one).chain(inner.into_iter().flatten())
    });
    let components: Vec<_> = row
        .checks
        .iter()
        .zip(each)
        .map(|(check, written)| {
            json!({
                "pass": check.verdict.pass, "score": check.verdict.score, "reason": check.verdict.reason,
                "assertion": assertion(written, check),
            })
        })
        .collect();
    let passed = row.outcome == Outcome::Passed;
    let reason = match row.outcome {
        Outcome::Passed => 0,
        Outcome::Failed => 1,
        Outcome::Error | Outcome::Unsupported => 2,
    };
    json!({
        "id": format!("{index}"),
        "promptIdx": row.column,
        "testIdx": row.case,
        "promptId": canonical::sha256(column.prompt.as_bytes()),
        "provider": {"id": column.provider, "label": column.provider},
        "prompt": {"raw": row.prompt, "label": column.label},
        "vars": row.vars,
        "testCase": {"description": row.name, "vars": row.vars, "assert": written},
        "response": {
            "output": row.output, "cost": row.cost, "cached": row.cached,
            "tokenUsage": tokens(row.tokens.prompt, row.tokens.completion),
        },
        "success": passed,
        "score": row.score,
        "namedScores": row.named,
        "latencyMs": row.latency_ms,
        "cost": row.cost.unwrap_or_default(),
        "tokenUsage": tokens(row.tokens.prompt, row.tokens.completion),
        "error": (!passed).then_some(&row.reason),
        "failureReason": reason,
        "gradingResult": {
            "pass": passed, "score": row.score, "reason": row.reason, "namedScores": row.named,
            "componentResults": components,
        },
        "metadata": {"outcome": row.outcome, "repeat": row.repeat},
    })
}
