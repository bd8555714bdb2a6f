//! How a trial is made before its first unit: its coin or its window, its level, its horizon.

use serde::{Deserialize, Serialize};

use super::{HORIZON, LEVEL};
use crate::evidence::Baseline;

/// How the units of a trial come about.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Design {
    /// A coin of the trial's own.
    Coin { share: f64 },
    /// No coin can be thrown: the time before the fix against the time after it.
    Window { before: Baseline },
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub design: Design,
    pub level: f64,
    pub horizon: u64,
    /// Exposures that were made and did not happen. They are counted apart and prove nothing.
    #[serde(default)]
    pub synthetic: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    #[error(
        "the share of a fix is more than 0 and less than 1: without a control nothing is learned"
    )]
    Share,
    #[error("the level is more than 0.01 and less than 1")]
    Level,
    #[error("a trial has a horizon of 1 to {HORIZON} units")]
    Horizon,
}

impl Plan {
    /// A fix with a coin, half of the units each.
    #[must_use]
    pub fn coin() -> Self {
        Self {
            design: Design::Coin { share: 0.5 },
            level: LEVEL,
            horizon: HORIZON,
            synthetic: false,
        }
    }

    /// A coin over exposures that are made up.
    #[must_use]
    pub fn rehearsal() -> Self {
        Self {
            synthetic: true,
            ..Self::coin()
        }
    }

    #[must_use]
    pub fn window(before: Baseline) -> Self {
        Self {
            design: Design::Window { before },
            ..Self::coin()
        }
    }

    pub(super) fn check(&self) -> Result<(), PlanError> {
        if let Design::Coin { share } = self.design
            && !(share > 0.0 && share < 1.0)
        {
            return Err(PlanError::Share);
        }
        if !(self.level > 0.01 && self.level < 1.0) {
            return Err(PlanError::Level);
        }
        if !(1..=HORIZON).contains(&self.horizon) {
            return Err(PlanError::Horizon);
        }
        Ok(())
    }
}
