//! The walls, from outside.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod names;
mod race;
mod trees;
