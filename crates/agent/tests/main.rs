//! What this crate promises its callers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod support;

mod asking;
mod coins;
mod commands;
mod context;
mod errands;
mod genes;
mod hands;
mod heartbeats;
mod hours;
mod inbox;
mod look_ups;
mod mending;
mod model_genes;
mod plans;
mod queue;
mod ranking;
mod recovery;
mod schedules;
mod simulator;
mod tree;
mod turns;
