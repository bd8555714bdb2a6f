//! A hand-written HTTP server on loopback that answers from a list and keeps what it was sent.

use instar_egress::Egress;
use instar_models::{Call, Ledger, Models, ModelsConfig, ObjectSource, Parts, SpendRecord};
use instar_protocol::label::Label;
use instar_protocol::message::Part;
use instar_protocol::model::{
    LocalModel, ModelMessage, ModelRef, ModelRequest, Sampling, ToolChoice,
};
use instar_protocol::{
    AgentId, Clock, ObjectHash, Secret, SecretRef, SecretSource, SessionId, Timestamp,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// One scripted answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The body is whole.
    Whole,
    /// The connection closes inside the body.
    Cut,
    /// Nothing more comes.
    Hang,
    /// The body is sent again and again.
    Forever,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: String::new(),
            body: body.into(),
            end: End::Whole,
        }
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self {
            status,
            ..Self::ok(body)
        }
    }

    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub(crate) fn header(mut self, line: &str) -> Self {
        self.headers.push_str(line);
        self.headers.push_str("\r\n");
        self
    }
}

/// Chat completions that say `text`.
pub(crate) fn said(text: &str) -> Reply {
    Reply::ok(format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n\
         data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n\
         data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1000,\"completion_tokens\":100}}}}\n\ndata: [DONE]\n\n"
    ))
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    /// Head and body of each request, as text.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    pub(crate) connections: Arc<AtomicU64>,
}

impl Server {
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            connections: Arc::default(),
        };
        let (requests, connections) = (server.requests.clone(), server.connections.clone());
        let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, replies.clone(), requests.clone()));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut buffer = vec![];
    loop {
        let Some(request) = read_request(&mut stream, &mut buffer).await else {
            return;
        };
        requests.lock().unwrap().push(request);
        let reply = replies.lock().unwrap().pop_front();
        let reply =
            reply.unwrap_or_else(|| Reply::status(500, "{\"error\":\"the script is over\"}"));
        let head = format!(
            "HTTP/1.1 {} X\r\ntransfer-encoding: chunked\r\n{}\r\n",
            reply.status, reply.headers
        );
        let chunk = format!("{:x}\r\n{}\r\n", reply.body.len(), reply.body);
        let body = if reply.body.is_empty() {
            ""
        } else {
            chunk.as_str()
        };
        if stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .is_err()
        {
            return;
        }
        match reply.end {
            End::Whole => {
                if stream.write_all(b"0\r\n\r\n").await.is_err() {
                    return;
                }
            }
            End::Cut => return,
            End::Hang => {
                let mut rest = [0; 64];
                while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {}
                return;
            }
            End::Forever => while stream.write_all(body.as_bytes()).await.is_ok() {},
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some(head) = text.find("\r\n\r\n") {
            let lower = text[..head].to_lowercase();
            let length = lower
                .lines()
                .find_map(|line| {
                    line.strip_prefix("content-length:")?
                        .trim()
                        .parse::<usize>()
                        .ok()
                })
                .unwrap_or(0);
            if buffer.len() >= head + 4 + length {
                let rest = buffer.split_off(head + 4 + length);
                let request = String::from_utf8_lossy(buffer).into_owned();
                *buffer = rest;
                return Some(request);
            }
        }
        let mut piece = [0; 8192];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => buffer.extend_from_slice(&piece[..n]),
        }
    }
}

/// A clock that tests move.
#[derive(Debug, Default)]
pub(crate) struct Hands(pub AtomicU64);
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[derive(Debug, Default)]
pub(crate) struct Keys(pub BTreeMap<String, String>);
impl SecretSource for Keys {
    fn secret(&self, reference: &SecretRef) -> Result<Secret, String> {
        let found = self.0.get(&reference.id);
        found
            .map(Secret::new)
            .ok_or_else(|| format!("no secret {}", reference.id))
    }
}

#[derive(Debug)]
pub(crate) struct Objects;
impl ObjectSource for Objects {
    fn object<'a>(
        &'a self,
        hash: &'a ObjectHash,
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move { Ok(hash.as_str().as_bytes().to_vec()) })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) spent: Mutex<u64>,
    pub(crate) records: Mutex<Vec<SpendRecord>>,
    pub(crate) warnings: Mutex<Vec<&'static str>>,
    pub(crate) day: Mutex<Option<String>>,
}
impl Ledger for Books {
    fn spent(&self) -> (u64, u64) {
        let spent = *self.spent.lock().unwrap();
        (spent, spent)
    }
    fn add(&self, spend: SpendRecord) {
        *self.spent.lock().unwrap() += spend.cost_micros;
        self.records.lock().unwrap().push(spend);
    }
    fn day(&self) -> Option<String> {
        self.day.lock().unwrap().clone()
    }
    fn warn(&self, scope: &'static str, _: u64, _: u64) {
        self.warnings.lock().unwrap().push(scope);
    }
}

/// Models over a configuration in JSON, with everything a test looks at.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) models: Models,
    pub(crate) clock: Arc<Hands>,
    pub(crate) books: Arc<Books>,
}

pub(crate) fn config(json: serde_json::Value) -> ModelsConfig {
    serde_json::from_value(json).unwrap()
}

pub(crate) fn house(json: serde_json::Value) -> House {
    house_with(json, BTreeMap::new(), |_| None)
}

pub(crate) fn house_with(
    json: serde_json::Value,
    local: BTreeMap<String, Arc<dyn LocalModel>>,
    env: fn(&str) -> Option<String>,
) -> House {
    let clock = Arc::new(Hands(AtomicU64::new(1_800_000_000_000)));
    let books = Arc::new(Books::default());
    let parts = Parts {
        clock: clock.clone(),
        secrets: Arc::new(Keys(BTreeMap::from([("key".into(), CANARY.into())]))),
        objects: Arc::new(Objects),
        ledger: books.clone(),
        local,
        env,
    };
    let models = Models::new(config(json), Egress::new("Instar/test"), parts).unwrap();
    House {
        models,
        clock,
        books,
    }
}

/// The key that must never be seen again.
pub(crate) const CANARY: &str = "canary-key-51f0";

pub(crate) fn request(text: &str) -> ModelRequest {
    ModelRequest {
        system: vec![],
        messages: vec![ModelMessage::User {
            parts: vec![Part::text(text)],
        }],
        tools: vec![],
        tool_choice: ToolChoice::Auto,
        sampling: Sampling::default(),
        label: Label::default(),
    }
}

pub(crate) fn model(name: &str) -> ModelRef {
    ModelRef::parse(name).unwrap()
}

/// What a call needs, with a deadline of ten seconds.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) request: ModelRequest,
    pub(crate) chain: Vec<ModelRef>,
    pub(crate) agent: AgentId,
    pub(crate) session: SessionId,
    pub(crate) cancel: CancellationToken,
    pub(crate) deadline: Duration,
    pub(crate) turn_spent: u64,
}

impl Caller {
    pub(crate) fn new(chain: &[&str]) -> Self {
        Self {
            request: request("hello"),
            chain: chain.iter().map(|name| model(name)).collect(),
            agent: AgentId::parse("main").unwrap(),
            session: SessionId::from_stored("ses_1"),
            cancel: CancellationToken::new(),
            deadline: Duration::from_secs(10),
            turn_spent: 0,
        }
    }

    pub(crate) fn call(&self) -> Call<'_> {
        Call {
            request: &self.request,
            chain: &self.chain,
            agent: &self.agent,
            session: &self.session,
            turn_spent_micros: self.turn_spent,
            deadline: tokio::time::Instant::now() + self.deadline,
            cancel: &self.cancel,
            mend: instar_models::Mend::default(),
        }
    }
}
