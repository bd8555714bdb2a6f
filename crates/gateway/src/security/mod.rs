//! The security audit: how this gateway is set up, looked at as an attacker would.
//!
//! Every check is a function of the [`Subject`] and needs no running gateway. A check that finds
//! nothing says that it looked; one that cannot look says that, too, and never counts as fine.
//! The threats that findings name are rows of `security/threats.yaml`.

mod advisories;
mod exposure;
mod files;
mod house;
mod text;
mod widen;

use instar_config::StateDir;
use instar_policy::Annotation;
use instar_protocol::api::Severity;
use instar_protocol::approvals::ShownRule;
use instar_protocol::receipt::ChainReport;
use instar_protocol::security::{SecurityFinding, SecurityReport};
use instar_store::{Store, StoreError};
use std::collections::BTreeMap;

use crate::api::records::{self, ChainQuery};
use crate::config::InstarConfig;

/// What is looked at.
#[derive(Debug)]
pub struct Subject {
    pub state: StateDir,
    /// The configuration, or why it cannot be read.
    pub config: Result<InstarConfig, String>,
    pub kept: Kept,
    /// What the tools say of themselves; `None` where no gateway runs to ask.
    pub tools: Option<BTreeMap<String, Annotation>>,
    /// Also try what takes longer.
    pub deep: bool,
}

/// What the store says.
#[derive(Debug, Default)]
pub struct Kept {
    pub rules: Vec<ShownRule>,
    /// `None` if nobody went through it.
    pub chain: Option<ChainReport>,
}

impl Kept {
    pub async fn read(
        store: &Store,
        now: instar_protocol::Timestamp,
        deep: bool,
    ) -> Result<Self, StoreError> {
        let failed = |error| match error {
            crate::api::queries::QueryError::Store(error) => error,
            other => StoreError::Missing {
                what: "record",
                id: other.to_string(),
            },
        };
        let chain = if deep {
            let report = records::chain(store, &ChainQuery::default()).await;
            Some(report.map_err(failed)?)
        } else {
            None
        };
        let rules = records::rules(store, now).await.map_err(failed)?.rules;
        Ok(Self { rules, chain })
    }
}

/// Looks at everything. Reads files: not for a thread that others wait for.
#[must_use]
pub fn audit(subject: &Subject) -> SecurityReport {
    let checks: [fn(&Subject) -> Vec<SecurityFinding>; 6] = [
        exposure::look,
        files::look,
        text::look,
        house::look,
        widen::look,
        house::look_deep,
    ];
    let findings = checks.iter().flat_map(|check| check(subject)).collect();
    SecurityReport::of(findings, subject.deep)
}

fn finding(
    id: &str,
    severity: Severity,
    message: impl Into<String>,
    threats: &[&str],
) -> SecurityFinding {
    SecurityFinding {
        id: id.to_owned(),
        severity,
        message: message.into(),
        evidence: Vec::new(),
        fix: None,
        threats: threats.iter().map(|one| (*one).to_owned()).collect(),
        mendable: false,
    }
}

fn fine(id: &str, message: impl Into<String>) -> SecurityFinding {
    finding(id, Severity::Fine, message, &[])
}

/// What could not be looked at, which is not the same as fine.
fn not_looked(id: &str, why: impl Into<String>) -> SecurityFinding {
    finding(id, Severity::Notice, why, &[])
}

/// The most lines of evidence in one finding.
const EVIDENCE_MAX: usize = 8;

trait With {
    fn fix(self, text: &str) -> Self;
    fn seen(self, evidence: Vec<String>) -> Self;
}

impl With for SecurityFinding {
    fn fix(mut self, text: &str) -> Self {
        self.fix = Some(text.to_owned());
        self
    }

    fn seen(mut self, mut evidence: Vec<String>) -> Self {
        let more = evidence.len().saturating_sub(EVIDENCE_MAX);
        evidence.truncate(EVIDENCE_MAX);
        if more > 0 {
            evidence.push(format!("and {more} more"));
        }
        self.evidence = evidence;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_the_score_ends_at_zero() {
        let mut all = vec![fine("a", "well"), finding("c", Severity::Error, "bad", &[])];
        all.push(finding("b", Severity::Warning, "so so", &[]));
        let report = SecurityReport::of(all.clone(), false);
        let ids: Vec<&str> = report.findings.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((ids, report.score), (vec!["c", "b", "a"], 67));
        assert!(report.has_errors());
        let many = std::iter::repeat_n(all[1].clone(), 5).collect();
        assert_eq!(SecurityReport::of(many, false).score, 0);
    }
}
