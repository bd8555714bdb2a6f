//! The owner's own signature upon a release, with a key that this machine does not hold.
//!
//! The gateway hands out the statement that it signed; the owner signs those bytes elsewhere with
//! `ssh-keygen -Y` or minisign, and what comes back is kept if one of his keys made it.

use instar_protocol::{ReleaseId, Timestamp};
use instar_store::{EnvelopeRow, Op};
use serde::{Deserialize, Serialize};

use crate::error::ReleaseError;
use crate::releases::Releases;
use crate::sign::statement::PROVENANCE;
use crate::sign::{PublicKey, SignError, minisign, sshsig};
use crate::trust::{BUILT, Signer};

/// The kind of row that names the owner's signature.
pub(crate) const OWNER: &str = "owner";
const SSH_BEGIN: &str = "-----BEGIN SSH";

/// A statement as a file, with the gateway's signatures in the two formats that people have tools for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spoken {
    pub release: ReleaseId,
    /// The exact bytes.
    pub statement: String,
    /// As `ssh-keygen -Y sign` makes it, under the namespace of releases.
    pub ssh: String,
    pub ssh_key: String,
    pub minisign: String,
    pub minisign_key: String,
}

/// The owner's signature as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Endorsement {
    signature: String,
}

impl Releases {
    /// The provenance of a release, for signing it elsewhere and for checking ours there.
    pub async fn statement(&self, name: &str) -> Result<Spoken, ReleaseError> {
        let release = self.get(name).await?.id;
        let Some(signer) = self.signer() else {
            return Err(ReleaseError::Bundle(
                "there is no key to sign with".to_owned(),
            ));
        };
        let payloads = self.payloads(signer, &release).await;
        let payloads = payloads.map_err(|reason| ReleaseError::refused(&release, BUILT, reason))?;
        let payload = payloads.into_iter().next().unwrap_or_default();
        Ok(Spoken {
            release,
            ssh: sshsig::sign(&payload, signer.key()),
            ssh_key: signer.public().ssh(),
            minisign: minisign::sign(&payload, signer.key()),
            minisign_key: minisign::public_file(signer.public()),
            statement: String::from_utf8_lossy(&payload).into_owned(),
        })
    }

    /// Keeps the owner's signature upon a release, if one of his keys made it over our statement.
    pub async fn endorse(
        &self,
        name: &str,
        signature: &str,
        owners: &[PublicKey],
        now: Timestamp,
    ) -> Result<(ReleaseId, PublicKey), ReleaseError> {
        let release = self.get(name).await?.id;
        let Some(signer) = self.signer() else {
            return Err(ReleaseError::Bundle(
                "there is no key to check with".to_owned(),
            ));
        };
        let refused = |reason| ReleaseError::refused(&release, OWNER, reason);
        let payloads = self.payloads(signer, &release).await.map_err(refused)?;
        let by = by(&payloads, signature, owners).map_err(refused)?;
        let kept = Endorsement {
            signature: signature.to_owned(),
        };
        let text = instar_policy::canonical::of(&kept).map_err(ReleaseError::canonical)?;
        let row = EnvelopeRow {
            release: release.clone(),
            kind: OWNER.to_owned(),
            object: self.store().put_object(text.into_bytes()).await?,
            at: now,
        };
        self.store().commit(vec![Op::PutEnvelope(row)]).await?;
        Ok((release, by))
    }

    /// Whose signature a row names, if it is still one of the owner's.
    pub(crate) async fn endorsed(
        &self,
        signer: &Signer,
        row: &EnvelopeRow,
        owners: &[PublicKey],
    ) -> Result<PublicKey, SignError> {
        let bytes = self.store().object(&row.object).await;
        let bytes = bytes.map_err(|_| SignError::Tampered)?;
        let kept: Endorsement = serde_json::from_slice(&bytes)
            .map_err(|error| SignError::Malformed(error.to_string()))?;
        let payloads = self.payloads(signer, &row.release).await?;
        by(&payloads, &kept.signature, owners)
    }

    /// What the gateway signed as the provenance of a release, the newest first.
    async fn payloads(
        &self,
        signer: &Signer,
        release: &ReleaseId,
    ) -> Result<Vec<Vec<u8>>, SignError> {
        let store = self.store();
        let rows = store.envelopes(Some(release)).await;
        let rows = rows.map_err(|error| SignError::Malformed(error.to_string()))?;
        let mut payloads = Vec::new();
        for row in rows.iter().filter(|row| row.kind == BUILT) {
            signer.statement(store, row, PROVENANCE, None).await?;
            let bytes = store.object(&row.object).await;
            let bytes = bytes.map_err(|_| SignError::Tampered)?;
            payloads.push(signer.own(&row.object, &bytes)?.0);
        }
        if payloads.is_empty() {
            return Err(SignError::Missing);
        }
        Ok(payloads)
    }
}

fn by(payloads: &[Vec<u8>], signature: &str, owners: &[PublicKey]) -> Result<PublicKey, SignError> {
    let mut refused = SignError::Missing;
    for payload in payloads {
        let found = if signature.trim_start().starts_with(SSH_BEGIN) {
            sshsig::verify(payload, signature, owners)
        } else {
            minisign::verify(payload, signature, owners)
        };
        match found {
            Ok(key) => return Ok(key),
            Err(reason) => refused = reason,
        }
    }
    Err(refused)
}
