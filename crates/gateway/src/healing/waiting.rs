//! What waits: candidates about faults that are open, and faults of which nothing new is known since what the
//! lab had proposed about them was taken back. Nothing else is proposed about either.

use instar_protocol::Timestamp;
use instar_protocol::fault::Fault;
use instar_release::{Fit, ReleaseError};
use instar_store::CandidateState;
use std::collections::{BTreeMap, BTreeSet};

use super::HealingError;
use super::together::{LAB, MODEL};
use crate::app::AppState;

/// Candidates that are looked through, the newest.
const CANDIDATES_MAX: usize = 400;

/// An agent and a fault.
type About = (String, String);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Proposals of the lab and of models that wait for their owner or their turn.
    pub(super) count: usize,
    open: BTreeSet<About>,
    /// When the latest of what the lab had proposed was taken back.
    settled: BTreeMap<About, Timestamp>,
}

impl Waiting {
    pub(super) async fn look(app: &AppState) -> Result<Self, HealingError> {
        let mut waiting = Self::default();
        for row in app.store.candidates().await?.iter().take(CANDIDATES_MAX) {
            let looked = match row.state {
                CandidateState::Open => waiting.take_open(app, row.id.as_str()).await,
                CandidateState::Withdrawn | CandidateState::RolledBack => {
                    let at = row.settled_at.unwrap_or(row.at);
                    waiting.take_settled(app, row.id.as_str(), at).await
                }
                CandidateState::Promoted => Ok(()),
            };
            // One that cannot be read is told elsewhere, and waits for nothing.
            if let Err(error @ ReleaseError::Store(_)) = looked {
                return Err(error.into());
            }
        }
        Ok(waiting)
    }

    async fn take_open(&mut self, app: &AppState, id: &str) -> Result<(), ReleaseError> {
        let candidate = app.releases.candidate(id).await?;
        if !matches!(candidate.fit, Fit::Current | Fit::Rebasable) {
            return Ok(());
        }
        let proposer = candidate.spec.proposer.as_str();
        self.count += usize::from(proposer.starts_with(LAB) || proposer.starts_with(MODEL));
        self.open.extend(candidate.spec.about());
        Ok(())
    }

    async fn take_settled(
        &mut self,
        app: &AppState,
        id: &str,
        at: Timestamp,
    ) -> Result<(), ReleaseError> {
        let spec = app.releases.candidate_spec(id).await?;
        if spec.proposer.starts_with(LAB) {
            for about in spec.about() {
                let latest = self.settled.entry(about).or_insert(at);
                *latest = (*latest).max(at);
            }
        }
        Ok(())
    }

    /// True if something is open about the fault, or if it did not show itself since something was taken back.
    pub(super) fn holds(&self, agent: &str, fault: &Fault) -> bool {
        let about = (agent.to_owned(), fault.id.clone());
        let nothing_new = |at: &Timestamp| fault.last_seen <= *at;
        self.open.contains(&about) || self.settled.get(&about).is_some_and(nothing_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::fault::SignalKind;

    #[test]
    fn a_fault_waits_while_something_is_open_and_until_it_shows_itself_again() {
        let at = Timestamp::from_millis;
        let fault = |seen: u64| {
            let place = "tool:read".to_owned();
            Fault::new("flt_1".to_owned(), SignalKind::Timeout, place, at(seen))
        };
        let about = ("main".to_owned(), "flt_1".to_owned());
        let mut waiting = Waiting::default();
        assert!(!waiting.holds("main", &fault(5)));
        waiting.settled.insert(about.clone(), at(5));
        assert!(waiting.holds("main", &fault(5)) && !waiting.holds("main", &fault(6)));
        assert!(!waiting.holds("other", &fault(5)));
        waiting.open.insert(about);
        assert!(waiting.holds("main", &fault(6)) && !waiting.holds("other", &fault(6)));
    }
}
