//! How a rollout ended, as a signed statement: a test result about the behaviour that the candidate would be.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Op, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::live::Live;
use super::machine::Rollout;
use super::stage::Stage;
use crate::error::ReleaseError;
use crate::sign::statement::{TEST_RESULT, rfc3339};
use crate::sign::{SignError, Statement};
use crate::trust::Signer;

/// The kind of these rows.
pub(crate) const VERDICT: &str = "rollout";
/// Our own field of the predicate.
const FIELD: &str = "urn:instar:rollout";

/// Evidence beside the bound that it has to reach.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reached {
    /// None where it is without bound.
    evidence: Option<f64>,
    bound: Option<f64>,
}

/// How a rollout ended, and on what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    rollout: String,
    candidate: String,
    stable: ReleaseId,
    /// The stage that was entered, and why, in words.
    decision: String,
    why: Option<String>,
    by: String,
    at: Timestamp,
    /// The error that the plan allows.
    level: f64,
    /// Episodes that were judged, by arm; pairs that both arms answered.
    canary: u64,
    stable_episodes: u64,
    pairs: u64,
    worse: Reached,
    sound: Reached,
    paired: Reached,
}

impl Verdict {
    /// None where the machine came to no verdict.
    pub(super) fn of(live: &Live, machine: &Rollout, by: &str, at: Timestamp) -> Option<Self> {
        let why = match machine.stage() {
            Stage::Promoted => None,
            Stage::RolledBack { why } => Some(why.words()),
            Stage::Shadow | Stage::Canary { .. } | Stage::Undecided | Stage::Superseded => {
                return None;
            }
        };
        let view = machine.view();
        // Every metric of a group sees the same episodes.
        let most = |of: fn(&super::MetricView) -> u64| view.metrics.iter().map(of).max();
        let reached = |evidence: f64, bound: f64| Reached {
            evidence: evidence.is_finite().then_some(evidence),
            bound: bound.is_finite().then_some(bound),
        };
        Some(Self {
            rollout: live.row.id.clone(),
            candidate: live.body.candidate.clone(),
            stable: live.body.stable.clone(),
            decision: machine.stage().name().to_owned(),
            why,
            by: by.to_owned(),
            at,
            level: machine.plan().level,
            canary: most(|one| one.canary.units).unwrap_or(0),
            stable_episodes: most(|one| one.stable.units).unwrap_or(0),
            pairs: view.pairs,
            worse: reached(view.evidence_worse, view.worse_at),
            sound: reached(view.evidence_sound, view.sound_at),
            paired: reached(
                view.evidence_paired,
                view.paired_at.unwrap_or(f64::INFINITY),
            ),
        })
    }

    /// In a line.
    pub(crate) fn words(&self) -> String {
        let said = |of: Reached| {
            let shown = |number: Option<f64>| number.map_or("-".to_owned(), |n| format!("{n:.3}"));
            format!("{} of {}", shown(of.evidence), shown(of.bound))
        };
        let why = self
            .why
            .as_ref()
            .map_or(String::new(), |why| format!(": {why}"));
        format!(
            "{}{why} (by {}); {} episodes on the candidate, {} on stable, {} pairs; worse {}, sound {}, in pairs {}; level {}",
            self.decision,
            self.by,
            self.canary,
            self.stable_episodes,
            self.pairs,
            said(self.worse),
            said(self.sound),
            said(self.paired),
            self.level,
        )
    }

    pub(super) async fn put(
        &self,
        signer: &Signer,
        store: &Store,
        release: &ReleaseId,
    ) -> Result<Op, ReleaseError> {
        let is_promoted = self.decision == Stage::Promoted.name();
        let tests = |of: bool| if of { vec![VERDICT] } else { Vec::new() };
        let predicate = json!({
            "result": if is_promoted { "PASSED" } else { "FAILED" },
            "configuration": [
                {
                    "name": "candidate",
                    "uri": format!("urn:instar:candidate:{}", self.candidate),
                    "digest": {"sha256": self.candidate},
                },
                {
                    "name": "stable",
                    "uri": format!("urn:instar:release:{}", self.stable),
                    "digest": {"sha256": self.stable},
                },
            ],
            "url": "urn:instar:rollout:v1",
            "passedTests": tests(is_promoted),
            "warnedTests": [],
            "failedTests": tests(!is_promoted),
            FIELD: self,
            "timeTested": rfc3339(self.at),
        });
        let statement = Statement::about(release, TEST_RESULT, predicate);
        signer
            .put(store, release, VERDICT, &statement, self.at)
            .await
    }
}

/// What a stored statement says, verified.
pub(crate) async fn read(
    signer: &Signer,
    store: &Store,
    row: &EnvelopeRow,
) -> Result<Verdict, SignError> {
    let statement = signer.statement(store, row, TEST_RESULT, None).await?;
    let of = statement.predicate.get(FIELD).cloned().unwrap_or_default();
    let verdict: Verdict =
        serde_json::from_value(of).map_err(|error| SignError::Malformed(error.to_string()))?;
    if verdict.at == row.at {
        Ok(verdict)
    } else {
        Err(SignError::Subject)
    }
}
