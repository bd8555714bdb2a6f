//! A blocking client of the control plane, and a key of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::process::PATIENCE;
use super::{Instar, TOKEN};

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    next: u64,
    pub(crate) challenge: Value,
}

impl Socket {
    /// Asks for the upgrade and reads the challenge; the status if it is refused.
    pub(crate) fn open(instar: &Instar, headers: &str) -> Result<Self, u16> {
        let url = instar.url();
        let host = url.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut one = [0];
            stream.read_exact(&mut one).unwrap();
            answer.extend(one);
        }
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 101 {
            return Err(status);
        }
        let mut socket = Self {
            stream,
            next: 0,
            challenge: Value::Null,
        };
        socket.challenge = socket.read().unwrap()["payload"].clone();
        Ok(socket)
    }

    /// Opens a connection and asks to connect.
    pub(crate) fn connect(instar: &Instar, params: &Value) -> (Self, Result<Value, Value>) {
        let mut socket = Self::open(instar, "").unwrap();
        let answered = socket.ask("connect", params);
        (socket, answered)
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.next += 1;
        let id = self.next.to_string();
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.send(frame.to_string().as_bytes());
        loop {
            let frame = self.read().unwrap_or_else(|| panic!("{method}: no answer"));
            if frame["id"] == *id && frame["type"] == "res" {
                return if frame["ok"] == true {
                    Ok(frame["payload"].clone())
                } else {
                    Err(frame["error"].clone())
                };
            }
        }
    }

    /// Text frames are masked by clients, here with zeros.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut frame = vec![0x81];
        match u16::try_from(bytes.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | u8::try_from(short).unwrap()),
            Ok(long) => {
                frame.push(0x80 | 126);
                frame.extend(long.to_be_bytes());
            }
            Err(_) => panic!("no test sends that much"),
        }
        frame.extend([0; 4]);
        frame.extend(bytes);
        self.stream.write_all(&frame).unwrap();
    }

    /// The next text frame; nothing once the connection is closed.
    pub(crate) fn read(&mut self) -> Option<Value> {
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head).ok()?;
            let length = match head[1] {
                126 => {
                    let mut two = [0; 2];
                    self.stream.read_exact(&mut two).ok()?;
                    usize::from(u16::from_be_bytes(two))
                }
                127 => {
                    let mut eight = [0; 8];
                    self.stream.read_exact(&mut eight).ok()?;
                    usize::try_from(u64::from_be_bytes(eight)).unwrap()
                }
                short => usize::from(short),
            };
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).ok()?;
            match head[0] & 0x0f {
                1 => return Some(serde_json::from_slice(&bytes).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }

    /// True if the connection ends within this time.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        while self.read().is_some() {}
        // Reading ends with the connection, or with the time.
        let mut byte = [0];
        let ended = matches!(self.stream.read(&mut byte), Ok(0));
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        ended
    }
}

/// Connect parameters with the gateway's token, asking for these scopes.
pub(crate) fn hello(scopes: &[&str]) -> Value {
    json!({
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": {
            "id": "cli", "version": "1", "platform": "linux", "mode": "cli", "displayName": "desk",
        },
        "role": "operator",
        "scopes": scopes,
        "auth": { "token": TOKEN },
    })
}

/// A client's own key.
#[derive(Debug)]
pub(crate) struct Key(Ed25519KeyPair);

impl Key {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn id(&self) -> String {
        hex::encode(Sha256::digest(self.0.public_key().as_ref()))
    }

    /// Opens a connection and asks to connect with this key's signature.
    pub(crate) fn connect(&self, instar: &Instar, params: Value) -> (Socket, Result<Value, Value>) {
        self.connect_signing(instar, params, |text| text)
    }

    /// The same, with something else signed than what is said.
    pub(crate) fn connect_signing(
        &self,
        instar: &Instar,
        mut params: Value,
        twist: impl Fn(String) -> String,
    ) -> (Socket, Result<Value, Value>) {
        let mut socket = Socket::open(instar, "").unwrap();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let scopes: Vec<String> = params["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .map(word)
            .collect();
        let auth = &params["auth"];
        let token = auth["token"].as_str().or(auth["deviceToken"].as_str());
        let (nonce, at) = (&socket.challenge["nonce"], &socket.challenge["ts"]);
        let text = format!(
            "v3|{}|cli|cli|operator|{}|{at}|{}|{}|linux|",
            self.id(),
            scopes.join(","),
            token.unwrap_or_default(),
            word(nonce),
        );
        let signature = self.0.sign(twist(text).as_bytes());
        params["device"] = json!({
            "id": self.id(),
            "publicKey": URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref()),
            "signature": URL_SAFE_NO_PAD.encode(signature),
            "signedAt": at,
            "nonce": nonce,
        });
        let answered = socket.ask("connect", &params);
        (socket, answered)
    }
}
