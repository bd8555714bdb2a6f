//! Storing releases: with their provenance, and of candidates with what these were made of. Nothing is served by it.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::Op;

use crate::behaviour::{Behaviour, id_of};
use crate::candidate::{Candidate, build};
use crate::check;
use crate::error::ReleaseError;
use crate::gate::attest;
use crate::lineage::Material;
use crate::record::{self, Manifest, Release};
use crate::releases::{Releases, STABLE, bounded, lookup};
use crate::sign::statement::MadeOf;

/// Where a release comes from.
struct Origin {
    parents: Vec<ReleaseId>,
    proposer: String,
    reason: String,
    code_version: String,
}

impl Releases {
    /// Stores a behaviour as a release that comes after the one that is stable now.
    pub(crate) async fn kept_from(
        &self,
        behaviour: Behaviour,
        proposer: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(Release, Vec<Op>), ReleaseError> {
        let origin = Origin {
            parents: self.store().alias(STABLE).await?.into_iter().collect(),
            proposer: bounded(proposer),
            reason: bounded(reason),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.kept(behaviour, origin, &[], None, now).await
    }

    /// Stores a release, unless it is stored already; the row names it once the changes are committed.
    async fn kept(
        &self,
        behaviour: Behaviour,
        origin: Origin,
        materials: &[Material],
        of: Option<&MadeOf>,
        now: Timestamp,
    ) -> Result<(Release, Vec<Op>), ReleaseError> {
        let canonical = behaviour.canonical()?;
        check::size(&canonical)?;
        let manifest = Manifest {
            id: id_of(canonical.as_bytes()),
            authority: behaviour
                .authority
                .hash()
                .map_err(ReleaseError::canonical)?,
            parents: origin.parents,
            proposer: origin.proposer,
            reason: origin.reason,
            made_at: now,
            code_version: origin.code_version,
        };
        let store = self.store();
        if let Some(stored) = lookup(store, &manifest.id).await? {
            let release = record::load(store, &stored).await?;
            let ops = match self.signer() {
                // Imported, or from before there were signatures.
                Some(signer) => {
                    let own = release.manifest();
                    let built = signer.building(store, &own, &stored.object, materials, of);
                    built.await?
                }
                None => Vec::new(),
            };
            return Ok((release, ops));
        }
        let object = record::put(store, &manifest, canonical).await?;
        let put = Op::PutRelease {
            id: manifest.id.clone(),
            object: object.clone(),
            at: manifest.made_at,
        };
        let mut ops = vec![put];
        if let Some(signer) = self.signer() {
            let built = signer.building(store, &manifest, &object, materials, of);
            ops.extend(built.await?);
        }
        Ok((Release::of(manifest, behaviour), ops))
    }

    /// Stores the release that a candidate would be, with its provenance.
    pub(crate) async fn keep(
        &self,
        candidate: &Candidate,
        now: Timestamp,
    ) -> Result<(Release, Vec<Op>), ReleaseError> {
        let spec = &candidate.spec;
        let parent = self.get(spec.parent.as_str()).await?;
        let behaviour = build(&parent.behaviour, &spec.deltas)?;
        let origin = Origin {
            parents: vec![spec.parent.clone()],
            proposer: spec.proposer.clone(),
            reason: spec.reason.clone(),
            code_version: spec.code_version.clone(),
        };
        let mut materials = spec.sources.clone();
        if let Some(signer) = self.signer() {
            for (_, said) in attest::newest(signer, self.store(), candidate, now).await? {
                materials.extend(said.into_iter().flat_map(|finding| finding.materials));
            }
        }
        materials.sort();
        materials.dedup();
        let of = candidate.made_of()?;
        self.kept(behaviour, origin, &materials, Some(&of), now)
            .await
    }
}
