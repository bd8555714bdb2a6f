//! The state folder, `instar.json` and the secrets beside it.
//!
//! It knows how to find, read, check, edit and journal a configuration file of any schema; it does
//! not know which keys there are. Start at [`load`], then [`StateDir`] and [`SecretStore`].

mod check;
mod document;
mod files;
mod load;
mod path;
mod problem;
mod resolve;
mod schema;
mod state;

pub use files::write_atomically;
pub use load::{Loaded, load, parse_str};
pub use path::{KeyPath, PathError, Step};
pub use problem::{ConfigError, Problem};
pub use state::{STATE_FORMAT, StateDir, StateError, StateLock};

use instar_protocol::{Secret, SecretRef, SecretSource};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;

/// Reads environment variables; an argument everywhere, so that tests need no real environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

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
