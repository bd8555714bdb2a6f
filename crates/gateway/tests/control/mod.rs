//! The control plane over real sockets: who gets in and what that allows, and what nobody can do.

mod approvals;
mod bounds;
pub(crate) mod client;
mod events;
mod handshake;
mod pairing;
mod transcript;
