//! `instar mcp serve`: carries MCP messages between a program's pipes and the gateway's `/mcp`.
//!
//! The gateway alone knows the tools. Each request goes out by itself, to whichever gateway runs at
//! that moment: a restart costs the requests under way and nothing else.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderMap, HeaderName, HeaderValue};
use instar_config::StateDir;
use instar_protocol::api::ApiError;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::client::{Client, Exchange};
use crate::context::Context;
use crate::failure::Failure;
use crate::lines::{self, LINE_BYTES_MAX, Line, Writer};

/// Requests that are under way at once; further ones wait unread.
const AT_ONCE_MAX: usize = 32;
/// How long answers may take after the program has stopped asking.
const GRACE: Duration = Duration::from_secs(30);
const PATH: &str = "/mcp";

// Codes of JSON-RPC.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
/// The gateway cannot be asked.
const UNREACHABLE: i32 = -32000;

pub(crate) async fn serve(run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    // Who starts this without a gateway reads why, and what to do, at once.
    drop(Client::require(&state)?);
    let writer = Writer::start();
    let mut bridge = Bridge {
        state,
        version: None,
        answers: writer.lines.clone(),
        tasks: JoinSet::new(),
        under_way: HashMap::new(),
    };
    let mut incoming = lines::reader();
    loop {
        tokio::select! {
            line = incoming.recv(), if bridge.tasks.len() < AT_ONCE_MAX => match line {
                Some(line) => bridge.take(line).await,
                None => break,
            },
            Some(done) = bridge.tasks.join_next() => bridge.settle(done.ok()),
            () = bridge.answers.closed() => break,
        }
    }
    bridge.finish().await;
    writer.finish();
    Ok(())
}

struct Bridge {
    state: StateDir,
    /// The version that was agreed on; told with every request.
    version: Option<String>,
    answers: mpsc::Sender<String>,
    tasks: JoinSet<Ended>,
    /// Requests that can still be cancelled, by their id.
    under_way: HashMap<String, AbortHandle>,
}

/// A request that was answered.
struct Ended {
    id: Option<String>,
    /// Set by the answer to `initialize`.
    version: Option<String>,
}

impl Bridge {
    async fn take(&mut self, line: Line) {
        let text = match line {
            Line::Text(text) if text.trim().is_empty() => return,
            Line::Text(text) => text,
            Line::TooLong => {
                let why = format!("a message is longer than {LINE_BYTES_MAX} bytes");
                return self
                    .answer(error(&Value::Null, INVALID_REQUEST, &why))
                    .await;
            }
            Line::NotText => {
                let why = "a message is not UTF-8 text";
                return self.answer(error(&Value::Null, PARSE_ERROR, why)).await;
            }
        };
        let Ok(message) = serde_json::from_str::<Value>(&text) else {
            let why = "a line is not JSON; every line is one message";
            return self.answer(error(&Value::Null, PARSE_ERROR, why)).await;
        };
        if !message.is_object() {
            let why = "a message is a JSON object; batches are not taken";
            return self.answer(error(&Value::Null, INVALID_REQUEST, why)).await;
        }
        if message["method"] == "notifications/cancelled" {
            let id = message["params"]["requestId"].to_string();
            if let Some(task) = self.under_way.remove(&id) {
                // The connection closes with the task, and the gateway stops what it does for it.
                task.abort();
            }
            return;
        }
        self.send(message, text);
    }

    fn send(&mut self, message: Value, text: String) {
        let id = message.get("id").map(Value::to_string);
        let carrier = Carrier {
            state: self.state.clone(),
            headers: headers(&message, self.version.as_deref()),
            answers: self.answers.clone(),
        };
        let task = self.tasks.spawn(carrier.carry(message, text));
        if let Some(id) = id {
            let _other = self.under_way.insert(id, task);
        }
    }

    fn settle(&mut self, ended: Option<Ended>) {
        let Some(ended) = ended else {
            // Cancelled: its id was forgotten then.
            return;
        };
        if let Some(id) = ended.id {
            let _task = self.under_way.remove(&id);
        }
        if ended.version.is_some() {
            self.version = ended.version;
        }
    }

    async fn answer(&self, message: Value) {
        // Nobody reads any more: the loop notices.
        let _sent = self.answers.send(message.to_string()).await;
    }

    async fn finish(mut self) {
        let answers = self.answers.clone();
        let rest = async { while self.tasks.join_next().await.is_some() {} };
        tokio::select! {
            () = rest => {}
            () = tokio::time::sleep(GRACE) => {}
            () = answers.closed() => {}
        }
    }
}

/// Carries one message to the gateway and its answer back.
struct Carrier {
    state: StateDir,
    headers: HeaderMap,
    answers: mpsc::Sender<String>,
}

impl Carrier {
    async fn carry(self, message: Value, text: String) -> Ended {
        let id = message.get("id").cloned();
        let begins = message["method"] == "initialize";
        let mut ended = Ended {
            id: id.as_ref().map(Value::to_string),
            version: None,
        };
        match self.exchange(text, id.as_ref(), begins).await {
            Ok(version) => ended.version = version,
            Err(failure) => {
                if let Some(id) = &id {
                    let why = words(&failure);
                    let _sent = self
                        .answers
                        .send(error(id, UNREACHABLE, &why).to_string())
                        .await;
                }
            }
        }
        ended
    }

    /// Writes whatever the gateway answers, and finds the version in the answer to `initialize`.
    async fn exchange(
        &self,
        text: String,
        id: Option<&Value>,
        begins: bool,
    ) -> anyhow::Result<Option<String>> {
        let client = Client::require(&self.state)?;
        let answer = client.exchange(PATH, &self.headers, text.into()).await?;
        let mut version = None;
        match answer {
            Exchange::Whole(body) if body.is_empty() => {}
            Exchange::Whole(body) => {
                let answer: Value = serde_json::from_slice(&body)
                    .context("the gateway's answer is not JSON; look at `instar logs`")?;
                if begins {
                    version = answer["result"]["protocolVersion"]
                        .as_str()
                        .map(str::to_owned);
                }
                let answer = match (serde_json::from_value::<ApiError>(answer.clone()), id) {
                    // A refusal of the door, in the shape of the gateway's own API.
                    (Ok(refusal), Some(id)) if answer.get("jsonrpc").is_none() => {
                        let body = refusal.error;
                        let step = body.next_step.map_or(String::new(), |s| format!("; {s}"));
                        error(id, UNREACHABLE, &format!("{}{step}", body.message))
                    }
                    _ => answer,
                };
                if id.is_some() {
                    let _sent = self.answers.send(answer.to_string()).await;
                }
            }
            Exchange::Stream(mut stream) => {
                while let Some(data) = stream.next().await? {
                    if !data.trim().is_empty() {
                        let _sent = self.answers.send(data.replace('\n', " ")).await;
                    }
                }
            }
        }
        Ok(version)
    }
}

/// The headers that repeat parts of a message, as the protocol asks for over HTTP.
fn headers(message: &Value, agreed: Option<&str>) -> HeaderMap {
    let params = &message["params"];
    let own = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
    let method = message["method"].as_str();
    let named = params["name"].as_str().or_else(|| params["uri"].as_str());
    let version = match method {
        Some("initialize") => None,
        _ => own.or(agreed),
    };
    let told = [
        ("mcp-protocol-version", version),
        ("mcp-method", method),
        ("mcp-name", named),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in told {
        // What does not fit into a header is not told; the gateway then says so itself.
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            let _old = headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

/// What went wrong and what to do, in one line.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let step = error
        .downcast_ref::<Failure>()
        .and_then(|failure| failure.next_step.clone());
    match step {
        Some(step) => format!("{error}; {step}"),
        None => format!("{error:#}"),
    }
}
