//! A client of the control plane that is no more than a socket: it can say anything, in any order.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::house::{House, TOKEN};

const PATIENCE: Duration = Duration::from_secs(20);
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What came over a socket.
#[derive(Debug, PartialEq)]
pub(crate) enum Came {
    Frame(Value),
    Close(u16, String),
    /// The connection ended without a word.
    End,
}

#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Frames that were read while another was waited for.
    early: Vec<Value>,
    next: u64,
}

impl Socket {
    /// Asks for the upgrade; the status of the answer if it is refused.
    pub(crate) async fn open(house: &House, headers: &str) -> Result<Self, u16> {
        Self::open_as(house, &house.address().to_string(), headers).await
    }

    pub(crate) async fn open_as(house: &House, host: &str, headers: &str) -> Result<Self, u16> {
        let stream = TcpStream::connect(house.address()).await.unwrap();
        Self::upgrade(stream, host, headers).await
    }

    /// The same from another address of this machine.
    pub(crate) async fn open_from(house: &House, from: [u8; 4]) -> Result<Self, u16> {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let stream = socket.connect(house.address()).await.unwrap();
        Self::upgrade(stream, &house.address().to_string(), "").await
    }

    async fn upgrade(mut stream: TcpStream, host: &str, headers: &str) -> Result<Self, u16> {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
            head.push(read.expect("an answer in time").unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status != 101 {
            return Err(status);
        }
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Ok(Self {
            stream,
            early: Vec::new(),
            next: 0,
        })
    }

    /// An upgraded connection with its challenge read.
    pub(crate) async fn challenged(house: &House, headers: &str) -> (Self, Challenge) {
        let mut socket = Self::open(house, headers).await.unwrap();
        let challenge = socket.challenge().await;
        (socket, challenge)
    }

    pub(crate) async fn challenge(&mut self) -> Challenge {
        let Came::Frame(frame) = self.read().await else {
            panic!("no challenge");
        };
        assert_eq!(frame["event"], "connect.challenge", "{frame}");
        assert_eq!(frame.get("seq"), None, "{frame}");
        Challenge {
            nonce: frame["payload"]["nonce"].as_str().unwrap().to_owned(),
            at: frame["payload"]["ts"].as_u64().unwrap(),
        }
    }

    pub(crate) async fn send(&mut self, frame: &Value) {
        self.send_raw(TEXT, frame.to_string().as_bytes()).await;
    }

    /// Sends a frame as a client does: masked, here with zeros. The other end may be gone.
    pub(crate) async fn send_raw(&mut self, opcode: u8, bytes: &[u8]) {
        let mut frame = vec![0x80 | opcode];
        let length = bytes.len();
        match u16::try_from(length) {
            Ok(short) if short < 126 => frame.push(0x80 | u8::try_from(length).unwrap()),
            Ok(short) => {
                frame.push(0x80 | 126);
                frame.extend(short.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(bytes);
        drop(self.stream.write_all(&frame).await);
    }

    /// The next frame that says something; pings are answered on the way.
    pub(crate) async fn read(&mut self) -> Came {
        if !self.early.is_empty() {
            return Came::Frame(self.early.remove(0));
        }
        self.read_new().await
    }

    async fn read_new(&mut self) -> Came {
        loop {
            let read = tokio::time::timeout(PATIENCE, self.read_one()).await;
            let Some((opcode, bytes)) = read.expect("something in time") else {
                return Came::End;
            };
            match opcode {
                TEXT => return Came::Frame(serde_json::from_slice(&bytes).unwrap()),
                CLOSE => {
                    let code = bytes
                        .get(..2)
                        .map_or(1005, |two| u16::from_be_bytes(two.try_into().unwrap()));
                    let why = bytes.get(2..).unwrap_or_default();
                    return Came::Close(code, String::from_utf8_lossy(why).into_owned());
                }
                PING => self.send_raw(PONG, &bytes).await,
                PONG => {}
                other => panic!("opcode {other}"),
            }
        }
    }

    async fn read_one(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await.ok()?;
        let length = match self.stream.read_u8().await.ok()? {
            126 => u64::from(self.stream.read_u16().await.ok()?),
            127 => self.stream.read_u64().await.ok()?,
            short => u64::from(short),
        };
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some((first & 0x0f, bytes))
    }

    /// How the connection ends; whatever is said before is left out.
    pub(crate) async fn end(&mut self) -> Came {
        loop {
            match self.read().await {
                Came::Frame(_) => {}
                end => return end,
            }
        }
    }

    /// Sends a request and waits for its answer; events that come first are kept for later.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Answered {
        let id = self.begin(method, params).await;
        self.answer(&id).await
    }

    /// Sends a request and waits for nothing.
    pub(crate) async fn begin(&mut self, method: &str, params: Value) -> String {
        self.next += 1;
        let id = self.next.to_string();
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.send(&frame).await;
        id
    }

    pub(crate) async fn answer(&mut self, id: &str) -> Answered {
        let of = |frame: &Value| frame["type"] == "res" && frame["id"] == id;
        if let Some(at) = self.early.iter().position(of) {
            return Answered::of(&self.early.remove(at));
        }
        loop {
            match self.read_new().await {
                Came::Frame(frame) if of(&frame) => return Answered::of(&frame),
                Came::Frame(frame) => self.early.push(frame),
                end => return Answered::Gone(end),
            }
        }
    }

    /// Waits for an event with this name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            match self.read().await {
                Came::Frame(frame) if frame["event"] == name => return frame["payload"].clone(),
                Came::Frame(_) => {}
                end => panic!("{name} never came: {end:?}"),
            }
        }
    }

    /// Everything that arrived up to now. A request goes round the gateway, and what was told before
    /// is read before its answer.
    pub(crate) async fn so_far(&mut self) -> Vec<Value> {
        let answered = self.ask("health", json!({})).await;
        assert!(matches!(answered, Answered::Ok(_)), "{answered:?}");
        std::mem::take(&mut self.early)
    }
}

/// What became of a request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answered {
    Ok(Value),
    Refused(Value),
    Gone(Came),
}

impl Answered {
    fn of(frame: &Value) -> Self {
        if frame["ok"] == true {
            Self::Ok(frame["payload"].clone())
        } else {
            Self::Refused(frame["error"].clone())
        }
    }

    pub(crate) fn ok(self) -> Value {
        match self {
            Self::Ok(payload) => payload,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn refused(self) -> Value {
        match self {
            Self::Refused(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// The detail code of a refusal.
    pub(crate) fn code(self) -> String {
        let error = self.refused();
        error["details"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Challenge {
    pub(crate) nonce: String,
    pub(crate) at: u64,
}

/// The parameters of a connect request, as an ordinary client sends them.
pub(crate) fn hello() -> Value {
    json!({
        "minProtocol": 4,
        "maxProtocol": 4,
        "client": { "id": "test", "version": "1", "platform": "linux", "mode": "test" },
        "role": "operator",
        "scopes": ["operator.read"],
    })
}

/// The same with the shared secret.
pub(crate) fn hello_with(token: &str) -> Value {
    let mut params = hello();
    params["auth"] = json!({ "token": token });
    params
}

/// Opens a connection and asks to connect.
pub(crate) async fn connect(house: &House, params: Value) -> (Socket, Answered) {
    let (mut socket, _) = Socket::challenged(house, "").await;
    let answered = socket.ask("connect", params).await;
    (socket, answered)
}

/// A connection of who holds the shared secret and has no device.
pub(crate) async fn holder(house: &House) -> Socket {
    let (socket, answered) = connect(house, hello_with(TOKEN)).await;
    answered.ok();
    socket
}

/// A connection of the owner, who is signed in at the gateway's own page.
pub(crate) async fn owner(house: &House) -> Socket {
    let cookie = house.cookie().await;
    let headers = format!("origin: http://{}\r\n{cookie}", house.address());
    let (mut socket, _) = Socket::challenged(house, &headers).await;
    socket.ask("connect", hello()).await.ok();
    socket
}

/// A key of a client's own.
#[derive(Debug)]
pub(crate) struct Device {
    pair: Ed25519KeyPair,
    pub(crate) id: String,
    public_key: String,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = pair.public_key().as_ref();
        Self {
            id: hex::encode(Sha256::digest(key)),
            public_key: URL_SAFE_NO_PAD.encode(key),
            pair,
        }
    }

    /// Connect parameters with a signature over all that they say and the challenge.
    pub(crate) fn signed(&self, mut params: Value, challenge: &Challenge) -> Value {
        let auth = &params["auth"];
        let token = ["token", "deviceToken", "bootstrapToken"]
            .iter()
            .find_map(|name| auth[name].as_str())
            .unwrap_or_default();
        let client = &params["client"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let scopes: Vec<String> = params["scopes"]
            .as_array()
            .map(|scopes| scopes.iter().map(word).collect())
            .unwrap_or_default();
        let text = [
            "v3",
            &self.id,
            &word(&client["id"]),
            &word(&client["mode"]),
            &word(&params["role"]),
            &scopes.join(","),
            &challenge.at.to_string(),
            token,
            &challenge.nonce,
            &word(&client["platform"]),
            "",
        ]
        .join("|");
        params["device"] = json!({
            "id": self.id,
            "publicKey": self.public_key,
            "signature": URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes())),
            "signedAt": challenge.at,
            "nonce": challenge.nonce,
        });
        params
    }

    /// Opens a connection as this device.
    pub(crate) async fn connect(&self, house: &House, params: Value) -> (Socket, Answered) {
        let (mut socket, challenge) = Socket::challenged(house, "").await;
        let answered = socket.ask("connect", self.signed(params, &challenge)).await;
        (socket, answered)
    }

    /// Asks to be let in with these scopes, has the owner agree, and connects. Returns the
    /// connection and the device's token.
    pub(crate) async fn pair(
        &self,
        house: &House,
        owner: &mut Socket,
        scopes: &[&str],
    ) -> (Socket, String) {
        let mut params = hello_with(TOKEN);
        params["scopes"] = json!(scopes);
        let (_, answered) = self.connect(house, params.clone()).await;
        let error = answered.refused();
        assert_eq!(error["details"]["code"], "PAIRING_REQUIRED", "{error}");
        let request = &error["details"]["requestId"];
        let approve = json!({ "requestId": request });
        owner.ask("device.pair.approve", approve).await.ok();
        let (socket, answered) = self.connect(house, params).await;
        let hello = answered.ok();
        let token = hello["auth"]["deviceToken"].as_str();
        let token = token.unwrap_or_else(|| panic!("{hello}")).to_owned();
        (socket, token)
    }
}

/// Connect parameters with a device's own token.
pub(crate) fn hello_as_device(token: &str, scopes: &[&str]) -> Value {
    let mut params = hello();
    params["auth"] = json!({ "deviceToken": token });
    params["scopes"] = json!(scopes);
    params
}
