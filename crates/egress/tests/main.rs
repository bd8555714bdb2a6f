//! Egress at its boundary: which addresses are reached, what crosses a redirect, what is refused.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests end a test the way tests do"
)]

mod outside;
mod server;

mod addresses;
mod alone;
mod broker;
mod fetches;
mod hosts;
mod limits;
mod local;
mod proxies;
mod redirects;
