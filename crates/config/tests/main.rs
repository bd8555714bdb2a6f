//! The crate's behaviour at its boundary.

mod edit;
mod keys;
mod load;
mod masks;
mod secrets;
mod state;
mod support;
