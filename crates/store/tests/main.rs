//! The store at its boundary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aliases;
mod contacts;
mod crash;
mod disk;
mod faulting;
mod given;
mod gone;
mod group;
mod hands;
mod migrations;
mod model;
mod note_edits;
mod objects;
mod rolling;
mod rows;
mod search;
mod tree;
