//! The HTTP clients behind the gate, built at the first call that needs them.
//!
//! There is one client per reach, scheme and connect timeout, so that a connection that was
//! opened for an owner's local model is never reused for a call that may reach public addresses
//! alone. Root certificates are read once, before the first https connection.

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use instar_protocol::{Principal, Secret};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::config::{EgressConfig, Settings};
use crate::connector::Connector;
use crate::dial::Reach;
use crate::error::EgressError;
use crate::proxy::Proxy;
use crate::rights::Rights;

/// Distinct connect timeouts are a handful of constants; more than this many clients means that
/// somebody computes them.
const CLIENTS_MAX: usize = 16;
const IDLE_PER_HOST_MAX: usize = 32;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) type Client = legacy::Client<Connector, Full<Bytes>>;

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
    tls: OnceLock<Result<Arc<rustls::ClientConfig>, String>>,
    clients: Mutex<BTreeMap<Key, Client>>,
    settings: RwLock<Arc<Settings>>,
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
                settings: RwLock::default(),
            }),
        }
    }

    /// Puts a configuration in force; the secret of the proxy was looked up by the caller. With an
    /// error nothing changes.
    pub fn configure(&self, config: &EgressConfig, password: Option<Secret>) -> Result<(), String> {
        let settings = Settings::read(config, password)?;
        *self
            .inner
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        // Pooled connections went the old way.
        self.clients().clear();
        Ok(())
    }

    /// What a principal's tools may reach.
    #[must_use]
    pub fn rights(&self, principal: &Principal) -> Rights {
        self.settings().rights(principal)
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        let settings = self.inner.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn proxy(&self) -> Option<Arc<Proxy>> {
        self.settings().proxy.clone()
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.inner.user_agent
    }

    /// The client for a reach and a scheme; certificates are read on the blocking pool the first time.
    pub(crate) async fn client(
        &self,
        reach: Reach,
        secure: bool,
        connect_timeout: Duration,
    ) -> Result<Client, EgressError> {
        let key = Key {
            reach,
            secure,
            connect_timeout,
        };
        if let Some(client) = self.clients().get(&key) {
            return Ok(client.clone());
        }
        let connector = Connector {
            reach,
            within: connect_timeout,
            proxy: self.proxy(),
            tls: if secure {
                Some(self.tls().await?)
            } else {
                None
            },
        };
        let built = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .build(connector);
        let mut clients = self.clients();
        if clients.len() >= CLIENTS_MAX {
            clients.pop_first();
        }
        Ok(clients.entry(key).or_insert(built).clone())
    }

    async fn tls(&self) -> Result<Arc<rustls::ClientConfig>, EgressError> {
        let inner = Arc::clone(&self.inner);
        // Reading some hundred certificates takes milliseconds.
        let read = tokio::task::spawn_blocking(move || {
            inner.tls.get_or_init(|| tls_config(&inner.roots)).clone()
        });
        let config = read.await.unwrap_or_else(|error| Err(error.to_string()));
        config.map_err(|why| EgressError::Tls { why })
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<Key, Client>> {
        let clients = self.inner.clients.lock();
        clients.unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls_config(roots: &[CertificateDer<'static>]) -> Result<Arc<rustls::ClientConfig>, String> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
