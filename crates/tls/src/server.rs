//! The server's side: one certificate at a time, exchanged without closing anything.

use rustls::ServerConfig;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::fingerprint::Fingerprint;
use crate::identity::{Identity, TlsError};
use crate::provider;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// What every TLS connection begins with: a handshake record.
const HANDSHAKE: u8 = 0x16;
/// What somebody is told who speaks plain HTTP here.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\
    content-length: 47\r\n\r\nthis gateway speaks https: change the address\n\n";

struct Present {
    config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

/// Takes TLS connections with the certificate of the moment.
pub struct Server(RwLock<Present>);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Server").field(&self.fingerprint()).finish()
    }
}

impl Server {
    pub fn new(identity: Identity) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(prepare(identity)?)))
    }

    /// Takes another certificate for connections from now on; with an error the old one stays.
    pub fn replace(&self, identity: Identity) -> Result<(), TlsError> {
        let fresh = prepare(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .fingerprint
    }

    /// Shakes hands within a bound of time. Who speaks plain HTTP is told so.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = {
            let present = self.0.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&present.config)
        };
        let shaking = async {
            let mut first = [0];
            let read = stream.peek(&mut first).await?;
            if read == 1 && first[0] != HANDSHAKE {
                // As far as it is taken: whether it is read is the other side's affair.
                let _written = stream.try_write(PLAIN);
                return Err(io::Error::new(io::ErrorKind::InvalidData, "not TLS"));
            }
            TlsAcceptor::from(config).accept(stream).await
        };
        tokio::time::timeout(HANDSHAKE_TIMEOUT, shaking)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn prepare(identity: Identity) -> Result<Present, TlsError> {
    let unfit = |error: rustls::Error| TlsError::Unfit(error.to_string());
    let fingerprint = identity.fingerprint();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Present {
        config: Arc::new(config),
        fingerprint,
    })
}
