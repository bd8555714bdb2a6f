//! The listener with TLS, and what ends with the credential that opened it.

use crate::house::{Answer, House, TOKEN, bearer, options, start, write_config};
use instar_gateway::{Gateway, StartError};
use instar_tls::{Fingerprint, Identity, connect_pinned};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);
const TLS: &str = "{gateway: {tls: {enabled: true}}}";

fn pin(house: &House) -> Fingerprint {
    let text = house.run_file().fingerprint.unwrap();
    assert_eq!(house.running.app().fingerprint().as_ref(), Some(&text));
    text.parse().unwrap()
}

/// One request over TLS; an error if the certificate is not the pinned one.
async fn ask(house: &House, pin: Fingerprint, request: &str) -> std::io::Result<Answer> {
    let stream = TcpStream::connect(house.address()).await?;
    let mut stream = connect_pinned(stream, pin).await?;
    let head = format!(
        "{request}host: {}\r\nconnection: close\r\n\r\n",
        house.address()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut bytes = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes));
    let _length = reading.await.unwrap()?;
    Ok(Answer::read(&bytes))
}

#[tokio::test]
async fn with_tls_nothing_is_spoken_in_clear() {
    let house = House::with(TLS).await;
    let pin = pin(&house);
    assert!(house.running.url().starts_with("https://"));
    assert!(house.run_file().url.starts_with("https://"));
    let health = ask(&house, pin, "GET /health HTTP/1.1\r\n").await.unwrap();
    assert_eq!(health.status, 200);
    let status = format!("GET /api/v1/status HTTP/1.1\r\n{}", bearer(TOKEN));
    let status = ask(&house, pin, &status).await.unwrap().json();
    assert_eq!(status["fingerprint"], pin.to_string());
    let plain = house.get("/health", "").await;
    assert!(
        plain.status == 400 && plain.body.contains("https"),
        "{plain:?}"
    );
    assert!(
        ask(
            &house,
            Fingerprint::of(b"another"),
            "GET /health HTTP/1.1\r\n"
        )
        .await
        .is_err()
    );
    for (scheme, status) in [("https", 401), ("http", 403)] {
        let origin = format!("origin: {scheme}://{}\r\n", house.address());
        let request = format!("POST /api/v1/messages HTTP/1.1\r\n{origin}");
        let answer = ask(&house, pin, &request).await.unwrap();
        assert_eq!(answer.status, status, "{scheme}");
    }
    for name in ["tls/key.pem", "tls/certificate.pem"] {
        let mode = std::fs::metadata(house.folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn the_made_certificate_stays_the_same_after_a_restart() {
    let house = House::with(TLS).await;
    let first = pin(&house);
    house.running.shutdown().await;
    let again = start(&house.folder).await.unwrap();
    assert_eq!(again.app().fingerprint(), Some(first.to_string()));
    again.shutdown().await;
}

fn write_pair(folder: &Path) -> Fingerprint {
    let made = Identity::make(&["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("own.key"), made.key).unwrap();
    std::fs::write(folder.join("own.pem"), made.certificate).unwrap();
    let read = Identity::read(&folder.join("own.pem"), &folder.join("own.key"));
    read.unwrap().fingerprint()
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let first = write_pair(folder.path());
    write_config(
        &folder,
        &format!(
            "{{gateway: {{tls: {{enabled: true, certPath: '{path}/own.pem', keyPath: '{path}/own.key'}}}}}}"
        ),
    );
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    assert_eq!(pin(&house), first);
    let second = write_pair(house.folder.path());
    until(async || house.run_file().fingerprint == Some(second.to_string())).await;
    assert!(
        ask(&house, first, "GET /health HTTP/1.1\r\n")
            .await
            .is_err()
    );
    assert_eq!(
        ask(&house, second, "GET /health HTTP/1.1\r\n")
            .await
            .unwrap()
            .status,
        200
    );
    std::fs::write(house.folder.path().join("own.pem"), "nothing").unwrap();
    // The configuration is looked at together with the certificate: when an edit is in force, the
    // broken file was seen too.
    let config = std::fs::read_to_string(house.folder.path().join("instar.json")).unwrap();
    let edited = config.replacen("{gateway: {", "{gateway: {shutdownGraceSeconds: 7, ", 1);
    std::fs::write(house.folder.path().join("instar.json"), edited).unwrap();
    until(async || {
        house
            .running
            .app()
            .config
            .current()
            .value
            .gateway
            .shutdown_grace_seconds
            == 7
    })
    .await;
    assert_eq!(
        ask(&house, second, "GET /health HTTP/1.1\r\n")
            .await
            .unwrap()
            .status,
        200
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn a11_without_its_certificate_nothing_is_listened_on() {
    for tls in [
        "enabled: true, certPath: '/nowhere/a.pem', keyPath: '/nowhere/a.key'",
        "enabled: true, certPath: '/nowhere/a.pem'",
        "enabled: true, autoGenerate: false",
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, &format!("{{gateway: {{tls: {{{tls}}}}}}}"));
        let refused = start(&folder).await;
        assert!(
            matches!(
                refused,
                Err(StartError::Config(_) | StartError::Certificate(_))
            ),
            "{tls}"
        );
        assert!(!folder.path().join("gateway.run.json").exists());
    }
}

async fn until(look: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !look().await {
        assert!(began.elapsed() < PATIENCE, "never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An open event stream.
struct Stream(TcpStream);

impl Stream {
    async fn open(house: &House, headers: &str) -> Self {
        let mut stream = TcpStream::connect(house.address()).await.unwrap();
        let host = house.address();
        let request = format!(
            "GET /api/v1/events?limit=0 HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("following") {
            let mut piece = [0; 1024];
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece));
            let read = read.await.unwrap().unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&piece[..read]);
        }
        Self(stream)
    }

    /// Waits for the end of the body, which in chunks is told.
    async fn ended(&mut self) {
        let mut seen = Vec::new();
        while !seen.ends_with(b"0\r\n\r\n") {
            let mut piece = [0; 1024];
            let read = tokio::time::timeout(PATIENCE, self.0.read(&mut piece));
            let read = read.await.expect("the stream ends").unwrap();
            if read == 0 {
                return;
            }
            seen.extend_from_slice(&piece[..read]);
        }
    }
}

#[tokio::test]
async fn a8_a_stream_ends_with_the_session_that_opened_it() {
    let house = House::new().await;
    let (mine, other) = (house.cookie().await, house.cookie().await);
    let mut stream = Stream::open(&house, &mine).await;
    let mut stays = Stream::open(&house, &other).await;
    let headers = format!("{mine}origin: http://{}\r\n", house.address());
    let out = house.ask("POST", "/sign-out", &headers, "").await;
    assert_eq!(out.status, 303, "{out:?}");
    stream.ended().await;
    let mut piece = [0; 16];
    let silence = Duration::from_millis(1_500);
    let read = tokio::time::timeout(silence, stays.0.read(&mut piece)).await;
    assert!(
        read.is_err() || read.unwrap().unwrap() > 0,
        "another session's stream ended"
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn a8_a_stream_ends_with_the_token_that_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "{}");
    let mut options = options(&folder);
    options.token = None;
    let state = options.state.clone();
    let mut running = Gateway::start(options).await.unwrap();
    let token = running.take_new_token().unwrap();
    let house = House { folder, running };
    let mut stream = Stream::open(&house, &bearer(token.expose())).await;
    let fresh = instar_gateway::door::rotate_token(&state).unwrap();
    stream.ended().await;
    let status = |token: &str| {
        let headers = bearer(token);
        let house = &house;
        async move { house.get("/api/v1/status", &headers).await.status }
    };
    assert_eq!(status(token.expose()).await, 401);
    assert_eq!(status(fresh.expose()).await, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn an_allowed_origin_is_not_our_own_page() {
    let friend = "http://desk.example";
    let house = House::with(&format!(
        "{{gateway: {{controlUi: {{allowedOrigins: ['{friend}']}}}}}}"
    ))
    .await;
    let cookie = house.cookie().await;
    let json = "content-type: application/json\r\n";
    for (method, path, body) in [
        ("POST", "/api/v1/messages", r#"{"text": "hello"}"#),
        ("POST", "/sign-out", ""),
        ("GET", "/api/v1/status", ""),
    ] {
        let theirs = format!("{cookie}origin: {friend}\r\n{json}");
        let answer = house.ask(method, path, &theirs, body).await;
        assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
        let ours = format!("{cookie}origin: http://{}\r\n{json}", house.address());
        if path != "/sign-out" {
            let answer = house.ask(method, path, &ours, body).await;
            assert!(answer.status < 300, "{method} {path}: {answer:?}");
        }
    }
    // With a credential of its own it may call.
    let own = format!("{}origin: {friend}\r\n", bearer(TOKEN));
    assert_eq!(house.get("/api/v1/status", &own).await.status, 200);
    house.running.shutdown().await;
}
