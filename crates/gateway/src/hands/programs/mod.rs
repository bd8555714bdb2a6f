//! Programs of tools: behind the walls that the configuration says, in the agent's workspace, with the
//! network that its owner named. What runs is held here and ends with the gateway.

mod labels;
mod network;
mod order;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_agent::config::SandboxSettings;
use instar_config::StateDir;
use instar_egress::Egress;
use instar_protocol::{AgentId, Clock, Label, Readers, SessionKey};
use instar_sandbox::cgroup;
use instar_sandbox::jobs::{AtEnd, Bounds, Jobs, JobsError, News, Started, Told};
use instar_sandbox::native::{Ended, Killer, Maker, Native};
use instar_sandbox::root::{Entry, Inside, RootError};
use instar_sandbox::spec::Input;
use instar_store::Store;
use instar_tools::exec::{End, How, Job, Order, ProgramsPort, Ran};
use instar_tools::memory::entries::FOLDER;
use instar_tools::{Caller, ToolError};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Parts;
use super::files::{WorkspaceFiles, told};
use crate::app::ConfigHandle;
use order::Plan;

/// Programs of the whole gateway at once.
const IN_ALL: usize = 32;
/// Programs in the background of one conversation, unless the owner says otherwise.
const OF_ONE: u32 = 4;
/// Output of one program that is kept.
const OUTPUT_BYTES: usize = 1 << 20;
/// Walls that stand ready may show what the system has replaced since.
const WALLS_FRESH: Duration = Duration::from_secs(15 * 60);

/// What is kept with each program.
#[derive(Clone, Debug)]
pub(super) struct About {
    command: String,
    /// The mark of a program that may write in the workspace.
    mark: Option<String>,
    /// Of what it writes; more when something is written to it.
    label: Arc<Mutex<Label>>,
}

/// Runs the programs of tools. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: WorkspaceFiles,
    store: Store,
    clock: Arc<dyn Clock>,
    config: ConfigHandle,
    state: StateDir,
    egress: Egress,
    walled: Native,
    jobs: Jobs<About>,
}

impl Programs {
    pub(super) fn new(parts: &Parts, files: WorkspaceFiles) -> Self {
        if let Err(why) = cgroup::claim() {
            tracing::debug!(why, "programs are limited one by one, not as a whole");
        }
        let walled = Native::of_this_binary().keeping_ready(&order::EXTRAS, WALLS_FRESH);
        let inner = Inner {
            files,
            store: parts.store.clone(),
            clock: Arc::clone(&parts.clock),
            config: parts.config.clone(),
            state: parts.state.clone(),
            egress: parts.egress.clone(),
            walled,
            jobs: Jobs::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Ends every program and waits until what they left is written down.
    pub(crate) async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let _ended = tokio::task::spawn_blocking(move || inner.jobs.close()).await;
    }

    fn settings(&self, agent: &AgentId) -> Result<SandboxSettings, ToolError> {
        let config = self.inner.config.current();
        let found = config.value.agent_config().agent(agent);
        let found = found.map(|settings| settings.sandbox);
        found.ok_or_else(|| ToolError::Failed(format!("there is no agent {agent} any more")))
    }

    async fn start(&self, caller: &Caller, order: Order) -> Result<Ran, ToolError> {
        let settings = self.settings(&caller.agent)?;
        let plan = Plan::of(&settings, &caller.key, &order)?;
        let mut label = self
            .inner
            .files
            .everything(&caller.agent, &caller.context)
            .await;
        if !plan.walls && label.is_tainted() && !settings.untrusted_without_walls {
            return Err(ToolError::Failed(
                "programs run without walls here (sandbox.mode), and this conversation or its workspace \
                 holds what others wrote: nothing was run. The owner can set sandbox.mode to all"
                    .to_owned(),
            ));
        }
        if !settings.network.is_empty() {
            // What comes from a host was written by others.
            label = label.join(&Label::stranger(Readers::Public));
        }
        if plan.writes() {
            self.hold_notes(&caller.agent).await?;
        }
        let mut job = self.job(caller, &order, &plan).await?;
        let broker = match settings.network.as_slice() {
            hosts if plan.walls && !hosts.is_empty() => {
                Some(network::open(&self.inner, caller, hosts)?)
            }
            _ => None,
        };
        job.broker = broker.as_ref().map(|broker| broker.socket.clone());
        let mark = self.mark(caller, &plan, &label).await?;
        let notes = labels::Notes::default();
        let at_end = self.at_end(&caller.agent, mark.clone(), broker, notes.clone());
        let about = About {
            command: shown(&order),
            mark,
            label: Arc::new(Mutex::new(label)),
        };
        let bounds = Bounds {
            of_one: settings.limits.jobs.unwrap_or(OF_ONE) as usize
                + usize::from(!order.background),
            in_all: IN_ALL,
            output_bytes: OUTPUT_BYTES,
        };
        let started = self
            .launch(caller, bounds, about, job, plan.maker, at_end)
            .await?;
        if !order.background {
            let news = wait(started).await?;
            return Ok(ended(news, plan.left_out, notes.take()));
        }
        if let Some(input) = order.input {
            self.send(caller, started.id().to_owned(), input, false)
                .await?;
        }
        Ok(Ran {
            job: Some(started.id().to_owned()),
            end: None,
            text: String::new(),
            lost: 0,
            left_out: plan.left_out,
            notes: Vec::new(),
            // That it was started says nothing of what it will write.
            label: Label::system(),
        })
    }

    /// The folder of notes has to be there before a program is: only what is there is shielded from it.
    async fn hold_notes(&self, agent: &AgentId) -> Result<(), ToolError> {
        let made = self.inner.files.with_root(agent, |root| {
            let entries = order::shaping(root)?;
            let is_there = |entry: &Entry| entry.name.eq_ignore_ascii_case(FOLDER);
            if entries.iter().any(is_there) {
                return Ok(());
            }
            Inside::parse(FOLDER)
                .map_err(RootError::Name)
                .and_then(|name| root.create_folder(&name))
                .map_err(|error| told(FOLDER, "made", error))
        });
        made.await.map_err(ToolError::from)
    }

    async fn launch(
        &self,
        caller: &Caller,
        bounds: Bounds,
        about: About,
        job: instar_sandbox::spec::Job,
        maker: Option<Maker>,
        at_end: Ending,
    ) -> Result<Started<About>, ToolError> {
        let inner = Arc::clone(&self.inner);
        let owner = caller.key.to_string();
        let starting = tokio::task::spawn_blocking(move || {
            let native = match maker {
                Some(maker) => inner.walled.clone().with_maker(maker),
                None => inner.walled.clone(),
            };
            let Ending { settle, call } = at_end;
            let result = inner.jobs.start(&native, bounds, &owner, about, job, call);
            (result, settle)
        });
        let (result, settle) = starting.await.map_err(|_| broken())?;
        match result {
            Ok(started) => Ok(started),
            Err(error) => {
                // Nothing ran, or it is gone: what was marked is looked at all the same.
                settle.run().await;
                Err(ToolError::Failed(error.to_string()))
            }
        }
    }

    async fn send(
        &self,
        caller: &Caller,
        id: String,
        input: String,
        close: bool,
    ) -> Result<(), ToolError> {
        let inner = Arc::clone(&self.inner);
        let owner = caller.key.to_string();
        let writing = tokio::task::spawn_blocking(move || {
            inner.jobs.write(&owner, &id, input.as_bytes(), close)
        });
        writing
            .await
            .map_err(|_| broken())?
            .map_err(|error| failed(&error))
    }

    /// What is written to a program is in what it writes from then on.
    async fn write_to(
        &self,
        caller: &Caller,
        id: &str,
        input: String,
        close: bool,
    ) -> Result<(), ToolError> {
        let owner = caller.key.to_string();
        let told = self
            .inner
            .jobs
            .told(&owner, id)
            .map_err(|error| failed(&error))?;
        self.taint(&told.about, &caller.context).await?;
        self.send(caller, id.to_owned(), input, close).await
    }
}

/// What happens when a program has ended: on its own thread, or here if it never began.
struct Ending {
    settle: labels::Settle,
    call: AtEnd,
}

/// Ends a program that nobody waits for any more.
struct EndsWhenDropped(Killer);

impl Drop for EndsWhenDropped {
    fn drop(&mut self) {
        self.0.kill();
    }
}

async fn wait(started: Started<About>) -> Result<News<About>, ToolError> {
    let _guard = EndsWhenDropped(started.killer());
    let waiting = tokio::task::spawn_blocking(move || started.wait());
    waiting.await.map_err(|_| broken())
}

fn ended(news: News<About>, left_out: Vec<String>, notes: Vec<String>) -> Ran {
    let told = row(news.told);
    Ran {
        job: None,
        end: told.end.map(|how| End {
            how,
            seconds: told.seconds,
        }),
        text: text(&news.bytes),
        lost: news.lost,
        left_out,
        notes,
        label: told.label,
    }
}

fn row(told: Told<About>) -> Job {
    let label = told.about.label.lock();
    Job {
        id: told.id,
        end: told.ended.map(how),
        seconds: told.ran.as_secs_f64(),
        bytes: told.bytes,
        label: label.unwrap_or_else(PoisonError::into_inner).clone(),
        command: told.about.command,
    }
}

fn how(ended: Ended) -> How {
    match ended {
        Ended::Exit(code) if code > 128 && code < 128 + 65 => How::Signal(code - 128),
        Ended::Exit(code) => How::Exit(code),
        Ended::TimedOut => How::TimedOut,
        Ended::Flooded => How::Flooded,
        Ended::Killed => How::Killed,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The command on one line, for lists.
fn shown(order: &Order) -> String {
    let words: Vec<String> = order
        .words
        .iter()
        .map(|word| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("{word:?}")
            }
        })
        .collect();
    words.join(" ").chars().take(300).collect()
}

fn failed(error: &JobsError) -> ToolError {
    ToolError::Failed(error.to_string())
}

fn broken() -> ToolError {
    ToolError::Failed("the house has a problem; tell the owner".to_owned())
}

impl ProgramsPort for Programs {
    fn bind<'a>(&'a self, caller: &'a Caller, order: &'a Order) -> BoxFuture<'a, Value> {
        async move {
            match self.bound(caller, order).await {
                Ok(bound) => bound,
                Err(why) => json!({ "cannot": why.to_string() }),
            }
        }
        .boxed()
    }

    fn run<'a>(
        &'a self,
        caller: &'a Caller,
        order: Order,
    ) -> BoxFuture<'a, Result<Ran, ToolError>> {
        self.start(caller, order).boxed()
    }

    fn jobs<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, Vec<Job>> {
        let all = self.inner.jobs.list(&caller.key.to_string());
        std::future::ready(all.into_iter().map(row).collect()).boxed()
    }

    fn news<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
    ) -> BoxFuture<'a, Result<(Job, String, u64), ToolError>> {
        let news = self.inner.jobs.news(&caller.key.to_string(), job);
        let news = news.map_err(|error| failed(&error));
        std::future::ready(news.map(|news| (row(news.told), text(&news.bytes), news.lost))).boxed()
    }

    fn write<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
        input: String,
        close: bool,
    ) -> BoxFuture<'a, Result<(), ToolError>> {
        self.write_to(caller, job, input, close).boxed()
    }

    fn kill<'a>(
        &'a self,
        caller: &'a Caller,
        job: &'a str,
    ) -> BoxFuture<'a, Result<bool, ToolError>> {
        async move {
            let inner = Arc::clone(&self.inner);
            let (owner, id) = (caller.key.to_string(), job.to_owned());
            let killing = tokio::task::spawn_blocking(move || inner.jobs.kill(&owner, &id));
            killing
                .await
                .map_err(|_| broken())?
                .map_err(|error| failed(&error))
        }
        .boxed()
    }

    fn over(&self, session: &SessionKey) {
        let ended = self.inner.jobs.end_all_of(&session.to_string());
        if ended > 0 {
            tracing::info!(%session, ended, "programs of a conversation were ended");
        }
    }
}

/// How long a program may run.
fn seconds(order: &Order, settings: &SandboxSettings) -> u64 {
    let usual = if order.background { 3_600 } else { 300 };
    let most = settings.limits.wall_seconds.map_or(usual, u64::from);
    order.seconds.unwrap_or(most).min(most)
}

/// What a program reads.
fn input(order: &Order) -> Input {
    match &order.input {
        _ if order.background => Input::Open,
        Some(text) => Input::Bytes(text.clone().into_bytes()),
        None => Input::Empty,
    }
}
