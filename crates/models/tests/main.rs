//! The models at their boundary: bytes in, events out; calls against servers on loopback.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests end a test the way tests do"
)]

mod server;

mod discover;
mod encode;
mod road;
mod transcripts;
