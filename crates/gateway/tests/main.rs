//! What the running gateway does, seen from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail the test"
)]

mod api;
mod api_house;
mod api_http;
mod approvals;
mod bounds;
mod control;
mod door;
mod guard;
mod house;
mod identity;
mod life;
mod logs;
mod openai;
mod openai_model;
mod secrets;
mod secure;
