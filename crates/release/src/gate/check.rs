//! Asking the gates of a candidate, and what the owner does with what they say.

use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_store::{CandidateRow, CandidateState, Op};

use super::attest::{self, Held, Said};
use super::policy::{Prover, policy};
use super::sum::Sum;
use super::{Asked, Autonomy, Finding, Gate, Outcome, Table, decide};
use super::{fixed, skills};
use crate::behaviour::Behaviour;
use crate::candidate::{Candidate, Fit, Proposal, build, short, spec};
use crate::class::Class;
use crate::delta::rebase;
use crate::endorse::OWNER;
use crate::error::ReleaseError;
use crate::releases::{Releases, STABLE, bounded};
use crate::sign::PublicKey;
use crate::trust::Signer;

/// Whose word a gate's answer is that code gave.
const GATEWAY: &str = "gateway";

#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("candidate {0} is not open any more: it is {1}")]
    Settled(String, &'static str),
    #[error("candidate {0} fits the stable release as it is; there is nothing to rebase")]
    Current(String),
    #[error(
        "candidate {candidate} and the stable release both changed {}; make it anew by hand",
        places.join(", ")
    )]
    Conflict {
        candidate: String,
        places: Vec<String>,
    },
    #[error("candidate {0} has class D: your yes is your signature, with `instar release endorse`")]
    NeedsSignature(String),
    #[error("{0} proposed this candidate, and cannot be who approves it")]
    OwnWord(String),
    #[error("candidate {candidate} may not go as far as {wanted}: {needed}")]
    NotYet {
        candidate: String,
        wanted: &'static str,
        needed: String,
    },
    #[error("there is no key to sign what the gates say; ask a running gateway")]
    NoKey,
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

/// A candidate whose gates are being asked.
#[derive(Debug)]
pub struct Checking {
    pub candidate: Candidate,
    /// What it is held against, and what it would be.
    pub before: Behaviour,
    pub after: Behaviour,
    held: Held,
}

impl Releases {
    /// Asks the gates that need nothing from elsewhere but, at the most, a solver. Each answer is
    /// signed and stored as soon as it is there.
    pub async fn check_candidate(
        &self,
        name: &str,
        prover: impl Fn(&str) -> Vec<super::Said> + Send + Sync + 'static,
        owners: &[PublicKey],
        asked: Asked,
    ) -> Result<Checking, CheckError> {
        let checking = self.checking(name).await?;
        let candidate = &checking.candidate;
        let gone = self.gone(owners).await?;
        let (before, after) = (&checking.before, &checking.after);
        for (gate, finding) in [
            (Gate::WellFormed, fixed::well_formed(candidate, after)),
            (Gate::Reach, fixed::reach(candidate, &gone)),
            (Gate::Secrets, fixed::secrets(candidate, after)),
            (Gate::Skills, skills::scanned(before, after)),
        ] {
            self.attest(&checking, gate, finding, asked).await?;
        }
        let (was, is) = (before.authority.clone(), after.authority.clone());
        // A solver takes its time, and so does writing the question.
        let proved = tokio::task::spawn_blocking(move || {
            let prover: Prover<'_> = &prover;
            policy(&was, &is, prover)
        });
        let finding = proved.await.unwrap_or_else(|error| {
            Finding::no_data(format!("the proof could not be tried: {error}"))
        });
        let proved = finding.outcome == Outcome::Pass;
        self.attest(&checking, Gate::Policy, finding, asked).await?;
        let (deltas, after) = (&candidate.spec.deltas, after.clone());
        let sum = self.sum(gone, deltas, after, proved).await?;
        let own = candidate.assessment.class_with(proved);
        if sum.map_or(own, |sum| sum.class.max(own)) == Class::D {
            // Its owner can sign it elsewhere from now on. It serves nobody by that.
            let (_, ops) = self.keep(&checking.candidate, asked.at).await?;
            self.store().commit(ops).await?;
        }
        Ok(checking)
    }

    /// Signs and stores what a gate found that was measured elsewhere.
    pub async fn attest(
        &self,
        checking: &Checking,
        gate: Gate,
        finding: Finding,
        asked: Asked,
    ) -> Result<(), CheckError> {
        self.put(&checking.held, gate, finding, GATEWAY, asked)
            .await
    }

    async fn checking(&self, name: &str) -> Result<Checking, CheckError> {
        let candidate = self.candidate(name).await?;
        if candidate.state != CandidateState::Open {
            return Err(CheckError::Settled(
                short(&candidate.id),
                candidate.state.word(),
            ));
        }
        let parent = self.get(candidate.spec.parent.as_str()).await?;
        let after = build(&parent.behaviour, &candidate.spec.deltas)?;
        let held = self.held(&candidate);
        // Held against what is stable now, not against what it was written for.
        let before = self.stable().map_or_else(
            || parent.behaviour.clone(),
            |stable| stable.behaviour.clone(),
        );
        Ok(Checking {
            candidate,
            before,
            after,
            held,
        })
    }

    fn held(&self, candidate: &Candidate) -> Held {
        Held {
            candidate: candidate.id.clone(),
            release: candidate.spec.release.clone(),
            stable: self.stable().map(|stable| stable.id.clone()),
        }
    }

    async fn put(
        &self,
        held: &Held,
        gate: Gate,
        finding: Finding,
        by: &str,
        asked: Asked,
    ) -> Result<(), CheckError> {
        let signer = self.signer().ok_or(CheckError::NoKey)?;
        // Each has its number, and the candidate's row knows the last one.
        let _one_at_a_time = self.moving_lock().await;
        let row = self.candidate_row(&held.candidate).await?;
        let said = Said {
            gate,
            finding,
            by,
            number: row.said + 1,
        };
        let op = attest::put(signer, self.store(), held, said, asked).await?;
        let counted = CandidateRow {
            said: row.said + 1,
            ..row
        };
        self.store()
            .commit(vec![op, Op::PutCandidate(counted)])
            .await?;
        Ok(())
    }

    /// What the gates said, and what may come of it.
    pub async fn gates(
        &self,
        candidate: &Candidate,
        autonomy: Autonomy,
        owners: &[PublicKey],
        now: Timestamp,
    ) -> Result<Table, CheckError> {
        let signer = self.signer().ok_or(CheckError::NoKey)?;
        let held = self.held(candidate);
        let counted = self.candidate_row(&held.candidate).await?.said;
        let rows = attest::rows(signer, self.store(), &held, counted, now).await?;
        let proved = rows
            .iter()
            .any(|row| row.gate == Gate::Policy && row.finding.outcome == Outcome::Pass);
        // What it was seen to reach for counts beside what its deltas say.
        let is_new = |row: &super::Row| !row.finding.reach.is_empty();
        let seen = if rows.iter().any(is_new) {
            Class::C
        } else {
            Class::A
        };
        let mut class = candidate.assessment.class_with(proved).max(seen);
        let sum = self.sum_of(candidate, owners, proved).await?;
        class = class.max(sum.as_ref().map_or(Class::A, |sum| sum.class));
        let endorsed = self.is_endorsed(signer, &held.release, owners).await?;
        let decision = if candidate.fit == Fit::Current {
            decide(&rows, class, endorsed, autonomy)
        } else {
            super::Decision {
                may: super::Step::Nothing,
                needed: vec![format!(
                    "it was made from another release than the one that is stable now: `instar candidate rebase {}`",
                    short(&candidate.id)
                )],
            }
        };
        Ok(Table {
            candidate: held.candidate,
            release: held.release,
            stable: held.stable,
            class,
            sum,
            endorsed,
            rows,
            decision,
        })
    }

    /// Refuses to let a candidate go further than its gates and its owner have let it.
    pub async fn may_go(
        &self,
        name: &str,
        wanted: super::Step,
        autonomy: Autonomy,
        owners: &[PublicKey],
        now: Timestamp,
    ) -> Result<Table, CheckError> {
        let candidate = self.candidate(name).await?;
        let table = self.gates(&candidate, autonomy, owners, now).await?;
        if table.decision.may >= wanted {
            return Ok(table);
        }
        Err(CheckError::NotYet {
            candidate: short(&candidate.id),
            wanted: wanted.name(),
            needed: table.decision.needed.join("; "),
        })
    }

    /// The owner says yes. `by` is where he said it; a conversation cannot approve what it proposed.
    pub async fn approve_candidate(
        &self,
        name: &str,
        by: &str,
        owners: &[PublicKey],
        asked: Asked,
    ) -> Result<Candidate, CheckError> {
        let candidate = self.candidate(name).await?;
        if candidate.state != CandidateState::Open {
            return Err(CheckError::Settled(
                short(&candidate.id),
                candidate.state.word(),
            ));
        }
        if candidate.spec.proposer == by && by != "owner" {
            return Err(CheckError::OwnWord(bounded(by)));
        }
        let table = self
            .gates(&candidate, Autonomy::default(), owners, asked.at)
            .await?;
        if table.class == Class::D && !table.endorsed {
            return Err(CheckError::NeedsSignature(short(&candidate.id)));
        }
        let finding = Finding::pass(format!("approved by {}", bounded(by)));
        self.put(&self.held(&candidate), Gate::Human, finding, by, asked)
            .await?;
        Ok(candidate)
    }

    /// Makes the same deltas anew upon what is stable now, and withdraws the old candidate. What the
    /// gates said of the old one does not count for the new.
    pub async fn rebase_candidate(
        &self,
        name: &str,
        now: Timestamp,
    ) -> Result<Candidate, CheckError> {
        let old = self.candidate(name).await?;
        let id = short(&old.id);
        if old.state != CandidateState::Open {
            return Err(CheckError::Settled(id, old.state.word()));
        }
        if old.fit == Fit::Current {
            return Err(CheckError::Current(id));
        }
        let stored = spec(self.store(), &ObjectHash::from_hex(&old.id)).await?;
        let written_for = self.get(stored.parent.as_str()).await?.behaviour;
        let onto = self.get(STABLE).await?.behaviour;
        let told = |why: String| ReleaseError::Delta {
            place: "the candidate".to_owned(),
            why,
        };
        match rebase(&stored.deltas, &written_for, &onto) {
            Ok(Ok(_)) => {}
            Ok(Err(places)) => {
                return Err(CheckError::Conflict {
                    candidate: id,
                    places: places.iter().map(ToString::to_string).collect(),
                });
            }
            Err(error) => return Err(told(error.to_string()).into()),
        }
        let proposal = Proposal {
            from: STABLE.to_owned(),
            deltas: stored.deltas,
            proposer: stored.proposer,
            reason: stored.reason,
            // Writing it again adds none.
            evidence: stored.evidence,
            sources: stored.sources,
        };
        let new = self.propose(proposal, now).await?;
        self.withdraw(&old.id, now).await?;
        Ok(new)
    }

    /// Of one that fits what is stable: no other goes anywhere.
    async fn sum_of(
        &self,
        candidate: &Candidate,
        owners: &[PublicKey],
        proved: bool,
    ) -> Result<Option<Sum>, CheckError> {
        let gone = self.gone(owners).await?;
        if candidate.fit != Fit::Current || gone.releases == 0 {
            return Ok(None);
        }
        let parent = self.get(candidate.spec.parent.as_str()).await?;
        let after = build(&parent.behaviour, &candidate.spec.deltas)?;
        self.sum(gone, &candidate.spec.deltas, after, proved).await
    }

    pub(super) async fn is_endorsed(
        &self,
        signer: &Signer,
        release: &ReleaseId,
        owners: &[PublicKey],
    ) -> Result<bool, CheckError> {
        for row in self.store().envelopes(Some(release)).await? {
            if row.kind == OWNER && self.endorsed(signer, &row, owners).await.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
