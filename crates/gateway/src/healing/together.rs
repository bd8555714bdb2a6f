//! Many fixes in one release, each on a coin of its own.
//!
//! What the lab proposes is a candidate each, for a person who wants to look at one. Where they go on by
//! themselves they need not wait for each other: a trial counts the units of its own coin, whatever else is
//! in the release. So those that fit together are put into one candidate, which takes the road of every
//! candidate; the single ones are withdrawn once it is on its way, and stay if it is not.

use instar_protocol::Label;
use instar_release::delta::Delta;
use instar_release::gate::Step;
use instar_release::mitigation::Mitigation;
use instar_release::{Candidate, Class, Fit, Proposal, ReleaseError};
use std::collections::BTreeSet;

use super::{HealingError, room, trials};
use crate::app::AppState;

/// Who proposes what was put together. What the lab proposed goes on as the lab's.
const PROPOSER: &str = "lab: fixes together";
/// How the proposer of what the lab chose begins.
pub(super) const LAB: &str = "lab";
/// The same of what a model proposes.
pub(super) const MODEL: &str = "model: ";

/// A candidate made of others.
pub(crate) struct Together {
    pub(crate) candidate: Candidate,
    parts: Vec<String>,
}

impl Together {
    /// It is on its way: what it is made of has nothing left to wait for.
    pub(crate) async fn began(&self, app: &AppState) -> Result<(), ReleaseError> {
        for part in &self.parts {
            app.releases.withdraw(part, app.clock.now()).await?;
        }
        Ok(())
    }

    /// It may not go on: each of its fixes is left to go by itself.
    pub(crate) async fn failed(&self, app: &AppState) -> Result<(), ReleaseError> {
        let id = &self.candidate.id;
        app.releases.withdraw(id, app.clock.now()).await.map(drop)
    }
}

/// True for what the lab proposed.
pub(crate) fn is_of_lab(candidate: &Candidate) -> bool {
    candidate.spec.proposer.starts_with(LAB)
}

/// The mitigation on trial that a candidate is nothing but.
fn trial(candidate: &Candidate) -> Option<(&str, &Mitigation)> {
    let [
        Delta::SetMitigation {
            agent, mitigation, ..
        },
    ] = candidate.spec.deltas.as_slice()
    else {
        return None;
    };
    let mitigation = mitigation.as_deref()?;
    mitigation.trial.is_some().then_some((agent, mitigation))
}

/// What of these open candidates may go on by itself and fits together: one mitigation on trial each, about
/// faults of their own, as many as there is room for trials.
pub(crate) async fn fitting<'a>(
    app: &AppState,
    open: &'a [Candidate],
) -> Result<Vec<&'a Candidate>, HealingError> {
    let autonomy = crate::gates::autonomy(app);
    let goes_by_itself = |class: Class| class <= Class::B && autonomy.of(class) >= Step::Shadow;
    let most = room(&trials(&app.store).await?);
    let mut faults = BTreeSet::new();
    let mut parts = Vec::new();
    for one in open {
        let Some((agent, mitigation)) = trial(one) else {
            continue;
        };
        let is_fit =
            is_of_lab(one) && one.fit == Fit::Current && goes_by_itself(one.assessment.class);
        // Two fixes of one fault would be tried on the same failures.
        if is_fit && parts.len() < most && faults.insert((agent, &mitigation.fault)) {
            parts.push(one);
        }
    }
    Ok(parts)
}

/// Makes one candidate of several.
pub(crate) async fn put_together(
    app: &AppState,
    parts: &[&Candidate],
) -> Result<Together, HealingError> {
    let reasons = parts.iter().map(|one| {
        let gene = one.spec.proposer.trim_start_matches("lab: ");
        let fault = trial(one).map_or("", |(_, mitigation)| &mitigation.fault);
        format!("{gene} about {fault} ({})", instar_release::short(&one.id))
    });
    let reason = format!(
        "{} fixes, each on a coin of its own: {}",
        parts.len(),
        reasons.collect::<Vec<_>>().join(", ")
    );
    let labels = parts.iter().map(|one| &one.spec.evidence);
    let sources = parts
        .iter()
        .flat_map(|one| one.spec.sources.iter().cloned());
    let proposal = Proposal {
        from: instar_release::STABLE.to_owned(),
        deltas: parts
            .iter()
            .flat_map(|one| one.spec.deltas.clone())
            .collect(),
        proposer: PROPOSER.to_owned(),
        reason,
        evidence: labels.fold(Label::system(), |all, one| all.join(one)),
        sources: sources.collect(),
    };
    let candidate = app.releases.propose(proposal, app.clock.now()).await?;
    let parts: Vec<String> = parts.iter().map(|one| one.id.clone()).collect();
    tracing::info!(
        candidate = candidate.id,
        fixes = parts.len(),
        "fixes were put together"
    );
    Ok(Together { candidate, parts })
}
