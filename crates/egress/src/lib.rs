//! The only way out: resolve, classify, pin, redirect loop, credentials bound to origins.
//!
//! Start at [`Egress::send`]; tools use [`Egress::fetch`], programs behind walls the [`broker`].
//! All three go through `dial`, which decides on the parsed address and connects to the address that
//! was judged, directly or through the proxy that the owner configured. Proxy variables of the
//! environment are ignored.

mod send;

mod broker;
mod fetch;

pub mod address;
mod advert;
mod client;
mod config;
mod connector;
mod dial;
mod error;
mod local;
mod origin;
mod proxy;
mod redirect;
mod rights;

pub use address::Class;
pub use advert::{Advert, AdvertError, Beacon};
pub use broker::{Broker, Passage};
pub use client::Egress;
pub use config::{EgressConfig, HostsConfig, PrincipalsConfig};
pub use error::EgressError;
pub use fetch::{Fetch, Fetched};
pub use local::ask_local;
pub use origin::{Credential, Origin, shown};
pub use proxy::Proxy;
pub use rights::{Hosts, Rights};
pub use send::{Incoming, Outgoing, Purpose};

/// The honest name this program calls itself by.
#[must_use]
pub fn user_agent() -> String {
    format!("Instar/{}", env!("CARGO_PKG_VERSION"))
}
