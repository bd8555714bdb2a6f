//! JUnit XML, as build servers read it.

use std::fmt::Write as _;

use super::is_flaky;
use crate::report::{Outcome, Report};

/// All arms, a test suite each. A flaky case is skipped, with its name and why.
#[must_use]
pub fn junit(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (index, arm) in report.arms.iter().enumerate() {
        let counts = report.counts(index);
        let name = escaped(&format!("{} ({})", report.suite, arm.name));
        let (tests, failures) = (counts.total(), counts.failed);
        let (errors, skipped) = (counts.errors + counts.unsupported, counts.flaky);
        // Writing into a string does not fail.
        let _done = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">"
        );
        for row in arm.rows.iter().filter(|row| row.repeat == 0) {
            let column = &arm.columns[row.column];
            let class = escaped(&format!("{}.{}", report.suite, column.provider));
            let case = escaped(&format!("{} [{}]", row.name, row.column));
            let seconds = row.latency_ms / 1000.0;
            let _done = write!(
                out,
                "    <testcase classname=\"{class}\" name=\"{case}\" time=\"{seconds:.3}\""
            );
            let reason = escaped(&row.reason);
            let tag = match row.outcome {
                _ if is_flaky(report, arm, row) => {
                    Some(("skipped", "flaky: its repetitions did not agree".to_owned()))
                }
                Outcome::Passed => None,
                Outcome::Failed => Some(("failure", reason)),
                Outcome::Error | Outcome::Unsupported => Some(("error", reason)),
            };
            let _done = match tag {
                Some((tag, reason)) => writeln!(out, "><{tag} message=\"{reason}\"/></testcase>"),
                None => writeln!(out, "/>"),
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Text in an attribute; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            other => out.push(other),
        }
    }
    out
}
