//! Hand-written servers on loopback that answer every request the same way and keep its head.

use bytes::Bytes;
use instar_egress::{Egress, Origin, Outgoing, Purpose};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

pub(crate) const CERTIFICATE: &[u8] = include_bytes!("fixtures/localhost-cert.der");
const KEY: &[u8] = include_bytes!("fixtures/localhost-key.der");

#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers with `answer(path)`, which is a whole response.
    pub(crate) async fn plain(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start(None, answer).await
    }

    pub(crate) async fn secure(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(KEY.to_vec()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(CERTIFICATE.to_vec())], key)
            .unwrap();
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = Url::parse(&format!("{scheme}://{}/", listener.local_addr().unwrap())).unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let connections: Arc<AtomicUsize> = Arc::default();
        let server = Self {
            url,
            heads: heads.clone(),
            connections: connections.clone(),
        };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _before = connections.fetch_add(1, Ordering::Relaxed);
                let (tls, answer, heads) = (tls.clone(), answer.clone(), heads.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*answer, &heads).await;
                            }
                        }
                        None => serve(stream, &*answer, &heads).await,
                    }
                });
            }
        });
        server
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// How many connections were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::of(&self.url).unwrap()
    }

    /// A call that the owner configured this server for.
    pub(crate) fn call(&self, path: &str) -> Outgoing {
        outgoing(
            Purpose::Model {
                local: Some(self.origin()),
            },
            self.url.join(path).unwrap(),
        )
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &(impl Fn(&str) -> String + Sync),
    heads: &Mutex<Vec<String>>,
) {
    let mut buffer = vec![];
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => buffer.extend_from_slice(&piece[..n]),
        }
        let text = String::from_utf8_lossy(&buffer).into_owned();
        if !text.contains("\r\n\r\n") {
            continue;
        }
        let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
        heads.lock().unwrap().push(text);
        buffer.clear();
        if stream.write_all(answer(&path).as_bytes()).await.is_err()
            || stream.flush().await.is_err()
        {
            return;
        }
    }
}

pub(crate) fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) fn redirect(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

pub(crate) fn outgoing(purpose: Purpose, url: Url) -> Outgoing {
    Outgoing {
        purpose,
        method: http::Method::GET,
        url,
        headers: http::HeaderMap::new(),
        credential: None,
        body: Bytes::new(),
        connect_timeout: Duration::from_secs(5),
        head_timeout: Duration::from_secs(5),
    }
}

pub(crate) fn egress() -> Egress {
    Egress::with_roots(&instar_egress::user_agent(), vec![CERTIFICATE.to_vec()])
}
