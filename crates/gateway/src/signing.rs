//! The key that releases are signed with, and looking whether what was signed still stands.

use axum::Json;
use axum::extract::{Path, State};
use instar_config::{SecretError, SecretStore, StateDir};
use instar_protocol::{ReleaseId, Timestamp};
use instar_release::lineage::Lineage;
use instar_release::sign::{PublicKey, SignError};
use instar_release::{Bundle, KeyShown, ReleaseError, Releases, Signer, Spoken, Verified, purpose};
use instar_store::Store;
use serde::{Deserialize, Serialize};
use std::io::Read as _;

use crate::api::queries::{QueryError, missing_release};
use crate::api::records::noted;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// The most keys that are trusted for one release, or that the owner has.
const KEYS_MAX: usize = 16;
const OWNERS_FILE: &str = "owner-keys";
const OWNERS_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the secret store gives no key")]
    Secrets(#[from] SecretError),
    #[error("the file owner-keys cannot be read")]
    Owners(#[source] std::io::Error),
    #[error("the key cannot be used")]
    Key(#[from] SignError),
    #[error("the keys before it cannot be read")]
    Release(#[from] ReleaseError),
}

/// The gateway's key. It is derived from the master key of the secret store and for nothing else, so
/// that no secret of that name lies anywhere and no reference can hand it out.
pub async fn signer(secrets: &SecretStore, store: &Store) -> Result<Signer, KeyError> {
    Signer::of_chain(store, |number| seed(secrets, number)).await
}

fn seed(secrets: &SecretStore, number: u32) -> Result<[u8; 32], KeyError> {
    Ok(*secrets.derive(&purpose(number))?)
}

/// Hands over to the next key. Nobody else may have the folder meanwhile.
pub async fn rotate(
    secrets: &SecretStore,
    store: &Store,
    now: Timestamp,
    random: [u8; 10],
) -> Result<Vec<KeyShown>, KeyError> {
    let old = signer(secrets, store).await?;
    let next = seed(secrets, old.number() + 1)?;
    let _stable = Releases::rotate_key(store, &old, &next, now, random).await?;
    Ok(signer(secrets, store).await?.shown_keys())
}

pub(crate) async fn keys(
    State(app): State<AppState>,
    _caller: Caller,
) -> Result<Json<Vec<KeyShown>>, ApiProblem> {
    let signer = app.releases.signer().ok_or_else(ApiProblem::internal)?;
    Ok(Json(signer.shown_keys()))
}

/// The keys that the owner signs with himself: a file of public keys in the state folder, one a line,
/// as OpenSSH or minisign write them. No file is no key; a line that is none is an error.
pub fn owners(state: &StateDir) -> Result<Vec<PublicKey>, KeyError> {
    let mut text = String::new();
    match std::fs::File::open(state.root().join(OWNERS_FILE)) {
        Ok(file) => {
            let read = file.take(OWNERS_BYTES_MAX).read_to_string(&mut text);
            read.map_err(KeyError::Owners)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KeyError::Owners(error)),
    }
    let lines = text.lines().map(str::trim);
    let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(keys
        .take(KEYS_MAX)
        .map(PublicKey::parse)
        .collect::<Result<_, _>>()?)
}

#[derive(Deserialize, Debug, Default, Clone)]
#[serde(default, deny_unknown_fields)]
pub struct VerifyQuery {
    /// An end of the history of aliases that was noted earlier, `NUMBER:HASH`.
    pub noted: Option<String>,
    /// Also what is not in service.
    pub all: bool,
}

pub async fn verify(
    releases: &Releases,
    signer: &Signer,
    owners: &[PublicKey],
    query: &VerifyQuery,
) -> Result<Verified, QueryError> {
    let head = query
        .noted
        .as_deref()
        .map(|text| noted(text, "instar release verify"))
        .transpose()?;
    let found = releases.verify(signer, head, query.all, owners).await;
    found.map_err(QueryError::Release)
}

/// A release that came from elsewhere, and the public keys that its owner trusts for it.
#[derive(Deserialize, Serialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct Import {
    pub bundle: Bundle,
    /// As OpenSSH or minisign write them.
    #[serde(default)]
    pub keys: Vec<String>,
}

/// What became of it.
#[derive(Deserialize, Serialize, Debug, Clone)]
pub struct Imported {
    pub release: ReleaseId,
    /// False if it was here already.
    pub stored: bool,
}

pub async fn export(releases: &Releases, name: &str) -> Result<Bundle, QueryError> {
    releases.export(name).await.map_err(missing_release)
}

pub async fn import(
    releases: &Releases,
    asked: Import,
    now: Timestamp,
) -> Result<Imported, QueryError> {
    if asked.keys.len() > KEYS_MAX {
        return Err(QueryError::Invalid {
            param: "keys",
            why: format!("more than {KEYS_MAX}"),
        });
    }
    let keys = asked.keys.iter().map(|key| PublicKey::parse(key));
    let keys = keys.collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|error| QueryError::Invalid {
        param: "keys",
        why: error.to_string(),
    })?;
    let taken = releases.import(asked.bundle, &keys, now).await;
    let (release, stored) = taken.map_err(|error| refused("release", error))?;
    Ok(Imported { release, stored })
}

pub(crate) async fn hand_out(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Bundle>, ApiProblem> {
    Ok(Json(export(&app.releases, &name).await?))
}

pub(crate) async fn take_in(
    State(app): State<AppState>,
    caller: Caller,
    crate::api::Strict(asked): crate::api::Strict<Import>,
) -> Result<Json<Imported>, ApiProblem> {
    if !caller.principal.is_owner() {
        return Err(ApiProblem::forbidden(
            "only the owner can take a release in",
        ));
    }
    Ok(Json(import(&app.releases, asked, app.clock.now()).await?))
}

/// The owner's signature upon a release, made elsewhere.
#[derive(Deserialize, Serialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct Endorse {
    pub signature: String,
}

#[derive(Deserialize, Serialize, Debug, Clone)]
pub struct Endorsed {
    pub release: ReleaseId,
    /// The key that made it, as OpenSSH writes it.
    pub key: String,
}

pub async fn statement(releases: &Releases, name: &str) -> Result<Spoken, QueryError> {
    releases.statement(name).await.map_err(missing_release)
}

pub async fn endorse(
    releases: &Releases,
    name: &str,
    asked: &Endorse,
    owners: &[PublicKey],
    now: Timestamp,
) -> Result<Endorsed, QueryError> {
    let made = releases.endorse(name, &asked.signature, owners, now).await;
    let (release, key) = made.map_err(|error| refused("signature", error))?;
    let key = key.ssh();
    Ok(Endorsed { release, key })
}

/// What somebody hands in is refused for a reason of its own; nothing that is here has to be mended.
fn refused(what: &str, error: ReleaseError) -> QueryError {
    match error {
        ReleaseError::Refused { reason, .. } => {
            QueryError::Conflict(format!("the {what} is refused: {reason}"))
        }
        other => missing_release(other),
    }
}

/// Where a release comes from.
pub async fn lineage(
    releases: &Releases,
    name: &str,
    signer: &Signer,
    owners: &[PublicKey],
    now: Timestamp,
) -> Result<Lineage, QueryError> {
    let found = releases.lineage(name, signer, owners, now).await;
    found.map_err(missing_release)
}

pub(crate) async fn provenance(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Lineage>, ApiProblem> {
    Ok(Json(lineage_of(&app, &name).await?))
}

/// Where a release comes from, with the keys of this house.
pub(crate) async fn lineage_of(app: &AppState, name: &str) -> Result<Lineage, ApiProblem> {
    let signer = app.releases.signer().ok_or_else(ApiProblem::internal)?;
    let owners = known_owners(app)?;
    let now = app.clock.now();
    Ok(lineage(&app.releases, name, signer, &owners, now).await?)
}

pub(crate) async fn spoken(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Spoken>, ApiProblem> {
    Ok(Json(statement(&app.releases, &name).await?))
}

pub(crate) async fn sign_off(
    State(app): State<AppState>,
    _caller: Caller,
    Path(name): Path<String>,
    crate::api::Strict(asked): crate::api::Strict<Endorse>,
) -> Result<Json<Endorsed>, ApiProblem> {
    let owners = known_owners(&app)?;
    let now = app.clock.now();
    Ok(Json(
        endorse(&app.releases, &name, &asked, &owners, now).await?,
    ))
}

fn known_owners(app: &AppState) -> Result<Vec<PublicKey>, ApiProblem> {
    owners(&app.state_dir).map_err(|error| {
        ApiProblem::invalid(crate::problem::chain(&error))
            .next("mend the file owner-keys in the state folder: a public key on each line")
    })
}

pub(crate) async fn answer(
    State(app): State<AppState>,
    _caller: Caller,
    crate::api::Asked(query): crate::api::Asked<VerifyQuery>,
) -> Result<Json<Verified>, ApiProblem> {
    let signer = app.releases.signer().ok_or_else(ApiProblem::internal)?;
    let owners = known_owners(&app)?;
    Ok(Json(verify(&app.releases, signer, &owners, &query).await?))
}
