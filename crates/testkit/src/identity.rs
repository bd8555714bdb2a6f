//! Identity providers: the keys and statements of Cloudflare Access, and Tailscale's daemon, each as
//! its documentation describes the wire.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rsa::PublicKeyComponents;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

/// Keys made for this alone.
const KEYS: [&[u8]; 2] = [
    include_bytes!("fixtures/access-key-1.der"),
    include_bytes!("fixtures/access-key-2.der"),
];
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A team of Cloudflare Access.
#[derive(Debug)]
pub struct AccessTeam {
    /// The team's address, which is also what statements name as their issuer.
    pub address: String,
    active: Arc<AtomicUsize>,
    fetches: Arc<AtomicUsize>,
    instead: Instead,
}

/// A status and a body that come instead of the right ones.
type Instead = Arc<Mutex<Option<(u16, Value)>>>;

fn said(instead: &Instead) -> Option<(u16, Value)> {
    let said = instead.lock().unwrap_or_else(PoisonError::into_inner);
    said.clone()
}

fn say(instead: &Instead, answer: Option<(u16, Value)>) {
    *instead.lock().unwrap_or_else(PoisonError::into_inner) = answer;
}

impl AccessTeam {
    /// Serves the set of keys on this machine; the first key is in force. Needs a tokio runtime.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let (active, fetches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let team = Self {
            address,
            active: Arc::clone(&active),
            fetches: Arc::clone(&fetches),
            instead: Arc::default(),
        };
        let instead = Arc::clone(&team.instead);
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = |path: &str| {
                    if path != "/cdn-cgi/access/certs" {
                        return (404, json!({}));
                    }
                    let _count = fetches.fetch_add(1, Ordering::SeqCst);
                    let keys = || (200, key_set(active.load(Ordering::SeqCst)));
                    said(&instead).unwrap_or_else(keys)
                };
                answer_one(stream, answer).await;
            }
        }));
        Ok(team)
    }

    /// Puts the other key in force.
    pub fn rotate(&self) {
        let _before = self.active.fetch_xor(1, Ordering::SeqCst);
    }

    /// The set of keys in force.
    #[must_use]
    pub fn keys(&self) -> Value {
        key_set(self.active.load(Ordering::SeqCst))
    }

    /// Answers with something else, until it is told not to.
    pub fn answer(&self, answer: Option<(u16, Value)>) {
        say(&self.instead, answer);
    }

    /// How often the keys were asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// A statement with these claims, signed with the key in force.
    pub fn statement(&self, claims: &Value) -> anyhow::Result<String> {
        let active = self.active.load(Ordering::SeqCst);
        let head = json!({ "alg": "RS256", "kid": key_id(active), "typ": "JWT" });
        self.signed(&head, claims, active)
    }

    /// A statement with a head of the caller's own, signed with the n-th key.
    pub fn signed(&self, head: &Value, claims: &Value, key: usize) -> anyhow::Result<String> {
        let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", text(head), text(claims));
        let key = pair(key)?;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(
            &RSA_PKCS1_SHA256,
            &ring::rand::SystemRandom::new(),
            message.as_bytes(),
            &mut signature,
        )
        .map_err(|_| anyhow::anyhow!("signing failed"))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn key_id(key: usize) -> String {
    format!("key-{key}")
}

fn pair(key: usize) -> anyhow::Result<RsaKeyPair> {
    let der = KEYS.get(key).context("there are two keys")?;
    RsaKeyPair::from_der(der).map_err(|error| anyhow::anyhow!("{error}"))
}

fn key_row(key: usize) -> anyhow::Result<Value> {
    let pair = pair(key)?;
    let parts: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
    Ok(json!({
        "kid": key_id(key), "kty": "RSA", "alg": "RS256", "use": "sig",
        "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
    }))
}

fn key_set(key: usize) -> Value {
    let keys: Vec<Value> = key_row(key).into_iter().collect();
    json!({ "keys": keys, "public_certs": [] })
}

/// Sign-in name and tags, by address.
type People = BTreeMap<IpAddr, (String, Vec<String>)>;

/// Tailscale's daemon with its local API.
#[derive(Debug)]
pub struct TailscaleDaemon {
    people: Arc<Mutex<People>>,
    instead: Instead,
}

impl TailscaleDaemon {
    /// Listens on a socket; `own` is this machine's address in the tailnet.
    pub fn start(socket: &Path, own: IpAddr) -> anyhow::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let people: Arc<Mutex<People>> = Arc::default();
        let known = Arc::clone(&people);
        let daemon = Self {
            people,
            instead: Arc::default(),
        };
        let instead = Arc::clone(&daemon.instead);
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = |path: &str| {
                    let known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    said(&instead).unwrap_or_else(|| daemon_answer(path, own, &known))
                };
                answer_one(stream, answer).await;
            }
        }));
        Ok(daemon)
    }

    /// Answers everything with something else, until it is told not to.
    pub fn answer(&self, answer: Option<(u16, Value)>) {
        say(&self.instead, answer);
    }

    /// Says who stands behind an address.
    pub fn know(&self, address: IpAddr, login: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let _old = people.insert(address, (login.to_owned(), tags));
    }
}

fn daemon_answer(path: &str, own: IpAddr, known: &People) -> (u16, Value) {
    if path == "/localapi/v0/status" {
        return (
            200,
            json!({
                "Version": "1.90.0", "BackendState": "Running",
                "Self": { "ID": "n1", "HostName": "house", "DNSName": "house.example.ts.net.", "TailscaleIPs": [own] },
            }),
        );
    }
    let address = path
        .strip_prefix("/localapi/v0/whois?addr=")
        .map(|text| text.replace("%5B", "[").replace("%5D", "]"))
        .and_then(|text| text.parse::<SocketAddr>().ok());
    match address.and_then(|address| known.get(&address.ip())) {
        Some((login, tags)) => (
            200,
            json!({
                "Node": { "ID": 1, "Name": "desk.example.ts.net.", "Tags": tags },
                "UserProfile": { "ID": 2, "LoginName": login, "DisplayName": "Somebody" },
                "CapMap": {},
            }),
        ),
        None => (404, json!({ "error": "no match for IP:port" })),
    }
}

/// Reads one request and answers it.
async fn answer_one(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: impl Fn(&str) -> (u16, Value),
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let (status, body) = answer(head.split(' ').nth(1).unwrap_or("/"));
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // A client that is gone needs no answer.
    let _sent = stream.write_all(text.as_bytes()).await;
    let _closed = stream.shutdown().await;
}
