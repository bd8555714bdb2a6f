//! DSSE envelopes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use instar_policy::canonical;
use serde::{Deserialize, Serialize};

use super::{GatewayKey, PublicKey, SignError};

/// The type of in-toto statements.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// A longer envelope is not read.
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;
/// The most signatures of one envelope.
const SIGNATURES_MAX: usize = 16;

/// A payload with the signatures over it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    pub payload: String,
    pub payload_type: String,
    pub signatures: Vec<Signature>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signature {
    /// A hint which key it was; never trusted.
    #[serde(default)]
    pub keyid: String,
    pub sig: String,
}

/// The bytes that are signed: lengths are those of the decoded values, in decimal.
#[must_use]
pub fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

impl Envelope {
    /// Signs an in-toto statement.
    #[must_use]
    pub fn sign(payload: &[u8], key: &GatewayKey) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![Signature {
                keyid: key.public().id(),
                sig: STANDARD.encode(key.sign(&pae(IN_TOTO, payload))),
            }],
        }
    }

    /// The bytes that are stored.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SignError> {
        let text = canonical::of(self).map_err(|error| SignError::Malformed(error.to_string()))?;
        Ok(text.into_bytes())
    }

    /// Reads an envelope as anybody may have written it.
    pub fn read(bytes: &[u8]) -> Result<Self, SignError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(SignError::Malformed("too long".to_owned()));
        }
        let read: Self = serde_json::from_slice(bytes)
            .map_err(|error| SignError::Malformed(error.to_string()))?;
        if read.signatures.len() > SIGNATURES_MAX {
            return Err(SignError::Malformed("too many signatures".to_owned()));
        }
        Ok(read)
    }

    /// Reads one of our own: in the form that we write and in no other, so that not a byte of it can
    /// be different.
    pub fn read_own(bytes: &[u8]) -> Result<Self, SignError> {
        let read = Self::read(bytes)?;
        if read.to_bytes()? == bytes {
            Ok(read)
        } else {
            Err(SignError::Tampered)
        }
    }

    /// The payload, if one of these keys signed it.
    pub fn verify(&self, trusted: &[PublicKey]) -> Result<(Vec<u8>, PublicKey), SignError> {
        if self.payload_type != IN_TOTO {
            return Err(SignError::PayloadType(
                self.payload_type.chars().take(100).collect(),
            ));
        }
        let bad = |_| SignError::Malformed("no base64".to_owned());
        let payload = STANDARD.decode(&self.payload).map_err(bad)?;
        let signed = pae(&self.payload_type, &payload);
        let mut is_claimed = false;
        for signature in &self.signatures {
            let bytes = STANDARD.decode(&signature.sig).map_err(bad)?;
            for key in trusted {
                if key.verifies(&signed, &bytes) {
                    return Ok((payload, *key));
                }
                is_claimed |= signature.keyid == key.id();
            }
        }
        // Whose it claims to be only decides which words are found for it.
        Err(if is_claimed {
            SignError::Tampered
        } else {
            SignError::Foreign
        })
    }

    /// As [`Envelope::verify`] for one of our own: the hint has to name the key, too.
    pub fn verify_own(&self, key: PublicKey) -> Result<Vec<u8>, SignError> {
        let (payload, signer) = self.verify(&[key])?;
        match self.signatures.as_slice() {
            [one] if one.keyid == signer.id() => Ok(payload),
            _ => Err(SignError::Tampered),
        }
    }
}
