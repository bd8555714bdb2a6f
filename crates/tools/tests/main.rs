//! The tools at their border: permits in, labelled and bounded outputs out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod fixture;
mod loops;
mod running;
mod schemas;
mod sessions;
