//! From an upgraded connection to a handshake, with little trust and little memory.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::connect::Turned;
use super::device::Challenge;
use super::frame::{self, Event, Refusal};
use super::handshake::{self, Greeted, Knock};
use super::link::{Link, Why};
use super::talk;
use crate::app::AppState;
use crate::door::{Caller, Peer};
use crate::http::{Ends, Share};
use crate::problem::ApiProblem;

/// What a caller may send before it has proved who it is.
const UNPROVEN_BYTES_MAX: usize = 64 * 1024;
/// Frames have heads, and a ping may come in between.
const FRAMING_BYTES: usize = 1_024;
/// How long a handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);
/// How long a farewell may take.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
const READ_BUFFER_BYTES: usize = 16 * 1024;

pub(super) type Socket = WebSocketStream<Gate<TokioIo<hyper::upgrade::Upgraded>>>;

/// True for a request that asks to speak the control protocol.
pub(crate) fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim().eq_ignore_ascii_case(token))
    };
    has(header::UPGRADE, "websocket") && has(header::CONNECTION, "upgrade")
}

/// Takes the upgrade. Host and origin were checked by the guard, as for every request; a browser's
/// cookie is let through from the gateway's own page only.
pub(crate) async fn upgrade(State(app): State<AppState>, mut request: Request<Body>) -> Response {
    match accept(&app, &mut request) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

fn accept(app: &AppState, request: &mut Request<Body>) -> Result<Response, ApiProblem> {
    let headers = request.headers();
    if headers.get(header::SEC_WEBSOCKET_VERSION) != Some(&HeaderValue::from_static("13")) {
        return Err(
            ApiProblem::invalid("this WebSocket version is not spoken here").next("use 13"),
        );
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
    let key = key.ok_or_else(|| ApiProblem::invalid("Sec-WebSocket-Key is missing"))?;
    let caller = request.extensions().get::<Caller>().cloned();
    let ends = request.extensions().get::<Ends>().copied();
    let ends = ends.ok_or_else(ApiProblem::internal)?;
    let place = place(app, ends)?;
    let session = caller
        .as_ref()
        .and_then(|_| app.auth.session_digest(headers));
    let knocked = Arrival {
        app: app.clone(),
        ends,
        caller,
        session,
        endings: app.control.endings(),
        place,
    };
    let upgraded = hyper::upgrade::on(request);
    let _task = app.tasks.spawn(async move {
        match tokio::time::timeout(HANDSHAKE_MAX, upgraded).await {
            Ok(Ok(upgraded)) => knocked.meet(upgraded).await,
            Ok(Err(error)) => tracing::debug!(%error, "an upgrade was not completed"),
            Err(_) => tracing::debug!("an upgrade took too long"),
        }
    });
    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| ApiProblem::internal())?;
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// A place among those that have proved nothing, counted until it is dropped.
type Place = (Share, OwnedSemaphorePermit);

/// There are few of them, and one peer gets a part: it shuts nobody else out.
fn place(app: &AppState, ends: Ends) -> Result<Place, ApiProblem> {
    let share = app.control.unproven_shares.take(Peer::from(ends.peer));
    let place = Arc::clone(&app.control.unproven).try_acquire_owned().ok();
    share.zip(place).ok_or_else(|| {
        ApiProblem::unavailable("too many connections are in their handshake")
            .next("try again in a moment")
    })
}

struct Arrival {
    app: AppState,
    ends: Ends,
    caller: Option<Caller>,
    /// The digest of the browser's cookie.
    session: Option<String>,
    /// What [`Hub::endings`] said when it arrived.
    ///
    /// [`Hub::endings`]: super::hub::Hub::endings
    endings: u64,
    place: Place,
}

impl Arrival {
    async fn meet(self, upgraded: hyper::upgrade::Upgraded) {
        let gate = Gate::new(TokioIo::new(upgraded));
        let proved = gate.proved();
        let max = usize::try_from(handshake::max_payload(&self.app)).unwrap_or(usize::MAX);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let mut socket = WebSocketStream::from_raw_socket(gate, Role::Server, Some(config)).await;
        let closing = self.app.closing.clone();
        let greeted = tokio::select! {
            () = closing.cancelled() => return,
            greeted = tokio::time::timeout(HANDSHAKE_MAX, self.greet(&mut socket)) => greeted,
        };
        let greeted = match greeted {
            Ok(Some(Ok(greeted))) => greeted,
            Ok(Some(Err(turned))) => return turn_away(&mut socket, turned).await,
            Ok(None) => return,
            Err(_) => return farewell(&mut socket, (1008, "handshake timeout")).await,
        };
        proved.store(true, Ordering::Release);
        drop(self.place);
        welcome(self.app, socket, greeted, self.endings).await;
    }

    /// Sends the challenge and reads the answer to it. `None` if the other side is gone.
    async fn greet(&self, socket: &mut Socket) -> Option<Result<Greeted, Turned>> {
        let knock = Knock {
            peer: self.ends.peer,
            caller: self.caller.clone(),
            session: self.session.clone(),
            challenge: Challenge {
                nonce: nonce(),
                at: self.app.clock.now().millis(),
            },
            conn: hex::encode(crate::random::ten()),
        };
        let challenge = Event::new(
            "connect.challenge",
            &json!({ "nonce": knock.challenge.nonce, "ts": knock.challenge.at }),
        );
        socket.send(text(challenge.plain())).await.ok()?;
        loop {
            match socket.next().await? {
                Ok(Message::Text(first)) => {
                    return Some(handshake::greet(&self.app, &knock, &first).await);
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Binary(_) | Message::Frame(_)) => {
                    return Some(Err(Turned {
                        answer: None,
                        close: (1003, "text frames only"),
                    }));
                }
                Ok(Message::Close(_)) | Err(_) => return None,
            }
        }
    }
}

/// Random, in the form that the protocol's clients expect.
fn nonce() -> String {
    let text = hex::encode([crate::random::ten(), crate::random::ten()].concat());
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or("").to_owned();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

async fn welcome(app: AppState, mut socket: Socket, greeted: Greeted, endings: u64) {
    let Greeted { id, who, issued } = greeted;
    let who = Arc::new(who);
    let (link, outbox) = Link::new(Arc::clone(&who), app.clock.now());
    if !app.control.join(&link) {
        let refusal = Refusal::unavailable("too many clients are connected");
        return turn_away(
            &mut socket,
            Turned {
                answer: Some(frame::response(&id, &Err(refusal))),
                close: (1013, "too many clients"),
            },
        )
        .await;
    }
    if app.control.endings() != endings {
        // What it was let in by may have ended meanwhile: it is judged again, from the beginning.
        app.control.leave(&link);
        let refusal = Refusal::unavailable("an authority has ended just now").after(100);
        return turn_away(
            &mut socket,
            Turned {
                answer: Some(frame::response(&id, &Err(refusal))),
                close: (1012, "try again"),
            },
        )
        .await;
    }
    let hello = handshake::hello(&app, &who, issued).await;
    let failed = hello.is_err();
    link.reply(&id, &hello);
    if failed {
        link.close((1011, "the gateway cannot answer"));
    } else {
        let health = hello.map(|hello| hello["snapshot"]["health"].clone());
        let health = health.unwrap_or_default();
        let versions = Some(app.control.versions());
        link.tell(&Event::with("health", &health, versions));
        app.control.tell_presence();
        tracing::debug!(conn = who.conn, role = who.role, "a client connected");
    }
    talk::talk(&app, socket, &link, outbox).await;
    app.control.leave(&link);
}

pub(super) fn text(text: String) -> Message {
    Message::Text(text.into())
}

async fn turn_away(socket: &mut Socket, turned: Turned) {
    if let Some(answer) = turned.answer {
        let sent = tokio::time::timeout(FAREWELL_MAX, socket.send(text(answer))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
    farewell(socket, turned.close).await;
}

/// Closes in order: the reason is sent, and the other side gets a moment to answer.
pub(super) async fn farewell<S>(socket: &mut WebSocketStream<S>, (code, reason): Why)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = CloseFrame {
        code: CloseCode::from(code),
        reason: reason.into(),
    };
    let goodbye = async {
        if socket.close(Some(close)).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Whoever does not answer is left.
    drop(tokio::time::timeout(FAREWELL_MAX, goodbye).await);
}

pub(super) fn ping() -> Message {
    Message::Ping(Bytes::new())
}

/// Lets little through before the other side has proved who it is.
#[derive(Debug)]
pub(super) struct Gate<S> {
    inner: S,
    left: usize,
    proved: Arc<AtomicBool>,
}

impl<S> Gate<S> {
    fn new(inner: S) -> Self {
        Self {
            inner,
            left: UNPROVEN_BYTES_MAX + FRAMING_BYTES,
            proved: Arc::default(),
        }
    }

    fn proved(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.proved)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if polled.is_ready() && !self.proved.load(Ordering::Acquire) {
            let read = buffer.filled().len().saturating_sub(before);
            match self.left.checked_sub(read) {
                Some(left) => self.left = left,
                None => {
                    let why = "too much before the handshake";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
                }
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
