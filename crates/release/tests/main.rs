//! Releases at their border, over a real store.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod adopting;
mod attested;
mod beside;
mod checking;
mod comparing;
mod cut;
mod deltas;
mod elsewhere;
mod ended;
mod evidence;
mod fixture;
mod gates;
mod keeping;
mod keys;
mod mitigations;
mod naming;
mod outcomes;
mod proven;
mod reopening;
mod rescued;
mod rollout;
mod schedules;
mod served;
mod signing;
mod skills;
mod stored;
mod summed;
mod traffic;
mod travelling;
mod trials;
mod watched;
