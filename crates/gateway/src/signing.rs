//! The key that releases are signed with, and looking whether what was signed still stands.

use axum::Json;
use axum::extract::{Path, State};
use instar_config::{SecretError, SecretStore};
use instar_protocol::{ReleaseId, Timestamp};
use instar_release::sign::{NAMESPACE, PublicKey, SignError};
use instar_release::{Bundle, Releases, Signer, Verified};
use serde::{Deserialize, Serialize};

use crate::api::queries::{QueryError, missing_release};
use crate::api::records::noted;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// The most keys that are trusted for one release.
const KEYS_MAX: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the secret store gives no key")]
    Secrets(#[from] SecretError),
    #[error("the key cannot be used")]
    Key(#[from] SignError),
}

/// The gateway's key. It is derived from the master key of the secret store and for nothing else, so
/// that no secret of that name lies anywhere and no reference can hand it out.
pub fn signer(secrets: &SecretStore) -> Result<Signer, KeyError> {
    Ok(Signer::of_seed(&*secrets.derive(NAMESPACE)?)?)
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
    query: &VerifyQuery,
) -> Result<Verified, QueryError> {
    let head = query.noted.as_deref().map(noted).transpose()?;
    let found = releases.verify(signer, head, query.all).await;
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
    let (release, stored) = taken.map_err(missing_release)?;
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

pub(crate) async fn answer(
    State(app): State<AppState>,
    _caller: Caller,
    crate::api::Asked(query): crate::api::Asked<VerifyQuery>,
) -> Result<Json<Verified>, ApiProblem> {
    let signer = app.releases.signer().ok_or_else(ApiProblem::internal)?;
    Ok(Json(verify(&app.releases, signer, &query).await?))
}
