//! What the gateway signs of a release, and what has to be signed before one is served.
//!
//! Two statements belong to a release in service: its provenance, and that the gateway checked it and
//! moved the alias to it. The second is bound to the number of that move in the history of aliases, so
//! that an old release with all its old signatures is not taken for the one that is in service now.

use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Op, Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::candidate::short;
use crate::endorse::OWNER;
use crate::error::ReleaseError;
use crate::gate::attest;
use crate::handover::{HANDED, HANDED_LIST, Keys, Retired};
use crate::lineage::Material;
use crate::record::{self, Manifest};
use crate::releases::{Releases, STABLE};
use crate::rollout::verdict::{self, VERDICT};
use crate::sign::statement::{GateNamed, MadeOf, Move, PROVENANCE, SUMMARY};
use crate::sign::{Envelope, GatewayKey, PublicKey, SignError, Statement};

/// The kinds of stored statements.
pub(crate) const BUILT: &str = "provenance";
pub(crate) const ADOPTED: &str = "adoption";
/// Of another key, which was trusted when the release was taken in.
pub(crate) const IMPORTED: &str = "imported";
/// Moves of aliases that a report goes through.
const MOVES_MAX: usize = 10_000;

/// Signs with the gateway's key and knows what it signed.
#[derive(Clone, Debug)]
pub struct Signer(Arc<Keys>);

impl Signer {
    /// The signer over the seed that the secret store derives for [`crate::sign::NAMESPACE`], where the key was never
    /// changed.
    pub fn of_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        Ok(Self::of_keys(GatewayKey::of_seed(seed)?, 1, Vec::new()))
    }

    pub(crate) fn of_keys(key: GatewayKey, number: u32, retired: Vec<Retired>) -> Self {
        Self(Keys::new(key, number, retired))
    }

    /// The number of the key that signs now; the first one is 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0.number
    }

    pub(crate) fn retired(&self) -> &[Retired] {
        &self.0.retired
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.0.key.public()
    }

    #[must_use]
    pub fn key(&self) -> &GatewayKey {
        &self.0.key
    }

    /// Signs a statement and stores the envelope; the row names it once it is committed.
    pub(crate) async fn put(
        &self,
        store: &Store,
        release: &ReleaseId,
        kind: &str,
        statement: &Statement,
        at: Timestamp,
    ) -> Result<Op, ReleaseError> {
        let refused = |reason| ReleaseError::refused(release, kind, reason);
        let payload = statement.to_bytes().map_err(refused)?;
        let bytes = Envelope::sign(&payload, self.key())
            .to_bytes()
            .map_err(refused)?;
        Ok(Op::PutEnvelope(EnvelopeRow {
            release: release.clone(),
            kind: kind.to_owned(),
            object: store.put_object(bytes).await?,
            at,
        }))
    }

    /// The statement of a release's provenance, unless it has one already that names all of this.
    pub(crate) async fn building(
        &self,
        store: &Store,
        manifest: &Manifest,
        object: &ObjectHash,
        materials: &[Material],
        of: Option<&MadeOf>,
    ) -> Result<Vec<Op>, ReleaseError> {
        let all = self.statements(store, &manifest.id, BUILT, PROVENANCE);
        let names = |one: &Statement| {
            one.is_about_manifest(object).is_ok() && one.names(materials) && one.is_made_of(of)
        };
        if all.await.is_ok_and(|all| all.iter().any(names)) {
            return Ok(Vec::new());
        }
        let statement =
            Statement::provenance(manifest, object.as_str(), &Value::Null, materials, of);
        let at = manifest.made_at;
        Ok(vec![
            self.put(store, &manifest.id, BUILT, &statement, at).await?,
        ])
    }

    /// The statement of the next move of the stable alias, to this release.
    pub(crate) async fn adopting(
        &self,
        store: &Store,
        release: &ReleaseId,
        gates: &[GateNamed],
        at: Timestamp,
    ) -> Result<Op, ReleaseError> {
        let last = store.alias_head().await?;
        let of = Move {
            alias: STABLE.to_owned(),
            seq: last.as_ref().map_or(1, |head| head.seq + 1),
            after: last.map(|head| head.hash),
        };
        let statement = Statement::adoption(release, &of, gates, at);
        self.put(store, release, ADOPTED, &statement, at).await
    }

    /// Looks that a release has a provenance of ours, and that it is about its manifest.
    pub(crate) async fn built(
        &self,
        store: &Store,
        manifest: &Manifest,
        object: &ObjectHash,
    ) -> Result<(), SignError> {
        let all = self
            .statements(store, &manifest.id, BUILT, PROVENANCE)
            .await?;
        let names = |one: &Statement| one.is_about_manifest(object).is_ok();
        if all.iter().any(names) {
            Ok(())
        } else {
            Err(SignError::Subject)
        }
    }

    /// Looks that the move at which the stable alias stands is one of ours, to this release.
    async fn adopted(&self, store: &Store, release: &ReleaseId) -> Result<(), SignError> {
        let failed = |error: StoreError| SignError::Malformed(error.to_string());
        let log = store.alias_log(Some(STABLE), 1).await.map_err(failed)?;
        let stands = log.first().map_or(0, |last| last.seq);
        if log.first().is_some_and(|last| last.to != *release) {
            return Err(SignError::RolledBack { found: 0, stands });
        }
        let mut newest = 0;
        for statement in self.statements(store, release, ADOPTED, SUMMARY).await? {
            let of = statement.bound_to()?;
            let passed = statement.predicate["verificationResult"] == "PASSED";
            if of.alias == STABLE && passed {
                newest = newest.max(of.seq);
            }
        }
        if newest != stands {
            return Err(SignError::RolledBack {
                found: newest,
                stands,
            });
        }
        self.is_newest(store, stands).await
    }

    /// No statement of ours is for a later move: else the history was cut.
    async fn is_newest(&self, store: &Store, stands: u64) -> Result<(), SignError> {
        let failed = |error: StoreError| SignError::Malformed(error.to_string());
        for row in store.envelopes(None).await.map_err(failed)? {
            if row.kind != ADOPTED {
                continue;
            }
            // What somebody else's key signed binds nobody here.
            let Ok(statement) = self.statement(store, &row, SUMMARY, None).await else {
                continue;
            };
            let of = statement.bound_to()?;
            if of.seq > stands {
                return Err(SignError::RolledBack {
                    found: stands,
                    stands: of.seq,
                });
            }
        }
        Ok(())
    }

    /// The statement of a row, verified; with a time, also that it holds then.
    pub(crate) async fn statement(
        &self,
        store: &Store,
        row: &EnvelopeRow,
        predicate: &'static str,
        now: Option<Timestamp>,
    ) -> Result<Statement, SignError> {
        let bytes = store.object(&row.object).await;
        let bytes = bytes.map_err(|_| SignError::Tampered)?;
        let (payload, _) = self.own(&row.object, &bytes)?;
        Statement::read(&payload, &row.release, predicate, now)
    }

    /// The statements of one kind about a release that hold; if none does, why the newest does not.
    async fn statements(
        &self,
        store: &Store,
        release: &ReleaseId,
        kind: &str,
        predicate: &'static str,
    ) -> Result<Vec<Statement>, SignError> {
        let failed = |error: StoreError| SignError::Malformed(error.to_string());
        let rows = store.envelopes(Some(release)).await.map_err(failed)?;
        let (mut all, mut refused) = (Vec::new(), None);
        for row in rows.iter().filter(|row| row.kind == kind) {
            match self.statement(store, row, predicate, None).await {
                Ok(statement) => all.push(statement),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        if all.is_empty() {
            return Err(refused.unwrap_or(SignError::Missing));
        }
        Ok(all)
    }
}

/// What verifying found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verified {
    pub releases: u64,
    pub candidates: u64,
    pub statements: u64,
    /// Signatures of the owner's own among them.
    pub endorsed: u64,
    pub moves: u64,
    /// Moves from before there was a chain.
    pub unhashed: u64,
    /// The end of the history of aliases, `NUMBER:HASH`: note it elsewhere.
    pub head: Option<String>,
    /// The gateway's public key, as OpenSSH writes it.
    pub key: String,
    /// What is wrong, a line each; empty if all is sound.
    pub problems: Vec<String>,
}

impl Releases {
    /// Looks at the stable release before it is served. A state folder from before there were
    /// signatures is signed now, once, and the statement says that it came later.
    pub(crate) async fn trust(
        store: &Store,
        signer: &Signer,
        id: &ReleaseId,
        now: Timestamp,
    ) -> Result<(), ReleaseError> {
        let (manifest, object) = record::named(store, id).await?;
        if is_from_before(store).await? {
            let built = Statement::provenance(
                &manifest,
                object.as_str(),
                &json!({"signedLater": true}),
                &[],
                None,
            );
            let stands = store.alias_head().await?.map_or(1, |head| head.seq);
            let of = Move {
                alias: STABLE.to_owned(),
                seq: stands,
                after: None,
            };
            let adopted = Statement::adoption(id, &of, &[], now);
            let ops = vec![
                signer.put(store, id, BUILT, &built, now).await?,
                signer.put(store, id, ADOPTED, &adopted, now).await?,
            ];
            store.commit(ops).await?;
        }
        let refused = |kind| move |reason| ReleaseError::refused(id, kind, reason);
        signer
            .built(store, &manifest, &object)
            .await
            .map_err(refused(BUILT))?;
        signer.adopted(store, id).await.map_err(refused(ADOPTED))
    }

    /// Names what does not fit: of the history of aliases and of what is stable, and with `all` of every
    /// release, statement and candidate. `noted` is the end of the history as somebody wrote it down
    /// earlier.
    pub async fn verify(
        &self,
        signer: &Signer,
        noted: Option<instar_protocol::receipt::ChainHead>,
        all: bool,
        owners: &[PublicKey],
    ) -> Result<Verified, ReleaseError> {
        let store = self.store();
        let chain = store.verify_aliases(noted).await?;
        let mut found = Verified {
            releases: 0,
            candidates: 0,
            statements: 0,
            endorsed: 0,
            moves: chain.moves,
            unhashed: chain.unhashed,
            head: chain.head.map(|head| format!("{}:{}", head.seq, head.hash)),
            key: signer.public().ssh(),
            problems: chain.problems,
        };
        if let Some(id) = store.alias(STABLE).await? {
            let told = |what: String| format!("stable {}: {what}", id.short());
            let loaded = match store.release(&id).await? {
                Some(stored) => record::load(store, &stored).await.map(drop),
                None => Err(ReleaseError::Unknown(id.to_string())),
            };
            if let Err(error) = loaded {
                found.problems.push(told(error.to_string()));
            }
            if let Err(reason) = signer.adopted(store, &id).await {
                found.problems.push(told(reason.to_string()));
            }
        }
        if all {
            self.verify_rest(signer, owners, &mut found).await?;
        }
        Ok(found)
    }

    /// Releases, statements and candidates that are not in service.
    async fn verify_rest(
        &self,
        signer: &Signer,
        owners: &[PublicKey],
        found: &mut Verified,
    ) -> Result<(), ReleaseError> {
        let store = self.store();
        let moves = self.stable_moves().await?;
        let unsigned = |id: &ReleaseId| {
            // Releases that were in service before there were signatures have none.
            let mut of = moves.iter().filter(|one| one.to == *id);
            of.all(|one| one.hash.is_none()) && !moves.is_empty()
        };
        for stored in store.releases().await? {
            found.releases += 1;
            let told = |what: String| format!("release {}: {what}", stored.id.short());
            if let Err(error) = record::load(store, &stored).await {
                found.problems.push(told(error.to_string()));
                continue;
            }
            let (manifest, object) = record::named(store, &stored.id).await?;
            if manifest.made_at != stored.at {
                found
                    .problems
                    .push(told("its row has another time".to_owned()));
            }
            match signer.built(store, &manifest, &object).await {
                Err(SignError::Missing) if unsigned(&stored.id) => {}
                Err(reason) => found.problems.push(told(reason.to_string())),
                Ok(()) => {}
            }
        }
        for row in store.envelopes(None).await? {
            found.statements += 1;
            if row.kind == OWNER {
                match self.endorsed(signer, &row, owners).await {
                    Ok(_) => found.endorsed += 1,
                    Err(reason) => found.problems.push(format!(
                        "the owner's signature upon {}: {reason}",
                        row.release.short()
                    )),
                }
                continue;
            }
            if let Err(reason) = self.statement_fits(signer, &row, &moves).await {
                let what = format!(
                    "statement {} about {}: {reason}",
                    row.kind,
                    row.release.short()
                );
                found.problems.push(what);
            }
        }
        for row in store.candidates().await? {
            found.candidates += 1;
            let id = short(row.id.as_str());
            match self.candidate(row.id.as_str()).await {
                Ok(one) if one.spec.made_at == row.at => {}
                Ok(_) => found
                    .problems
                    .push(format!("candidate {id}: its row has another time")),
                Err(error) => found.problems.push(format!("candidate {id}: {error}")),
            }
            // The behaviour that it would be lies there from the beginning.
            let behaviour = ObjectHash::from_hex(row.release.as_str());
            match store.object(&behaviour).await {
                Ok(_) => {}
                Err(StoreError::Object(_)) => found.problems.push(format!(
                    "candidate {id}: the bytes of its behaviour do not have that hash"
                )),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) async fn stable_moves(&self) -> Result<Vec<instar_store::AliasMove>, ReleaseError> {
        Ok(self.store().alias_log(Some(STABLE), MOVES_MAX).await?)
    }

    pub(crate) async fn statement_fits(
        &self,
        signer: &Signer,
        row: &EnvelopeRow,
        moves: &[instar_store::AliasMove],
    ) -> Result<(), SignError> {
        let store = self.store();
        match row.kind.as_str() {
            BUILT => signer
                .statement(store, row, PROVENANCE, None)
                .await
                .map(drop),
            ADOPTED => {
                let statement = signer.statement(store, row, SUMMARY, None).await?;
                if statement.predicate["timeVerified"] != crate::sign::statement::rfc3339(row.at) {
                    return Err(SignError::Subject);
                }
                let of = statement.bound_to()?;
                let before = moves.iter().find(|one| one.seq + 1 == of.seq);
                let hash = before.and_then(|one| one.hash.as_ref());
                let fits = of.after.is_none() || hash.is_none() || of.after.as_ref() == hash;
                let is_there = moves
                    .iter()
                    .any(|one| one.seq == of.seq && one.to == row.release);
                if !fits || !is_there {
                    return Err(SignError::Subject);
                }
                let gates = statement.gates()?;
                attest::are_there(signer, store, &row.release, &gates).await
            }
            VERDICT => verdict::read(signer, store, row).await.map(drop),
            kind if kind.starts_with(attest::KIND) => attest::verify(signer, store, row).await,
            IMPORTED => {
                let bytes = store.object(&row.object).await;
                let bytes = bytes.map_err(|_| SignError::Tampered)?;
                Envelope::read(&bytes).map(drop)
            }
            HANDED | HANDED_LIST => Ok(()),
            _ => Err(SignError::Malformed(
                "an unknown kind of statement".to_owned(),
            )),
        }
    }
}

/// True if nothing here was ever signed, and the alias was moved last before moves had hashes.
async fn is_from_before(store: &Store) -> Result<bool, ReleaseError> {
    let last = store.alias_log(Some(STABLE), 1).await?;
    let is_old = last.first().is_some_and(|last| last.hash.is_none());
    Ok(is_old && store.envelopes(None).await?.is_empty())
}
