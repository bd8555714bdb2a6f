//! Releases at their border, over a real store.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod adopting;
mod checking;
mod comparing;
mod evidence;
mod deltas;
mod fixture;
mod naming;
mod rollout;
mod stored;
