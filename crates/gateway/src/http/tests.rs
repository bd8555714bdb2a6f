//! What the listener and the guard do with handlers that panic, callers that stop reading, and an
//! end that comes too early.

use super::guard::{Ends, answer};
use super::serve::{converse, listen, listen_sharing};
use super::stall::WRITE_WAIT_MAX;
use crate::api::sse;
use crate::app::AppState;
use crate::health::Phase;
use crate::{Gateway, Options, Running};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use instar_config::StateDir;
use instar_protocol::Secret;
use instar_protocol::model::{LocalModel, ModelEvent, ModelRequest};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "a-token-for-the-listener";
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);
const ENDS: Ends = Ends {
    peer: HERE,
    local: HERE,
};

#[derive(Debug)]
struct Silent;

impl LocalModel for Silent {
    fn answer(&self, _: &str, _: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        Vec::new()
    }

    fn models(&self) -> Vec<(String, String)> {
        vec![("silent".to_owned(), "says nothing".to_owned())]
    }
}

async fn gateway(logging: bool) -> (TempDir, Running) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let variable = move |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
    let state = StateDir::locate(None, &variable).unwrap();
    let mut options = Options::new(state, |_| None).unwrap();
    let model: Arc<dyn LocalModel> = Arc::new(Silent);
    options.port = Some(0);
    options.token = Some(Secret::new(TOKEN));
    options.local_models = BTreeMap::from([("test".to_owned(), model)]);
    options.fallback_model = Some("test/silent".to_owned());
    options.discover = false;
    options.logging = logging;
    (folder, Gateway::start(options).await.unwrap())
}

fn request(path: &str) -> Request<Body> {
    Request::get(path)
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {TOKEN}"))
        .body(Body::empty())
        .unwrap()
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn boom() {
    panic!("a detail for the log alone");
}

#[tokio::test]
async fn a_panic_is_an_answer_without_details_and_its_id_is_in_the_log() {
    let (_folder, running) = gateway(true).await;
    let app = running.app().clone();
    let response = answer(
        &app,
        Router::new().route("/boom", get(boom)),
        ENDS,
        request("/boom"),
    )
    .await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = text(response).await;
    assert!(!body.contains("detail"), "{body}");
    let id = body
        .split(|c: char| !c.is_ascii_hexdigit())
        .find(|word| word.len() == 20)
        .unwrap();
    let log = std::fs::read_to_string(app.state_dir.log_file()).unwrap();
    let line = log.lines().find(|line| line.contains(id)).unwrap();
    assert!(line.contains("a handler panicked") && line.contains("a detail"));
    assert_eq!(app.metrics.panics.get(), 1);
    running.shutdown().await;
}

#[tokio::test]
async fn a_gateway_that_ends_is_not_ready() {
    let (_folder, running) = gateway(false).await;
    let app = running.app().clone();
    let router = super::router(app.clone());
    let ready = async || {
        let response = answer(&app, router.clone(), ENDS, request("/ready")).await;
        (response.status().as_u16(), text(response).await)
    };
    assert_eq!(ready().await.0, 200);
    app.conditions.enter(Phase::Draining);
    let (status, body) = ready().await;
    assert_eq!(status, 503);
    assert!(body.contains("draining"), "{body}");
    running.shutdown().await;
}

async fn open(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn ask(stream: &mut TcpStream) {
    let head = "GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
}

async fn answered(stream: &mut TcpStream) {
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut rest = [0; 4096];
    let _read = stream.read(&mut rest).await.unwrap();
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_a_place() {
    let (_folder, running) = gateway(false).await;
    let app = running.app().clone();
    let (listener, address) = listener().await;
    let listening = listen(app.clone(), super::router(app.clone()), listener, 2);
    let (mut one, mut two, mut three) = (
        open(address).await,
        open(address).await,
        open(address).await,
    );
    for stream in [&mut one, &mut two, &mut three] {
        ask(stream).await;
    }
    // Both places are taken, and many more answers do not make a third.
    for _ in 0..50 {
        answered(&mut one).await;
        answered(&mut two).await;
        ask(&mut one).await;
        ask(&mut two).await;
    }
    assert_eq!(app.metrics.connections.get(), 2);
    assert!(three.read_u8().now_or_never().is_none());
    drop(one);
    answered(&mut three).await;
    assert_eq!(app.metrics.connections.get(), 3);
    listening.stop(Duration::ZERO).await;
    running.shutdown().await;
}

/// Sixteen slow connections of one peer; whether the next one is answered.
async fn seventeenth(running: &Running, many: super::serve::Many) -> bool {
    let app = running.app().clone();
    let (listener, address) = listener().await;
    let router = super::router(app.clone());
    let listening = listen_sharing(app, router, listener, 32, many);
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut stream = open(address).await;
        ask(&mut stream).await;
        answered(&mut stream).await;
        held.push(stream);
    }
    let next = async || {
        let mut stream = open(address).await;
        // A connection that was closed may refuse the words already.
        let _sent = stream.write_all(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        let _sent = _sent.await;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.is_ok()
    };
    let is_answered = next().await;
    if !is_answered {
        drop(held.pop());
        // Its place is free as soon as the listener has seen that it is gone.
        while !next().await {
            tokio::task::yield_now().await;
        }
    }
    listening.stop(Duration::ZERO).await;
    is_answered
}

#[tokio::test]
async fn b9_one_peer_does_not_take_every_place() {
    let (_folder, running) = gateway(false).await;
    assert!(!seventeenth(&running, |_, _| false).await);
    assert!(
        seventeenth(&running, |_, _| true).await,
        "what stands for many callers has no share"
    );
    running.shutdown().await;
}

#[tokio::test]
async fn what_does_not_end_within_the_grace_period_is_cut() {
    let (_folder, running) = gateway(false).await;
    let app = running.app().clone();
    let (listener, address) = listener().await;
    let listening = listen(app.clone(), super::router(app.clone()), listener, 8);
    let mut stream = open(address).await;
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    while app.metrics.connections.get() == 0 {
        tokio::task::yield_now().await;
    }
    let stopped = tokio::time::timeout(
        Duration::from_secs(10),
        listening.stop(Duration::from_millis(20)),
    );
    assert!(
        stopped.await.is_ok(),
        "it waits for a body that never comes"
    );
    let mut rest = Vec::new();
    let _maybe_reset = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    assert!(TcpStream::connect(address).await.is_err());
    running.shutdown().await;
}

/// A stream that never ends, and counts its pieces.
struct Endless(Arc<AtomicU64>);

impl sse::Source for Endless {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        let _before = self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Some(Bytes::from_static(
            &[b'x'; 16 << 10],
        ))))
    }
}

async fn slow_reader(app: AppState) {
    let made = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&made);
    let router = Router::new().route(
        "/api/v1/live",
        get(move || std::future::ready(sse::response(Endless(Arc::clone(&counter))))),
    );
    let (mut client, server) = tokio::io::duplex(1 << 10);
    tokio::time::pause();
    let never = CancellationToken::new();
    let mut serving = Box::pin(converse(app, router, server, ENDS, never.clone(), never));
    let head = format!(
        "GET /api/v1/live HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    // Time passes only when nobody has anything to do.
    let half = tokio::time::timeout(WRITE_WAIT_MAX / 2, &mut serving).await;
    assert!(
        half.is_err(),
        "a pause of the reader is no reason to give up"
    );
    let pieces = made.load(Ordering::Relaxed);
    assert!((1..16).contains(&pieces), "{pieces} pieces wait in memory");
    let mut some = vec![0; 64 << 10];
    let _taken = tokio::join!(
        client.read_exact(&mut some),
        tokio::time::timeout(WRITE_WAIT_MAX / 2, &mut serving)
    );
    assert!(
        made.load(Ordering::Relaxed) > pieces,
        "it goes on when it is read"
    );
    let rest = tokio::time::timeout(WRITE_WAIT_MAX * 2, &mut serving).await;
    assert!(rest.is_ok(), "a reader that has stopped keeps its place");
    assert!(made.load(Ordering::Relaxed) < 32);
}

#[tokio::test]
async fn a_reader_that_stops_costs_little_and_is_let_go() {
    let (_folder, running) = gateway(false).await;
    slow_reader(running.app().clone()).await;
    tokio::time::resume();
    running.shutdown().await;
}
