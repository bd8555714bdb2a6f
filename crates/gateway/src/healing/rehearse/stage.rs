//! The stage of a rehearsal: a job behind walls in which the real agent plays recorded calls again.
//!
//! The agent has its store in the empty folder of the job, and the behaviour of the release in service, with
//! the fix or without it. Two things are not real: the model makes the one call that was recorded, and the tool
//! does nothing. It takes what the tool takes, by the same check, and what came of the calls was recorded, too.

use futures_util::future::BoxFuture;
use instar_agent::{Config, Parts, Said, Sessions};
use instar_egress::Egress;
use instar_models::{Ledger, Models, ModelsConfig, ObjectSource, SpendRecord};
use instar_policy::Annotation;
use instar_protocol::approval::QuestionState;
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::{EntryBody, Inbound, OnRestart, Overrides, Part};
use instar_protocol::model::{
    LocalModel, ModelEvent, ModelMessage, ModelRequest, StopReason, Usage,
};
use instar_protocol::principal::Via;
use instar_protocol::secret::SecretRef;
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_protocol::{
    AgentId, Clock, InboundId, Label, ObjectHash, Principal, Secret, SecretSource, SessionKey,
    Timestamp,
};
use instar_release::mitigation::{Act, Mitigation, Reach};
use instar_release::{Behaviour, Releases};
use instar_sandbox::confined::{LineError, Post};
use instar_store::{Options, Store, Synchronous};
use instar_tools::{Caller, Output, Tool, ToolError, Toolbox};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The role under which the job is started.
pub const ROLE: &str = "rehearsal";
/// The provider that the routes lead to.
const SCRIPTED: &str = "scripted";
/// How long one turn may take: it plays no part unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// 2026-01-05 09:00 UTC.
const MORNING: u64 = 1_767_603_600_000;

/// What is played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scene {
    pub(super) agent: AgentId,
    /// The release in service.
    pub(super) behaviour: Behaviour,
    pub(super) mitigation: Mitigation,
    pub(super) tool: ToolSpec,
    pub(super) annotation: Annotation,
    pub(super) takes: Vec<Take>,
}

/// One turn with one call in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Take {
    pub(super) with_fix: bool,
    pub(super) arguments: Value,
    /// What came of the calls of the tool, one after the other; the last stays.
    pub(super) tape: Vec<Came>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Came {
    pub(super) is_error: bool,
    pub(super) text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Played {
    /// Whether each take ended badly.
    Takes(Vec<bool>),
    Unable(String),
}

/// Does the work of the job; its exit code.
pub fn play(mut post: Post) -> u8 {
    u8::from(perform(&mut post).is_err())
}

fn perform(post: &mut Post) -> Result<(), LineError> {
    let scene: Scene = post.hear()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let played = match runtime {
        Ok(runtime) => runtime.block_on(all(&scene)),
        Err(error) => Err(error.to_string()),
    };
    post.tell(&played.map_or_else(Played::Unable, Played::Takes))
}

async fn all(scene: &Scene) -> Result<Vec<bool>, String> {
    let folder = std::env::temp_dir();
    let with_fix = House::open(scene, true, &folder.join("with")).await?;
    let without = House::open(scene, false, &folder.join("without")).await?;
    let mut bad = Vec::new();
    for (number, take) in scene.takes.iter().enumerate() {
        let house = if take.with_fix { &with_fix } else { &without };
        bad.push(house.play(scene, number, take).await?);
    }
    for house in [with_fix, without] {
        house.sessions.shutdown(Duration::from_secs(2)).await;
    }
    Ok(bad)
}

struct House {
    sessions: Sessions,
    take: Arc<Mutex<Take>>,
    clock: Arc<Morning>,
    answering: tokio::task::JoinHandle<()>,
}

impl Drop for House {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

impl House {
    async fn open(scene: &Scene, with_fix: bool, folder: &Path) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| error.to_string();
        let clock = Arc::new(Morning(Instant::now()));
        std::fs::create_dir_all(folder).map_err(|error| wrong(&error))?;
        let options = Options {
            synchronous: Synchronous::Off,
            ..Options::default()
        };
        let store = Store::open(folder, options).map_err(|error| wrong(&error))?;
        let take = Arc::new(Mutex::new(Take::default()));
        let toolbox = Toolbox::default();
        let recorded: Arc<dyn Tool> = Arc::new(Recorded {
            spec: scene.tool.clone(),
            annotation: scene.annotation.clone(),
            take: Arc::clone(&take),
        });
        toolbox.register(recorded).map_err(|error| wrong(&error))?;
        let (behaviour, names) = served(scene, with_fix);
        let model: Arc<dyn LocalModel> = Arc::new(OneCall {
            tool: scene.tool.name.clone(),
            names,
            take: Arc::clone(&take),
        });
        let parts = instar_models::Parts {
            clock: clock.clone(),
            secrets: Arc::new(Nothing),
            objects: Arc::new(Nothing),
            ledger: Arc::new(Nothing),
            local: BTreeMap::from([(SCRIPTED.to_owned(), model)]),
            env: |_| None,
        };
        let egress = Egress::new("instar-rehearsal");
        let models =
            Models::new(ModelsConfig::default(), egress, parts).map_err(|error| wrong(&error))?;
        let releases = Releases::open(store.clone()).await;
        let releases = releases.map_err(|error| wrong(&error))?;
        let made = releases.adopt(behaviour, "rehearsal", "a rehearsal", clock.now(), [0; 10]);
        made.await.map_err(|error| wrong(&error))?;
        let parts = Parts {
            store,
            models,
            releases,
            tools: Arc::new(toolbox),
            clock: clock.clone(),
        };
        let sessions = Sessions::start(parts, Config::default());
        let answering = approving(&sessions);
        Ok(Self {
            sessions,
            take,
            clock,
            answering,
        })
    }

    /// One turn in a conversation of its own. True if it ended badly, as exposures are read.
    async fn play(&self, scene: &Scene, number: usize, take: &Take) -> Result<bool, String> {
        self.take
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(take);
        let mut random = [0; 10];
        random[2..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
        let now = self.clock.now();
        let key = SessionKey::under(&scene.agent, &["rehearsal", &number.to_string()]);
        let inbound = Inbound {
            id: InboundId::new(now, random),
            session_key: key.map_err(|error| error.to_string())?,
            principal: match scene.mitigation.reach {
                Reach::Everybody => Principal::Owner { via: Via::Local },
                Reach::Outsiders => Principal::Contact {
                    id: "rehearsal".to_owned(),
                },
            },
            received_at: now,
            surface: "rehearsal".to_owned(),
            idempotency_key: None,
            parts: vec![Part::text("Again, please.")],
            on_restart: OnRestart::Resume,
            overrides: Overrides::default(),
        };
        let submitted = self.sessions.submit(inbound).await;
        let submitted = submitted.map_err(|error| error.to_string())?;
        let outcome = tokio::time::timeout(PATIENCE, submitted.outcome).await;
        let outcome = outcome.map_err(|_| "a turn did not end".to_owned())?;
        let outcome = outcome.map_err(|_| "a turn had no outcome".to_owned())?;
        is_bad(&outcome, &scene.tool.name)
    }
}

/// Bad is a turn that failed, or whose last call of the tool did. One that never came to a call says nothing
/// of it.
fn is_bad(outcome: &Outcome, tool: &str) -> Result<bool, String> {
    if outcome.status != OutcomeStatus::Ok {
        return Ok(true);
    }
    let mut results = outcome
        .entries
        .iter()
        .rev()
        .filter_map(|entry| match &entry.body {
            EntryBody::ToolResult {
                tool: of, is_error, ..
            } if of == tool => Some(*is_error),
            _ => None,
        });
    results.next().ok_or_else(|| {
        let error = outcome.error.as_ref().map(|error| format!("{error:?}"));
        format!(
            "a turn made no call: {}",
            error.unwrap_or_else(|| outcome.text.clone())
        )
    })
}

/// The behaviour with its routes led to the recorded call. Nothing else is done about anything, so that what
/// makes a difference is the fix; and time is not rehearsed.
fn served(scene: &Scene, with_fix: bool) -> (Behaviour, Vec<String>) {
    let mut served = scene.behaviour.clone();
    let mut names = Vec::new();
    for (name, agent) in &mut served.agents {
        names.extend(agent.route.lead_to(SCRIPTED));
        agent.heartbeat = None;
        agent.mitigations.clear();
        if with_fix && name == scene.agent.as_str() {
            let mut fix = Mitigation {
                trial: None,
                ..scene.mitigation.clone()
            };
            if let Act::Retry { pause_ms, .. } = &mut fix.act {
                *pause_ms = 0;
            }
            agent.mitigations.push(fix);
        }
    }
    let known = &mut served.authority.annotations;
    known
        .entry(scene.tool.name.clone())
        .or_insert_with(|| scene.annotation.clone());
    names.sort();
    names.dedup();
    (served, names)
}

/// The call was made once: nothing is asked about it again, and nothing comes of it here.
fn approving(sessions: &Sessions) -> tokio::task::JoinHandle<()> {
    let asking = sessions.asking().clone();
    let mut changes = asking.watch();
    tokio::spawn(async move {
        while let Ok(question) = changes.recv().await {
            if question.state == QuestionState::Open {
                let said = Said {
                    approved: true,
                    by: "rehearsal".to_owned(),
                    always: false,
                    pinned: false,
                };
                // One that was settled meanwhile needs no answer.
                drop(asking.answer(&question.id, said).await);
            }
        }
    })
}

/// The model: makes the call of the take, and then has nothing more to say.
#[derive(Debug)]
struct OneCall {
    tool: String,
    names: Vec<String>,
    take: Arc<Mutex<Take>>,
}

impl LocalModel for OneCall {
    fn answer(&self, _model: &str, request: &ModelRequest) -> Vec<(u64, ModelEvent)> {
        let is_asked = matches!(request.messages.last(), Some(ModelMessage::User { .. }));
        let has_tool = request.tools.iter().any(|spec| spec.name == self.tool);
        let end = |stop| {
            let usage = Usage::default();
            (0, ModelEvent::Finish { stop, usage })
        };
        if !(is_asked && has_tool) {
            let delta = "That is all.".to_owned();
            return vec![(0, ModelEvent::Text { delta }), end(StopReason::Stop)];
        }
        let take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: self.tool.clone(),
            arguments: take.arguments.clone(),
        };
        vec![(0, ModelEvent::ToolCall { call }), end(StopReason::ToolUse)]
    }

    fn models(&self) -> Vec<(String, String)> {
        let names = self.names.iter();
        names.map(|name| (name.clone(), String::new())).collect()
    }
}

/// The tool: takes what it takes, does nothing, and says what was recorded.
#[derive(Debug)]
struct Recorded {
    spec: ToolSpec,
    annotation: Annotation,
    take: Arc<Mutex<Take>>,
}

impl Tool for Recorded {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn annotation(&self) -> Annotation {
        self.annotation.clone()
    }

    fn run<'a>(
        &'a self,
        _arguments: &'a Value,
        _caller: &'a Caller,
    ) -> BoxFuture<'a, Result<Output, ToolError>> {
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        let came = if take.tape.len() > 1 {
            Some(take.tape.remove(0))
        } else {
            take.tape.first().cloned()
        };
        let mut output = Output::words("done", Label::system());
        if let Some(came) = came {
            output.text = came.text;
            output.is_error = came.is_error;
        }
        Box::pin(async { Ok(output) })
    }
}

/// Time that begins at a morning and moves with the machine.
#[derive(Debug)]
struct Morning(Instant);

impl Clock for Morning {
    fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.0.elapsed().as_millis()).unwrap_or_default();
        Timestamp::from_millis(MORNING + passed)
    }
}

/// No secrets, no objects, no budget.
#[derive(Debug)]
struct Nothing;

impl SecretSource for Nothing {
    fn secret(&self, _reference: &SecretRef) -> Result<Secret, String> {
        Err("a rehearsal has no secrets".to_owned())
    }
}

impl ObjectSource for Nothing {
    fn object<'a>(&'a self, _hash: &'a ObjectHash) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async { Err("a rehearsal has no objects".to_owned()) })
    }
}

impl Ledger for Nothing {
    fn spent(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, _spend: SpendRecord) {}
}
