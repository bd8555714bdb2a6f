//! A client of the running gateway, over loopback HTTP.
//!
//! The gateway leaves its address and a secret for this user in the run file of the state folder;
//! both are good for that process only.

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

use instar_config::StateDir;
use instar_protocol::Secret;
use instar_protocol::api::{ApiError, RunFile};
use instar_tls::Fingerprint;

use crate::failure::{Code, Failure};

/// The most bytes of one answer that are read into memory.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The running gateway of a state folder.
#[derive(Debug)]
pub(crate) struct Client {
    authority: String,
    /// The certificate to speak to, if the gateway speaks TLS.
    pin: Option<Fingerprint>,
    secret: Secret,
    pub(crate) run: RunFile,
}

impl Client {
    /// Finds the gateway that owns the state folder; `None` if none runs there.
    ///
    /// A gateway that was killed leaves its run file behind, and somebody else may listen on its
    /// port by now: the file counts only while the folder's lock is held, so that its secret is
    /// sent to the process that made it.
    pub(crate) fn find(state: &StateDir) -> anyhow::Result<Option<Self>> {
        Ok(Self::last(state)?.filter(|client| client.runs(state)))
    }

    /// What the run file tells, of a gateway that may be gone. Nothing is sent to it.
    pub(crate) fn last_run(state: &StateDir) -> anyhow::Result<Option<RunFile>> {
        Ok(Self::last(state)?.map(|client| client.run))
    }

    /// True if the process that wrote the run file holds the folder's lock.
    fn runs(&self, state: &StateDir) -> bool {
        state.is_held_by(self.run.pid).unwrap_or(false)
    }

    fn last(state: &StateDir) -> anyhow::Result<Option<Self>> {
        let path = state.run_file();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context(format!("cannot read {}", path.display())),
        };
        let run: RunFile = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not what a gateway writes", path.display()))?;
        let (scheme, authority) = run.url.split_once("://").unwrap_or(("http", &run.url));
        let authority = authority.trim_end_matches('/').to_owned();
        let pin = match (scheme, &run.fingerprint) {
            ("https", Some(text)) => Some(text.parse::<Fingerprint>()?),
            ("http", None) => None,
            // In clear, or to whoever answers, the secret is not sent.
            _ => anyhow::bail!("{} is not what a gateway writes", path.display()),
        };
        let secret = Secret::new(run.local_secret.clone());
        Ok(Some(Self {
            authority,
            pin,
            secret,
            run,
        }))
    }

    /// Finds the gateway or says how to start one.
    pub(crate) fn require(state: &StateDir) -> anyhow::Result<Self> {
        Self::find(state)?.ok_or_else(|| {
            Failure::new(
                Code::NoGateway,
                format!("no gateway runs on {}", state.root().display()),
            )
            .next("start one with `instar up`")
            .into()
        })
    }

    /// True if the gateway answers at all. That it was asked too often is an answer, too.
    pub(crate) async fn alive(&self) -> bool {
        let Ok(request) = self.request(Method::GET, "/health", None, None) else {
            return false;
        };
        let answer = self.open(request).await;
        answer.is_ok_and(|response| response.status() != StatusCode::NOT_FOUND)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.json(Method::GET, path, None).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.json(Method::POST, path, Some(serde_json::to_vec(body)?))
            .await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.json(Method::DELETE, path, None).await
    }

    /// The answer's bytes as they are.
    pub(crate) async fn raw(&self, path: &str) -> anyhow::Result<Bytes> {
        read(self.send(Method::GET, path, None, None).await?).await
    }

    /// Opens an event stream.
    pub(crate) async fn stream(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<Stream> {
        let response = self
            .send(method, path, body, Some("text/event-stream"))
            .await?;
        Ok(Stream::new(response))
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> anyhow::Result<T> {
        let bytes = read(self.send(method, path, body, None).await?).await?;
        serde_json::from_slice(&bytes)
            .with_context(|| format!("the gateway's answer to {path} has another shape"))
    }

    /// Posts JSON with headers of the caller's own and takes whatever comes back, refusals too.
    pub(crate) async fn exchange(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Vec<u8>,
    ) -> anyhow::Result<Exchange> {
        let accept = Some("application/json, text/event-stream");
        let mut request = self.request(Method::POST, path, Some(body), accept)?;
        request.headers_mut().extend(headers.clone());
        let response = self.open(request).await?;
        let kind = response.headers().get(header::CONTENT_TYPE);
        let streams = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if streams {
            return Ok(Exchange::Stream(Stream::new(response)));
        }
        let status = response.status();
        let body = read(response).await?;
        if !status.is_success() && body.first() != Some(&b'{') {
            return Err(
                Failure::new(Code::Failed, format!("the gateway answered {status}"))
                    .next("look at `instar logs`")
                    .into(),
            );
        }
        Ok(Exchange::Whole(body))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        accept: Option<&str>,
    ) -> anyhow::Result<Response<Incoming>> {
        let request = self.request(method, path, body, accept)?;
        let response = self.open(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        accept: Option<&str>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.secret.expose()),
            )
            .header(header::ACCEPT, accept.unwrap_or("application/json"));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        Ok(request.body(Full::new(Bytes::from(body.unwrap_or_default())))?)
    }

    async fn open(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let connect = tokio::net::TcpStream::connect(&self.authority);
        let socket = tokio::time::timeout(CONNECT_TIMEOUT, connect)
            .await
            .map_err(anyhow::Error::from)
            .and_then(|opened| Ok(opened?))
            .map_err(|error| self.unreachable(&error))?;
        match self.pin {
            None => self.send_over(socket, request).await,
            Some(pin) => {
                let shaking = instar_tls::connect_pinned(socket, pin);
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, shaking)
                    .await
                    .map_err(anyhow::Error::from)
                    .and_then(|shaken| Ok(shaken?))
                    .map_err(|error| self.unreachable(&error))?;
                self.send_over(stream, request).await
            }
        }
    }

    async fn send_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<Response<Incoming>> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // The connection ends with the response body; its error shows there.
        drop(tokio::spawn(connection));
        sender
            .send_request(request)
            .await
            .map_err(|error| self.unreachable(&error.into()))
    }

    fn unreachable(&self, cause: &anyhow::Error) -> anyhow::Error {
        let message = format!(
            "the gateway (pid {}) does not answer on {}: {cause}",
            self.run.pid, self.run.url
        );
        Failure::new(Code::NoGateway, message)
            .next("look at `instar logs`, or start a gateway with `instar up`")
            .into()
    }
}

async fn read(response: Response<Incoming>) -> anyhow::Result<Bytes> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
    let collected = body
        .collect()
        .await
        .map_err(|error| anyhow!("reading the answer: {error}"))?;
    Ok(collected.to_bytes())
}

async fn refusal(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let code = match status {
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::CONFLICT
        | StatusCode::TOO_MANY_REQUESTS => Code::Refused,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Code::Usage,
        _ => Code::Failed,
    };
    let body = match read(response).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    match serde_json::from_slice::<ApiError>(&body) {
        Ok(answer) => {
            let failure = Failure::new(code, answer.error.message);
            match answer.error.next_step {
                Some(step) => failure.next(step).into(),
                None => failure.into(),
            }
        }
        Err(_) => Failure::new(code, format!("the gateway answered {status}")).into(),
    }
}

/// Events of a `text/event-stream`, one data field at a time.
#[derive(Debug)]
pub(crate) struct Stream {
    body: Incoming,
    buffer: String,
    bytes: Vec<u8>,
}

/// An answer in either of its forms.
#[derive(Debug)]
pub(crate) enum Exchange {
    Whole(Bytes),
    Stream(Stream),
}

impl Stream {
    fn new(response: Response<Incoming>) -> Self {
        Self {
            body: response.into_body(),
            buffer: String::new(),
            bytes: Vec::new(),
        }
    }

    /// The next event's data; `None` when the gateway closed the stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.find("\n\n") {
                let event: String = self.buffer.drain(..end + 2).collect();
                let data: Vec<&str> = event
                    .lines()
                    .filter_map(|line| line.strip_prefix("data:"))
                    .map(|data| data.strip_prefix(' ').unwrap_or(data))
                    .collect();
                if !data.is_empty() {
                    return Ok(Some(data.join("\n")));
                }
                continue;
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.take(&data)?;
            }
        }
    }

    /// Appends whole characters; the first bytes of a cut one wait for the rest.
    fn take(&mut self, data: &[u8]) -> anyhow::Result<()> {
        self.bytes.extend_from_slice(data);
        let whole = match std::str::from_utf8(&self.bytes) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Err(anyhow!("the gateway sent bytes that are not text")),
        };
        let rest = self.bytes.split_off(whole);
        let text = std::mem::replace(&mut self.bytes, rest);
        self.buffer.push_str(&String::from_utf8(text)?);
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(anyhow!("one event is longer than {ANSWER_BYTES_MAX} bytes"));
        }
        Ok(())
    }
}
