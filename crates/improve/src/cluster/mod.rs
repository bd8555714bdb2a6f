//! Groups of messages with one template each, mined from a stream.
//!
//! Start at [`Miner`]. `scan` takes a message apart, `key` hashes it, `bucket` finds out which words
//! vary, `template` writes what is left.

mod bucket;
mod form;
mod key;
mod miner;
mod scan;
mod template;

pub use bucket::Setting;
pub use miner::{GROUPS_MAX, GroupId, Join, Kept, Miner};
