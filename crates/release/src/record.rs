//! A release as it is stored: behaviour and manifest, each an object under its own hash.

use instar_policy::canonical;
use instar_protocol::{ObjectHash, ReleaseId, Timestamp};
use instar_store::{Store, StoreError, StoredRelease};
use serde::{Deserialize, Serialize};

use crate::behaviour::{Behaviour, id_of};
use crate::error::ReleaseError;

/// An immutable behaviour under its hash, with its manifest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Release {
    pub id: ReleaseId,
    /// The hash of the behaviour's authority.
    pub authority: String,
    /// The release that was stable when this one was made.
    pub parents: Vec<ReleaseId>,
    pub proposer: String,
    pub reason: String,
    pub made_at: Timestamp,
    pub code_version: String,
    pub behaviour: Behaviour,
}

/// A release without its behaviour: enough for a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub id: ReleaseId,
    pub authority: String,
    pub parents: Vec<ReleaseId>,
    pub proposer: String,
    pub reason: String,
    pub made_at: Timestamp,
    pub code_version: String,
}

impl Release {
    pub(crate) fn manifest(&self) -> Manifest {
        Manifest {
            id: self.id.clone(),
            authority: self.authority.clone(),
            parents: self.parents.clone(),
            proposer: self.proposer.clone(),
            reason: self.reason.clone(),
            made_at: self.made_at,
            code_version: self.code_version.clone(),
        }
    }

    pub(crate) fn of(manifest: Manifest, behaviour: Behaviour) -> Self {
        Self {
            id: manifest.id,
            authority: manifest.authority,
            parents: manifest.parents,
            proposer: manifest.proposer,
            reason: manifest.reason,
            made_at: manifest.made_at,
            code_version: manifest.code_version,
            behaviour,
        }
    }
}

/// Stores both objects and returns the manifest's hash. Durable when this returns; without a row
/// that names them the objects mean nothing.
pub(crate) async fn put(
    store: &Store,
    manifest: &Manifest,
    behaviour_canonical: String,
) -> Result<ObjectHash, ReleaseError> {
    store.put_object(behaviour_canonical.into_bytes()).await?;
    let manifest = canonical::of(manifest).map_err(ReleaseError::canonical)?;
    Ok(store.put_object(manifest.into_bytes()).await?)
}

/// Reads the manifest that a stored row names.
pub(crate) async fn manifest(
    store: &Store,
    stored: &StoredRelease,
) -> Result<Manifest, ReleaseError> {
    let bytes = object(store, &stored.object, &stored.id).await?;
    let manifest: Manifest = decode(&bytes, &stored.id)?;
    if manifest.id == stored.id {
        Ok(manifest)
    } else {
        Err(tampered(&stored.id))
    }
}

/// The manifest of a release, and the object that it is.
pub(crate) async fn named(
    store: &Store,
    id: &ReleaseId,
) -> Result<(Manifest, ObjectHash), ReleaseError> {
    let stored = store.release(id).await?;
    let stored = stored.ok_or_else(|| ReleaseError::Unknown(id.to_string()))?;
    Ok((manifest(store, &stored).await?, stored.object))
}

/// Reads a release and checks that its behaviour has the hash it is known by.
pub(crate) async fn load(store: &Store, stored: &StoredRelease) -> Result<Release, ReleaseError> {
    let manifest = manifest(store, stored).await?;
    let hash = ObjectHash::from_hex(stored.id.as_str());
    let bytes = object(store, &hash, &stored.id).await?;
    if id_of(&bytes) != stored.id {
        return Err(tampered(&stored.id));
    }
    let behaviour: Behaviour = decode(&bytes, &stored.id)?;
    let authority = behaviour
        .authority
        .hash()
        .map_err(ReleaseError::canonical)?;
    if authority != manifest.authority {
        return Err(tampered(&stored.id));
    }
    Ok(Release::of(manifest, behaviour))
}

async fn object(store: &Store, hash: &ObjectHash, id: &ReleaseId) -> Result<Vec<u8>, ReleaseError> {
    store.object(hash).await.map_err(|err| match err {
        StoreError::Object(_) => tampered(id),
        other => ReleaseError::Store(other),
    })
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8], id: &ReleaseId) -> Result<T, ReleaseError> {
    serde_json::from_slice(bytes).map_err(|source| ReleaseError::Decode {
        id: id.to_string(),
        source,
    })
}

fn tampered(id: &ReleaseId) -> ReleaseError {
    ReleaseError::Tampered { id: id.to_string() }
}
