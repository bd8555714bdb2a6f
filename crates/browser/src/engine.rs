//! One browser: a process behind walls, its way out, and the pages in it.

use instar_egress::{Broker, Egress, Passage, Rights};
use instar_sandbox::native::{Killer, Native, Running, Sink, Stream};
use instar_sandbox::root::{Inside, Root};
use instar_sandbox::spec::{Argv, BrokerSocket, Input, Job};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::program;
use crate::tabs::Tabs;
use crate::wire::{Frames, Order, Wire, WireError};

/// Until a browser that was started answers.
const START_TIME: Duration = Duration::from_secs(30);
/// One command.
pub(crate) const CALL_TIME: Duration = Duration::from_secs(10);
/// Orders that may wait to be written.
const ORDERS_MAX: usize = 256;
/// Pieces of output that may wait to be read; the process waits beyond that.
const PIECES_MAX: usize = 64;
/// What is kept of the words on its standard error, for who asks why it ended.
const WORDS_MAX: usize = 2_000;
/// Refusals of the broker that are remembered.
const REFUSALS_MAX: usize = 64;
/// What is left of a browser that was cut off and would keep the next one from its profile.
const LOCKS: [&str; 3] = ["SingletonLock", "SingletonSocket", "SingletonCookie"];

/// Is told of every request.
pub(crate) type Note = Box<dyn Fn(&Passage) + Send + Sync>;

/// What one browser is started with.
pub(crate) struct Start {
    pub(crate) note: Note,
    pub(crate) native: Native,
    pub(crate) egress: Egress,
    pub(crate) rights: Rights,
    pub(crate) program: String,
    /// The folder of the profile; without one nothing is kept.
    pub(crate) profile: Option<PathBuf>,
    pub(crate) socket: PathBuf,
}

/// A request that the broker did not let through.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) host: String,
    pub(crate) why: String,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) wire: Wire,
    pub(crate) rights: Rights,
    tabs: Mutex<Tabs>,
    changed: Notify,
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
    words: Mutex<String>,
    is_gone: std::sync::atomic::AtomicBool,
    killer: Killer,
    /// Ends every connection when it is dropped.
    _broker: Broker,
    socket: PathBuf,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.killer.kill();
        self.unlink();
    }
}

impl Engine {
    pub(crate) async fn start(mut start: Start) -> Result<Arc<Self>, String> {
        let refusals: Arc<Mutex<VecDeque<Refusal>>> = Arc::default();
        let broker = open_broker(&mut start, Arc::clone(&refusals))?;
        let (rights, socket) = (start.rights.clone(), start.socket.clone());
        let (pieces, heard) = mpsc::channel(PIECES_MAX);
        let sink: Sink = Arc::new(move |stream: Stream, piece: &[u8]| {
            // Nobody listens any more once the browser is given up.
            let _sent = pieces.blocking_send((stream, piece.to_vec()));
        });
        let running = tokio::task::spawn_blocking(move || launch(&start, sink))
            .await
            .map_err(|error| error.to_string())??;
        let killer = running.killer();
        let (orders, to_write) = sync_channel(ORDERS_MAX);
        let thread = std::thread::Builder::new().name("browser".to_owned());
        let _thread = thread
            .spawn(move || hold(running, &to_write))
            .map_err(|error| error.to_string())?;
        let engine = Arc::new(Self {
            wire: Wire::new(orders),
            rights,
            tabs: Mutex::default(),
            changed: Notify::new(),
            refusals,
            words: Mutex::default(),
            is_gone: false.into(),
            killer,
            _broker: broker,
            socket,
        });
        // It ends with the process, whose output ends then.
        let _pump = tokio::spawn(pump(Arc::downgrade(&engine), heard));
        match engine.greet().await {
            Ok(()) => Ok(engine),
            Err(error) => Err(engine.why_not(&error)),
        }
    }

    /// The first words, and the first page.
    async fn greet(&self) -> Result<(), WireError> {
        let version = self
            .wire
            .call(None, "Browser.getVersion", json!({}), START_TIME)
            .await?;
        tracing::info!(
            product = version["product"].as_str(),
            "a browser was started"
        );
        let deny = json!({ "behavior": "deny", "eventsEnabled": true });
        self.call(None, "Browser.setDownloadBehavior", deny).await?;
        let attach = json!({
            "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true,
            "filter": [{ "type": "page" }],
        });
        self.call(None, "Target.setAutoAttach", attach).await?;
        let has_page = self.until(START_TIME, |tabs| tabs.len() > 0).await;
        has_page.then_some(()).ok_or(WireError::Slow)
    }

    fn why_not(&self, error: &WireError) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let last = words.lines().rev().find(|line| !line.trim().is_empty());
        match last {
            Some(line) => format!("the browser did not start: {error}; it said: {line}"),
            None => format!("the browser did not start: {error}"),
        }
    }

    /// The pages as they are now.
    pub(crate) fn tabs(&self) -> MutexGuard<'_, Tabs> {
        self.tabs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, WireError> {
        self.wire.call(session, method, params, CALL_TIME).await
    }

    /// Waits until something is so, at most so long; says whether it came to be.
    pub(crate) async fn until(&self, within: Duration, is_so: impl Fn(&Tabs) -> bool) -> bool {
        let deadline = Instant::now() + within;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before it is looked at, so that nothing falls between.
            let _armed = changed.as_mut().enable();
            if is_so(&self.tabs()) {
                return true;
            }
            let left = tokio::time::timeout_at(deadline, changed).await;
            if self.is_gone() || left.is_err() {
                return is_so(&self.tabs());
            }
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Forgets the refusals so far.
    pub(crate) fn forget_refusals(&self) {
        self.refusals().clear();
    }

    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refusals().iter().cloned().collect()
    }

    fn refusals(&self) -> MutexGuard<'_, VecDeque<Refusal>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to end, so that it writes down what it keeps; what does not end is ended.
    pub(crate) async fn close(&self, within: Duration) {
        self.wire.tell(None, "Browser.close", json!({}));
        if !self.until(within, |_| self.is_gone()).await {
            self.wire.end();
            self.killer.kill();
        }
        self.unlink();
    }

    fn unlink(&self) {
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::debug!(%error, "a browser's socket was gone already");
        }
    }

    fn hear(&self, stream: Stream, piece: &[u8], frames: &mut Frames) -> bool {
        if stream == Stream::Error {
            let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            words.push_str(&String::from_utf8_lossy(piece));
            let from = words.len().saturating_sub(WORDS_MAX);
            let from = words.ceil_char_boundary(from);
            words.drain(..from);
            return true;
        }
        let Ok(messages) = frames.feed(piece) else {
            return false;
        };
        for message in messages {
            if let Some(event) = self.wire.take(&message) {
                self.tabs().hear(&event, &self.wire);
                self.changed.notify_waiters();
            }
        }
        true
    }

    fn ended(&self) {
        self.is_gone
            .store(true, std::sync::atomic::Ordering::Release);
        self.wire.close();
        self.changed.notify_waiters();
    }
}

/// Hears the process until it ends or nobody holds the browser any more.
async fn pump(engine: std::sync::Weak<Engine>, mut heard: mpsc::Receiver<(Stream, Vec<u8>)>) {
    let mut frames = Frames::default();
    while let Some((stream, piece)) = heard.recv().await {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if !engine.hear(stream, &piece, &mut frames) {
            tracing::warn!("a browser wrote without end and was ended");
            engine.killer.kill();
            break;
        }
    }
    if let Some(engine) = engine.upgrade() {
        engine.ended();
    }
}

/// Holds the process and writes to it, on a thread of its own: a pipe that is full blocks.
fn hold(mut running: Running, orders: &Receiver<Order>) {
    while let Ok(Order::Write(bytes)) = orders.recv() {
        if running.write(&bytes).is_err() {
            break;
        }
    }
    running.kill();
    match running.wait() {
        Ok(outcome) => tracing::info!(ended = ?outcome.ended, "a browser has ended"),
        Err(error) => tracing::warn!(%error, "a browser could not be waited for"),
    }
}

fn open_broker(
    start: &mut Start,
    refusals: Arc<Mutex<VecDeque<Refusal>>>,
) -> Result<Broker, String> {
    let socket = start.socket.clone();
    let told = |error: std::io::Error| {
        format!(
            "the browser's way out cannot be opened at {}: {error}",
            socket.display()
        )
    };
    if socket.exists() {
        std::fs::remove_file(&socket).map_err(told)?;
    }
    let listener = UnixListener::bind(&socket).map_err(told)?;
    let tell: Note = std::mem::replace(&mut start.note, Box::new(|_| ()));
    let note = move |passage: &Passage| {
        tell(passage);
        if let Some(why) = &passage.refused {
            let mut kept = refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= REFUSALS_MAX {
                let _oldest = kept.pop_front();
            }
            kept.push_back(Refusal {
                host: passage.host.clone(),
                why: why.clone(),
            });
        }
    };
    Ok(start.egress.broker(listener, start.rights.clone(), note))
}

fn launch(start: &Start, sink: Sink) -> Result<Running, String> {
    let argv = Argv::new(program::command(&start.program)).map_err(|error| error.to_string())?;
    let mut job = Job::new(program::walls(start.profile.is_some()), argv);
    job.input = Input::Open;
    job.streamed = true;
    job.broker = Some(BrokerSocket::new(&start.socket).map_err(|error| error.to_string())?);
    if let Some(folder) = &start.profile {
        job.workspace = Some(open_profile(folder)?);
    }
    start
        .native
        .start(job, Some(sink))
        .map_err(|error| chain(&error))
}

/// The agent's own folder, without the locks of a browser that was cut off.
fn open_profile(folder: &Path) -> Result<Root, String> {
    let told = |error: &dyn std::error::Error| {
        format!(
            "the browser's profile {} cannot be opened: {error}",
            folder.display()
        )
    };
    let root = Root::open(folder).map_err(|error| told(&error))?;
    for lock in LOCKS {
        let name = Inside::parse(&format!("profile/{lock}")).map_err(|error| told(&error))?;
        // Mostly there is none.
        let _gone = root.remove(&name);
    }
    Ok(root)
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
