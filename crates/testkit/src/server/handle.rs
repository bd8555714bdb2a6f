//! From a request to an answer: the vendors' paths, their checks, their refusals.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use instar_demo::{Fault, Player};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Recorded, break_it};
use crate::wire::{Asked, Frame, Refusal, Turn, Wire, chat, embed, messages, ollama, responses};

/// The most bytes of a request body, as with the vendors.
const BODY_BYTES_MAX: usize = 32 << 20;
/// The model that a script without a list of models is said to offer.
const ANY_MODEL: &str = "scripted";

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

#[derive(Debug)]
pub(super) struct Handler {
    pub(super) player: Player,
    pub(super) requests: Mutex<VecDeque<Recorded>>,
    pub(super) requests_kept: usize,
}

impl Handler {
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let wire = wire(&path, &head.headers);
        let bytes = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(_) => {
                let refusal = Refusal::new(413, "the request is too large or was cut");
                return refuse(&refusal, wire.unwrap_or(Wire::Chat));
            }
        };
        let body = serde_json::from_slice::<Value>(&bytes);
        if self.requests_kept > 0 {
            self.record(&head, &path, body.as_ref().unwrap_or(&Value::Null));
        }
        let Some(wire) = wire else {
            let refusal = Refusal::new(404, format!("Invalid URL ({} {path})", head.method));
            return refuse(&refusal, Wire::Chat);
        };
        if let Err(refusal) = self.check_key(&head.headers, wire) {
            return refuse(&refusal, wire);
        }
        match (head.method.clone(), path.as_str()) {
            (Method::GET, "/api/version") => whole(&json!({"version": "0.12.0"})),
            (Method::GET, "/api/tags") => whole(&ollama::tags(&self.models())),
            (Method::GET, "/v1/models") if wire == Wire::Messages => {
                whole(&messages::models(&self.models()))
            }
            (Method::GET, "/v1/models") => whole(&chat::models(&self.models())),
            (Method::POST, "/v1/embeddings" | "/api/embed") => whole(&embed::answer(
                wire == Wire::Ollama,
                &body.unwrap_or_default(),
            )),
            (
                Method::POST,
                "/v1/chat/completions" | "/v1/responses" | "/v1/messages" | "/api/chat",
            ) => match body {
                Ok(body) => match self.read(wire, &head.headers, &body) {
                    Ok(asked) => self.play(wire, &asked).await,
                    Err(refusal) => refuse(&refusal, wire),
                },
                Err(err) => {
                    let text = format!("We could not parse the JSON body of your request: {err}");
                    refuse(&Refusal::new(400, text), wire)
                }
            },
            (method, _) => {
                let text = format!("Not allowed to {method} on {path}.");
                refuse(&Refusal::new(405, text), wire)
            }
        }
    }

    fn models(&self) -> Vec<String> {
        let rows = &self.player.script().models;
        if rows.is_empty() {
            return vec![ANY_MODEL.to_owned()];
        }
        rows.iter().map(|row| row.id.clone()).collect()
    }

    fn record(&self, head: &http::request::Parts, path: &str, body: &Value) {
        let recorded = Recorded {
            method: head.method.to_string(),
            path: path.to_owned(),
            headers: head
                .headers
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    (name.as_str().to_owned(), value)
                })
                .collect(),
            body: body.clone(),
        };
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= self.requests_kept {
            requests.pop_front();
        }
        requests.push_back(recorded);
    }

    fn check_key(&self, headers: &HeaderMap, wire: Wire) -> Result<(), Refusal> {
        let Some(key) = &self.player.script().key else {
            return Ok(());
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let given = match wire {
            Wire::Messages => text("x-api-key").or(bearer),
            Wire::Chat | Wire::Responses | Wire::Ollama => bearer,
        };
        match (given, wire) {
            (Some(given), _) if given == key => Ok(()),
            (_, Wire::Messages) => Err(Refusal::new(401, "invalid x-api-key")),
            (None, _) => Err(Refusal::new(401, "You didn't provide an API key.")),
            (Some(_), _) => Err(Refusal::new(401, "Incorrect API key provided.")),
        }
    }

    fn read(&self, wire: Wire, headers: &HeaderMap, body: &Value) -> Result<Asked, Refusal> {
        let asked = match wire {
            Wire::Chat => chat::read(body)?,
            Wire::Responses => responses::read(body)?,
            Wire::Messages => {
                if !headers.contains_key("anthropic-version") {
                    return Err(Refusal::new(400, "anthropic-version: header is required"));
                }
                messages::read(body)?
            }
            Wire::Ollama => ollama::read(body)?,
        };
        let models = &self.player.script().models;
        let model = &asked.ask.model;
        if models.is_empty() || models.iter().any(|row| row.id == *model) {
            return Ok(asked);
        }
        let text = match wire {
            Wire::Messages => format!("model: {model}"),
            Wire::Ollama => format!("model '{model}' not found"),
            Wire::Chat | Wire::Responses => {
                format!("The model `{model}` does not exist or you do not have access to it.")
            }
        };
        Err(Refusal::new(404, text))
    }

    async fn play(&self, wire: Wire, asked: &Asked) -> Answer {
        let played = self.player.play(&asked.ask);
        let fault = played.answer.fault.as_deref();
        if let Some(fault) = fault.filter(|fault| fault.delay_ms > 0) {
            tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
        }
        if let Some((fault, status)) = fault.and_then(|f| f.status.map(|status| (f, status))) {
            return fail(fault, status, wire, played.call);
        }
        let turn = Turn {
            model: &asked.ask.model,
            call: played.call,
            events: &played.events,
            include_usage: asked.include_usage,
        };
        let (frames, content_type) = encode(wire, asked.stream, &turn);
        let body = break_it::body(frames, fault, || stream_error(wire, fault));
        let mut answer = Response::new(body);
        set(&mut answer, "content-type", content_type);
        set(
            &mut answer,
            "x-request-id",
            &format!("req_scripted{:08}", played.call),
        );
        if let Some(fault) = fault {
            dress(&mut answer, fault);
        }
        answer
    }
}

/// The format that a path speaks. Two vendors share `/v1/models`; one of them names its version.
fn wire(path: &str, headers: &HeaderMap) -> Option<Wire> {
    Some(match path {
        "/v1/chat/completions" | "/v1/embeddings" => Wire::Chat,
        "/v1/models" if headers.contains_key("anthropic-version") => Wire::Messages,
        "/v1/models" => Wire::Chat,
        "/v1/responses" => Wire::Responses,
        "/v1/messages" => Wire::Messages,
        "/api/chat" | "/api/embed" | "/api/tags" | "/api/version" => Wire::Ollama,
        _ => return None,
    })
}

fn encode(wire: Wire, stream: bool, turn: &Turn<'_>) -> (Vec<Frame>, &'static str) {
    if stream {
        return match wire {
            Wire::Chat => (chat::stream(turn), "text/event-stream; charset=utf-8"),
            Wire::Responses => (responses::stream(turn), "text/event-stream; charset=utf-8"),
            Wire::Messages => (messages::stream(turn), "text/event-stream; charset=utf-8"),
            Wire::Ollama => (ollama::stream(turn), "application/x-ndjson"),
        };
    }
    let body = match wire {
        Wire::Chat => chat::whole(turn),
        Wire::Responses => responses::whole(turn),
        Wire::Messages => messages::whole(turn),
        Wire::Ollama => ollama::whole(turn),
    };
    let frame = Frame {
        pause: turn.events.iter().map(|(pause, _)| pause).sum(),
        bytes: body.to_string().into(),
        last: false,
    };
    (vec![frame], "application/json")
}

/// The answer of a fault with a status.
fn fail(fault: &Fault, status: u16, wire: Wire, call: u64) -> Answer {
    let mut refusal = Refusal::new(
        status,
        fault
            .message
            .as_deref()
            .unwrap_or("This failure is part of the script."),
    );
    refusal.code.clone_from(&fault.code);
    let body = match &fault.body {
        Some(body) => body.clone(),
        None => refusal.body(wire, call).to_string(),
    };
    let mut answer = plain(status, body.into());
    dress(&mut answer, fault);
    answer
}

fn stream_error(wire: Wire, fault: Option<&Fault>) -> Bytes {
    let code = fault.and_then(|fault| fault.code.clone());
    let message = fault
        .and_then(|fault| fault.message.clone())
        .unwrap_or_else(|| "The server had an error in the middle of the answer.".to_owned());
    let mut refusal = Refusal::new(500, message);
    refusal.code.clone_from(&code);
    match wire {
        Wire::Chat => format!("data: {}\n\n", refusal.body(wire, 0)),
        Wire::Responses => {
            let (name, body) = responses::failed(&refusal.message, code.as_deref());
            format!("event: {name}\ndata: {body}\n\n")
        }
        Wire::Messages => format!("event: error\ndata: {}\n\n", refusal.body(wire, 0)),
        Wire::Ollama => format!("{}\n", refusal.body(wire, 0)),
    }
    .into()
}

fn dress(answer: &mut Answer, fault: &Fault) {
    for (name, value) in &fault.headers {
        set(answer, name, value);
    }
    if let Some(content_type) = &fault.content_type {
        set(answer, "content-type", content_type);
    }
}

fn refuse(refusal: &Refusal, wire: Wire) -> Answer {
    plain(refusal.status, refusal.body(wire, 0).to_string().into())
}

fn whole(body: &Value) -> Answer {
    plain(200, body.to_string().into())
}

fn plain(status: u16, body: Bytes) -> Answer {
    let mut answer = Response::new(
        Full::new(body)
            .map_err(|never| match never {})
            .boxed_unsync(),
    );
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    set(&mut answer, "content-type", "application/json");
    answer
}

/// Sets a header; one that HTTP cannot carry is left out.
fn set(answer: &mut Answer, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        answer.headers_mut().insert(name, value);
    }
}
