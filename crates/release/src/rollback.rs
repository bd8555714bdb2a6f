//! Going back: a release that was stable before becomes it again. One pointer move with its reason; the
//! next turn of every conversation is served by it.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::Op;

use crate::candidate::build;
use crate::delta::Delta;
use crate::error::ReleaseError;
use crate::mitigation::Mitigation;
use crate::record::Release;
use crate::releases::{LIST_MAX, Releases, STABLE, bounded};

/// Who takes out what came to nothing.
const TRIAL: &str = "trial";

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
        let ops = self.superseded(now, random)?;
        self.replace(release, ops, (by, reason), now, random)
            .await?;
        Ok(WentBack { from, to })
    }

    /// Takes mitigations out of what is served that nobody has any more, by the inverse of what put them
    /// there. Only those that were on trial are touched, so that nothing changes for anybody. While a
    /// rollout is under way nothing is done: it would end by this. Returns the release that is stable then,
    /// if it is a new one. What is spent is named by its experiment.
    pub async fn take_out(
        &self,
        spent: &[String],
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<Option<ReleaseId>, ReleaseError> {
        let _one_at_a_time = self.moving_lock().await;
        let Some(stable) = self.stable().filter(|_| self.live().is_none()) else {
            return Ok(None);
        };
        let mut out = Vec::new();
        for (agent, of) in &stable.behaviour.agents {
            let is_spent =
                |one: &&Mitigation| one.trial.is_some() && spent.contains(&one.experiment(agent));
            out.extend(
                of.mitigations
                    .iter()
                    .filter(is_spent)
                    .map(|one| Delta::SetMitigation {
                        agent: agent.clone(),
                        id: one.id.clone(),
                        mitigation: None,
                    }),
            );
        }
        if out.is_empty() {
            return Ok(None);
        }
        let reason = "fixes that came to nothing on trial are taken out";
        let behaviour = build(&stable.behaviour, &out)?;
        let (release, ops) = self.kept_from(behaviour, TRIAL, reason, now).await?;
        let id = release.id.clone();
        self.replace(release, ops, (TRIAL, reason), now, random)
            .await?;
        Ok(Some(id))
    }

    /// Makes a stored release the stable one, in one batch with what goes before it.
    async fn replace(
        &self,
        release: Release,
        mut ops: Vec<Op>,
        (by, reason): (&str, &str),
        now: Timestamp,
        random: [u8; 10],
    ) -> Result<(), ReleaseError> {
        let (by, reason) = (bounded(by), bounded(reason));
        ops.extend(
            self.moves_to(&release, &[], &by, &reason, now, random)
                .await?,
        );
        // After the move that is signed for its number.
        ops.extend(self.files_stay(now).await?);
        self.store().commit(ops).await?;
        *self.live() = None;
        self.serve_shared(std::sync::Arc::new(release));
        Ok(())
    }
}
