//! The crate's behaviour at its boundary.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod edit;
mod keys;
mod load;
mod masks;
mod secrets;
mod state;
mod support;
mod whole;
