//! The network of programs behind walls: an HTTP proxy on a Unix socket, with the rights of one run.
//!
//! A program that has nothing but this socket reaches what its run's principal may reach: `CONNECT`
//! opens a tunnel to a judged address, and a request with a whole `http` address is sent on. Who may
//! connect is decided by who has the socket; each has its own rights, limits and end.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use url::Url;

use crate::client::Egress;
use crate::dial::dial;
use crate::error::EgressError;
use crate::fetch::OF_THE_CONNECTION;
use crate::rights::Rights;
use crate::send::{Incoming, Outgoing, Purpose, judge};

/// Connections of one run at once.
const CONNECTIONS_MAX: usize = 32;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// A tunnel without a byte in either direction ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// The body of one request that is sent on.
const BODY_BYTES_MAX: usize = 16 << 20;
/// What all connections of a run may move together, both directions.
const RUN_BYTES_MAX: u64 = 1 << 30;
const PIECE_BYTES: usize = 16_384;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a program behind the socket did, for whoever keeps account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    pub host: String,
    pub port: u16,
    /// Why it was refused or failed; `None` if it passed.
    pub refused: Option<String>,
}

/// Is told of each passage as it begins.
type Note = Arc<dyn Fn(&Passage) + Send + Sync>;

/// A socket at work. Dropping it ends every connection through it.
#[derive(Debug)]
pub struct Broker {
    connections: TaskTracker,
    end: CancellationToken,
    _ends_when_dropped: DropGuard,
    moved: Arc<AtomicU64>,
}

impl Broker {
    /// Ends every connection and waits until they are gone.
    pub async fn stop(self) {
        self.end.cancel();
        let _now_closed = self.connections.close();
        self.connections.wait().await;
    }

    /// Bytes that went through so far, both directions.
    #[must_use]
    pub fn bytes_moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }
}

impl Egress {
    /// Serves a socket with the rights of one run. The caller made the listener, where nobody but that
    /// run's program can reach it.
    pub fn broker(
        &self,
        listener: UnixListener,
        rights: Rights,
        note: impl Fn(&Passage) + Send + Sync + 'static,
    ) -> Broker {
        let connections = TaskTracker::new();
        let end = CancellationToken::new();
        let moved = Arc::new(AtomicU64::new(0));
        let desk = Desk {
            egress: self.clone(),
            rights,
            note: Arc::new(note),
            moved: Arc::clone(&moved),
            end: end.clone(),
        };
        let _accepting = connections.spawn(accept(listener, desk, connections.clone()));
        Broker {
            connections,
            _ends_when_dropped: end.clone().drop_guard(),
            end,
            moved,
        }
    }
}

async fn accept(listener: UnixListener, desk: Desk, connections: TaskTracker) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = desk.end.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let desk = desk.clone();
                let _task = connections.spawn(async move {
                    let end = desk.end.clone();
                    let _cut = end.run_until_cancelled(converse(stream, desk)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a program's connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[derive(Clone)]
struct Desk {
    egress: Egress,
    rights: Rights,
    note: Note,
    moved: Arc<AtomicU64>,
    end: CancellationToken,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A tunnel that was granted: it begins when the program has read the answer.
type Granted = Arc<std::sync::Mutex<Option<(hyper::upgrade::OnUpgrade, TcpStream)>>>;

async fn converse(stream: UnixStream, desk: Desk) {
    let granted = Granted::default();
    let service = service_fn(|request| {
        let (desk, granted) = (desk.clone(), Arc::clone(&granted));
        async move { Ok::<_, Infallible>(desk.answer(request, &granted).await) }
    });
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = conversation.await {
        tracing::debug!(%error, "a program's connection ended early");
        return;
    }
    let tunnel = granted
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .take();
    if let Some((upgrade, outside)) = tunnel {
        match upgrade.await {
            Ok(inside) => carry(TokioIo::new(inside), outside, &desk.moved).await,
            Err(error) => tracing::debug!(%error, "a tunnel did not begin"),
        }
    }
}

impl Desk {
    async fn answer(
        &self,
        request: Request<hyper::body::Incoming>,
        granted: &Granted,
    ) -> Response<Body> {
        let Some(url) = named(&request) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "name a whole http address, or CONNECT host:port",
            );
        };
        let outcome = if self.moved.load(Ordering::Relaxed) >= RUN_BYTES_MAX {
            Err(spent(&url))
        } else if request.method() == Method::CONNECT {
            self.tunnel(&url, request, granted).await
        } else {
            self.pass_on(url.clone(), request).await
        };
        let refused = outcome.as_ref().err().map(ToString::to_string);
        (self.note)(&Passage {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default().unwrap_or_default(),
            refused: refused.clone(),
        });
        match outcome {
            Ok(response) => response,
            Err(EgressError::Refused { .. }) => {
                refusal(StatusCode::FORBIDDEN, &refused.unwrap_or_default())
            }
            Err(EgressError::Timeout { .. }) => {
                refusal(StatusCode::GATEWAY_TIMEOUT, &refused.unwrap_or_default())
            }
            Err(_) => refusal(StatusCode::BAD_GATEWAY, &refused.unwrap_or_default()),
        }
    }

    async fn tunnel(
        &self,
        url: &Url,
        request: Request<hyper::body::Incoming>,
        granted: &Granted,
    ) -> Result<Response<Body>, EgressError> {
        let reach = judge(url, &Purpose::Tool(self.rights.clone()))?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(nowhere());
        };
        let proxy = self.egress.proxy();
        let outside = dial(
            &host.to_owned(),
            port,
            reach,
            proxy.as_deref(),
            CONNECT_TIMEOUT,
        )
        .await
        .map_err(|error| error.told())?;
        let upgrade = hyper::upgrade::on(request);
        *granted
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some((upgrade, outside));
        Ok(Response::new(Body::default()))
    }

    async fn pass_on(
        &self,
        url: Url,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Body>, EgressError> {
        let (head, body) = request.into_parts();
        let outgoing = Outgoing {
            purpose: Purpose::Tool(self.rights.clone()),
            method: head.method,
            url,
            headers: without_connection(head.headers),
            credential: None,
            body: Bytes::new(),
            connect_timeout: CONNECT_TIMEOUT,
            head_timeout: ANSWER_TIMEOUT,
        };
        // Judged before the program's bytes are taken in.
        let _reach = judge(&outgoing.url, &outgoing.purpose)?;
        let body = Limited::new(body, BODY_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| EgressError::TooLong {
                max: BODY_BYTES_MAX,
            })?
            .to_bytes();
        if !count(&self.moved, body.len()) {
            return Err(spent(&outgoing.url));
        }
        let answer = self.egress.send_once(Outgoing { body, ..outgoing }).await?;
        let mut response = Response::new(Body::default());
        *response.status_mut() = answer.status;
        *response.headers_mut() = without_connection(answer.headers.clone());
        *response.body_mut() = counted(answer, Arc::clone(&self.moved));
        Ok(response)
    }
}

/// The answer's pieces, counted; they end when the run has moved what it may.
fn counted(answer: Incoming, moved: Arc<AtomicU64>) -> Body {
    let pieces = stream::unfold(Some((answer, moved)), |state| async move {
        let (mut answer, moved) = state?;
        match answer.chunk(IDLE_TIMEOUT).await {
            Ok(None) => None,
            Ok(Some(piece)) if count(&moved, piece.len()) => {
                Some((Ok(Frame::data(piece)), Some((answer, moved))))
            }
            Ok(Some(_)) => Some((Err(io::Error::other("too many bytes")), None)),
            Err(error) => Some((Err(io::Error::other(error)), None)),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The address that a request names: whole and `http`; of a tunnel the host and port. It goes through
/// the one parser of addresses, so that every spelling is judged as it is meant.
fn named(request: &Request<hyper::body::Incoming>) -> Option<Url> {
    let uri = request.uri();
    if request.method() == Method::CONNECT {
        let authority = uri.authority()?;
        authority.port_u16()?;
        return Url::parse(&format!("https://{authority}/")).ok();
    }
    let url = Url::parse(&uri.to_string()).ok()?;
    (uri.scheme_str() == Some("http")).then_some(url)
}

fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let more =
        ["keep-alive", "proxy-connection", "proxy-authenticate"].map(HeaderName::from_static);
    for name in named.into_iter().chain(more).chain(OF_THE_CONNECTION) {
        let _dropped = headers.remove(name);
    }
    headers
}

/// Carries bytes both ways until an end closes, a side is silent too long, or the run has moved what
/// it may.
async fn carry(
    inside: impl tokio::io::AsyncRead + tokio::io::AsyncWrite,
    outside: TcpStream,
    moved: &AtomicU64,
) {
    let (mut from_inside, mut to_inside) = tokio::io::split(inside);
    let (mut from_outside, mut to_outside) = outside.into_split();
    let here = AtomicU64::new(0);
    let counts = Counts { here: &here, moved };
    let ended = tokio::try_join!(
        pump(&mut from_inside, &mut to_outside, counts),
        pump(&mut from_outside, &mut to_inside, counts),
    );
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel ended early");
    }
}

/// What is counted of a tunnel.
#[derive(Clone, Copy)]
struct Counts<'a> {
    /// Pieces in both directions of this one.
    here: &'a AtomicU64,
    /// Bytes of the whole run.
    moved: &'a AtomicU64,
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    counts: Counts<'_>,
) -> io::Result<()> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let mut piece = BytesMut::with_capacity(PIECE_BYTES);
    loop {
        piece.clear();
        let before = counts.here.load(Ordering::Relaxed);
        match tokio::time::timeout(IDLE_TIMEOUT, from.read_buf(&mut piece)).await {
            Ok(Ok(0)) => return to.shutdown().await,
            Ok(read) => {
                let _bytes = read?;
            }
            // One side may be silent for long while the other speaks.
            Err(_) if counts.here.load(Ordering::Relaxed) != before => continue,
            Err(elapsed) => return Err(late(elapsed)),
        }
        let _before = counts.here.fetch_add(1, Ordering::Relaxed);
        if !count(counts.moved, piece.len()) {
            return Err(io::Error::other(
                "the run has moved as many bytes as it may",
            ));
        }
        let writing = tokio::time::timeout(IDLE_TIMEOUT, to.write_all(&piece));
        writing.await.map_err(late)??;
    }
}

/// Counts bytes; false if they are too many.
fn count(moved: &AtomicU64, bytes: usize) -> bool {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    moved
        .fetch_add(bytes, Ordering::Relaxed)
        .saturating_add(bytes)
        <= RUN_BYTES_MAX
}

fn spent(url: &Url) -> EgressError {
    EgressError::Refused {
        host: url.host_str().unwrap_or_default().to_owned(),
        why: "this run has moved as many bytes as it may",
    }
}

fn nowhere() -> EgressError {
    EgressError::Refused {
        host: String::new(),
        why: "it names no host",
    }
}

fn never(never: Infallible) -> io::Error {
    match never {}
}

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let text = format!("{why}\n");
    let mut response = Response::new(Full::from(text).map_err(never).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
