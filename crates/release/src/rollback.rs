//! Going back: a release that was stable before becomes it again. One pointer move with its reason; the
//! next turn of every conversation is served by it.

use instar_protocol::{ReleaseId, Timestamp};

use crate::error::ReleaseError;
use crate::releases::{LIST_MAX, Releases, STABLE, bounded};

/// A move back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WentBack {
    pub from: ReleaseId,
    pub to: ReleaseId,
}

impl Releases {
    /// Goes back to a release that was stable before, by any of its names; without one to the last that
    /// was. It has to have its hash and its signature still. A rollout that is under way ends.
    pub async fn roll_back(
        &self,
        to: Option<&str>,
        by: &str,
        reason: &str,
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<WentBack, ReleaseError> {
        let _one_at_a_time = self.moving_lock().await;
        let store = self.store();
        let unknown = || ReleaseError::Unknown(STABLE.to_owned());
        let from = store.alias(STABLE).await?.ok_or_else(unknown)?;
        let log = store.alias_log(Some(STABLE), LIST_MAX).await?;
        let was_stable = |id: &ReleaseId| log.iter().any(|step| step.to == *id);
        let to = match to {
            Some(name) => self.get(name).await?.id,
            None => {
                let before = log.iter().map(|step| &step.to).find(|id| **id != from);
                before.cloned().ok_or(ReleaseError::NothingBefore)?
            }
        };
        if to == from {
            return Err(ReleaseError::Already(to.short().to_owned()));
        }
        if !was_stable(&to) {
            return Err(ReleaseError::NeverStable(to.short().to_owned()));
        }
        let release = self.trusted(&to).await?;
        let (by, reason) = (bounded(by), bounded(reason));
        let mut ops = self.superseded(now, random)?;
        ops.extend(self.moves_to(&release, &by, &reason, now, random).await?);
        // After the move that is signed for its number.
        ops.extend(self.files_stay(now).await?);
        store.commit(ops).await?;
        *self.live() = None;
        self.serve_shared(std::sync::Arc::new(release));
        Ok(WentBack { from, to })
    }
}
