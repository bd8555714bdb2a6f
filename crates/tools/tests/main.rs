//! The tools at their border: permits in, labelled and bounded outputs out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod files;
mod fixture;
mod loops;
mod mcp;
mod running;
mod schemas;
mod sessions;
mod web;
