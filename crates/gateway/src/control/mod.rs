//! The control plane: one WebSocket at `/` that speaks gateway protocol 4, so that clients that
//! exist today connect unchanged. `docs/control-plane.md` is its page for client writers.
//!
//! A connection's way: [`socket`] takes the upgrade and bounds what an unknown caller may send;
//! [`connect`] reads its first frame, [`handshake`] proves who it is and what it may do; [`talk`] reads its requests, looks each up in
//! the one table of [`methods`] and runs it; its [`link`] in the [`hub`] is where events go.
//! [`mod@pump`] reads what happens in conversations, [`told`] makes the protocol's events of it.

mod connect;
pub(crate) mod device;
pub(crate) mod expiry;
pub(crate) mod frame;
pub(crate) mod handshake;
pub(crate) mod hub;
pub(crate) mod link;
pub(crate) mod method;
pub(crate) mod methods;
pub(crate) mod pairing;
mod pump;
pub(crate) mod runs;
pub(crate) mod scope;
mod show;
mod socket;
mod talk;
mod told;

pub use connect::first_frame;
pub(crate) use hub::Hub;
pub(crate) use pump::{approvals, heartbeats, pump, questions, tick};
pub(crate) use socket::{is_upgrade, upgrade};
