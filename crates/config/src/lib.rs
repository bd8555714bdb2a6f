//! The state folder, `instar.json` and the secrets beside it.
//!
//! It knows how to find, read, check, edit and journal a configuration file of any schema; it does
//! not know which keys there are. Start at [`load`], then [`StateDir`] and [`SecretStore`].

use instar_protocol::{Secret, SecretRef, SecretSource};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// Reads environment variables; an argument everywhere, so that tests need no real environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The folder that holds everything one gateway owns.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    config: PathBuf,
}

#[expect(clippy::todo, reason = "interface first")]
impl StateDir {
    /// `INSTAR_STATE_DIR`, or `~/.instar`, or `~/.instar-PROFILE`; `INSTAR_CONFIG_PATH` moves the file.
    pub fn locate(_profile: Option<&str>, _env: Env<'_>) -> Result<Self, StateError> {
        todo!()
    }
    /// Makes the folder (0700) if it is missing, refuses one of a newer version, tightens loose modes.
    pub fn prepare(&self) -> Result<(), StateError> {
        todo!()
    }
    /// Takes the one gateway's lock; the error names the pid that holds it.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        todo!()
    }
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config
    }
    #[must_use]
    pub fn workspace(&self, _agent: &str) -> PathBuf {
        todo!()
    }
    #[must_use]
    pub fn run_file(&self) -> PathBuf {
        self.root.join("gateway.run.json")
    }
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.root.join("logs/instar.log")
    }
}
/// Held as long as the gateway runs.
#[derive(Debug)]
pub struct StateLock {
    _file: std::fs::File,
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("another gateway (pid {pid}) is running on {path}")]
    Locked { pid: u32, path: PathBuf },
    #[error("{path} was written by a newer Instar (format {found}, this one knows {known})")]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("there is no home folder: set HOME or INSTAR_STATE_DIR")]
    NoHome,
    #[error("profile name {0:?} is not made of letters, digits, '-' and '_'")]
    Profile(String),
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Writes a file whole or not at all: temporary file in the same folder, 0600, flush, rename, flush the folder.
#[expect(clippy::todo, reason = "interface first")]
pub fn write_atomically(_path: &Path, _bytes: &[u8]) -> std::io::Result<()> {
    todo!()
}

/// A configuration that was read and found sound.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    pub value: T,
    /// The file and everything it includes.
    pub files: Vec<PathBuf>,
    /// SHA-256 over all bytes read; equal hashes mean nothing changed.
    pub hash: String,
    /// The effective document after includes and variables, without defaults.
    pub document: Value,
}

/// One thing that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub line: usize,
    pub column: usize,
    /// Dotted, `gateway.port`; empty for the root.
    pub path: String,
    pub message: String,
    pub expected: Option<String>,
    /// The nearest known key, or another way out.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file.display(),
            self.line,
            self.column,
            self.message
        )
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration has {} problem(s)", .0.len())]
    Invalid(Vec<Problem>),
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no key {path}")]
    UnknownKey { path: String, hint: Option<String> },
}

/// Reads and checks a file; a missing file is an empty one. All problems are reported, not the first.
#[expect(clippy::todo, reason = "interface first")]
pub fn load<T: JsonSchema + DeserializeOwned>(
    _file: &Path,
    _env: Env<'_>,
) -> Result<Loaded<T>, ConfigError> {
    todo!()
}

/// Who writes, for the journal.
#[derive(Debug, Clone)]
pub struct Author {
    pub who: String,
    pub pid: u32,
}

/// Sets one key, keeping comments and order; checks the result against the schema before it is written.
#[expect(clippy::todo, reason = "interface first")]
pub fn set<T: JsonSchema + DeserializeOwned>(
    _state: &StateDir,
    _path: &str,
    _value: &Value,
    _author: &Author,
    _env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    todo!()
}
#[expect(clippy::todo, reason = "interface first")]
pub fn unset<T: JsonSchema + DeserializeOwned>(
    _state: &StateDir,
    _path: &str,
    _author: &Author,
    _env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    todo!()
}

/// One key of a schema, for documentation and `config get`.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyDoc {
    pub path: String,
    pub kind: String,
    pub default: Option<Value>,
    pub docs: String,
}
/// Every key of a schema, in the order of the types.
#[expect(clippy::todo, reason = "interface first")]
#[must_use]
pub fn keys<T: JsonSchema>() -> Vec<KeyDoc> {
    todo!()
}
/// The schema itself.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// Secrets encrypted at rest, and the two other places secrets may live.
#[derive(Debug)]
pub struct SecretStore {
    _root: PathBuf,
}
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("there is no secret {0:?} in the store")]
    Missing(String),
    #[error(
        "the secret store is locked by a passphrase: set INSTAR_PASSPHRASE_FILE or use a credential"
    )]
    Locked,
    #[error("the secret store cannot be opened: wrong key or changed bytes")]
    Tampered,
    #[error("{path} can be read by others (mode {mode:o}); expected 0600")]
    Loose { path: PathBuf, mode: u32 },
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}
#[expect(clippy::todo, reason = "interface first")]
impl SecretStore {
    pub fn open(_state: &StateDir, _env: Env<'_>) -> Result<Self, SecretError> {
        todo!()
    }
    pub fn set(&self, _name: &str, _value: &Secret) -> Result<(), SecretError> {
        todo!()
    }
    pub fn remove(&self, _name: &str) -> Result<bool, SecretError> {
        todo!()
    }
    pub fn names(&self) -> Result<Vec<String>, SecretError> {
        todo!()
    }
    /// A 32-byte key for one purpose, derived from the master key with the purpose as its label.
    pub fn derive(&self, _purpose: &str) -> Result<zeroize::Zeroizing<[u8; 32]>, SecretError> {
        todo!()
    }
}
#[expect(clippy::todo, reason = "interface first")]
impl SecretSource for SecretStore {
    fn secret(&self, _reference: &SecretRef) -> Result<Secret, String> {
        todo!()
    }
}
