//! The walls, from outside.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it shows nothing"
)]

mod binding;
mod confined;
mod docker;
mod escape;
mod names;
mod race;
mod scripts;
mod settings;
mod solver;
mod trees;
mod wasm;
