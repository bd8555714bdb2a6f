//! The scripted model as an HTTP server on loopback.

mod break_it;
mod handle;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use instar_demo::{Player, Script, ScriptError};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use handle::Handler;

/// The most connections at a time; more wait.
const CONNECTIONS_MAX: usize = 1_024;

/// How a server is run.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Zero takes a free port.
    pub port: u16,
    /// Threads that serve. One is enough for tests.
    pub workers: usize,
    /// So many of the latest requests are kept; zero keeps none, which benches want.
    pub requests_kept: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            port: 0,
            workers: 1,
            requests_kept: 1_000,
        }
    }
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    /// By lower-case name; of several with one name the last.
    pub headers: BTreeMap<String, String>,
    /// `Null` if there was no body or it was not JSON.
    pub body: Value,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("checking the script")]
    Script(#[source] ScriptError),
    #[error("listening on port {port} of the loopback address")]
    Listen {
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("starting the server's thread")]
    Thread(#[source] std::io::Error),
}

/// A running scripted model. It has threads of its own, so that it works in any test and goes on
/// while the test's runtime is busy; dropping it closes every connection.
#[derive(Debug)]
pub struct ScriptedServer {
    /// `http://127.0.0.1:PORT`, without `/v1`.
    pub base_url: String,
    handler: Arc<Handler>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedServer {
    /// Starts a server on a free port. A script that is wrong fails the test.
    #[must_use]
    pub fn start(script: Script) -> Self {
        match Self::start_with(script, &ServerOptions::default()) {
            Ok(server) => server,
            #[expect(clippy::panic, reason = "called by tests, whose script is wrong")]
            Err(err) => panic!(
                "scripted server: {err}: {:?}",
                std::error::Error::source(&err)
            ),
        }
    }

    /// Starts a server with options.
    pub fn start_with(script: Script, options: &ServerOptions) -> Result<Self, StartError> {
        let player = Player::new(script).map_err(StartError::Script)?;
        let (listener, address) = listen(options.port)?;
        let handler = Arc::new(Handler {
            player,
            requests: Mutex::new(VecDeque::new()),
            requests_kept: options.requests_kept,
        });
        let stop = CancellationToken::new();
        let runtime = runtime(options.workers).map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("scripted-model".to_owned())
            .spawn({
                let (handler, stop) = (Arc::clone(&handler), stop.clone());
                move || {
                    runtime.block_on(serve(listener, handler, stop));
                    runtime.shutdown_background();
                }
            })
            .map_err(StartError::Thread)?;
        Ok(Self {
            base_url: format!("http://{address}"),
            handler,
            stop,
            thread: Some(thread),
        })
    }

    /// The base address that OpenAI's clients want.
    #[must_use]
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.base_url)
    }

    /// The latest requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        let requests = self.handler.requests.lock();
        let requests = requests.unwrap_or_else(PoisonError::into_inner);
        requests.iter().cloned().collect()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been printed by its own hook.
            let _ended = thread.join();
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn listen(port: u16) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| StartError::Listen { port, source })
}

fn runtime(workers: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match workers {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()
}

async fn serve(listener: TcpListener, handler: Arc<Handler>, stop: CancellationToken) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                let Ok((socket, _)) = accepted else { continue };
                let _best_effort = socket.set_nodelay(true);
                let handler = Arc::clone(&handler);
                connections.spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let handler = Arc::clone(&handler);
                        async move { Ok::<_, std::convert::Infallible>(handler.answer(request).await) }
                    });
                    // Clients leave in the middle of answers; that is what some tests are about.
                    let _ended = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
            Some(_) = connections.join_next(), if connections.len() >= CONNECTIONS_MAX => {}
        }
    }
}
