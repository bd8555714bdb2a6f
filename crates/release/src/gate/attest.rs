//! What gates said, as signed statements: in-toto test results about the behaviour that the candidate
//! would be, bound to the candidate and to what it was held against.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{CandidateRow, EnvelopeRow, Op, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

use super::{Asked, Finding, Gate, Outcome, Row};
use crate::candidate::Candidate;
use crate::error::ReleaseError;
use crate::lineage::Material;
use crate::sign::statement::{EXPIRES, GateNamed, TEST_RESULT, rfc3339};
use crate::sign::{SignError, Statement};
use crate::trust::Signer;

/// What the kinds of these rows begin with.
pub(crate) const KIND: &str = "gate:";
/// Our own field of the predicate; whoever does not know it ignores it.
const FIELD: &str = "urn:instar:gate";

/// What was held against what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) candidate: String,
    pub(crate) release: ReleaseId,
    pub(crate) stable: Option<ReleaseId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attested {
    gate: Gate,
    candidate: String,
    stable: Option<ReleaseId>,
    at: Timestamp,
    by: String,
    /// Its number among the statements about this candidate; 0 for those from before they were counted.
    #[serde(default)]
    number: u64,
    finding: Finding,
}

/// What a gate says.
pub(crate) struct Said<'a> {
    pub(crate) gate: Gate,
    pub(crate) finding: Finding,
    pub(crate) by: &'a str,
    pub(crate) number: u64,
}

pub(crate) async fn put(
    signer: &Signer,
    store: &Store,
    held: &Held,
    said: Said<'_>,
    asked: Asked,
) -> Result<Op, ReleaseError> {
    let now = asked.at;
    let Said {
        gate,
        finding,
        by,
        number,
    } = said;
    let finding = finding.bounded();
    let result = match finding.outcome {
        Outcome::Pass => "PASSED",
        Outcome::NoData => "WARNED",
        Outcome::Fail => "FAILED",
    };
    let tests = |outcome: Outcome| {
        let mine = (finding.outcome == outcome).then(|| gate.name());
        mine.into_iter().collect::<Vec<_>>()
    };
    let mut configuration = vec![json!({
        "name": "candidate",
        "uri": format!("urn:instar:candidate:{}", held.candidate),
        "digest": {"sha256": held.candidate},
    })];
    if let Some(stable) = &held.stable {
        configuration.push(json!({
            "name": "stable",
            "uri": format!("urn:instar:release:{stable}"),
            "digest": {"sha256": stable},
        }));
    }
    configuration.extend(finding.materials.iter().map(Material::described));
    let predicate = json!({
        "result": result,
        "configuration": configuration,
        "url": format!("urn:instar:gate:{}:v1", gate.name()),
        "passedTests": tests(Outcome::Pass),
        "warnedTests": tests(Outcome::NoData),
        "failedTests": tests(Outcome::Fail),
        FIELD: Attested {
            gate,
            candidate: held.candidate.clone(),
            stable: held.stable.clone(),
            at: now,
            by: by.to_owned(),
            number,
            finding: finding.clone(),
        },
        "timeTested": rfc3339(now),
        EXPIRES: rfc3339(asked.ends()),
    });
    let statement = Statement::about(&held.release, TEST_RESULT, predicate);
    let kind = format!("{KIND}{}", gate.name());
    signer
        .put(store, &held.release, &kind, &statement, now)
        .await
}

/// What asks a gate that said nothing yet.
fn not_asked(gate: Gate) -> &'static str {
    match gate {
        Gate::Human => "it was not asked yet: `instar candidate approve`",
        _ => "it was not asked yet: `instar candidate check`",
    }
}

/// The row of each gate: the newest statement about this candidate, held against what is stable now. A
/// newest one that does not verify, or holds no longer, is told as that, and none before it counts. Where one of the `counted`
/// statements is gone, it may have been the newest of any gate, so that none before it counts either.
pub(crate) async fn rows(
    signer: &Signer,
    store: &Store,
    held: &Held,
    counted: u64,
    now: Timestamp,
) -> Result<Vec<Row>, ReleaseError> {
    let stored = store.envelopes(Some(&held.release)).await?;
    let gone = gone(signer, store, held, &stored, counted).await;
    let mut rows = Vec::new();
    for gate in Gate::ALL {
        let kind = format!("{KIND}{}", gate.name());
        let mut row = silent(gate, not_asked(gate));
        for envelope in stored.iter().filter(|one| one.kind == kind) {
            match read(signer, store, envelope, Some(now)).await {
                // Two candidates may come to the same behaviour.
                Ok((attested, _)) if attested.candidate != held.candidate => continue,
                Ok((attested, _)) if attested.gate != gate => {
                    row = refused(gate, &SignError::Subject);
                }
                Ok((attested, _)) if attested.stable != held.stable => {
                    row = silent(
                        gate,
                        "it was held against another release than the one that is stable now: check it again",
                    );
                }
                Ok((attested, _)) if attested.number < gone => {
                    row = silent(
                        gate,
                        "a statement about the candidate is gone that came after it: check it again",
                    );
                }
                Ok((_, None)) => {
                    row = silent(gate, "it does not say how long it holds: check it again");
                }
                Ok((attested, until)) => {
                    row = Row {
                        gate,
                        finding: attested.finding,
                        at: Some(attested.at),
                        by: Some(attested.by),
                        until,
                        is_expired: false,
                    };
                }
                Err(reason @ SignError::Expired(_)) => {
                    row = match read(signer, store, envelope, None).await {
                        Ok((attested, _)) if attested.candidate != held.candidate => continue,
                        _ => Row {
                            is_expired: true,
                            ..silent(gate, &format!("{reason}: check it again"))
                        },
                    };
                }
                Err(reason) => row = refused(gate, &reason),
            }
            break;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The highest number of a statement that is gone; 0 if none is. One that cannot be read any more is told where it
/// stands.
async fn gone(
    signer: &Signer,
    store: &Store,
    held: &Held,
    stored: &[EnvelopeRow],
    counted: u64,
) -> u64 {
    let (mut there, mut unreadable) = (BTreeSet::new(), 0);
    for envelope in stored.iter().filter(|one| one.kind.starts_with(KIND)) {
        match read(signer, store, envelope, None).await {
            Ok((attested, _)) if attested.candidate == held.candidate => {
                there.insert(attested.number);
            }
            Ok(_) => {}
            Err(_) => unreadable += 1,
        }
    }
    let missing: Vec<u64> = (1..=counted)
        .filter(|number| !there.contains(number))
        .collect();
    if missing.len() <= unreadable {
        return 0;
    }
    missing.last().copied().unwrap_or(0)
}

/// What each gate said last of a candidate, whatever it was held against. Of one that is settled it is told as it was
/// when it was settled.
pub(crate) async fn newest(
    signer: &Signer,
    store: &Store,
    candidate: &Candidate,
    now: Timestamp,
) -> Result<Vec<(Gate, Result<Finding, SignError>)>, ReleaseError> {
    let then = candidate.settled_at.unwrap_or(now);
    let stored = store.envelopes(Some(&candidate.spec.release)).await?;
    let mut all = Vec::new();
    for gate in Gate::ALL {
        let kind = format!("{KIND}{}", gate.name());
        for envelope in stored.iter().filter(|one| one.kind == kind) {
            let said = match read(signer, store, envelope, Some(then)).await {
                Ok((attested, _)) if attested.candidate != candidate.id => continue,
                Ok((attested, _)) => Ok(attested.finding),
                Err(reason) => Err(reason),
            };
            all.push((gate, said));
            break;
        }
    }
    Ok(all)
}

/// The newest sound word of each gate about a candidate, under the address of its statement.
pub(crate) async fn named(
    signer: &Signer,
    store: &Store,
    candidate: &str,
    release: &ReleaseId,
) -> Result<Vec<GateNamed>, ReleaseError> {
    let stored = store.envelopes(Some(release)).await?;
    let mut all: Vec<GateNamed> = Vec::new();
    for envelope in stored.iter().filter(|one| one.kind.starts_with(KIND)) {
        if let Ok((attested, until)) = read(signer, store, envelope, None).await
            && attested.candidate == candidate
            && all.iter().all(|one| one.gate != attested.gate)
        {
            all.push(GateNamed {
                gate: attested.gate,
                outcome: attested.finding.outcome,
                digest: envelope.object.to_string(),
                until,
            });
        }
    }
    all.sort_by_key(|one| one.gate);
    Ok(all)
}

/// Looks that the words of gates that were named are still there, and say what was named.
pub(crate) async fn are_there(
    signer: &Signer,
    store: &Store,
    release: &ReleaseId,
    named: &[GateNamed],
) -> Result<(), SignError> {
    let failed = |error: StoreError| SignError::Malformed(error.to_string());
    let stored = store.envelopes(Some(release)).await.map_err(failed)?;
    for one in named {
        let mut rows = stored.iter();
        let found = rows.find(|row| row.object.as_str() == one.digest);
        let envelope = found.ok_or(SignError::GateGone(one.gate.name()))?;
        let (attested, _) = read(signer, store, envelope, None).await?;
        if attested.gate != one.gate || attested.finding.outcome != one.outcome {
            return Err(SignError::Subject);
        }
    }
    Ok(())
}

/// When the owner said yes to a candidate, if he did.
pub(crate) async fn yes(
    signer: &Signer,
    store: &Store,
    candidate: &CandidateRow,
) -> Result<Option<Timestamp>, ReleaseError> {
    let kind = format!("{KIND}{}", Gate::Human.name());
    let mut last = None;
    for row in store.envelopes(Some(&candidate.release)).await? {
        if row.kind != kind {
            continue;
        }
        if let Ok((said, _)) = read(signer, store, &row, None).await
            && said.candidate == candidate.id.as_str()
            && said.finding.outcome == Outcome::Pass
        {
            last = last.max(Some(said.at));
        }
    }
    Ok(last)
}

/// That a stored statement is sound, for who verifies all of them.
pub(crate) async fn verify(
    signer: &Signer,
    store: &Store,
    row: &EnvelopeRow,
) -> Result<(), SignError> {
    let (attested, _) = read(signer, store, row, None).await?;
    let fits = row.kind == format!("{KIND}{}", attested.gate.name()) && row.at == attested.at;
    if fits {
        Ok(())
    } else {
        Err(SignError::Subject)
    }
}

/// What a stored statement says, and until when. With a time, one that is over by then is refused.
async fn read(
    signer: &Signer,
    store: &Store,
    row: &EnvelopeRow,
    now: Option<Timestamp>,
) -> Result<(Attested, Option<String>), SignError> {
    let statement = signer.statement(store, row, TEST_RESULT, now).await?;
    let of = statement.predicate.get(FIELD).cloned().unwrap_or_default();
    let attested =
        serde_json::from_value(of).map_err(|error| SignError::Malformed(error.to_string()))?;
    let until = statement
        .predicate
        .get(EXPIRES)
        .and_then(|end| end.as_str());
    Ok((attested, until.map(str::to_owned)))
}

fn silent(gate: Gate, why: &str) -> Row {
    Row {
        gate,
        finding: Finding::no_data(why),
        at: None,
        by: None,
        until: None,
        is_expired: false,
    }
}

fn refused(gate: Gate, reason: &SignError) -> Row {
    silent(gate, &format!("its attestation is refused: {reason}"))
}

impl From<StoreError> for super::CheckError {
    fn from(error: StoreError) -> Self {
        Self::Release(error.into())
    }
}
