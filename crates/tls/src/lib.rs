//! TLS between a gateway and its own clients: the certificate, the server's side of it, and a client
//! that trusts one certificate by its fingerprint.
//!
//! Calls out to the world are not made here: these check names against the authorities that the
//! system trusts, and live in `egress`. Begin with [`Identity`].

mod client;
mod fingerprint;
mod identity;
mod server;

pub use client::connect_pinned;
pub use fingerprint::Fingerprint;
pub use identity::{Identity, Made, TlsError};
pub use server::Server;

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
