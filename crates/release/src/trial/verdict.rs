//! How a trial may end.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Adopted, and its watch ended without an alarm.
    Kept,
    /// Less than half as good as hoped, on evidence.
    Failed,
    /// Worse than no fix at all.
    Harmful,
    /// It was proven once, and later it did harm.
    HarmedLater,
    /// Given up, or no verdict within the horizon.
    Undecided,
    /// Better than before, by a design that can say no more than that.
    Supported,
    /// The same over exposures that were made.
    SupportedSynthetic,
    /// The environment changed; another chapter tries again.
    Reopened,
}

impl Verdict {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Failed => "failed",
            Self::Harmful => "harmful",
            Self::HarmedLater => "harmed_later",
            Self::Undecided => "undecided",
            Self::Supported => "supported",
            Self::SupportedSynthetic => "supported_synthetic",
            Self::Reopened => "reopened",
        }
    }
}
