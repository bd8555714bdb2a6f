//! What went out by itself since the owner's last word, and how weighty that is together with what a candidate adds:
//! many small steps that nobody looked at are one large step.

use instar_protocol::{Label, ReleaseId};
use instar_store::{CandidateRow, CandidateState};
use serde::Serialize;
use std::collections::BTreeSet;

use super::attest;
use super::check::CheckError;
use crate::behaviour::Behaviour;
use crate::candidate::spec;
use crate::class::{Assessment, Class, Ground, assess};
use crate::delta::Delta;
use crate::releases::{Releases, STABLE};
use crate::sign::PublicKey;

/// Moves of the alias that are gone through for what went out by itself.
const MOVES_MAX: usize = 100;
/// Who moves the alias when nobody was asked.
const BY_ITSELF: &str = "the rollout";

/// What became stable by itself since the owner's last word. His word is a move of the alias by himself, a yes to a
/// candidate, which is when he was told of the others, and a signature by a key of his.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Gone {
    /// Promotions.
    pub(super) releases: usize,
    /// What they changed, the first one first.
    pub(super) deltas: Vec<Delta>,
    /// What was stable at his last word.
    since: Option<ReleaseId>,
}

/// A candidate together with what went out by itself before, held against what was stable at the owner's last word.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Sum {
    pub since: ReleaseId,
    pub releases: usize,
    pub class: Class,
    pub grounds: Vec<Ground>,
}

impl Releases {
    pub(super) async fn gone(&self, owners: &[PublicKey]) -> Result<Gone, CheckError> {
        let signer = self.signer().ok_or(CheckError::NoKey)?;
        let mut gone = Gone::default();
        let steps = self.store().alias_log(Some(STABLE), MOVES_MAX).await?;
        if steps.first().is_none_or(|step| step.by != BY_ITSELF) {
            return Ok(gone);
        }
        let made = self.store().candidates().await?;
        let mut asked = None;
        let mut with_yes = BTreeSet::new();
        for row in made.iter().filter(|row| row.said > 0) {
            if let Some(at) = attest::yes(signer, self.store(), row).await? {
                asked = asked.max(Some(at));
                with_yes.insert(row.release.clone());
            }
        }
        let is = |row: &CandidateRow, release: &ReleaseId, state| {
            row.release == *release && row.state == state
        };
        for step in steps {
            let is_known = with_yes.contains(&step.to) || asked.is_some_and(|at| step.at <= at);
            if step.by != BY_ITSELF
                || is_known
                || self.is_endorsed(signer, &step.to, owners).await?
            {
                gone.since = Some(step.to);
                break;
            }
            // Who is taken back after his promotion moves the alias as well.
            let back = |row: &CandidateRow| {
                let from = step.from.as_ref();
                from.is_some_and(|from| is(row, from, CandidateState::RolledBack))
            };
            if !made.iter().any(back) {
                gone.releases += 1;
                let promoted = |row: &&CandidateRow| is(row, &step.to, CandidateState::Promoted);
                if let Some(row) = made.iter().find(promoted) {
                    let before = spec(self.store(), &row.id).await?.deltas;
                    gone.deltas.splice(0..0, before);
                }
            }
            gone.since = step.from;
        }
        Ok(gone)
    }

    /// None where nothing went out by itself.
    pub(super) async fn sum(
        &self,
        gone: Gone,
        deltas: &[Delta],
        after: Behaviour,
        proved: bool,
    ) -> Result<Option<Sum>, CheckError> {
        let Some(since) = gone.since.filter(|_| gone.releases > 0) else {
            return Ok(None);
        };
        let before = self.get(since.as_str()).await?.behaviour;
        let all: Vec<Delta> = gone.deltas.iter().chain(deltas).cloned().collect();
        // Where the text of each came from was asked when it was its turn.
        let told = move || assess(&before, &all, &after, &Label::owner());
        let judged: Assessment = tokio::task::spawn_blocking(told)
            .await
            .map_err(|error| crate::error::ReleaseError::Canonical(error.to_string()))?;
        Ok(Some(Sum {
            since,
            releases: gone.releases,
            // Who is proved no wider than one that was proved no wider is so, too.
            class: judged.class_with(proved),
            grounds: judged.grounds,
        }))
    }
}
