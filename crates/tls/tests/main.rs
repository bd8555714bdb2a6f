//! Certificates made, read and pinned.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests end a test the way tests do"
)]

use instar_tls::{Fingerprint, Identity, Server, TlsError, connect_pinned};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn made(folder: &Path) -> Identity {
    let made = Identity::make(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.certificate).unwrap();
    std::fs::write(folder.join("key.pem"), made.key).unwrap();
    Identity::read(&folder.join("cert.pem"), &folder.join("key.pem")).unwrap()
}

/// Answers every connection with a word.
async fn serve(server: Arc<Server>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = server.accept(stream).await {
                let _sent = stream.write_all(b"hello").await;
                let _closed = stream.shutdown().await;
            }
        }
    }));
    address
}

async fn ask(address: SocketAddr, pin: Fingerprint) -> std::io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    let mut stream = connect_pinned(stream, pin).await?;
    let mut text = String::new();
    let _length = stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn only_the_certificate_with_the_pinned_fingerprint_is_spoken_to() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let identity = made(one.path());
    let pin = identity.fingerprint();
    let server = Arc::new(Server::new(identity).unwrap());
    let address = serve(Arc::clone(&server)).await;
    assert_eq!(ask(address, pin).await.unwrap(), "hello");
    let other = made(two.path());
    let other_pin = other.fingerprint();
    assert_ne!(other_pin, pin);
    assert!(ask(address, other_pin).await.is_err());
    // Exchanged while it runs: the old pin is no longer good, the new one is.
    server.replace(other).unwrap();
    assert!(ask(address, pin).await.is_err());
    assert_eq!(ask(address, other_pin).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_certificate_without_its_key_is_refused() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (_one, _two) = (made(one.path()), made(two.path()));
    let crossed = Identity::read(&one.path().join("cert.pem"), &two.path().join("key.pem"));
    assert!(matches!(
        Server::new(crossed.unwrap()),
        Err(TlsError::Unfit(_))
    ));
    let none = Identity::read(&one.path().join("key.pem"), &one.path().join("key.pem"));
    assert!(matches!(none, Err(TlsError::Empty { .. })));
    let gone = Identity::read(&one.path().join("gone.pem"), &one.path().join("key.pem"));
    assert!(matches!(gone, Err(TlsError::Read { .. })));
}

#[tokio::test]
async fn plain_http_is_told_to_change_the_address() {
    let folder = TempDir::new().unwrap();
    let server = Arc::new(Server::new(made(folder.path())).unwrap());
    let address = serve(server).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _maybe_reset = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.starts_with("HTTP/1.1 400") && text.contains("https"),
        "{text}"
    );
}
