//! What this crate promises its callers.

mod support;

mod commands;
mod context;
mod queue;
mod recovery;
mod simulator;
mod turns;
