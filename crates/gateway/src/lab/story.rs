//! What was done about a fault: what is on trial, how earlier trials ended, what is proposed, what happened
//! last. Read from the ledger for whoever looks.

use instar_protocol::amend::NoteEdit;
use instar_protocol::event::{Event, EventKind};
use instar_protocol::lab::Known;
use instar_release::{Candidate, Listed, Releases};
use instar_store::{EventFilter, Store};
use serde::Serialize;
use std::collections::BTreeSet;

use super::FaultView;
use crate::api::queries::{QueryError, missing_release};
use crate::healing::{self, TrialView};

/// Candidates that are looked through, and exposures.
const CANDIDATES: usize = 200;
const EXPOSURES: usize = 500;
const EVENTS_SHOWN: usize = 12;

#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// The newest first.
    pub trials: Vec<TrialView>,
    pub tried: Vec<Known>,
    pub proposed: Vec<Candidate>,
    /// Notes that wait for their owner.
    pub edits: Vec<NoteEdit>,
    pub events: Vec<Event>,
}

/// What was done about a fault and about those that went into it.
pub async fn story(
    store: &Store,
    releases: &Releases,
    fault: &FaultView,
) -> Result<Story, QueryError> {
    let members = fault.members.iter().map(String::as_str);
    let ids: BTreeSet<&str> = members.chain([fault.fault.id.as_str()]).collect();
    let trials = healing::trials(store).await?.into_iter();
    let mut tried = healing::verdicts(store).await?;
    tried.retain(|known| ids.contains(known.fault.as_str()));
    tried.sort_by_key(|known| std::cmp::Reverse(known.at));
    let candidates = releases.candidates(CANDIDATES).await;
    let candidates = candidates.map_err(missing_release)?.into_iter();
    let candidates = candidates.filter_map(Listed::candidate);
    let filter = EventFilter {
        kind: Some("exposure".to_owned()),
        limit: EXPOSURES,
        ..EventFilter::default()
    };
    let events = store.events(filter).await?.into_iter();
    let events = events.filter(|event| match &event.kind {
        EventKind::Exposure { fault, .. } => ids.contains(fault.as_str()),
        _ => false,
    });
    let mut edits = Vec::new();
    for id in &ids {
        edits.extend(healing::notes_that_wait(store, id).await?);
    }
    Ok(Story {
        edits,
        trials: trials
            .filter(|trial| ids.contains(trial.fault.as_str()))
            .collect(),
        tried,
        proposed: candidates.filter(|one| is_about(one, &ids)).collect(),
        events: events.take(EVENTS_SHOWN).collect(),
    })
}

fn is_about(candidate: &Candidate, ids: &BTreeSet<&str>) -> bool {
    let mut about = candidate.spec.about().into_iter();
    about.any(|(_, fault)| ids.contains(fault.as_str()))
}

/// Occasions and failures of the days before a moment.
#[must_use]
pub fn before(fault: &FaultView, begun: instar_protocol::Timestamp) -> (u64, u64) {
    let day = instar_protocol::fault::day(begun);
    let days = fault.by_day.iter().filter(|row| row.day < day);
    days.fold((0, 0), |(exposures, failures), row| {
        (exposures + row.exposures, failures + row.failures)
    })
}
