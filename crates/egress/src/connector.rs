//! The pooled client's way to a connection: dialled by us, with TLS for https.

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::dial::{DialError, Reach, dial};
use crate::proxy::Proxy;

/// Opens connections for one reach.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) reach: Reach,
    pub(crate) within: Duration,
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// `None` opens plain connections only.
    pub(crate) tls: Option<Arc<rustls::ClientConfig>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("reach", &self.reach)
            .field("secure", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

impl Connector {
    async fn open(self, uri: http::Uri) -> Result<TokioIo<Stream>, DialError> {
        let failed = |why: &str| DialError::Connect {
            host: uri.host().unwrap_or_default().to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()),
        };
        // Read back by the parser that the judgement was made with.
        let url = Url::parse(&uri.to_string()).map_err(|_| failed("no address"))?;
        let host = url.host().ok_or_else(|| failed("no host"))?.to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| failed("no port"))?;
        let began = tokio::time::Instant::now();
        let tcp = dial(&host, port, self.reach, self.proxy.as_deref(), self.within).await?;
        let Some(tls) = self.tls else {
            return if url.scheme() == "http" {
                Ok(TokioIo::new(Box::new(tcp)))
            } else {
                Err(failed("https without TLS"))
            };
        };
        let name = server_name(&host).ok_or_else(|| failed("no name for TLS"))?;
        let left = self.within.saturating_sub(began.elapsed());
        let shaking = TlsConnector::from(tls).connect(name, tcp);
        match tokio::time::timeout(left, shaking).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(Box::new(stream))),
            Ok(Err(source)) => Err(DialError::Connect {
                host: host.to_string(),
                source,
            }),
            Err(_) => Err(DialError::Timeout {
                host: host.to_string(),
                after: self.within,
            }),
        }
    }
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(v4) => Some(ServerName::IpAddress((*v4).into())),
        Host::Ipv6(v6) => Some(ServerName::IpAddress((*v6).into())),
    }
}

impl tower_service::Service<http::Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection, plain or with TLS.
pub(crate) type Stream = Box<dyn Duplex>;

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
