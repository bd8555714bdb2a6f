//! Gates: the checks of a candidate. Each ends in pass, fail or no data, with a sentence and its
//! evidence; no data never counts as a pass.
//!
//! What a gate said is an attestation: a statement that the gateway signs and stores, and verifies
//! again whenever it is read (`attest`). `fixed` and `skills` are the gates that plain code answers, `policy` the one
//! that may ask a solver; evals and red team are measured elsewhere and handed in. [`decide()`] alone says
//! what may come of it.
//!
//! Start at [`Gate`], then `Releases::check_candidate`, then [`decide()`].

pub(crate) mod attest;
mod check;
mod decide;
mod fixed;
mod policy;
mod skills;
mod sum;

pub use check::{CheckError, Checking};
pub use decide::{Autonomy, Decision, Step, decide};
pub use policy::{Prover, Said};
pub use sum::Sum;

use instar_protocol::redact::{find_secret, redact};
use instar_protocol::{ReleaseId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::lineage::{MATERIALS_MAX, Material};

/// The most lines of evidence that one gate keeps, and the most characters of each.
const EVIDENCE_MAX: usize = 50;
const LINE_CHARS_MAX: usize = 500;

/// The gates, in the order in which they are asked: the cheapest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Its parts have their hashes and make the behaviour that it says.
    WellFormed,
    /// How much it changes and where, also in sum with what went before by itself.
    Reach,
    /// It lets through nothing that was not let through.
    Policy,
    /// Nothing in it looks like a secret.
    Secrets,
    /// The skills that it brings are sound.
    Skills,
    /// It answers the owner's suites no worse than what is stable.
    Evals,
    /// It withstands the attacks that stable withstands.
    RedTeam,
    /// The owner has said yes to it.
    Human,
}

impl Gate {
    pub const ALL: [Self; 8] = [
        Self::WellFormed,
        Self::Reach,
        Self::Policy,
        Self::Secrets,
        Self::Skills,
        Self::Evals,
        Self::RedTeam,
        Self::Human,
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WellFormed => "well-formed",
            Self::Reach => "reach",
            Self::Policy => "policy",
            Self::Secrets => "secrets",
            Self::Skills => "skills",
            Self::Evals => "evals",
            Self::RedTeam => "red-team",
            Self::Human => "human",
        }
    }
}

/// For how many days a gate's word holds, unless its owner says otherwise.
pub const DAYS: u32 = 30;
/// The most days that he can say.
pub const DAYS_MAX: u32 = 365;
const DAY_MILLIS: u64 = 24 * 60 * 60 * 1_000;

/// When a gate is asked, and for how many days what it says holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    pub at: Timestamp,
    pub days: u32,
}

impl Asked {
    /// For as long as is usual.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, days: DAYS }
    }

    fn ends(self) -> Timestamp {
        let days = u64::from(self.days.clamp(1, DAYS_MAX));
        Timestamp::from_millis(self.at.millis().saturating_add(days * DAY_MILLIS))
    }
}

/// How a gate ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Pass,
    Fail,
    /// Nothing can be said; it holds.
    NoData,
}

impl Outcome {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoData => "no-data",
        }
    }
}

/// What a gate found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub outcome: Outcome,
    /// A sentence.
    pub why: String,
    #[serde(default)]
    pub evidence: Vec<String>,
    /// What it was measured with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub materials: Vec<Material>,
    /// What it was seen to ask for that stable does not: a ground for a higher class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<String>,
}

impl Finding {
    pub fn pass(why: impl Into<String>) -> Self {
        Self::of(Outcome::Pass, why)
    }

    pub fn fail(why: impl Into<String>) -> Self {
        Self::of(Outcome::Fail, why)
    }

    pub fn no_data(why: impl Into<String>) -> Self {
        Self::of(Outcome::NoData, why)
    }

    fn of(outcome: Outcome, why: impl Into<String>) -> Self {
        Self {
            outcome,
            why: why.into(),
            evidence: Vec::new(),
            materials: Vec::new(),
            reach: Vec::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Fit to be stored: without what looks like a secret, and no longer than people read. Digests and
    /// numbers stay as they are; they are the evidence.
    fn bounded(self) -> Self {
        let line = |text: &str| -> String {
            let text = match find_secret(text) {
                Some(_) => redact(text).into_string(),
                None => text.to_owned(),
            };
            let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            plain.take(LINE_CHARS_MAX).collect()
        };
        Self {
            outcome: self.outcome,
            why: line(&self.why),
            evidence: self
                .evidence
                .iter()
                .take(EVIDENCE_MAX)
                .map(|one| line(one))
                .collect(),
            reach: self
                .reach
                .iter()
                .take(EVIDENCE_MAX)
                .map(|one| line(one))
                .collect(),
            materials: self
                .materials
                .into_iter()
                .take(MATERIALS_MAX)
                .map(|one| Material {
                    name: line(&one.name),
                    ..one
                })
                .collect(),
        }
    }
}

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    pub gate: Gate,
    #[serde(flatten)]
    pub finding: Finding,
    /// When it was asked, and whose word it is; none where it was not.
    pub at: Option<Timestamp>,
    pub by: Option<String>,
    /// Until when it holds, as RFC 3339 in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// It was asked, and what it said holds no longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_expired: bool,
}

/// What all gates said of a candidate, and what may come of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Table {
    pub candidate: String,
    pub release: ReleaseId,
    /// What it was held against.
    pub stable: Option<ReleaseId>,
    /// The class with what the policy gate knows.
    pub class: Class,
    /// It and what went out by itself since the owner's last word, taken together; the class is at least that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<Sum>,
    /// A key of the owner's, which this machine does not hold, has signed it.
    pub endorsed: bool,
    pub rows: Vec<Row>,
    pub decision: Decision,
}

impl Table {
    #[must_use]
    pub fn row(&self, gate: Gate) -> Option<&Row> {
        self.rows.iter().find(|row| row.gate == gate)
    }
}
