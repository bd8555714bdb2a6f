//! What the security audit found, as the command line, the page and `/api/v1/security` show it.

use serde::{Deserialize, Serialize};

use crate::api::Severity;

/// `GET /api/v1/security`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityReport {
    /// From 100, nothing to mend, down to 0.
    pub score: u32,
    /// True if the sandbox was tried and the chain of receipts gone through.
    pub deep: bool,
    /// The worst first.
    pub findings: Vec<SecurityFinding>,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecurityFinding {
    /// `files.modes`, `secrets.config`: the same one every time.
    pub id: String,
    pub severity: Severity,
    pub message: String,
    /// What was seen. Never a secret itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Rows of `security/threats.yaml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threats: Vec<String>,
    /// True if `--fix` mends it.
    #[serde(default)]
    pub mendable: bool,
}

impl SecurityReport {
    /// Sorts findings and counts the score: an error costs 25, a warning 8, a notice 1.
    #[must_use]
    pub fn of(mut findings: Vec<SecurityFinding>, deep: bool) -> Self {
        findings.sort_by(|one, other| (other.severity, &one.id).cmp(&(one.severity, &other.id)));
        let lost: u32 = findings
            .iter()
            .map(|finding| match finding.severity {
                Severity::Fine => 0,
                Severity::Notice => 1,
                Severity::Warning => 8,
                Severity::Error => 25,
            })
            .sum();
        Self {
            score: 100_u32.saturating_sub(lost),
            deep,
            findings,
        }
    }

    /// True if something is wrong that should not wait.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let worst = self.findings.iter().map(|finding| finding.severity).max();
        worst == Some(Severity::Error)
    }
}
