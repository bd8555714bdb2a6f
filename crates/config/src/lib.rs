//! The state folder, `instar.json` and the secrets beside it.
//!
//! It knows how to find, read, check, edit and journal a configuration file of any schema; it does
//! not know which keys there are. Start at [`load()`], then [`StateDir`] and [`SecretStore`].

mod state;

mod check;
mod document;
mod load;
mod path;
mod problem;
mod render;
mod resolve;
mod schema;

mod backup;
mod edit;
pub mod journal;
mod tree;
mod watch;
mod whole;

mod keys;
mod markdown;

mod files;
mod secret;

pub use backup::BACKUPS;
pub use edit::{
    Rules, get, parse_value, set, set_text, set_text_with, set_with, unset, unset_with,
};
pub use files::{walk, write_atomically};
pub use journal::Author;
pub use keys::{Child, KeyDoc, Place, keys, place, schema};
pub use load::{Loaded, load, load_with, parse_str};
pub use markdown::markdown;
pub use path::{KeyPath, PathError, Step};
pub use problem::{ConfigError, Problem};
pub use render::render;
pub use secret::{SECRET_BYTES_MAX, SecretError, SecretStore};
pub use state::{STATE_FORMAT, StateDir, StateError, StateLock};
pub use watch::{Watch, diff};
pub use whole::{
    HIDDEN, Preview, Secrets, Sheet, Writing, patch, preview, put_key, replace, sheet,
    without_secrets,
};

/// Reads environment variables; an argument everywhere, so that tests need no real environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;
