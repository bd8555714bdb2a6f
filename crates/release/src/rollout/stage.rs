//! The words of a rollout: where it stands and why, and what goes into its machine.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::evidence::Arm;

/// Where a rollout stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stage")]
pub enum Stage {
    /// Both arms answer, and only stable's answer is sent.
    Shadow,
    Canary {
        step: usize,
    },
    Promoted,
    RolledBack {
        why: Reason,
    },
    /// Neither shown worse nor shown sound within the horizon; the owner is told.
    Undecided,
    /// Another stable release came into force.
    Superseded,
}

impl Stage {
    /// As it stands in events.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary { .. } => "canary",
            Self::Promoted => "promoted",
            Self::RolledBack { .. } => "rolled_back",
            Self::Undecided => "undecided",
            Self::Superseded => "superseded",
        }
    }
}

/// Why a candidate was taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Reason {
    /// A detector fired whose rate under a sound release is zero.
    Violation { what: String },
    /// The evidence that it is worse reached its bound.
    Worse,
    /// It had become stable, and then the evidence that it is worse than the release before reached its bound.
    Later,
    /// The owner's word.
    Owner,
}

impl Reason {
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Violation { what } => what.clone(),
            Self::Worse => "the evidence that it is worse reached its bound".to_owned(),
            Self::Later => {
                "after its promotion the evidence that it became worse reached its bound".to_owned()
            }
            Self::Owner => "the owner took it back".to_owned(),
        }
    }
}

/// What a settled unit brought: the badness by metric; none where the source gave nothing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Counted once, however often it is delivered.
    pub unit: String,
    pub arm: Arm,
    /// The share at its assignment.
    pub share: f64,
    pub bad: BTreeMap<String, Option<f64>>,
    /// Somebody said or did something that tells how it went.
    pub is_heard: bool,
}

/// Which metrics of a unit are settled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Those that are judged before the others.
    Fast,
    /// The others, which are all where none are fast. The unit counts with them.
    Rest,
}

/// Why a rollout stays where it is although its evidence would let it go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// An arm has too few units with data.
    Coverage,
    /// One arm has data more often than the other.
    UnevenCoverage,
    /// Both arms together are worse than what was usual before.
    Alarm,
    /// Of too few episodes of an arm was anything heard.
    Silence,
}
