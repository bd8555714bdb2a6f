//! The only way out: resolve, classify, pin, redirect loop, credentials bound to origins.
//!
//! Start at [`Egress::send`]. Which addresses a call may reach is decided in [`address`] on the
//! parsed address; the name resolver hands out vetted addresses alone, so that the address that
//! was judged is the address that is connected. Proxy variables of the environment are ignored.

mod send;

pub mod address;
mod client;
mod error;
mod origin;
mod redirect;

pub use address::Class;
pub use client::Egress;
pub use error::EgressError;
pub use origin::{Credential, Origin, shown};
pub use send::{Incoming, Outgoing, Purpose};

/// The honest name this program calls itself by.
#[must_use]
pub fn user_agent() -> String {
    format!("Instar/{}", env!("CARGO_PKG_VERSION"))
}
