//! Suites from outside, through the whole library.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod agents;
mod peers;
mod suites;
