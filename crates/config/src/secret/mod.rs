//! Secrets encrypted at rest, and the two other places secrets may live.
//!
//! Every entry is sealed by itself with XChaCha20-Poly1305; its name is authenticated with it, so
//! that two entries cannot be exchanged. The keys come from one master key, one per purpose. Where
//! the master key is kept is written down when it is made: when it is gone the store refuses, and
//! looks nowhere else.

mod master;
mod vault;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use instar_protocol::{Secret, SecretOrigin, SecretRef, SecretSource};
use rustix::fs::{FlockOperation, OFlags};
use zeroize::Zeroizing;

use crate::files::{FILE_MODE, read_open_bounded};
use crate::{Env, StateDir};
use master::Master;
use vault::Vault;

/// The most bytes one secret may have.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Secrets encrypted at rest, and the two other places secrets may live.
#[derive(Clone)]
pub struct SecretStore {
    root: PathBuf,
    master: Arc<Master>,
    environment: Environment,
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no secret {0:?} in the store: run `instar secrets set {0}`")]
    Missing(String),
    #[error(
        "the secret store is locked by a passphrase: set INSTAR_PASSPHRASE_FILE to a file that holds it"
    )]
    Locked,
    #[error("the secret store cannot be opened: wrong key or changed bytes")]
    Tampered,
    #[error("{path} can be read by others (mode {mode:o}); expected 0600")]
    Loose { path: PathBuf, mode: u32 },
    #[error(
        "the master key {path} is gone: put it back from a backup; without it the secrets cannot be read, and no new key is made in its place"
    )]
    MasterMissing { path: PathBuf },
    #[error("the master key {path} is not 32 bytes or 64 hexadecimal digits")]
    MasterShape { path: PathBuf },
    #[error("secret name {0:?} is not 1 to 128 letters, digits, '.', '-' or '_'")]
    Name(String),
    #[error("a secret is 1 to {SECRET_BYTES_MAX} bytes long")]
    Size,
    #[error("the store holds {0} secrets already, the most it takes")]
    Full(usize),
    #[error("a passphrase has at least {0} characters")]
    Passphrase(usize),
    #[error("{path} belongs to user {owner}, not to the user that runs Instar")]
    Foreign { path: PathBuf, owner: u32 },
    #[error("there is no randomness to be had: {0}")]
    Randomness(String),
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl SecretStore {
    /// Opens the store of a state folder; the master key is made if there has never been one.
    pub fn open(state: &StateDir, env: Env<'_>) -> Result<Self, SecretError> {
        let root = state.root().to_owned();
        let _lock = lock(&root)?;
        let master = Master::open(&root, env)?;
        // A store that was changed behind our back is refused at the door, not at the first use.
        Vault::read(&root)?;
        Ok(Self {
            root,
            master: Arc::new(master),
            environment: Arc::new(|name| std::env::var(name).ok()),
        })
    }

    /// Reads variables from somewhere else than the process's environment.
    #[must_use]
    pub fn with_environment(
        mut self,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.environment = Arc::new(environment);
        self
    }

    pub fn set(&self, name: &str, value: &Secret) -> Result<(), SecretError> {
        check_name(name)?;
        if value.is_empty() || value.expose().len() > SECRET_BYTES_MAX {
            return Err(SecretError::Size);
        }
        let _lock = lock(&self.root)?;
        let mut vault = Vault::read(&self.root)?;
        vault.seal(&self.master, name, value)?;
        vault.write(&self.root)
    }

    /// Reads a secret back from the encrypted store.
    pub fn get(&self, name: &str) -> Result<Secret, SecretError> {
        Vault::read(&self.root)?.open(&self.master, name)
    }

    /// False if there was none of this name.
    pub fn remove(&self, name: &str) -> Result<bool, SecretError> {
        let _lock = lock(&self.root)?;
        let mut vault = Vault::read(&self.root)?;
        let removed = vault.remove(name);
        if removed {
            vault.write(&self.root)?;
        }
        Ok(removed)
    }

    pub fn names(&self) -> Result<Vec<String>, SecretError> {
        Ok(Vault::read(&self.root)?.names())
    }

    /// A 32-byte key for one purpose, derived from the master key with the purpose as its label.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
        Ok(self.master.derive(master::Domain::Purpose, purpose))
    }

    /// Wraps the master key with a passphrase; from now on the store opens with it alone.
    ///
    /// The key file is removed. Earlier copies of it, in backups for instance, still open the store.
    pub fn protect(&self, passphrase: &Secret) -> Result<(), SecretError> {
        let _lock = lock(&self.root)?;
        self.master.protect(&self.root, passphrase)
    }

    fn read_variable(&self, name: &str) -> Result<Secret, String> {
        match (self.environment)(name) {
            Some(text) if !text.is_empty() => Ok(Secret::new(text)),
            Some(_) => Err(format!(
                "the environment variable {name} is empty: set it to the secret"
            )),
            None => Err(format!("the environment variable {name} is not set")),
        }
    }
}

impl std::fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretStore")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl SecretSource for SecretStore {
    fn secret(&self, reference: &SecretRef) -> Result<Secret, String> {
        match reference.source {
            SecretOrigin::Env => self.read_variable(&reference.id),
            SecretOrigin::Store => self.get(&reference.id).map_err(|error| chain(&error)),
            SecretOrigin::File => {
                from_file(&self.root, &reference.id).map_err(|error| chain(&error))
            }
        }
    }
}

/// A file of its own: one trailing line end does not belong to the secret.
fn from_file(root: &Path, id: &str) -> Result<Secret, SecretError> {
    let path = root.join(id);
    let bytes = read_private(&path, SECRET_BYTES_MAX as u64, Readers::OwnerAlone)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::Io {
        doing: "reading text from",
        path: path.clone(),
        source: io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"),
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretError::Size);
    }
    Ok(Secret::new(text))
}

/// Who besides its owner may read a file that holds a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readers {
    OwnerAlone,
    /// systemd grants a unit's user access through an access list, whose mask shows as group bits.
    Group,
}

/// Reads a file that holds a secret, refusing one that others may read. The checks are made on the
/// open file, so that it cannot be exchanged between check and use.
fn read_private(
    path: &Path,
    bytes_max: u64,
    readers: Readers,
) -> Result<Zeroizing<Vec<u8>>, SecretError> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(crate::state::flags(OFlags::NONBLOCK))
        .open(path)
        .map_err(failed("reading", path))?;
    let metadata = file.metadata().map_err(failed("looking at", path))?;
    if !metadata.is_file() {
        let source = io::Error::other("not a regular file");
        return Err(failed("reading", path)(source));
    }
    let forbidden = match readers {
        Readers::OwnerAlone => 0o077,
        Readers::Group => 0o007,
    };
    let mode = metadata.mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(SecretError::Loose {
            path: path.to_owned(),
            mode,
        });
    }
    if ![0, crate::state::user()].contains(&metadata.uid()) {
        return Err(SecretError::Foreign {
            path: path.to_owned(),
            owner: metadata.uid(),
        });
    }
    read_open_bounded(&mut file, bytes_max)
        .map(Zeroizing::new)
        .map_err(failed("reading", path))
}

/// Keeps two writers apart; let go when the file is dropped.
fn lock(root: &Path) -> Result<File, SecretError> {
    let path = root.join("secrets.lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(crate::state::flags(OFlags::NOFOLLOW))
        .open(&path)
        .map_err(failed("opening", &path))?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)
        .map_err(|errno| failed("locking", &path)(errno.into()))?;
    Ok(file)
}

fn check_name(name: &str) -> Result<(), SecretError> {
    let valid = (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if valid {
        Ok(())
    } else {
        Err(SecretError::Name(name.chars().take(128).collect()))
    }
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SecretError::Randomness(error.to_string()))?;
    Ok(bytes)
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SecretError {
    let path = path.to_owned();
    move |source| SecretError::Io {
        doing,
        path,
        source,
    }
}

/// An error with its cause: the port hands out text, not errors.
fn chain(error: &SecretError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
