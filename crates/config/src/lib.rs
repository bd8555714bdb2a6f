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
mod secret;
mod state;

pub use files::write_atomically;
pub use load::{Loaded, load, parse_str};
pub use path::{KeyPath, PathError, Step};
pub use problem::{ConfigError, Problem};
pub use secret::{SECRET_BYTES_MAX, SecretError, SecretStore};
pub use state::{STATE_FORMAT, StateDir, StateError, StateLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
