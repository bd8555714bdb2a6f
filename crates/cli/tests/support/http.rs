//! A small blocking HTTP client for loopback, one connection for each request.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::process::PATIENCE;

/// Talks to one gateway with its token. Clones talk to the same one.
#[derive(Clone)]
pub(crate) struct Http {
    port: Arc<AtomicU16>,
    token: String,
    /// Every body and head that was received, for tests that look for what must not be there.
    pub(crate) heard: Arc<Mutex<String>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

impl Http {
    pub(crate) fn new(token: &str) -> Self {
        Self {
            port: Arc::default(),
            token: token.to_owned(),
            heard: Arc::default(),
        }
    }

    /// The same gateway, asked with another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: token.to_owned(),
            ..self.clone()
        }
    }

    pub(crate) fn port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    pub(crate) fn own_port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port.load(Ordering::Relaxed))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path)
            .unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    pub(crate) fn try_get(&self, path: &str) -> Result<Answer, Failed> {
        self.send("GET", path, &[], None)
    }

    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Result<Answer, Failed> {
        self.send("POST", path, &[], Some(body))
    }

    /// Sends one request. Headers given here take the place of the client's own.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failed> {
        runtime().block_on(async {
            let whole = async {
                let response = self.open(method, path, headers, body).await?;
                let (head, body) = response.into_parts();
                let body = body.collect().await?.to_bytes();
                let body = String::from_utf8_lossy(&body).into_owned();
                self.hear(&format!("{:?}\n{body}\n", head.headers));
                Ok(Answer {
                    status: head.status.as_u16(),
                    body,
                })
            };
            tokio::time::timeout(PATIENCE, whole).await?
        })
    }

    /// Opens an event stream; an answer that is none is an error.
    pub(crate) fn stream(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Sse, Failed> {
        let accept = [("accept", "text/event-stream")];
        let opened = runtime().block_on(self.open(method, path, &accept, body))?;
        let kind = opened
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        if opened.status() != 200 || !kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
        {
            return Err(format!("no event stream: {opened:?}").into());
        }
        let body = opened.into_body();
        Ok(Sse {
            body,
            text: String::new(),
            ready: VecDeque::new(),
            http: self.clone(),
        })
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, Failed> {
        let own = [
            ("host", self.authority()),
            ("authorization", format!("Bearer {}", self.token)),
            ("accept", "application/json".to_owned()),
        ];
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &own {
            if !headers
                .iter()
                .any(|(given, _)| given.eq_ignore_ascii_case(name))
            {
                request = request.header(*name, value);
            }
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        let socket = tokio::net::TcpStream::connect(self.authority()).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        // It ends with the answer; a failure of it shows there.
        drop(tokio::spawn(connection));
        Ok(sender.send_request(request).await?)
    }

    fn hear(&self, text: &str) {
        self.heard.lock().unwrap().push_str(text);
    }
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) data: String,
}

/// An event stream that is being read.
pub(crate) struct Sse {
    body: Incoming,
    text: String,
    ready: VecDeque<Event>,
    http: Http,
}

impl Sse {
    /// The next event; `None` when the stream has ended or was cut.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = runtime()
                .block_on(async { tokio::time::timeout(PATIENCE, self.body.frame()).await })
                .unwrap()?
                .ok()?;
            if let Ok(data) = frame.into_data() {
                let text = String::from_utf8_lossy(&data);
                self.http.hear(&text);
                self.text.push_str(&text);
                self.take();
            }
        }
    }

    fn take(&mut self) {
        while let Some(end) = self.text.find("\n\n") {
            let block: String = self.text.drain(..end + 2).collect();
            let field = |name: &str| {
                let lines: Vec<&str> = block
                    .lines()
                    .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                    .map(|value| value.strip_prefix(' ').unwrap_or(value))
                    .collect();
                (!lines.is_empty()).then(|| lines.join("\n"))
            };
            if let Some(data) = field("data") {
                self.ready.push_back(Event { data });
            }
        }
    }
}
