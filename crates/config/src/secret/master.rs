//! The master key: where it is kept, how it is wrapped, and what is derived from it.
//!
//! `master.json` says which one place holds the key and how to recognise it. The key itself is in
//! `master.key`, in a systemd credential, or in `master.json` under a passphrase.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use instar_protocol::Secret;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::vault::Vault;
use super::{Readers, SecretError, failed, from_file, random, read_private};
use crate::Env;
use crate::files::write_atomically;

const VERSION: u32 = 1;
const RECORD_FILE: &str = "master.json";
const KEY_FILE: &str = "master.key";
const CREDENTIAL: &str = "instar-master-key";
const WRAP_LABEL: &[u8] = b"instar master key";
const PASSPHRASE_CHARS_MIN: usize = 8;

/// Cost of a new passphrase: 64 MiB, three passes, one lane.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 1,
};

/// Keys for whoever asks and keys of the store itself can never be the same.
#[derive(Debug, Clone, Copy)]
pub(super) enum Domain {
    Purpose,
    Internal,
}

/// The open master key.
pub(super) struct Master(Zeroizing<[u8; 32]>);

/// What is written down about the key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    keeper: Keeper,
    /// Recognises the key without telling anything about it.
    check: String,
}

/// The one place that holds the key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Keeper {
    File,
    Credential,
    Passphrase(Wrapped),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped {
    cost: Cost,
    salt: String,
    nonce: String,
    ciphertext: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Master {
    /// Opens the key from its one place, or makes it if there has never been one.
    ///
    /// The caller holds the store's lock.
    pub(super) fn open(root: &Path, env: Env<'_>) -> Result<Self, SecretError> {
        match Record::read(root)? {
            Some(record) => Self::open_recorded(root, env, &record),
            // Entries without a record of their key: something was taken away.
            None if Vault::exists(root) => Err(SecretError::MasterMissing {
                path: root.join(RECORD_FILE),
            }),
            None => Self::first(root, env),
        }
    }

    fn open_recorded(root: &Path, env: Env<'_>, record: &Record) -> Result<Self, SecretError> {
        let master = match &record.keeper {
            Keeper::File => read_key(&root.join(KEY_FILE), Readers::OwnerAlone)?,
            Keeper::Credential => match credential(env) {
                Some(path) => read_key(&path, Readers::Group)?,
                None => {
                    let path = PathBuf::from("$CREDENTIALS_DIRECTORY").join(CREDENTIAL);
                    return Err(SecretError::MasterMissing { path });
                }
            },
            Keeper::Passphrase(wrapped) => {
                let file = env("INSTAR_PASSPHRASE_FILE").filter(|file| !file.is_empty());
                let file = file.ok_or(SecretError::Locked)?;
                wrapped.open(&from_file(root, &file)?)?
            }
        };
        // Both sides of this comparison may be known to anyone; the key cannot be told from them.
        if master.check() == record.check {
            Ok(master)
        } else {
            Err(SecretError::Tampered)
        }
    }

    /// The first use: a credential if systemd hands one in, otherwise a key file of our own.
    fn first(root: &Path, env: Env<'_>) -> Result<Self, SecretError> {
        let path = root.join(KEY_FILE);
        let (master, keeper) = match credential(env).filter(|path| path.exists()) {
            Some(path) => (read_key(&path, Readers::Group)?, Keeper::Credential),
            // Left by a first use that was cut short before its record was written.
            None if path.exists() => (read_key(&path, Readers::OwnerAlone)?, Keeper::File),
            None => {
                let key = Zeroizing::new(random::<32>()?);
                let text = Zeroizing::new(hex::encode(*key));
                write_atomically(&path, text.as_bytes()).map_err(failed("writing", &path))?;
                (Self(key), Keeper::File)
            }
        };
        master.record(keeper).write(root)?;
        Ok(master)
    }

    /// A key of its own for each label.
    pub(super) fn derive(&self, domain: Domain, label: &str) -> Zeroizing<[u8; 32]> {
        let domain = match domain {
            Domain::Purpose => "purpose",
            Domain::Internal => "internal",
        };
        let mut key = Zeroizing::new([0; 32]);
        let info = format!("instar/v1/{domain}/{label}");
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are far below the limit of 255 blocks"
        )]
        Hkdf::<Sha256>::new(None, self.0.as_slice())
            .expand(info.as_bytes(), key.as_mut_slice())
            .expect("one block");
        key
    }

    /// Wraps the key with a passphrase and removes the key file.
    pub(super) fn protect(&self, root: &Path, passphrase: &Secret) -> Result<(), SecretError> {
        if passphrase.expose().chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(SecretError::Passphrase(PASSPHRASE_CHARS_MIN));
        }
        let wrapped = Wrapped::seal(self, passphrase, COST)?;
        self.record(Keeper::Passphrase(wrapped)).write(root)?;
        let path = root.join(KEY_FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(failed("removing", &path)(error))
            }
            _ => crate::files::flush_folder(root).map_err(failed("flushing", root)),
        }
    }

    fn record(&self, keeper: Keeper) -> Record {
        Record {
            version: VERSION,
            keeper,
            check: self.check(),
        }
    }

    fn check(&self) -> String {
        hex::encode(&self.derive(Domain::Internal, "master-check")[..16])
    }
}

impl Record {
    fn read(root: &Path) -> Result<Option<Self>, SecretError> {
        let path = root.join(RECORD_FILE);
        match read_private(&path, 64 * 1024, Readers::OwnerAlone) {
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(record) if record.version == VERSION => Ok(Some(record)),
                Ok(_) | Err(_) => Err(SecretError::Tampered),
            },
            Err(SecretError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn write(&self, root: &Path) -> Result<(), SecretError> {
        let path = root.join(RECORD_FILE);
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| failed("encoding", &path)(error.into()))?;
        write_atomically(&path, &text).map_err(failed("writing", &path))
    }
}

impl Wrapped {
    fn seal(master: &Master, passphrase: &Secret, cost: Cost) -> Result<Self, SecretError> {
        let salt: [u8; 16] = random()?;
        let nonce: [u8; 24] = random()?;
        let payload = Payload {
            msg: master.0.as_slice(),
            aad: WRAP_LABEL,
        };
        let ciphertext = cost
            .cipher(passphrase, &salt)?
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| SecretError::Size)?;
        Ok(Self {
            cost,
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            ciphertext: hex::encode(ciphertext),
        })
    }

    fn open(&self, passphrase: &Secret) -> Result<Master, SecretError> {
        // Cheaper than what we write means that somebody wants guessing to be cheap; dearer than
        // this means that somebody wants our memory.
        let fair = (COST.memory_kib..=1 << 20).contains(&self.cost.memory_kib)
            && (COST.passes..=16).contains(&self.cost.passes)
            && (1..=16).contains(&self.cost.lanes);
        if !fair {
            return Err(SecretError::Tampered);
        }
        let bytes = |text: &str| hex::decode(text).map_err(|_| SecretError::Tampered);
        let (salt, nonce) = (bytes(&self.salt)?, bytes(&self.nonce)?);
        let ciphertext = bytes(&self.ciphertext)?;
        if salt.len() != 16 || nonce.len() != 24 {
            return Err(SecretError::Tampered);
        }
        let payload = Payload {
            msg: &ciphertext,
            aad: WRAP_LABEL,
        };
        let key = self
            .cost
            .cipher(passphrase, &salt)?
            .decrypt(XNonce::from_slice(&nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| SecretError::Tampered)?;
        let key: [u8; 32] = key
            .as_slice()
            .try_into()
            .map_err(|_| SecretError::Tampered)?;
        Ok(Master(Zeroizing::new(key)))
    }
}

impl Cost {
    fn cipher(self, passphrase: &Secret, salt: &[u8]) -> Result<XChaCha20Poly1305, SecretError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| SecretError::Tampered)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), salt, key.as_mut_slice())
            .map_err(|_| SecretError::Tampered)?;
        Ok(XChaCha20Poly1305::new(key.as_slice().into()))
    }
}

fn credential(env: Env<'_>) -> Option<PathBuf> {
    let folder = env("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())?;
    Some(PathBuf::from(folder).join(CREDENTIAL))
}

/// Reads 32 raw bytes or 64 hexadecimal digits.
fn read_key(path: &Path, readers: Readers) -> Result<Master, SecretError> {
    let bytes = match read_private(path, 256, readers) {
        Err(SecretError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(SecretError::MasterMissing {
                path: path.to_owned(),
            });
        }
        other => other?,
    };
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() == key.len() {
        key.copy_from_slice(&bytes);
    } else {
        hex::decode_to_slice(bytes.trim_ascii(), key.as_mut_slice()).map_err(|_| {
            SecretError::MasterShape {
                path: path.to_owned(),
            }
        })?;
    }
    Ok(Master(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These bytes were derived once by an independent HKDF; a change breaks every stored secret.
    #[test]
    fn derivation_is_fixed() {
        let master = Master(Zeroizing::new(std::array::from_fn(|index| {
            u8::try_from(index).unwrap()
        })));
        let hex = |domain, label| hex::encode(*master.derive(domain, label));
        assert_eq!(
            hex(Domain::Purpose, "cohort"),
            "e516c9f7affa3d9e275c419d1c4a186905582e0ff558a2ad13c968c5f1e9de7c"
        );
        assert_eq!(
            hex(Domain::Internal, "cohort"),
            "062f919407ab7797f690f7713616da34988736dc7969f5e175fde793f482656c"
        );
        assert_eq!(
            hex(Domain::Internal, "secret-entries"),
            "29c532d129870de629ae108ebe9357d96d0e212bf9495d13c495cebcbcb1223f"
        );
        assert_eq!(master.check(), "2d549b100fc19c56a4830560c09ba092");
    }
}
