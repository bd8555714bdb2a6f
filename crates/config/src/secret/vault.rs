//! `secrets.json`: names in the clear, values sealed one by one.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use instar_protocol::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::master::{Domain, Master};
use super::{Readers, SECRET_BYTES_MAX, SecretError, failed, random, read_private};
use crate::files::write_atomically;

const VERSION: u32 = 1;
const FILE: &str = "secrets.json";
const ENTRIES_MAX: usize = 1024;
const FILE_BYTES_MAX: u64 = 128 << 20;
const NONCE_BYTES: usize = 24;

/// The sealed entries by name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vault {
    version: u32,
    entries: BTreeMap<String, Sealed>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    nonce: String,
    ciphertext: String,
}

impl Vault {
    pub(super) fn exists(root: &Path) -> bool {
        root.join(FILE).exists()
    }

    /// A missing file is an empty vault.
    pub(super) fn read(root: &Path) -> Result<Self, SecretError> {
        let path = root.join(FILE);
        let bytes = match read_private(&path, FILE_BYTES_MAX, Readers::OwnerAlone) {
            Ok(bytes) => bytes,
            Err(SecretError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(Self {
                    version: VERSION,
                    entries: BTreeMap::new(),
                });
            }
            Err(error) => return Err(error),
        };
        let vault: Self = serde_json::from_slice(&bytes).map_err(|_| SecretError::Tampered)?;
        if vault.version == VERSION {
            Ok(vault)
        } else {
            Err(SecretError::Tampered)
        }
    }

    pub(super) fn write(&self, root: &Path) -> Result<(), SecretError> {
        let path = root.join(FILE);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| failed("encoding", &path)(error.into()))?;
        write_atomically(&path, &text).map_err(failed("writing", &path))
    }

    pub(super) fn seal(
        &mut self,
        master: &Master,
        name: &str,
        value: &Secret,
    ) -> Result<(), SecretError> {
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(name) {
            return Err(SecretError::Full(ENTRIES_MAX));
        }
        let sealed = encrypt(master, name, value.expose().as_bytes())?;
        self.entries.insert(name.to_owned(), sealed);
        Ok(())
    }

    pub(super) fn open(&self, master: &Master, name: &str) -> Result<Secret, SecretError> {
        let sealed = self
            .entries
            .get(name)
            .ok_or_else(|| SecretError::Missing(name.to_owned()))?;
        let opened = decrypt(master, name, sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SecretError::Tampered)?;
        Ok(Secret::new(text))
    }

    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.entries.remove(name).is_some()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }
}

fn encrypt(master: &Master, name: &str, plain: &[u8]) -> Result<Sealed, SecretError> {
    let nonce: [u8; NONCE_BYTES] = random()?;
    let payload = Payload {
        msg: plain,
        aad: name.as_bytes(),
    };
    let ciphertext = cipher(master)
        .encrypt(XNonce::from_slice(&nonce), payload)
        .map_err(|_| SecretError::Size)?;
    Ok(Sealed {
        nonce: BASE64.encode(nonce),
        ciphertext: BASE64.encode(ciphertext),
    })
}

fn decrypt(
    master: &Master,
    name: &str,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let tampered = |_| SecretError::Tampered;
    let nonce = BASE64.decode(&sealed.nonce).map_err(tampered)?;
    let ciphertext = BASE64.decode(&sealed.ciphertext).map_err(tampered)?;
    if nonce.len() != NONCE_BYTES || ciphertext.len() > SECRET_BYTES_MAX + 16 {
        return Err(SecretError::Tampered);
    }
    let payload = Payload {
        msg: &ciphertext,
        aad: name.as_bytes(),
    };
    cipher(master)
        .decrypt(XNonce::from_slice(&nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SecretError::Tampered)
}

fn cipher(master: &Master) -> XChaCha20Poly1305 {
    let key = master.derive(Domain::Internal, "secret-entries");
    XChaCha20Poly1305::new(key.as_slice().into())
}
