//! Ed25519 keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use std::fmt;

use super::SignError;

/// The longest line that is read as a key.
const LINE_BYTES_MAX: usize = 4_096;
const SSH_KIND: &str = "ssh-ed25519";

/// Somebody's public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub(super) [u8; 32]);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl PublicKey {
    /// Reads a public key as people have it: a line of OpenSSH, a line of minisign, or 64 hexadecimal
    /// digits.
    pub fn parse(text: &str) -> Result<Self, SignError> {
        let bad = || SignError::Malformed("no Ed25519 public key".to_owned());
        if text.len() > LINE_BYTES_MAX {
            return Err(bad());
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        if let Some(at) = words.iter().position(|word| *word == SSH_KIND) {
            let blob = words.get(at + 1).ok_or_else(bad)?;
            let blob = STANDARD.decode(blob).map_err(|_| bad())?;
            return Self::of_ssh_blob(&blob).ok_or_else(bad);
        }
        let [word] = words.as_slice() else {
            return Err(bad());
        };
        if let Some(key) = hex::decode(word).ok().and_then(|key| key.try_into().ok()) {
            return Ok(Self(key));
        }
        super::minisign::public_key(word).map_or_else(|| Err(bad()), Ok)
    }

    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// A name for the key: a digest of it. It is a hint, and nothing is trusted for it.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }

    /// As OpenSSH writes it, for a line of allowed signers.
    #[must_use]
    pub fn ssh(&self) -> String {
        format!("{SSH_KIND} {}", STANDARD.encode(self.ssh_blob()))
    }

    pub(super) fn ssh_blob(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        for part in [SSH_KIND.as_bytes(), &self.0] {
            super::sshsig::put(&mut blob, part);
        }
        blob
    }

    pub(super) fn of_ssh_blob(blob: &[u8]) -> Option<Self> {
        let mut rest = blob;
        let kind = super::sshsig::take(&mut rest)?;
        let key = super::sshsig::take(&mut rest)?;
        let is_whole = rest.is_empty() && kind == SSH_KIND.as_bytes();
        is_whole.then(|| key.try_into().ok().map(Self)).flatten()
    }

    /// True if this key signed exactly these bytes.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0)
            .verify(message, signature)
            .is_ok()
    }
}

/// The key with which the gateway signs what it has checked.
pub struct GatewayKey(Ed25519KeyPair);

impl fmt::Debug for GatewayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatewayKey({})", self.public().hex())
    }
}

impl GatewayKey {
    /// The key of a seed that the encrypted secret store derived for this purpose.
    pub fn of_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        Ed25519KeyPair::from_seed_unchecked(seed)
            .map(Self)
            .map_err(|error| SignError::Malformed(error.to_string()))
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(key)
    }

    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }
}
