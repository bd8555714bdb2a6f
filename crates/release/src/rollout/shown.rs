//! Rollouts as they are asked for: the one under way, and those that were.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{RolloutRow, Store, UnitRow};
use serde::Serialize;
use std::sync::Arc;

use super::live::{Body, CanaryEpisode, Live};
use super::plan::Plan;
use super::view::View;
use crate::error::ReleaseError;
use crate::record::Release;
use crate::releases::Releases;

/// The most rollouts that one call returns.
pub const ROLLOUTS_MAX: usize = 50;

/// A rollout as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub id: String,
    pub candidate: String,
    pub release: ReleaseId,
    pub stable: ReleaseId,
    pub by: String,
    pub at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub plan: Plan,
    /// The stage for people.
    pub words: String,
    #[serde(flatten)]
    pub view: View,
    /// Units that have an arm and are not judged yet.
    pub waiting: usize,
}

impl Releases {
    /// The rollout that is under way; the watch over one that was promoted is none.
    #[must_use]
    pub fn rollout(&self) -> Option<Shown> {
        self.shown_live().filter(|shown| shown.ended_at.is_none())
    }

    /// The rollout that is under way, or the watch over the one that was promoted.
    #[must_use]
    pub fn shown_live(&self) -> Option<Shown> {
        let live = self.live();
        live.as_ref()
            .map(|live| shown(&live.row, &live.body, live.waiting()))
    }

    /// Episodes that the candidate serves, or served, and that are not judged yet.
    #[must_use]
    pub fn canary_episodes(&self) -> Vec<CanaryEpisode> {
        self.live().as_ref().map(Live::canaries).unwrap_or_default()
    }

    /// What is on its way; none where that was promoted and is only watched.
    #[must_use]
    pub fn on_trial(&self) -> Option<Arc<Release>> {
        let live = self.live();
        let live = live.as_ref().filter(|live| live.before.is_none());
        live.map(|live| Arc::clone(&live.release))
    }

    /// The newest rollouts, the newest first.
    pub async fn rollouts(&self, limit: usize) -> Result<Vec<Shown>, ReleaseError> {
        let waiting = self.live().as_ref().map_or(0, Live::waiting);
        let all = bodies(self.store(), limit.min(ROLLOUTS_MAX)).await?;
        let shown = |(row, body): &(RolloutRow, Body)| {
            shown(row, body, if row.is_open { waiting } else { 0 })
        };
        Ok(all.iter().map(shown).collect())
    }

    /// Units of a rollout that were judged, the newest first.
    pub async fn settled_units(
        &self,
        rollout: &str,
        limit: usize,
    ) -> Result<Vec<UnitRow>, ReleaseError> {
        Ok(self.store().units(rollout, true, limit).await?)
    }

    /// Whether a rollout of this candidate was ever begun.
    pub async fn was_rolled_out(&self, candidate: &str) -> Result<bool, ReleaseError> {
        let all = bodies(self.store(), ROLLOUTS_MAX).await?;
        Ok(all.iter().any(|(_, body)| body.candidate == candidate))
    }
}

pub(super) async fn bodies(
    store: &Store,
    limit: usize,
) -> Result<Vec<(RolloutRow, Body)>, ReleaseError> {
    let mut all = Vec::new();
    for row in store.rollouts(limit).await? {
        let body = serde_json::from_str(&row.body).map_err(|source| ReleaseError::Decode {
            id: row.id.clone(),
            source,
        })?;
        all.push((row, body));
    }
    Ok(all)
}

pub(super) fn shown(row: &RolloutRow, body: &Body, waiting: usize) -> Shown {
    Shown {
        id: row.id.clone(),
        candidate: body.candidate.clone(),
        release: body.release.clone(),
        stable: body.stable.clone(),
        by: body.by.clone(),
        at: row.at,
        ended_at: row.ended_at,
        words: body.machine.words(),
        plan: body.machine.plan().clone(),
        view: body.machine.view(),
        waiting,
    }
}
