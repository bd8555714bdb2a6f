//! The HTTP clients behind the gate, built at the first call that needs them.
//!
//! There is one client per reach, scheme and connect timeout, so that a connection that was
//! opened for an owner's local model is never reused for a call that may reach public addresses
//! alone. Root certificates are read once, before the first https connection.

use crate::address::{Class, classify};
use crate::error::EgressError;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Distinct connect timeouts are a handful of constants; more than this many clients means that
/// somebody computes them.
const CLIENTS_MAX: usize = 16;
const IDLE_PER_HOST_MAX: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Which addresses a name may resolve to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reach {
    Public,
    /// Public, and the local classes: only for the exact origin that the owner named.
    Local,
}

impl Reach {
    pub(crate) fn allows(self, class: Class) -> bool {
        class == Class::Public || (self == Self::Local && class.is_local())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    reach: Reach,
    secure: bool,
    connect_timeout: Duration,
}

/// The gate. Cheap to clone; keeps connection pools.
#[derive(Debug, Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    user_agent: String,
    /// Trusted instead of the system's root certificates, if there are any.
    roots: Vec<CertificateDer<'static>>,
    tls: OnceLock<Result<rustls::ClientConfig, String>>,
    clients: Mutex<BTreeMap<Key, reqwest::Client>>,
}

impl Egress {
    /// No client is built and no certificate read before the first call that needs it.
    #[must_use]
    pub fn new(user_agent: &str) -> Self {
        Self::with_roots(user_agent, vec![])
    }

    /// As [`Egress::new`], with root certificates (DER) that are trusted instead of the system's.
    #[must_use]
    pub fn with_roots(user_agent: &str, roots: Vec<Vec<u8>>) -> Self {
        Self {
            inner: Arc::new(Inner {
                user_agent: user_agent.to_owned(),
                roots: roots.into_iter().map(CertificateDer::from).collect(),
                tls: OnceLock::new(),
                clients: Mutex::default(),
            }),
        }
    }

    /// The client for a reach and a scheme; built on the blocking pool the first time.
    pub(crate) async fn client(
        &self,
        reach: Reach,
        secure: bool,
        connect_timeout: Duration,
    ) -> Result<reqwest::Client, EgressError> {
        let key = Key {
            reach,
            secure,
            connect_timeout,
        };
        if let Some(client) = self.clients().get(&key) {
            return Ok(client.clone());
        }
        let inner = self.inner.clone();
        // Reading some hundred certificates takes milliseconds.
        let built = tokio::task::spawn_blocking(move || inner.build(key))
            .await
            .map_err(|error| EgressError::Tls {
                why: error.to_string(),
            })?
            .map_err(|why| EgressError::Tls { why })?;
        let mut clients = self.clients();
        if clients.len() >= CLIENTS_MAX {
            clients.pop_first();
        }
        Ok(clients.entry(key).or_insert(built).clone())
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, reqwest::Client>> {
        self.inner
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn build(&self, key: Key) -> Result<reqwest::Client, String> {
        let tls = if key.secure {
            self.tls.get_or_init(|| tls_config(&self.roots)).clone()?
        } else {
            // Never used for https; saves reading certificates for a local plain server.
            tls_with(rustls::RootCertStore::empty())?
        };
        reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .https_only(key.secure)
            .dns_resolver(Vetted(key.reach))
            .connect_timeout(key.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| error.to_string())
    }
}

fn tls_with(roots: rustls::RootCertStore) -> Result<rustls::ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn tls_config(roots: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, String> {
    let mut store = rustls::RootCertStore::empty();
    if roots.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::debug!(%error, "a root certificate could not be read");
        }
        store.add_parsable_certificates(found.certs);
    } else {
        store.add_parsable_certificates(roots.iter().cloned());
    }
    if store.is_empty() {
        return Err(
            "this machine has no root certificates; install the package ca-certificates".into(),
        );
    }
    tls_with(store)
}

/// Resolves names and hands out only addresses that the reach allows.
#[derive(Debug)]
struct Vetted(Reach);

/// Travels inside the connect error, so that the loop can tell a refusal from a failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    #[error("{host} resolves to an address that is refused")]
    Refused { host: String, class: Class },
    #[error("cannot find {host}")]
    Failed {
        host: String,
        kind: std::io::ErrorKind,
        text: String,
    },
}

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map_err(|error| LookupError::Failed {
                    host: host.clone(),
                    kind: error.kind(),
                    text: error.to_string(),
                })?
                .collect();
            let vetted: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|address| reach.allows(classify(address.ip())))
                .collect();
            if vetted.is_empty() {
                let class = found
                    .iter()
                    .map(|address| classify(address.ip()))
                    .find(|class| !reach.allows(*class));
                return Err(match class {
                    Some(class) => LookupError::Refused { host, class }.into(),
                    None => LookupError::Failed {
                        host,
                        kind: std::io::ErrorKind::NotFound,
                        text: "the name has no address".into(),
                    }
                    .into(),
                });
            }
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}
