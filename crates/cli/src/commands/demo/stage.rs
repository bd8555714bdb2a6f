//! What every story has: a scratch state, a gateway with a scripted model, and a voice.

use instar_config::StateDir;
use instar_demo::{Player, Script};
use instar_gateway::{Gateway, Options, Running};
use instar_protocol::RunId;
use instar_protocol::api::SendMessage;
use instar_protocol::live::{LiveEvent, Outcome};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::args::DemoOptions;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Out, Style};

/// How long a story waits for something that should be there at once.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a check is asked for. Each waits a minute for its turn.
const CHECKS_MAX: usize = 5;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A folder of this story alone. It goes with its owner, also where the story does not get far.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whoever could be told of it has left.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Somebody who wants the story to end.
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Listens from now on: before there is anything that has to be tidied up.
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Works until it is done or somebody wants it to end.
    pub(super) async fn or<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => done,
            () = self.asked() => Err(Failure::new(Code::Failed, "the story was ended before its end").into()),
        }
    }
}

/// A gateway that a story is told with. Its state is removed at the end.
pub(super) struct Stage {
    running: Running,
    client: Client,
    folder: Scratch,
    pub(super) out: Out,
}

impl Stage {
    pub(super) async fn set(
        script: Script,
        options: &DemoOptions,
        run: &Context,
    ) -> anyhow::Result<Self> {
        let mut name = [0_u8; 6];
        getrandom::fill(&mut name).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = Scratch(std::env::temp_dir().join(format!("instar-demo-{name}")));
        let state = StateDir::locate(None, &|variable| {
            (variable == "INSTAR_STATE_DIR").then(|| folder.0.display().to_string())
        })?;
        state.prepare()?;
        let mut gateway = Options::new(state.clone(), no_variable)?;
        gateway.port = Some(options.port.unwrap_or(0));
        gateway.discover = false;
        gateway.logging = false;
        gateway.give_back = crate::memory::give_back;
        gateway.corrects = instar_improve::signal::text::corrects;
        let player = Player::new(script)?;
        gateway.local_models = BTreeMap::from([("demo".to_owned(), Arc::new(player) as _)]);
        let running = Gateway::start(gateway).await?;
        let client = Client::require(&state)?;
        Ok(Self {
            running,
            client,
            folder,
            out: run.out,
        })
    }

    /// A sentence of the story.
    pub(super) fn say(&self, text: &str) {
        self.out.line(text);
    }

    pub(super) fn chapter(&self, number: u32, title: &str) {
        let title = format!("{number}. {title}");
        self.out.line("");
        self.out.line(&self.out.paint(Style::Strong, &title));
    }

    /// A file of the scratch state.
    pub(super) fn file(&self, below: &str) -> PathBuf {
        self.folder.0.join(below)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.client.get(path).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.client.post(path, body).await
    }

    /// Asks the gates of a candidate and says yes. On a slow machine the gateway may be at the gates of another by
    /// itself: then it is asked again.
    pub(super) async fn approve(&self, candidate: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/candidates/{candidate}/check");
        let mut checked = self.post(&path, &json!({})).await;
        for _ in 1..CHECKS_MAX {
            if checked.is_err() {
                checked = self.post(&path, &json!({})).await;
            }
        }
        let _table = checked?;
        let path = format!("/api/v1/candidates/{candidate}/approve");
        let _table = self.post(&path, &json!({})).await?;
        Ok(())
    }

    /// One conversation of one turn, to its end.
    pub(super) async fn talk(
        &self,
        session: &str,
        text: &str,
    ) -> anyhow::Result<Option<(RunId, Outcome)>> {
        let body = serde_json::to_vec(&SendMessage {
            session: Some(session.to_owned()),
            text: text.to_owned(),
            idempotency_key: None,
            model: None,
            attachments: Vec::new(),
            attachments_of: None,
            parent: None,
        })?;
        let path = "/api/v1/messages";
        let mut stream = self
            .client
            .stream(http::Method::POST, path, Some(body))
            .await?;
        while let Some(data) = stream.next().await? {
            if let Ok(LiveEvent::Done { run, outcome }) = serde_json::from_str(&data) {
                return Ok(Some((run, outcome)));
            }
        }
        Ok(None)
    }

    /// Looks until something is there.
    pub(super) async fn until(
        &self,
        path: &str,
        there: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let begun = tokio::time::Instant::now();
        loop {
            let value: Value = self.get(path).await?;
            if there(&value) {
                return Ok(value);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{path} did not get there");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Leaves the pages of a story that was told to its end open until somebody ends it, unless nobody
    /// is to wait; then all of it goes.
    pub(super) async fn end(
        self,
        told: anyhow::Result<()>,
        stop: &mut Stop,
        options: &DemoOptions,
        page: &str,
    ) -> anyhow::Result<()> {
        let ended = match &told {
            Ok(()) if !options.no_stay => self.look_around(stop, page).await,
            _ => Ok(()),
        };
        let Self {
            running, folder, ..
        } = self;
        running.shutdown().await;
        std::fs::remove_dir_all(&folder.0)?;
        told.and(ended)
    }

    async fn look_around(&self, stop: &mut Stop, page: &str) -> anyhow::Result<()> {
        self.out.line("");
        self.out.line(&format!("look around: {}", self.link()?));
        let page = format!("{}{page}", self.running.url());
        self.out.note(&format!(
            "then {page}; the link works once, within a minute: Enter makes another one"
        ));
        self.out
            .note("Ctrl-C ends it and removes the scratch state");
        let mut entered = entered();
        loop {
            tokio::select! {
                () = stop.asked() => return Ok(()),
                Some(()) = entered.recv() => self.out.line(&format!("look around: {}", self.link()?)),
            }
        }
    }

    fn link(&self) -> anyhow::Result<String> {
        let made = self.running.sign_in_link();
        let (link, _ends) =
            made.map_err(|error| anyhow::anyhow!("making a sign-in link: {error}"))?;
        Ok(link)
    }
}

/// Lines that somebody enters. The thread that waits for them ends with the program.
fn entered() -> mpsc::Receiver<()> {
    let (told, entered) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.is_err() || told.blocking_send(()).is_err() {
                return;
            }
        }
    });
    entered
}

/// The story needs no key and finds none.
fn no_variable(_name: &str) -> Option<String> {
    None
}
