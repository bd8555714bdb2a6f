//! Clients that send turns over kept-alive connections and time each one.

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::time::Instant;
use tokio::net::TcpStream;

/// The token of benched gateways; they listen on loopback for the length of a bench.
pub(crate) const TOKEN: &str = "bench-token-0123456789abcdef0123456789abcdef";

/// One kept-alive connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        // It ends when the sender is dropped.
        drop(tokio::spawn(connection));
        Ok(Self {
            sender,
            host: address.to_owned(),
        })
    }

    /// Sends a body and reads the whole answer; returns the milliseconds that took.
    pub(crate) async fn post(&mut self, path: &str, body: &Bytes) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let _answer = self.answer(path, body).await?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    /// Sends a body and reads the whole answer.
    pub(crate) async fn answer(&mut self, path: &str, body: &Bytes) -> anyhow::Result<Bytes> {
        let request = Request::post(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body.clone()))?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            bail!(
                "{path} answered {status}: {}",
                String::from_utf8_lossy(&answer)
            );
        }
        Ok(answer)
    }
}

impl Connection {
    /// Reads a page or file: bytes, and the milliseconds to its first byte.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<(Bytes, f64)> {
        let request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .header(header::ACCEPT, "text/html")
            .body(Full::new(Bytes::new()))?;
        let begun = Instant::now();
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        let status = response.status();
        anyhow::ensure!(status == StatusCode::OK, "{path} answered {status}");
        Ok((response.into_body().collect().await?.to_bytes(), millis))
    }
}

pub(crate) async fn ready(port: u16) -> bool {
    let attempt = async {
        let mut connection = Connection::open(&format!("127.0.0.1:{port}")).await?;
        let request = Request::get("/ready")
            .header(header::HOST, format!("127.0.0.1:{port}"))
            .body(Full::new(Bytes::new()))?;
        let response = connection.sender.send_request(request).await?;
        anyhow::ensure!(response.status() == StatusCode::OK);
        Ok::<(), anyhow::Error>(())
    };
    attempt.await.is_ok()
}

/// What a load run measured.
#[derive(Debug)]
pub(crate) struct Timings {
    pub(crate) millis: Vec<f64>,
    pub(crate) wall_s: f64,
}

/// Sends `turns` turns over `clients` connections; `body` makes the n-th one.
pub(crate) async fn run(
    address: &str,
    clients: usize,
    turns: usize,
    body: impl Fn(usize) -> Bytes + Clone + 'static,
) -> anyhow::Result<Timings> {
    let local = tokio::task::LocalSet::new();
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let (address, body) = (address.to_owned(), body.clone());
        tasks.push(local.spawn_local(async move {
            let mut connection = Connection::open(&address).await?;
            let mut millis = Vec::with_capacity(turns / clients + 1);
            for turn in (client..turns).step_by(clients) {
                millis.push(connection.post("/v1/chat/completions", &body(turn)).await?);
            }
            Ok::<_, anyhow::Error>(millis)
        }));
    }
    let mut millis = Vec::with_capacity(turns);
    let gathered: anyhow::Result<()> = local
        .run_until(async {
            for task in tasks {
                millis.extend(task.await.context("a client failed")??);
            }
            Ok(())
        })
        .await;
    gathered?;
    Ok(Timings {
        millis,
        wall_s: begun.elapsed().as_secs_f64(),
    })
}
