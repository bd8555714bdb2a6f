//! Candidates: releases that nothing serves yet.
//!
//! A candidate is its parent and its deltas, stored as one object under its own hash, which is its id.
//! The behaviour that it would be is stored beside it. It serves no turn: no alias can be moved to it
//! from here.

use instar_policy::canonical;
use instar_protocol::{Label, ObjectHash, ReleaseId, Timestamp};
use instar_store::{CandidateRow, CandidateState, Op, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::behaviour::{Behaviour, id_of};
use crate::check;
use crate::class::{Assessment, assess};
use crate::delta::{Delta, apply_all, conflicts, rebase};
use crate::diff::{Change, diff};
use crate::error::ReleaseError;
use crate::lineage::{MATERIALS_MAX, Material};
use crate::record::Release;
use crate::releases::{Releases, bounded};
use crate::sign::statement::MadeOf;

/// The most deltas of one candidate.
pub const DELTAS_MAX: usize = 64;
/// The most bytes of the deltas of one candidate, as they are handed in.
pub const DELTAS_BYTES_MAX: usize = 1024 * 1024;
/// The most candidates that are open at a time.
pub const OPEN_MAX: usize = 200;
/// The shortest beginning of an id that is looked up.
const PREFIX_CHARS_MIN: usize = 4;

/// What a candidate is made of. Its canonical form is its content; the hash of that is its id.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub parent: ReleaseId,
    pub deltas: Vec<Delta>,
    pub proposer: String,
    pub reason: String,
    /// The label of everything that spoke for it.
    pub evidence: Label,
    /// What it was proposed because of, under its content address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Material>,
    pub made_at: Timestamp,
    pub code_version: String,
    /// The release that it would be.
    pub release: ReleaseId,
}

/// A candidate with its state.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Candidate {
    pub id: String,
    #[serde(flatten)]
    pub spec: Spec,
    pub state: CandidateState,
    pub settled_at: Option<Timestamp>,
    #[serde(flatten)]
    pub assessment: Assessment,
    /// Whether it fits the release that is stable now.
    pub fit: Fit,
    /// What it would change.
    pub changes: Vec<Change>,
}

/// A row of the list. One candidate whose stored bytes were changed hides none of the others.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Listed {
    Candidate(Box<Candidate>),
    Unreadable {
        id: String,
        state: CandidateState,
        /// Why it cannot be read.
        unreadable: String,
    },
}

impl Listed {
    /// The candidate, if it can be read.
    #[must_use]
    pub fn candidate(self) -> Option<Candidate> {
        match self {
            Self::Candidate(candidate) => Some(*candidate),
            Self::Unreadable { .. } => None,
        }
    }
}

/// How a candidate stands to what is stable now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Fit {
    /// Its parent is stable.
    Current,
    /// The stable release is another one, and differs in no place that it touches.
    Rebasable,
    /// The stable release differs where it touches.
    Conflict { places: Vec<String> },
    /// It cannot be put upon the stable release.
    Unfit { why: String },
}

/// What somebody proposes.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The release that it changes, by any of its names.
    pub from: String,
    pub deltas: Vec<Delta>,
    pub proposer: String,
    pub reason: String,
    pub evidence: Label,
    /// What it is proposed because of.
    pub sources: Vec<Material>,
}

/// Reads deltas from JSON: one, or a list of them. The error has the path of the field.
pub fn read_deltas(value: Value) -> Result<Vec<Delta>, ReleaseError> {
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    if !(1..=DELTAS_MAX).contains(&list.len()) {
        let why = format!("there are {} of them, not 1 to {DELTAS_MAX}", list.len());
        return Err(refused("deltas", why));
    }
    let read = |(number, value): (usize, Value)| {
        serde_path_to_error::deserialize::<_, Delta>(value).map_err(|error| {
            let place = match error.path().to_string() {
                path if path == "." => format!("deltas[{number}]"),
                path => format!("deltas[{number}].{path}"),
            };
            refused(&place, error.into_inner().to_string())
        })
    };
    list.into_iter().enumerate().map(read).collect()
}

fn refused(place: &str, why: String) -> ReleaseError {
    ReleaseError::Delta {
        place: place.to_owned(),
        why,
    }
}

/// Applies the deltas of one candidate. Two that touch the same place are refused.
pub fn build(parent: &Behaviour, deltas: &[Delta]) -> Result<Behaviour, ReleaseError> {
    if let Some((first, second, place)) = conflicts(deltas).into_iter().next() {
        let why = format!("it touches {place}, and so does deltas[{first}]");
        return Err(refused(&format!("deltas[{second}]"), why));
    }
    let after = apply_all(deltas, parent)
        .map_err(|(number, error)| refused(&format!("deltas[{number}]"), error.to_string()))?;
    check::check(&after)?;
    for file in after.authority.rules.files() {
        check::no_secret(&file.text, &format!("the rules in {}", file.name))?;
    }
    Ok(after)
}

/// A schedule in a zone that this machine does not know would never come.
fn known_zones(deltas: &[Delta]) -> Result<(), ReleaseError> {
    for (number, delta) in deltas.iter().enumerate() {
        if let Delta::SetSchedule {
            schedule: Some(schedule),
            ..
        } = delta
            && let Some(zone) = &schedule.zone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            let place = format!("deltas[{number}].set_schedule.schedule.zone");
            return Err(refused(&place, format!("there is no time zone {zone}")));
        }
    }
    Ok(())
}

impl Spec {
    /// The agents and faults that it is about: those of its mitigations, and those because of which anything
    /// else of an agent's is changed.
    #[must_use]
    pub fn about(&self) -> Vec<(String, String)> {
        let named: Vec<&str> = self.sources.iter().filter_map(Material::fault).collect();
        let of = |delta: &Delta| match delta {
            Delta::SetMitigation {
                agent,
                mitigation: Some(one),
                ..
            } => vec![(agent.clone(), one.fault.clone())],
            Delta::SetHeartbeat { agent, .. }
            | Delta::SetSchedule { agent, .. }
            | Delta::SetPrompt { agent, .. }
            | Delta::SetSkill { agent, .. } => {
                let about = |fault: &&str| (agent.clone(), (*fault).to_owned());
                named.iter().map(about).collect()
            }
            _ => Vec::new(),
        };
        self.deltas.iter().flat_map(of).collect()
    }
}

impl Candidate {
    /// As it stands in the provenance of what it would be.
    pub(crate) fn made_of(&self) -> Result<MadeOf, ReleaseError> {
        let named = |delta: &Delta| {
            let text = canonical::of(delta).map_err(ReleaseError::canonical)?;
            let digest = canonical::sha256(text.as_bytes());
            Ok((delta.touches().to_string(), digest))
        };
        let deltas = self.spec.deltas.iter().map(named);
        Ok(MadeOf {
            candidate: self.id.clone(),
            deltas: deltas.collect::<Result<_, ReleaseError>>()?,
        })
    }
}

impl Releases {
    /// Stores a candidate, if it is sound. Nothing is stored of one that is not.
    pub async fn propose(
        &self,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Candidate, ReleaseError> {
        let parent = self.get(&proposal.from).await?;
        let after = build(&parent.behaviour, &proposal.deltas)?;
        known_zones(&proposal.deltas)?;
        let behaviour = after.canonical()?;
        check::size(&behaviour)?;
        let spec = Spec {
            parent: parent.id.clone(),
            deltas: proposal.deltas,
            proposer: bounded(&proposal.proposer),
            reason: bounded(&proposal.reason),
            evidence: proposal.evidence,
            sources: proposal.sources.into_iter().take(MATERIALS_MAX).collect(),
            made_at: now,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            release: id_of(behaviour.as_bytes()),
        };
        let text = canonical::of(&spec).map_err(ReleaseError::canonical)?;
        let id = canonical::sha256(text.as_bytes());
        let store = self.store();
        let rows = store.candidates().await?;
        let open = |row: &&CandidateRow| row.state == CandidateState::Open;
        if rows.iter().filter(open).count() >= OPEN_MAX {
            return Err(ReleaseError::ManyCandidates(OPEN_MAX));
        }
        store.put_object(behaviour.into_bytes()).await?;
        store.put_object(text.into_bytes()).await?;
        let row = CandidateRow {
            id: ObjectHash::from_hex(&id),
            release: spec.release.clone(),
            state: CandidateState::Open,
            at: now,
            settled_at: None,
            said: 0,
        };
        store.commit(vec![Op::PutCandidate(row)]).await?;
        self.candidate(&id).await
    }

    /// The newest candidates, the newest first.
    pub async fn candidates(&self, limit: usize) -> Result<Vec<Listed>, ReleaseError> {
        let mut all = Vec::new();
        for row in self.store().candidates().await?.into_iter().take(limit) {
            let (id, state) = (row.id.to_string(), row.state);
            all.push(match self.shown(row).await {
                Ok(candidate) => Listed::Candidate(Box::new(candidate)),
                Err(error @ ReleaseError::Store(_)) => return Err(error),
                Err(error) => Listed::Unreadable {
                    id,
                    state,
                    unreadable: error.to_string(),
                },
            });
        }
        Ok(all)
    }

    /// One candidate by its id or the beginning of it.
    pub async fn candidate(&self, name: &str) -> Result<Candidate, ReleaseError> {
        self.shown(self.candidate_row(name).await?).await
    }

    /// What a candidate was made of, whatever became of it.
    pub async fn candidate_spec(&self, id: &str) -> Result<Spec, ReleaseError> {
        spec(self.store(), &ObjectHash::from_hex(id)).await
    }

    /// Takes a candidate back. One that was taken back stays as it is.
    pub async fn withdraw(&self, name: &str, now: Timestamp) -> Result<Candidate, ReleaseError> {
        let row = self.candidate_row(name).await?;
        if row.state == CandidateState::Open {
            let settled = CandidateRow {
                state: CandidateState::Withdrawn,
                settled_at: Some(now),
                ..row.clone()
            };
            self.store().commit(vec![Op::PutCandidate(settled)]).await?;
        }
        self.candidate(row.id.as_str()).await
    }

    pub(crate) async fn candidate_row(&self, name: &str) -> Result<CandidateRow, ReleaseError> {
        let unknown = || ReleaseError::UnknownCandidate(bounded(name));
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if name.len() < PREFIX_CHARS_MIN || !name.bytes().all(is_hex) {
            return Err(unknown());
        }
        let mut rows = self.store().candidates().await?;
        rows.retain(|row| row.id.as_str().starts_with(name));
        match rows.len() {
            0 => Err(unknown()),
            1 => Ok(rows.swap_remove(0)),
            _ => Err(ReleaseError::Ambiguous {
                prefix: name.to_owned(),
                candidates: rows
                    .iter()
                    .take(8)
                    .map(|row| short(row.id.as_str()))
                    .collect(),
            }),
        }
    }

    async fn shown(&self, row: CandidateRow) -> Result<Candidate, ReleaseError> {
        let spec = spec(self.store(), &row.id).await?;
        let parent = self.get(spec.parent.as_str()).await?.behaviour;
        let stable = self.stable();
        // Rules are judged over many cases: work of the processor that others must not wait for.
        let told =
            tokio::task::spawn_blocking(move || shown(&row, spec, &parent, stable.as_deref()));
        told.await
            .map_err(|error| ReleaseError::Canonical(error.to_string()))?
    }
}

fn shown(
    row: &CandidateRow,
    spec: Spec,
    parent: &Behaviour,
    stable: Option<&Release>,
) -> Result<Candidate, ReleaseError> {
    let after = build(parent, &spec.deltas)?;
    // The row, the spec and what the deltas make have to say the same.
    if after.id()? != spec.release || row.release != spec.release {
        return Err(tampered(&row.id));
    }
    let assessment = assess(parent, &spec.deltas, &after, &spec.evidence);
    let fit = match stable {
        None => Fit::Current,
        Some(stable) if stable.id == spec.parent => Fit::Current,
        Some(stable) => match rebase(&spec.deltas, parent, &stable.behaviour) {
            Ok(Ok(_)) => Fit::Rebasable,
            Ok(Err(places)) => Fit::Conflict {
                places: places.iter().map(ToString::to_string).collect(),
            },
            Err(error) => Fit::Unfit {
                why: error.to_string(),
            },
        },
    };
    Ok(Candidate {
        id: row.id.to_string(),
        state: row.state,
        settled_at: row.settled_at,
        assessment,
        fit,
        changes: diff(parent, &after),
        spec,
    })
}

/// Reads what a candidate is made of; the store checks that the bytes have the hash.
pub(crate) async fn spec(store: &Store, id: &ObjectHash) -> Result<Spec, ReleaseError> {
    let bytes = store.object(id).await.map_err(|error| match error {
        StoreError::Object(_) => tampered(id),
        other => ReleaseError::Store(other),
    })?;
    serde_json::from_slice(&bytes).map_err(|source| ReleaseError::Decode {
        id: short(id.as_str()),
        source,
    })
}

fn tampered(id: &ObjectHash) -> ReleaseError {
    ReleaseError::Tampered {
        id: short(id.as_str()),
    }
}

/// The beginning of an id, as people are told it.
#[must_use]
pub fn short(id: &str) -> String {
    id.chars().take(12).collect()
}
