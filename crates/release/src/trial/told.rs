//! What the units of a trial say so far, for whoever shows it.

use super::{Judged, Stage, Trial};
use crate::evidence::Window;

impl Trial {
    #[must_use]
    pub fn evidence_proven(&self) -> f64 {
        match (&self.stage, &self.judged) {
            (Stage::Adopted { evidence }, _) => *evidence,
            (_, Judged::Coin(by)) => by.proven.evidence(),
            // Support is no proof, however strong.
            (_, Judged::Window(_)) => 0.0,
        }
    }

    /// What speaks for a change that no coin can be thrown about. It supports and proves nothing.
    #[must_use]
    pub fn evidence_supported(&self) -> f64 {
        match &self.judged {
            Judged::Coin(_) => 0.0,
            Judged::Window(window) => window.as_ref().map_or(0.0, Window::evidence),
        }
    }

    #[must_use]
    pub fn evidence_failed(&self) -> f64 {
        match &self.judged {
            Judged::Coin(by) => by.failed.evidence(),
            Judged::Window(_) => 0.0,
        }
    }

    #[must_use]
    pub fn evidence_harmful(&self) -> f64 {
        match &self.judged {
            Judged::Coin(by) => by.harmful.evidence(),
            Judged::Window(_) => 0.0,
        }
    }

    /// How near the watch over a proven fix is to its alarm, from 0 to 1.
    #[must_use]
    pub fn alarm(&self) -> f64 {
        match &self.judged {
            Judged::Coin(by) => by
                .watch
                .as_ref()
                .map_or(0.0, |watch| watch.sum() / watch.alarms_at()),
            Judged::Window(_) => 0.0,
        }
    }
}
