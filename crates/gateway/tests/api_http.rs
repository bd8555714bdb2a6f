//! A small HTTP client that sends exactly what a test says and reads one answer.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A hung answer fails the test instead of stopping the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a gateway listens and the credential of its owner.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `127.0.0.1:PORT`
    pub(crate) authority: String,
    pub(crate) key: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Endpoint {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(
            "POST",
            path,
            "content-type: application/json\r\n",
            Some(body.to_string()),
        )
        .await
    }

    /// Sends a request with further header lines and reads the answer to its end.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<String>,
    ) -> Answer {
        let mut socket = self.open(method, path, headers, body).await;
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes))
            .await
            .expect("an answer in time")
            .expect("a whole answer");
        split(&bytes)
    }

    /// Sends a request and gives the connection, to read from or to drop.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<String>,
    ) -> TcpStream {
        let body = body.unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-length: {}\r\n{headers}\r\n",
            self.authority,
            self.key,
            body.len()
        );
        let mut socket = TcpStream::connect(&self.authority)
            .await
            .expect("a gateway that listens");
        socket
            .write_all(head.as_bytes())
            .await
            .expect("a head that is taken");
        socket
            .write_all(body.as_bytes())
            .await
            .expect("a body that is taken");
        socket
    }
}

/// Reads from a connection until the text has come.
pub(crate) async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = tokio::time::timeout(PATIENCE, socket.read(&mut piece))
            .await
            .expect("more in time")
            .expect("a sound connection");
        assert_ne!(
            read,
            0,
            "the connection ended before {text:?}: {}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn split(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a whole head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    let body = &bytes[end + 4..];
    let chunked = head.contains("transfer-encoding: chunked");
    Answer {
        status,
        body: if chunked {
            unchunk(body)
        } else {
            body.to_vec()
        },
        head,
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a chunk size");
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk size");
        if size == 0 {
            break;
        }
        out.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    out
}
