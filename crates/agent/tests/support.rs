//! A house with a scripted model and a real store in a folder of its own.

use instar_agent::config::PostureChoice;
use instar_agent::{Config, Errander, Parts, Sessions, Submitted};
use instar_egress::Egress;
use instar_models::{Ledger, Models, ModelsConfig, ObjectSource, SpendRecord};
use instar_policy::{Annotation, Authority, Kind, Posture, Profile, Reach, Role, Slot, SlotRole};
use instar_protocol::live::Outcome;
use instar_protocol::message::{Entry, EntryBody, Inbound, OnRestart, Overrides, Part};
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, StopReason, Usage,
};
use instar_protocol::principal::Via;
use instar_protocol::secret::SecretRef;
use instar_protocol::tool::{Effect, ToolCall, ToolDecision, ToolSpec};
use instar_protocol::{
    AgentId, Clock, InboundId, Label, ObjectHash, Principal, Secret, SecretSource, SessionKey,
};
use instar_release::{AgentBehaviour, Behaviour, Limits, PromptFile, Releases, Route};
use instar_store::{Options, SessionRow, Store};
use instar_testkit::ManualClock;
use instar_tools::{Caller, ErrandsPort, Output, Tool, ToolError, Toolbox};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// Longer than any test: a model that is told to take this long is stopped, never waited for.
pub(crate) const FOREVER_MS: u64 = 3_600_000;

/// What the model answers next.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Text(String),
    Calls(Vec<ToolCall>),
    /// Says something, then stalls.
    Stall(String),
    /// Says nothing for ever.
    Silent,
    /// Ends before it has said anything.
    Cut,
    /// Ends without an end.
    Broken,
    /// What it says follows from what it is shown.
    Reads(fn(&ModelRequest) -> Self),
    /// Panics: a fault of ours.
    Panic,
}

impl Reply {
    /// One call.
    pub(crate) fn call(id: &str, name: &str, arguments: Value) -> Self {
        Self::Calls(vec![ToolCall {
            id: id.to_owned(),
            name: name.to_owned(),
            arguments,
        }])
    }

    /// One call, whatever its id.
    pub(crate) fn named(name: &str, arguments: Value) -> Self {
        Self::call("call-1", name, arguments)
    }
}

/// Answers from a list; when that is empty it repeats the last message. Remembers every request.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) replies: Mutex<VecDeque<Reply>>,
    pub(crate) seen: Mutex<Vec<ModelRequest>>,
    pub(crate) called: Notify,
    /// Tokens that each answer claims to have read.
    pub(crate) input_tokens: AtomicU64,
}

impl Script {
    pub(crate) fn then(&self, reply: Reply) -> &Self {
        self.replies.lock().unwrap().push_back(reply);
        self
    }

    pub(crate) fn says(&self, text: &str) -> &Self {
        self.then(Reply::Text(text.to_owned()))
    }

    pub(crate) fn requests(&self) -> Vec<ModelRequest> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl LocalModel for Script {
    fn answer(&self, _model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        self.seen.lock().unwrap().push(request.clone());
        self.called.notify_one();
        let reply = match self.replies.lock().unwrap().pop_front() {
            Some(Reply::Reads(read)) => Some(read(request)),
            other => other,
        };
        let text = |delta: String| (0, ModelEvent::Text { delta });
        let end = |stop| {
            let usage = Usage {
                input_tokens: self.input_tokens.load(Ordering::Relaxed),
                output_tokens: 1,
                ..Usage::default()
            };
            (0, ModelEvent::Finish { stop, usage })
        };
        match reply.unwrap_or_else(|| Reply::Text(format!("echo {}", last_text(request)))) {
            Reply::Text(words) => vec![text(words), end(StopReason::Stop)],
            Reply::Calls(calls) => {
                let mut events: Vec<_> = calls
                    .into_iter()
                    .map(|call| (0, ModelEvent::ToolCall { call }))
                    .collect();
                events.push(end(StopReason::ToolUse));
                events
            }
            Reply::Stall(words) => {
                let delta = "late".to_owned();
                let late = (FOREVER_MS, ModelEvent::Text { delta });
                vec![text(words), late, end(StopReason::Stop)]
            }
            Reply::Silent => {
                let delta = "late".to_owned();
                vec![
                    (FOREVER_MS, ModelEvent::Text { delta }),
                    end(StopReason::Stop),
                ]
            }
            Reply::Cut => Vec::new(),
            Reply::Broken => vec![text("half".to_owned())],
            Reply::Reads(_) => panic!("what is read leads to an answer"),
            Reply::Panic => panic!("the scripted model panics"),
        }
    }

    fn models(&self) -> Vec<(String, String)> {
        vec![
            ("one".to_owned(), String::new()),
            ("two".to_owned(), String::new()),
        ]
    }
}

/// The text of the newest user message, its date left out.
pub(crate) fn last_text(request: &ModelRequest) -> String {
    request
        .messages
        .iter()
        .rev()
        .find_map(|message| match message {
            ModelMessage::User { parts } => Some(undated(parts)),
            _ => None,
        })
        .unwrap_or_default()
}

pub(crate) fn undated(parts: &[Part]) -> String {
    let text = instar_protocol::message::plain_text(parts);
    match text.split_once("] ") {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}

/// A tool that reads: answers what it is told, once it is let.
#[derive(Debug)]
pub(crate) struct Look {
    spec: ToolSpec,
    /// One more each time the tool begins.
    pub(crate) begun: Arc<Semaphore>,
    pub(crate) gate: Arc<Semaphore>,
}

impl Tool for Look {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        annotation()
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        _caller: &'a Caller,
    ) -> futures_util::future::BoxFuture<'a, Result<Output, ToolError>> {
        Box::pin(async move {
            self.begun.add_permits(1);
            let _permit = self.gate.acquire().await;
            Ok(Output {
                text: format!("saw {arguments}"),
                label: Label::system(),
                is_error: false,
                value: None,
                pictures: Vec::new(),
            })
        })
    }
}

/// A tool that sends: remembers to whom.
#[derive(Debug)]
pub(crate) struct Post {
    spec: ToolSpec,
    pub(crate) sent: Arc<Mutex<Vec<Value>>>,
}

impl Tool for Post {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        posting()
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        _caller: &'a Caller,
    ) -> futures_util::future::BoxFuture<'a, Result<Output, ToolError>> {
        Box::pin(async move {
            self.sent.lock().unwrap().push(arguments.clone());
            Ok(Output::words("sent", Label::system()))
        })
    }
}

/// What a tool that fails does next.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Fails,
    /// A limit of somebody else's.
    Limited,
    /// As if its time had run out.
    TimedOut,
    /// Never comes back.
    Hangs,
}

/// How a tool is with whoever calls it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Nature {
    /// It takes so many calls in a minute.
    PerMinute(usize),
    /// It fails as long as it is not left alone for so many seconds.
    Sulks(u64),
    /// A call takes so many milliseconds.
    Takes(u64),
}

/// Two tools that search, of which each fails as its list says; what they were asked is remembered.
#[derive(Debug)]
pub(crate) struct Search {
    spec: ToolSpec,
    pub(crate) faults: Arc<Mutex<Faults>>,
    clock: ManualClock,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) nature: Option<Nature>,
    /// When it was called, in milliseconds.
    pub(crate) times: Vec<u64>,
    pub(crate) next: VecDeque<Option<Fault>>,
    /// What is done when the list is empty.
    pub(crate) always: Option<Fault>,
    pub(crate) seen: Vec<Value>,
}

impl Search {
    fn new(name: &str, faults: &Arc<Mutex<Faults>>, clock: &ManualClock) -> Self {
        Self {
            clock: clock.clone(),
            spec: ToolSpec {
                name: name.to_owned(),
                description: "Searches.".to_owned(),
                parameters: json!({"type": "object", "additionalProperties": false, "properties": {
                    "query": {"type": "string"},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 50},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "exact": {"type": "boolean"},
                    "sort": {"type": "string", "enum": ["new", "old"]},
                    "part": {"type": "integer", "maximum": 50}
                }, "required": ["query"]}),
            },
            faults: Arc::clone(faults),
        }
    }
}

impl Search {
    /// What comes of a call now by the tool's own nature, and how long it takes.
    fn by_nature(&self) -> (Option<Fault>, Duration) {
        let now = self.clock.now().millis();
        let mut faults = self.faults.lock().unwrap();
        let fault = match faults.nature {
            Some(Nature::PerMinute(most)) => {
                let lately = faults.times.iter().filter(|time| *time + 60_000 > now);
                (lately.count() >= most).then_some(Fault::Limited)
            }
            Some(Nature::Sulks(seconds)) => {
                let last = faults.times.last();
                let is_near = last.is_none_or(|last| last + 1_000 * seconds > now);
                is_near.then_some(Fault::Fails)
            }
            Some(Nature::Takes(millis)) => return (None, Duration::from_millis(millis)),
            None => None,
        };
        let is_taken = !matches!(fault, Some(Fault::Limited));
        if is_taken {
            faults.times.push(now);
        }
        (fault, Duration::ZERO)
    }
}

impl Tool for Search {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        annotation()
    }

    fn run<'a>(
        &'a self,
        arguments: &'a Value,
        _caller: &'a Caller,
    ) -> futures_util::future::BoxFuture<'a, Result<Output, ToolError>> {
        Box::pin(async move {
            let (by_nature, takes) = self.by_nature();
            tokio::time::sleep(takes).await;
            let fault = {
                let mut faults = self.faults.lock().unwrap();
                faults.seen.push(arguments.clone());
                let always = faults.always.clone();
                faults.next.pop_front().unwrap_or(always).or(by_nature)
            };
            let words = arguments["query"].as_str().unwrap_or_default();
            match fault {
                None if words.contains('%') => {
                    Err(ToolError::Failed(format!("nothing is called {words}")))
                }
                None => Ok(Output::words(format!("found {arguments}"), Label::system())),
                Some(Fault::Fails) => Err(ToolError::Failed("the search failed".to_owned())),
                Some(Fault::Limited) => Err(ToolError::Failed("429 too many requests".to_owned())),
                Some(Fault::TimedOut) => Err(ToolError::Failed(
                    "search took longer than 60 s and was stopped; ask for less".to_owned(),
                )),
                Some(Fault::Hangs) => std::future::pending().await,
            }
        })
    }
}

fn posting() -> Annotation {
    let slot = |role, kind| Slot { role, kind };
    Annotation {
        effect: Effect::Send,
        reach: Reach::Outside,
        connector: "post".to_owned(),
        slots: BTreeMap::from([
            ("to".to_owned(), slot(SlotRole::Who, Kind::Address)),
            ("text".to_owned(), slot(SlotRole::Payload, Kind::Text)),
        ]),
        ..Annotation::reads(Label::system())
    }
}

fn annotation() -> Annotation {
    let query = Slot {
        role: SlotRole::Plain,
        kind: Kind::Text,
    };
    let part = Slot {
        role: SlotRole::Which,
        kind: Kind::Number,
    };
    Annotation {
        slots: BTreeMap::from([("query".to_owned(), query), ("part".to_owned(), part)]),
        ..Annotation::reads(Label::system())
    }
}

#[derive(Debug)]
struct Nothing;

impl SecretSource for Nothing {
    fn secret(&self, _reference: &SecretRef) -> Result<Secret, String> {
        Err("there are no secrets here".to_owned())
    }
}

impl ObjectSource for Nothing {
    fn object<'a>(
        &'a self,
        _hash: &'a ObjectHash,
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async { Err("there are no objects here".to_owned()) })
    }
}

impl Ledger for Nothing {
    fn spent(&self) -> (u64, u64) {
        (0, 0)
    }
    fn add(&self, _spend: SpendRecord) {}
}

pub(crate) struct Home {
    pub(crate) sessions: Sessions,
    pub(crate) store: Store,
    pub(crate) script: Arc<Script>,
    pub(crate) clock: ManualClock,
    pub(crate) begun: Arc<Semaphore>,
    pub(crate) gate: Arc<Semaphore>,
    /// What the tool `post` sent.
    pub(crate) sent: Arc<Mutex<Vec<Value>>>,
    /// How the tools `search` and `other_search` fail.
    pub(crate) search: Arc<Mutex<Faults>>,
    pub(crate) other_search: Arc<Mutex<Faults>>,
    pub(crate) releases: Releases,
    pub(crate) config: Config,
}

pub(crate) fn config(json: Value) -> Config {
    let mut config: Config = serde_json::from_value(json).unwrap();
    config.agents.defaults.user_timezone = Some("UTC".to_owned());
    assert_eq!(config.problems(), []);
    config
}

pub(crate) async fn home(folder: &Path) -> Home {
    home_with(folder, config(json!({}))).await
}

pub(crate) async fn home_with(folder: &Path, config: Config) -> Home {
    let clock = ManualClock::default();
    home_at(folder, config, clock, Arc::new(Script::default())).await
}

pub(crate) async fn home_at(
    folder: &Path,
    config: Config,
    clock: ManualClock,
    script: Arc<Script>,
) -> Home {
    let store = Store::open(folder, Options::default()).unwrap();
    let local: Arc<dyn LocalModel> = script.clone();
    let models = Models::new(
        ModelsConfig::default(),
        Egress::new("test"),
        instar_models::Parts {
            clock: Arc::new(clock.clone()),
            secrets: Arc::new(Nothing),
            objects: Arc::new(Nothing),
            ledger: Arc::new(Nothing),
            local: BTreeMap::from([("test".to_owned(), local)]),
            env: |_| None,
        },
    )
    .unwrap();
    let (begun, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(1_000)));
    let releases = Releases::open(store.clone()).await.unwrap();
    let tools = Toolbox::default();
    tools
        .register(Arc::new(Look {
            spec: ToolSpec {
                name: "look".to_owned(),
                description: "Looks.".to_owned(),
                parameters: json!({"type": "object", "properties": {"n": {"type": "integer"}}}),
            },
            begun: Arc::clone(&begun),
            gate: Arc::clone(&gate),
        }))
        .unwrap();
    let sent = Arc::<Mutex<Vec<Value>>>::default();
    tools
        .register(Arc::new(Post {
            spec: ToolSpec {
                name: "post".to_owned(),
                description: "Sends.".to_owned(),
                parameters: json!({"type": "object", "properties": {
                    "to": {"type": "string"}, "text": {"type": "string"}
                }, "required": ["to"]}),
            },
            sent: Arc::clone(&sent),
        }))
        .unwrap();
    let (search, other_search) = <(Arc<Mutex<Faults>>, Arc<Mutex<Faults>>)>::default();
    tools
        .register(Arc::new(Search::new("search", &search, &clock)))
        .unwrap();
    tools
        .register(Arc::new(Search::new("other_search", &other_search, &clock)))
        .unwrap();
    let errander = Arc::new(Errander::default());
    let port: Arc<dyn ErrandsPort> = errander.clone();
    tools.run_errands(&port).unwrap();
    let owner: Arc<dyn instar_tools::owner::OwnerPort> = errander.clone();
    tools.extend(instar_tools::owner::tools(&owner)).unwrap();
    let behaviour = behaviour(&config, &tools);
    releases
        .adopt(behaviour, "test", "start", clock.now(), [0; 10])
        .await
        .unwrap();
    let parts = Parts {
        store: store.clone(),
        models,
        releases: releases.clone(),
        tools: Arc::new(tools),
        clock: Arc::new(clock.clone()),
    };
    let sessions = Sessions::start(parts, config.clone());
    errander.connect(&sessions);
    Home {
        sessions,
        store,
        script,
        clock,
        begun,
        gate,
        sent,
        search,
        other_search,
        releases,
        config,
    }
}

fn behaviour(config: &Config, tools: &Toolbox) -> Behaviour {
    let defaults = &config.agents.defaults;
    let soul = PromptFile {
        text: "Be kind.".to_owned(),
        cut_chars: 0,
    };
    let agent = AgentBehaviour {
        prompt: BTreeMap::from([("SOUL.md".to_owned(), soul)]),
        route: Route {
            pictures: Vec::new(),
            primary: "test/one".to_owned(),
            fallbacks: Vec::new(),
        },
        limits: Limits {
            model_calls_max: defaults.max_model_calls,
            tool_calls_max: defaults.max_tool_calls,
            timeout_seconds: defaults.timeout_seconds,
            output_tokens_max: defaults.max_output_tokens,
        },
        skills: BTreeMap::new(),
        mitigations: Vec::new(),
        heartbeat: config.agent(&AgentId::main()).unwrap().heartbeat,
        schedules: config.agent(&AgentId::main()).unwrap().schedules,
        retrieval: None,
        tools: BTreeMap::new(),
    };
    let every = Profile {
        tools: ["*".to_owned()].into(),
    };
    let beats = agent.heartbeat.is_some() || !agent.schedules.is_empty();
    let profiles = beats
        .then_some((Role::Automation, every))
        .into_iter()
        .collect();
    Behaviour {
        agents: BTreeMap::from([("main".to_owned(), agent)]),
        authority: Authority {
            posture: match config.policy.posture {
                PostureChoice::Careful => Posture::Careful,
                PostureChoice::Balanced => Posture::Balanced,
                PostureChoice::Open => Posture::Open,
            },
            profiles,
            ..Authority::over(tools.annotations())
        },
    }
}

pub(crate) fn main_key() -> SessionKey {
    SessionKey::main(&AgentId::main())
}

pub(crate) fn inbound(clock: &dyn Clock, key: &SessionKey, text: &str) -> Inbound {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Inbound {
        id: InboundId::new(clock.now(), random),
        session_key: key.clone(),
        principal: Principal::Owner { via: Via::Local },
        received_at: clock.now(),
        surface: "web".to_owned(),
        idempotency_key: None,
        parts: vec![Part::text(text)],
        on_restart: OnRestart::Resume,
        overrides: Overrides::default(),
    }
}

impl Home {
    /// Waits until the tool `look` has begun so often more.
    pub(crate) async fn has_begun(&self, times: u32) {
        let waits = std::time::Duration::from_secs(30);
        let begun = tokio::time::timeout(waits, self.begun.acquire_many(times)).await;
        begun.expect("it does not begin").unwrap().forget();
    }

    pub(crate) fn message(&self, text: &str) -> Inbound {
        inbound(&self.clock, &main_key(), text)
    }

    pub(crate) async fn submit(&self, text: &str) -> Submitted {
        self.sessions.submit(self.message(text)).await.unwrap()
    }

    /// Sends a message and waits for its outcome.
    pub(crate) async fn say(&self, text: &str) -> Arc<Outcome> {
        let submitted = self.submit(text).await;
        outcome(submitted).await
    }

    /// Sends a message whose answer stalls, and waits until the model was called.
    pub(crate) async fn stall(&self, text: &str, partial: &str) -> Submitted {
        self.script.then(Reply::Stall(partial.to_owned()));
        let mut submitted = self.submit(text).await;
        loop {
            let event = submitted.live.recv().await.unwrap();
            if matches!(&*event, instar_protocol::live::LiveEvent::Text { .. }) {
                return submitted;
            }
        }
    }

    pub(crate) async fn row(&self) -> SessionRow {
        self.store
            .session_by_key(&main_key())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn entries(&self) -> Vec<Entry> {
        self.store
            .entries(&self.row().await.id, None, 1_000)
            .await
            .unwrap()
    }

    /// The transcript in short: one line per entry.
    pub(crate) async fn transcript(&self) -> Vec<String> {
        self.entries().await.iter().map(line).collect()
    }
}

pub(crate) fn line(entry: &Entry) -> String {
    match &entry.body {
        EntryBody::User { parts, .. } => {
            format!("user: {}", instar_protocol::message::plain_text(parts))
        }
        EntryBody::Assistant {
            text,
            tool_calls,
            stop,
            ..
        } => {
            let calls: Vec<&str> = tool_calls.iter().map(|call| call.name.as_str()).collect();
            match (calls.as_slice(), stop) {
                ([], StopReason::Aborted) => format!("agent, cut: {text}"),
                ([], _) => format!("agent: {text}"),
                (calls, _) => format!("agent calls {}", calls.join(", ")),
            }
        }
        EntryBody::ToolResult { text, is_error, .. } => {
            format!("{}: {text}", if *is_error { "refused" } else { "result" })
        }
        EntryBody::Compaction { summary, .. } => format!("summary: {summary}"),
        EntryBody::Reset { .. } => "reset".to_owned(),
        EntryBody::ModelChange { model } => format!("model: {model:?}"),
        EntryBody::Notice { kind, text } => format!("{kind:?}: {text}"),
    }
}

/// Waits for an outcome; a test that hangs fails.
pub(crate) async fn outcome(submitted: Submitted) -> Arc<Outcome> {
    tokio::time::timeout(Duration::from_secs(20), submitted.outcome)
        .await
        .expect("the message was answered in time")
        .expect("the message was answered")
}

pub(crate) fn call(id: &str, name: &str, n: u32) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: json!({ "n": n }),
    }
}

/// The rules that decided the calls, in order; the mark before a name says how: let through, denied,
/// asked and not answered.
pub(crate) fn rules_of(entries: &[Entry]) -> Vec<String> {
    let decisions = entries.iter().filter_map(|entry| match &entry.body {
        EntryBody::ToolResult { decision, .. } => Some(decision),
        _ => None,
    });
    decisions
        .map(|decision| match decision {
            ToolDecision::Allowed { rule } => format!("+{rule}"),
            ToolDecision::Denied { rule, .. } => format!("-{rule}"),
            ToolDecision::Asked { rule, .. } => format!("?{rule}"),
            ToolDecision::Handed => "handed".to_owned(),
        })
        .collect()
}
