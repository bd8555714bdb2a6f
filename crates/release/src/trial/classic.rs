//! The popular rule, shown beside ours: three clean cycles prove a fix, a recurrence within five fails it.

use serde::{Deserialize, Serialize};

const CLEAN: u32 = 3;
const WITHIN: u32 = 5;

/// What the popular rule says of the fix. Both can hold: three clean ones and a failure after them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Classic {
    seen: u32,
    clean_so_far: bool,
    pub proven: bool,
    pub failed: bool,
}

impl Classic {
    /// Takes a unit that had the fix.
    pub(super) fn note(&mut self, is_bad: bool) {
        if self.seen == 0 {
            self.clean_so_far = true;
        }
        self.seen = self.seen.saturating_add(1);
        self.clean_so_far &= !is_bad;
        self.proven |= self.clean_so_far && self.seen >= CLEAN;
        self.failed |= is_bad && self.seen <= WITHIN;
    }

    /// The label that it gives, the first that it came to; none before that.
    #[must_use]
    pub fn label(self) -> Option<&'static str> {
        match (self.proven, self.failed) {
            (true, false) => Some("proven"),
            (true, true) => Some("proven, then failed"),
            (false, true) => Some("failed"),
            (false, false) => None,
        }
    }
}
