//! Markdown, as people read it in a review.

use std::fmt::Write as _;

use super::is_flaky;
use crate::compare::Comparison;
use crate::report::{Outcome, Report};

/// Rows of a table that are written out; the rest is counted.
const ROWS_MAX: usize = 200;

/// Which of the repetitions, where it is not the first.
fn again(repeat: u32) -> String {
    match repeat {
        0 => String::new(),
        more => format!(" (time {})", more + 1),
    }
}

#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut out = format!("# {}\n\n", cell(&report.suite));
    for (index, arm) in report.arms.iter().enumerate() {
        let counts = report.counts(index);
        let release = arm
            .release
            .as_deref()
            .map_or(String::new(), |id| format!(" (`{}`)", cell(id)));
        // Writing into a string does not fail.
        let _done = writeln!(
            out,
            "- **{}**{release}: {} passed, {} failed, {} errors, {} unsupported, {} flaky ({:.1} %)",
            cell(&arm.name),
            counts.passed,
            counts.failed,
            counts.errors,
            counts.unsupported,
            counts.flaky,
            counts.pass_rate(),
        );
    }
    let _done = writeln!(
        out,
        "- suite `sha256:{}`\n- report `sha256:{}`, seed {}, {} times\n",
        report.suite_digest,
        report.digest(),
        report.seed,
        report.repeat
    );
    if let Some(comparison) = &report.comparison {
        compared(comparison, &mut out);
    }
    for one in &report.flaky {
        let name = cell(&one.name);
        let _done = writeln!(
            out,
            "- flaky in {}: {name}, {} of {} passed",
            cell(&one.arm),
            one.passed,
            one.of
        );
    }
    if !report.flaky.is_empty() {
        out.push('\n');
    }
    for arm in &report.arms {
        let wrong: Vec<_> = arm
            .rows
            .iter()
            .filter(|row| row.outcome != Outcome::Passed && !is_flaky(report, arm, row))
            .collect();
        if wrong.is_empty() {
            continue;
        }
        let _done = writeln!(
            out,
            "## {}\n\n| case | outcome | why |\n| --- | --- | --- |",
            cell(&arm.name)
        );
        for row in wrong.iter().take(ROWS_MAX) {
            let _done = writeln!(
                out,
                "| {}{} | {} | {} |",
                cell(&row.name),
                again(row.repeat),
                word(row.outcome),
                cell(&row.reason)
            );
        }
        if wrong.len() > ROWS_MAX {
            let _done = writeln!(out, "\nand {} more", wrong.len() - ROWS_MAX);
        }
        out.push('\n');
    }
    out
}

fn compared(comparison: &Comparison, out: &mut String) {
    let _done = writeln!(
        out,
        "## {} against {}\n",
        cell(&comparison.candidate),
        cell(&comparison.baseline)
    );
    for line in comparison.lines() {
        let _done = writeln!(out, "{line}\n");
    }
    for (title, changes) in [
        ("worse", &comparison.regressions),
        ("better", &comparison.improvements),
    ] {
        for change in changes.iter().take(ROWS_MAX) {
            let _done = writeln!(
                out,
                "- {title}: {}: {}",
                cell(&change.name),
                cell(&change.reason)
            );
        }
        if changes.len() > ROWS_MAX {
            let _done = writeln!(out, "- and {} more are {title}", changes.len() - ROWS_MAX);
        }
    }
    out.push('\n');
}

/// The word of an outcome.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Error => "error",
        Outcome::Unsupported => "unsupported",
    }
}

/// Text of others in a line of Markdown: no markup, no line breaks, not too long.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(300) {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            other => out.push(other),
        }
    }
    out
}
