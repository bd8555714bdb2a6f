//! A pretended outside: a proxy of either kind that says which address it was asked for, and then
//! answers as if it were the server there.

use instar_egress::{Egress, EgressConfig};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::server::egress;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Connect,
    Socks5,
}

pub(crate) struct Outside {
    pub(crate) proxy: String,
    /// What it was asked for, and what it was then sent.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    /// Answers each request with `answer(path)`.
    pub(crate) async fn new(
        kind: Kind,
        answer: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if kind == Kind::Connect {
            "http"
        } else {
            "socks5"
        };
        let proxy = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    let target = match kind {
                        Kind::Connect => connect(&mut stream).await,
                        Kind::Socks5 => socks(&mut stream).await,
                    };
                    log.lock().unwrap().push(target);
                    while let Some(head) = head(&mut stream).await {
                        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                        log.lock().unwrap().push(head);
                        if stream.write_all(answer(&path).as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { proxy, asked }
    }

    pub(crate) fn config(&self) -> EgressConfig {
        EgressConfig {
            proxy: Some(self.proxy.clone()),
            ..EgressConfig::default()
        }
    }

    /// An egress whose way to public addresses leads here.
    pub(crate) fn egress(&self) -> Egress {
        let egress = egress();
        egress.configure(&self.config(), None).unwrap();
        egress
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(bytes).unwrap())
}

async fn connect(stream: &mut TcpStream) -> String {
    let asked = head(stream).await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
        .await
        .unwrap();
    asked
}

async fn socks(stream: &mut TcpStream) -> String {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting).await.unwrap();
    let mut methods = vec![0; usize::from(greeting[1])];
    stream.read_exact(&mut methods).await.unwrap();
    let mut login = String::new();
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        for _ in 0..2 {
            let mut text = vec![0; usize::from(stream.read_u8().await.unwrap())];
            stream.read_exact(&mut text).await.unwrap();
            login.push_str(&String::from_utf8(text).unwrap());
            login.push(' ');
        }
        stream.write_all(&[1, 0]).await.unwrap();
    } else {
        stream.write_all(&[5, 0]).await.unwrap();
    }
    let mut ask = [0; 4];
    stream.read_exact(&mut ask).await.unwrap();
    assert_eq!(ask[..3], [5, 1, 0]);
    let address: std::net::IpAddr = match ask[3] {
        1 => {
            let mut v4 = [0; 4];
            stream.read_exact(&mut v4).await.unwrap();
            v4.into()
        }
        4 => {
            let mut v6 = [0; 16];
            stream.read_exact(&mut v6).await.unwrap();
            v6.into()
        }
        kind => panic!("asked for a name: {kind}"),
    };
    let port = stream.read_u16().await.unwrap();
    stream
        .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    format!(
        "{login}CONNECT {}",
        std::net::SocketAddr::new(address, port)
    )
}
