//! What tests and benches drive the house with: a scripted model behind real HTTP, a clock that
//! stands still, and seeded randomness. For development only; no shipped crate uses it.
//!
//! [`ScriptedServer`] speaks the four wire formats on their vendors' paths, checks requests as the
//! vendors document them, and plays a [`Script`](instar_demo::Script) with its faults.

pub mod component;
pub mod engine;
pub mod web;

mod server;
mod wire;

mod clock;
mod identity;
mod seed;

pub use clock::ManualClock;
pub use identity::{AccessTeam, TailscaleDaemon};
pub use seed::Seeded;
pub use server::{Recorded, ScriptedServer, ServerOptions, StartError};
