//! The crate's behaviour at its boundary.

mod load;
mod state;
mod support;
