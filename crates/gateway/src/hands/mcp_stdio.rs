//! A server of tools that is a program: started behind walls, spoken to over its pipes, started again
//! when it has ended, and ended with its configuration.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_protocol::principal::Via;
use instar_protocol::{Principal, Secret};
use instar_sandbox::native::{Killer, Native, Running, Sink, Stream};
use instar_sandbox::root::Root;
use instar_sandbox::spec::{Access, Argv, Environment, Extra, Input, Job, Limits, Network, Walls};
use instar_tools::mcp::{McpError, Wire};
use instar_tools::{EnvValue, FolderAccess, McpServerConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::way::{Way, open_way};
use crate::app::AppState;

/// How long an answer may take: below the deadline of a tool.
const ANSWER_TIME: Duration = Duration::from_secs(55);
/// A program that does not read what it is told is ended.
const WRITE_TIME: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// Who has run so long has not failed to start.
const STABLE: Duration = Duration::from_secs(60);
const LINE_BYTES_MAX: usize = 8 << 20;
const LINES_WAITING_MAX: usize = 64;
const NOTES_MAX: usize = 100;
/// Lines of its complaints that go into the log, for one start.
const COMPLAINTS_MAX: u32 = 200;
const COMPLAINT_CHARS_MAX: usize = 500;

/// A server lives as long as its configuration. What it has written in that time is bounded: who
/// passes it is started anew.
const LIMITS: Limits = Limits {
    cpu_seconds: 7 * 24 * 3_600,
    memory_bytes: 2 << 30,
    pids: 256,
    files: 1_024,
    file_bytes: 1 << 30,
    output_bytes: 4 << 20,
    wall_seconds: 30 * 24 * 3_600,
    together_bytes: None,
    cpu_thousandths: None,
};

/// The pipes of one configured server.
pub(super) struct StdioWire {
    app: AppState,
    name: String,
    config: McpServerConfig,
    state: tokio::sync::Mutex<State>,
    said: Arc<Said>,
}

#[derive(Default)]
struct State {
    process: Option<Process>,
    /// When it may be started again, and how long the pause after that is.
    not_before: Option<Instant>,
    pause: Duration,
}

/// What the program has said: answers that are waited for, and the rest.
#[derive(Default)]
struct Said {
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Value>>>,
    notes: Mutex<Vec<Value>>,
}

/// A program at work.
struct Process {
    began: Instant,
    running: Arc<Mutex<Running>>,
    killer: Killer,
    /// Ends with the program's output.
    reader: tokio::task::JoinHandle<()>,
    _way: Option<Way>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.killer.kill();
        let running = Arc::clone(&self.running);
        // Its last threads are waited for where that may take a moment.
        drop(std::thread::Builder::new().spawn(move || drop(running)));
    }
}

impl fmt::Debug for StdioWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StdioWire").field(&self.name).finish()
    }
}

impl StdioWire {
    pub(super) fn new(app: &AppState, name: &str, config: &McpServerConfig) -> Self {
        Self {
            app: app.clone(),
            name: name.to_owned(),
            config: config.clone(),
            state: tokio::sync::Mutex::default(),
            said: Arc::default(),
        }
    }

    async fn send(&self, message: &Value) -> Result<Vec<Value>, McpError> {
        let answer = self.hand_over(message).await?;
        let Some((id, answer)) = answer else {
            return Ok(Vec::new());
        };
        let heard = tokio::time::timeout(ANSWER_TIME, answer).await;
        let _late = held(&self.said.waiting).remove(&id);
        let mut messages = std::mem::take(&mut *held(&self.said.notes));
        match heard {
            Ok(Ok(answer)) => {
                messages.push(answer);
                Ok(messages)
            }
            Ok(Err(_)) => Err(unreachable("its program has ended")),
            Err(_) => Err(unreachable("it does not answer")),
        }
    }

    /// Writes a message to the program, starting it where it is told who we are. What comes back is
    /// waited for outside the lock: several calls may be under way.
    async fn hand_over(
        &self,
        message: &Value,
    ) -> Result<Option<(u64, oneshot::Receiver<Value>)>, McpError> {
        let mut state = self.state.lock().await;
        if state.process.as_ref().is_some_and(Process::has_ended) {
            state.ended();
        }
        if state.process.is_none() {
            if message["method"] != "initialize" {
                // The next program knows nothing of us.
                return Err(McpError::Forgotten);
            }
            state.process = Some(self.start(&mut state).await?);
        }
        let Some(process) = &state.process else {
            return Err(unreachable("it could not be started"));
        };
        let answer = message["id"].as_u64().map(|id| {
            let (tell, answer) = oneshot::channel();
            let _old = held(&self.said.waiting).insert(id, tell);
            (id, answer)
        });
        if let Err(why) = process.write(message).await {
            if let Some((id, _)) = &answer {
                let _nobody = held(&self.said.waiting).remove(id);
            }
            state.ended();
            return Err(why);
        }
        Ok(answer)
    }

    async fn start(&self, state: &mut State) -> Result<Process, McpError> {
        if let Some(at) = state.not_before
            && Instant::now() < at
        {
            let left = at.duration_since(Instant::now()).as_secs() + 1;
            return Err(unreachable(&format!(
                "its program ended; it is started again in {left} s"
            )));
        }
        state.not_before = Some(Instant::now() + state.pause.max(PAUSE_FIRST));
        state.pause = (state.pause.max(PAUSE_FIRST) * 2).min(PAUSE_LAST);
        let (environment, secrets) = self.environment()?;
        let way = self.way()?;
        let mut job = self.job(environment)?;
        job.broker = way.as_ref().map(|way| way.socket.clone());
        let (lines, heard) = mpsc::channel(LINES_WAITING_MAX);
        let sink = self.sink(lines, secrets);
        let started =
            tokio::task::spawn_blocking(move || Native::of_this_binary().start(job, Some(sink)));
        let running = started
            .await
            .map_err(|_| unreachable("it could not be started"))?
            .map_err(|why| unreachable(&crate::problem::chain(&why)))?;
        tracing::info!(server = self.name, "the program of a server was started");
        let killer = running.killer();
        let running = Arc::new(Mutex::new(running));
        let (said, writer) = (Arc::clone(&self.said), Arc::downgrade(&running));
        let reader = tokio::spawn(async move {
            listen(heard, &said, &writer).await;
            // Nobody answers what is still asked.
            held(&said.waiting).clear();
        });
        Ok(Process {
            began: Instant::now(),
            running,
            killer,
            reader,
            _way: way,
        })
    }

    /// The variables of the program, with the secrets among them.
    fn environment(&self) -> Result<(Environment, Vec<Secret>), McpError> {
        let (mut environment, _none) = Environment::project(&BTreeMap::new());
        let mut secrets = Vec::new();
        for (name, value) in &self.config.env {
            let given = match value {
                EnvValue::Plain(text) => environment.with(name, text),
                EnvValue::Secret(reference) => {
                    let secret = self.app.secrets.secret(reference);
                    let secret = secret.map_err(|why| unreachable(&why))?;
                    let given = environment.with(name, secret.expose());
                    secrets.push(secret);
                    given
                }
            };
            environment = given.map_err(|why| unreachable(&why))?;
        }
        Ok((environment, secrets))
    }

    /// The way out, for a program whose entry names hosts.
    fn way(&self) -> Result<Option<Way>, McpError> {
        if self.config.hosts.is_empty() {
            return Ok(None);
        }
        // Nobody is there whose rights they could be but the owner, who wrote the list.
        let owner = Principal::Owner { via: Via::Local };
        let rights = self.app.egress.rights(&owner);
        let who = format!("the server {}", self.name);
        let way = open_way(
            &self.app.egress,
            &self.app.state_dir,
            rights,
            &self.config.hosts,
            who,
        );
        way.map(Some).map_err(|why| unreachable(&why))
    }

    fn job(&self, environment: Environment) -> Result<Job, McpError> {
        let config = &self.config;
        let command = config.command.iter().chain(&config.args).cloned().collect();
        let argv = Argv::new(command).map_err(|why| unreachable(&why.to_string()))?;
        let workspace = config
            .cwd
            .as_deref()
            .map(|folder| Root::open(Path::new(folder)))
            .transpose()
            .map_err(|why| unreachable(&format!("its folder: {why}")))?;
        let walls = Walls {
            workspace: match (&workspace, config.access) {
                (None, _) => Access::None,
                (Some(_), FolderAccess::Ro) => Access::Read,
                (Some(_), FolderAccess::Rw) => Access::Write,
            },
            extras: vec![Extra::Opt, Extra::Certificates, Extra::TimeZone],
            network: if config.hosts.is_empty() {
                Network::None
            } else {
                Network::Broker
            },
            limits: LIMITS,
        };
        Ok(Job {
            environment,
            workspace,
            input: Input::Open,
            ..Job::new(walls, argv)
        })
    }

    /// Cuts what the program writes into lines: messages to be read, complaints for the log.
    fn sink(&self, lines: mpsc::Sender<Vec<u8>>, secrets: Vec<Secret>) -> Sink {
        let server = self.name.clone();
        let (out, err) = (Mutex::<Vec<u8>>::default(), Mutex::<Vec<u8>>::default());
        let complaints = AtomicU32::new(0);
        Arc::new(move |stream, piece: &[u8]| match stream {
            // A reader that is gone reads no more; a busy one lets the program wait.
            Stream::Out => cut(&out, piece, |line| drop(lines.blocking_send(line))),
            Stream::Error => cut(&err, piece, |line| {
                let number = complaints.fetch_add(1, Ordering::Relaxed);
                if number < COMPLAINTS_MAX {
                    tracing::info!(server, said = plain(&line, &secrets), "a server's program");
                }
            }),
        })
    }
}

impl State {
    fn ended(&mut self) {
        if let Some(process) = self.process.take()
            && process.began.elapsed() > STABLE
        {
            self.pause = PAUSE_FIRST;
            self.not_before = None;
        }
    }
}

impl Process {
    fn has_ended(&self) -> bool {
        self.reader.is_finished()
    }

    async fn write(&self, message: &Value) -> Result<(), McpError> {
        let running = Arc::clone(&self.running);
        let line = format!("{message}\n");
        let written = tokio::task::spawn_blocking(move || held(&running).write(line.as_bytes()));
        match tokio::time::timeout(WRITE_TIME, written).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(_) => Err(unreachable("its program has ended")),
            Err(_) => {
                self.killer.kill();
                Err(unreachable("its program does not listen and was ended"))
            }
        }
    }
}

/// Hands on what the program says, until it says no more.
async fn listen(
    mut lines: mpsc::Receiver<Vec<u8>>,
    said: &Said,
    writer: &std::sync::Weak<Mutex<Running>>,
) {
    while let Some(line) = lines.recv().await {
        let Ok(message) = serde_json::from_slice::<Value>(&line) else {
            tracing::debug!("a server's program wrote a line that is no message");
            continue;
        };
        let asks = message.get("method").is_some();
        match (asks, message["id"].as_u64(), message.get("id")) {
            (false, Some(id), _) => {
                if let Some(tell) = held(&said.waiting).remove(&id) {
                    // Whoever asked may have gone.
                    drop(tell.send(message));
                }
            }
            (true, _, Some(id)) => {
                let answer = reply(&message, id);
                let Some(running) = writer.upgrade() else {
                    return;
                };
                let line = format!("{answer}\n");
                let sent =
                    tokio::task::spawn_blocking(move || held(&running).write(line.as_bytes()));
                if !matches!(tokio::time::timeout(WRITE_TIME, sent).await, Ok(Ok(Ok(())))) {
                    return;
                }
            }
            _ => {
                let mut notes = held(&said.notes);
                if notes.len() < NOTES_MAX {
                    notes.push(message);
                }
            }
        }
    }
}

/// The answer to what a server asks of us: that we are there, and nothing more.
fn reply(message: &Value, id: &Value) -> Value {
    if message["method"] == "ping" {
        return json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    }
    let error = json!({ "code": -32601, "message": "this client does not offer that" });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// Gives the whole lines of what came so far. A line without end is let go of.
fn cut(before: &Mutex<Vec<u8>>, piece: &[u8], mut give: impl FnMut(Vec<u8>)) {
    let mut rest = held(before);
    for part in piece.split_inclusive(|byte| *byte == b'\n') {
        rest.extend_from_slice(part);
        if rest.ends_with(b"\n") {
            let _end = rest.pop();
            give(std::mem::take(&mut *rest));
        } else if rest.len() > LINE_BYTES_MAX {
            rest.clear();
        }
    }
}

/// A complaint as the log may have it.
fn plain(line: &[u8], secrets: &[Secret]) -> String {
    let text = String::from_utf8_lossy(line);
    let masked = secrets
        .iter()
        .filter(|secret| !secret.expose().is_empty())
        .fold(text.into_owned(), |text, secret| {
            text.replace(secret.expose(), "[secret]")
        });
    let shown = masked.chars().filter(|c| !c.is_control());
    shown.take(COMPLAINT_CHARS_MAX).collect()
}

fn unreachable(why: &str) -> McpError {
    McpError::Unreachable(why.to_owned())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wire for StdioWire {
    fn exchange<'a>(&'a self, message: &'a Value) -> BoxFuture<'a, Result<Vec<Value>, McpError>> {
        self.send(message).boxed()
    }

    /// The next message starts another program.
    fn forget(&self) {}

    fn heard(&self) -> Vec<Value> {
        std::mem::take(&mut *held(&self.said.notes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_and_a_line_without_end_is_let_go_of() {
        let rest = Mutex::default();
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for piece in [&b"{\"a\""[..], b":1}\n{}", b"\n"] {
            cut(&rest, piece, |line| lines.push(line));
        }
        assert_eq!(lines, [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
        cut(&rest, &vec![b'x'; LINE_BYTES_MAX + 1], |line| {
            lines.push(line)
        });
        assert!(held(&rest).is_empty() && lines.len() == 2);
    }

    #[test]
    fn a_server_that_asks_gets_no_more_than_a_sign_of_life() {
        let ping = json!({"jsonrpc": "2.0", "id": "a", "method": "ping"});
        assert_eq!(reply(&ping, &ping["id"])["result"], json!({}));
        let sampling = json!({"jsonrpc": "2.0", "id": 2, "method": "sampling/createMessage"});
        assert_eq!(reply(&sampling, &sampling["id"])["error"]["code"], -32601);
    }

    #[test]
    fn a_complaint_shows_no_secret() {
        let secrets = [Secret::new("s3cret-of-the-desk".to_owned())];
        let shown = plain(b"token s3cret-of-the-desk\x1b[31m", &secrets);
        assert_eq!(shown, "token [secret][31m");
    }
}
