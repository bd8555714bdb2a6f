//! What came of a run.

use instar_release::lineage::report_address;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::compare::Comparison;
use crate::provider::{Step, Tokens};
use crate::score::Checked;
use crate::suite::Dataset;

/// The version of the form of a report.
pub const REPORT_VERSION: u32 = 1;

/// A suite run over one arm, or over a candidate and its baseline.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    pub suite: String,
    /// The digest of the suite, with every file that it names.
    pub suite_digest: String,
    /// The files that its cases were read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<Dataset>,
    pub seed: u64,
    pub repeat: u32,
    pub arms: Vec<ArmReport>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Cases whose repetitions did not agree, by name. They count neither as passed nor as failed.
    pub flaky: Vec<Flaky>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ArmReport {
    pub name: String,
    /// The release that answered, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
}

/// A prompt as one provider was asked it, with its sums.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Column {
    pub provider: String,
    pub prompt: String,
    pub label: String,
    pub score: f64,
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    pub checks_passed: usize,
    pub checks_failed: usize,
    pub named: BTreeMap<String, f64>,
    pub named_weights: BTreeMap<String, f64>,
    /// Formulas that came to nothing, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_derived: BTreeMap<String, String>,
    pub cost: f64,
    pub latency_ms: f64,
    pub tokens: Tokens,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    /// It could not be decided.
    Error,
    /// It asks for what is not done here.
    Unsupported,
}

/// One case, asked once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Row {
    pub case: usize,
    pub column: usize,
    pub repeat: u32,
    pub name: String,
    pub outcome: Outcome,
    pub score: f64,
    pub reason: String,
    pub vars: Map<String, Value>,
    pub prompt: String,
    pub output: Value,
    pub named: BTreeMap<String, f64>,
    pub named_weights: BTreeMap<String, f64>,
    pub checks: Vec<Checked>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    pub tokens: Tokens,
    pub cost: Option<f64>,
    pub latency_ms: f64,
    pub cached: bool,
}

impl Row {
    /// What stays the same from arm to arm and from repetition to repetition.
    #[must_use]
    pub fn key(&self) -> (usize, usize) {
        (self.case, self.column)
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Flaky {
    pub arm: String,
    pub case: usize,
    pub column: usize,
    pub name: String,
    pub passed: u32,
    pub of: u32,
}

/// Counts over the cases of one arm, those that are flaky apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub errors: usize,
    pub unsupported: usize,
    pub flaky: usize,
}

impl Counts {
    #[must_use]
    pub fn total(&self) -> usize {
        self.passed + self.failed + self.errors + self.unsupported + self.flaky
    }

    /// Passed cases in percent of those that are not flaky; all of them if there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "suites are bounded")]
    pub fn pass_rate(&self) -> f64 {
        match self.total() - self.flaky {
            0 => 100.0,
            decided => self.passed as f64 * 100.0 / decided as f64,
        }
    }
}

impl Report {
    /// The counts of an arm by its place.
    #[must_use]
    pub fn counts(&self, arm: usize) -> Counts {
        let mut counts = Counts::default();
        let Some(arm) = self.arms.get(arm) else {
            return counts;
        };
        let flaky = |row: &Row| {
            self.flaky
                .iter()
                .any(|one| one.arm == arm.name && (one.case, one.column) == row.key())
        };
        for row in arm.rows.iter().filter(|row| row.repeat == 0) {
            match row.outcome {
                _ if flaky(row) => counts.flaky += 1,
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::Error => counts.errors += 1,
                Outcome::Unsupported => counts.unsupported += 1,
            }
        }
        counts
    }

    /// The content address, under which the report is kept.
    #[must_use]
    pub fn digest(&self) -> String {
        report_address(serde_json::to_value(self).unwrap_or(Value::Null))
    }

    /// The report in the words of its own form, with its content address.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        if let Value::Object(map) = &mut value {
            map.insert(
                "digest".to_owned(),
                format!("sha256:{}", self.digest()).into(),
            );
        }
        value
    }
}
