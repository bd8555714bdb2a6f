//! A real gateway in this process, on a free port, with a model that echoes.

use instar_config::StateDir;
use instar_gateway::{Gateway, Options, Running, StartError};
use instar_protocol::api::RunFile;
use instar_protocol::message::Part;
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, StopReason, Usage,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const TOKEN: &str = "canary-token-0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(20);

/// How many more pieces a piecemeal answer has.
pub(crate) const PIECES: usize = 500;

#[derive(Debug)]
struct Echo;

impl LocalModel for Echo {
    fn answer(&self, _model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let said = match request.messages.last() {
            Some(ModelMessage::User { parts }) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Text { text, .. } => Some(text.as_str()),
                    _ => None,
                })
                .collect::<Vec<_>>()
                .join(" "),
            _ => String::new(),
        };
        let pause = match said {
            ref said if said.contains("slowly") => 300,
            ref said if said.contains("endlessly") => 3_600_000,
            _ => 0,
        };
        let mut said = vec![(pause, format!("echo {said}"))];
        if said[0].1.contains("piecemeal") {
            said.extend((0..PIECES).map(|n| (0, format!(" piece {n}"))));
        }
        let finish = ModelEvent::Finish {
            stop: StopReason::Stop,
            usage: Usage::default(),
        };
        said.into_iter()
            .map(|(pause, delta)| (pause, ModelEvent::Text { delta }))
            .chain([(0, finish)])
            .collect()
    }

    fn models(&self) -> Vec<(String, String)> {
        vec![("echo".to_owned(), "repeats".to_owned())]
    }
}

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) running: Running,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with("{}").await
    }

    pub(crate) async fn with(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, config);
        let running = start(&folder).await.unwrap();
        Self { folder, running }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Sends a request as it is written and reads to the end of the connection.
    pub(crate) async fn raw(&self, request: &str) -> Answer {
        self.raw_bytes(request.as_bytes()).await
    }

    pub(crate) async fn raw_bytes(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
        // A refused upload may be reset after its answer.
        let _maybe_reset = read.expect("an answer in time");
        Answer::read(&bytes)
    }

    /// Sends a request with a right host; `headers` are further lines, each ended by CR LF.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("content-length: {length}\r\n")
        };
        let host = self.address();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}{length}\r\n{body}"
        ))
        .await
    }

    pub(crate) async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// As the owner with the token.
    pub(crate) async fn owner(&self, path: &str) -> Answer {
        self.get(path, &bearer(TOKEN)).await
    }

    /// Signs in with a link and returns the cookie line.
    pub(crate) async fn cookie(&self) -> String {
        let code = self.code();
        let answer = self.sign_in(&format!("code={code}")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        let set = answer.header("set-cookie").unwrap();
        format!("cookie: {}\r\n", set.split(';').next().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        let (link, _) = self.running.sign_in_link().unwrap();
        link.split("code=").nth(1).unwrap().to_owned()
    }

    pub(crate) async fn sign_in(&self, form: &str) -> Answer {
        let headers = format!(
            "origin: http://{}\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            self.address()
        );
        self.ask("POST", "/sign-in", &headers, form).await
    }

    pub(crate) fn run_file(&self) -> RunFile {
        let text = std::fs::read(self.folder.path().join("gateway.run.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Asks again until the status page says so.
    pub(crate) async fn status_until(
        &self,
        wanted: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let began = Instant::now();
        loop {
            let status = self.owner("/api/v1/status").await.json();
            if wanted(&status) {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "never came: {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

pub(crate) fn write_config(folder: &TempDir, config: &str) {
    std::fs::write(folder.path().join("instar.json"), config).unwrap();
}

pub(crate) fn options(folder: &TempDir) -> Options {
    let root = folder.path().display().to_string();
    let env = move |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
    let state = StateDir::locate(None, &env).unwrap();
    let mut options = Options::new(state, |_| None).unwrap();
    let echo: Arc<dyn LocalModel> = Arc::new(Echo);
    options.port = Some(0);
    options.token = Some(instar_protocol::Secret::new(TOKEN));
    options.local_models = BTreeMap::from([("test".to_owned(), echo)]);
    options.fallback_model = Some("test/echo".to_owned());
    options.discover = false;
    options
}

pub(crate) async fn start(folder: &TempDir) -> Result<Running, StartError> {
    Gateway::start(options(folder)).await
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
