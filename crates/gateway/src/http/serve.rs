//! The listener: connections within bounds, each served until it ends or the gateway does.

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::guard::{Ends, answer};
use super::shares::Shares;
use super::stall::Stall;
use crate::app::AppState;
use crate::door::Peer;

/// The request line and all headers.
const HEAD_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
/// How long a request's head may take, and how long a connection may idle before it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed accept: the system is out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener at work.
#[derive(Debug)]
pub(crate) struct Listening {
    connections: TaskTracker,
    /// Take no more connections, finish requests.
    finish: CancellationToken,
    /// End everything.
    cut: CancellationToken,
}

/// True for an address that is no single caller: local programs and tunnels, and configured proxies.
/// These may have every place.
pub(super) type Many = fn(&AppState, IpAddr) -> bool;

fn is_many(app: &AppState, address: IpAddr) -> bool {
    address.to_canonical().is_loopback() || app.auth.is_proxy(address)
}

/// Serves connections of a bound listener.
pub(crate) fn listen(app: AppState, router: Router, listener: TcpListener, max: u32) -> Listening {
    listen_sharing(app, router, listener, max, is_many)
}

pub(super) fn listen_sharing(
    app: AppState,
    router: Router,
    listener: TcpListener,
    max: u32,
    many: Many,
) -> Listening {
    let listening = Listening {
        connections: TaskTracker::new(),
        finish: CancellationToken::new(),
        cut: CancellationToken::new(),
    };
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let room = Arc::new(Semaphore::new(max));
    let accept = Accept {
        app,
        router,
        listener,
        room,
        shares: Shares::of(max),
        many,
        connections: listening.connections.clone(),
        finish: listening.finish.clone(),
        cut: listening.cut.clone(),
    };
    let _accepting = listening.connections.spawn(accept.run());
    listening
}

impl Listening {
    /// Takes no more connections and lets requests finish, then cuts what is left after `grace`.
    pub(crate) async fn stop(&self, grace: Duration) {
        self.finish.cancel();
        let _now_closed = self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = self.connections.len(), "connections are cut");
            self.cut.cancel();
            self.connections.wait().await;
        }
    }
}

struct Accept {
    app: AppState,
    router: Router,
    listener: TcpListener,
    room: Arc<Semaphore>,
    shares: Shares,
    many: Many,
    connections: TaskTracker,
    finish: CancellationToken,
    cut: CancellationToken,
}

impl Accept {
    async fn run(self) {
        loop {
            let next = async {
                let place = Arc::clone(&self.room).acquire_owned().await;
                (self.listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                biased;
                () = self.finish.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let share = self.shares.take(Peer::from(peer));
                    if share.is_none() && !(self.many)(&self.app, peer.ip()) {
                        tracing::debug!(%peer, "a peer has its share of connections");
                        continue;
                    }
                    self.app.metrics.connections.add(1);
                    let serving = serve(
                        self.app.clone(),
                        self.router.clone(),
                        stream,
                        peer,
                        self.finish.clone(),
                        self.cut.clone(),
                    );
                    let _task = self.connections.spawn(async move {
                        serving.await;
                        drop((place, share));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(
    app: AppState,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    finish: CancellationToken,
    cut: CancellationToken,
) {
    let Some(ends) = ends(&stream, peer) else {
        return;
    };
    let Some(tls) = app.tls.clone() else {
        return converse(app, router, stream, ends, finish, cut).await;
    };
    let shaken = tokio::select! {
        shaken = tls.accept(stream) => shaken,
        () = finish.cancelled() => return,
    };
    match shaken {
        Ok(stream) => converse(app, router, stream, ends, finish, cut).await,
        Err(error) => note(&error),
    }
}

/// Answers the requests of one connection.
pub(super) async fn converse(
    app: AppState,
    router: Router,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ends: Ends,
    finish: CancellationToken,
    cut: CancellationToken,
) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let (app, router) = (app.clone(), router.clone());
        async move {
            let request = request.map(Body::new);
            Ok::<_, Infallible>(answer(&app, router, ends, request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Stall::new(stream)), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let mut finishing = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            () = finish.cancelled(), if !finishing => {
                finishing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = cut.cancelled() => return,
        }
    }
}

fn ends(stream: &TcpStream, peer: SocketAddr) -> Option<Ends> {
    // Answers are written whole: waiting for more would only add time.
    let ready = stream.set_nodelay(true).and_then(|()| stream.local_addr());
    let local = match ready {
        Ok(local) => local,
        Err(error) => {
            note(&error);
            return None;
        }
    };
    Some(Ends { peer, local })
}

fn note(error: &io::Error) {
    tracing::debug!(%error, "a connection was gone before it was served");
}
