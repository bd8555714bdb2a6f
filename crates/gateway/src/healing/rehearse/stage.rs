//! The stage of a rehearsal: a job behind walls in which the real agent plays recorded calls again.
//!
//! The agent has its store in the empty folder of the job, and the behaviour of the release in service, with
//! the fix or without it. Two things are not real. The model makes the one call that was recorded, or answers,
//! fails or is silent as models were recorded to. The tool does nothing: it takes what the tool takes, by the same
//! check, and what came of the calls was recorded, too.

use futures_util::future::BoxFuture;
use instar_agent::{Config, Parts, Said, Sessions};
use instar_egress::Egress;
use instar_models::{Ledger, Models, ModelsConfig, ObjectSource, SpendRecord};
use instar_policy::Annotation;
use instar_protocol::approval::QuestionState;
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::{EntryBody, Inbound, OnRestart, Overrides, Part};
use instar_protocol::model::LocalModel;
use instar_protocol::principal::Via;
use instar_protocol::secret::SecretRef;
use instar_protocol::tool::ToolSpec;
use instar_protocol::{
    AgentId, Clock, InboundId, ObjectHash, Principal, Secret, SecretSource, SessionKey, Timestamp,
};
use instar_release::mitigation::{Act, Mitigation, Reach};
use instar_release::{Behaviour, Releases};
use instar_sandbox::confined::{LineError, Post};
use instar_store::{Options, Store, Synchronous};
use instar_tools::{Tool, Toolbox};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::actors::{Actor, Recorded};

/// The role under which the job is started.
pub const ROLE: &str = "rehearsal";
/// The provider that the routes lead to.
const SCRIPTED: &str = "scripted";
/// How long one turn may take: it plays no part unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// What stands for the limits of a turn, and of a model that is silent, where one is.
const TURN_SECONDS: u32 = 2;
const PATIENCE_SECONDS: u16 = 1;
/// Houses of each arm where models are silent.
const HOUSES_OF_SILENCE: usize = 2;
/// 2026-01-05 09:00 UTC.
const MORNING: u64 = 1_767_603_600_000;

/// What is played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scene {
    pub(super) agent: AgentId,
    /// The release in service.
    pub(super) behaviour: Behaviour,
    pub(super) mitigation: Mitigation,
    /// The tool that is called; none where only models are asked.
    pub(super) tool: Option<Prop>,
    pub(super) takes: Vec<Take>,
}

/// What stands in the place of a tool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Prop {
    pub(super) spec: ToolSpec,
    pub(super) annotation: Annotation,
}

/// One turn: with one call of the tool in it, or with models that do as they did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Take {
    pub(super) with_fix: bool,
    pub(super) arguments: Value,
    /// What came of the calls of the tool, one after the other; the last stays.
    pub(super) tape: Vec<Came>,
    /// The same of each model, where there is no tool. One of which nothing is known fails.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) models: BTreeMap<String, Vec<Tried>>,
}

impl Take {
    /// A model keeps silent in it until the time of the turn is over.
    pub(super) fn is_silent(&self) -> bool {
        self.models
            .values()
            .flatten()
            .any(|tried| *tried == Tried::Silent)
    }

    /// What a model says when it is asked again.
    pub(super) fn say(&mut self, model: &str) -> Tried {
        match self.models.get_mut(model) {
            Some(tape) if tape.len() > 1 => tape.remove(0),
            Some(tape) => tape.first().copied().unwrap_or(Tried::Failed),
            None => Tried::Failed,
        }
    }
}

/// What came of asking a model.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Tried {
    Answered,
    Failed,
    /// Nothing came until the time of the turn was over.
    Silent,
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
        Ok(runtime) => runtime.block_on(all(&scene, &std::env::temp_dir())),
        Err(error) => Err(error.to_string()),
    };
    post.tell(&played.map_or_else(Played::Unable, Played::Takes))
}

/// Each arm has houses of its own; who has to wait for silent models waits for several at once.
async fn all(scene: &Scene, folder: &Path) -> Result<Vec<bool>, String> {
    let houses = if scene.takes.iter().any(Take::is_silent) {
        HOUSES_OF_SILENCE
    } else {
        1
    };
    let arms = [true, false].into_iter();
    let parts = arms.flat_map(|with_fix| {
        (0..houses).map(move |number| part(scene, folder, with_fix, (number, houses)))
    });
    let played = futures_util::future::try_join_all(parts).await?;
    let mut played: Vec<(usize, bool)> = played.into_iter().flatten().collect();
    played.sort_unstable();
    Ok(played.into_iter().map(|(_, bad)| bad).collect())
}

/// Plays every so-manyeth take of an arm, with its number.
async fn part(
    scene: &Scene,
    folder: &Path,
    with_fix: bool,
    (first, every): (usize, usize),
) -> Result<Vec<(usize, bool)>, String> {
    let name = if with_fix { "with" } else { "without" };
    let folder = folder.join(format!("{name}-{first}"));
    let house = House::open(scene, with_fix, &folder).await?;
    let mut played = Vec::new();
    let takes = scene.takes.iter().enumerate();
    for (number, take) in takes.filter(|(_, take)| take.with_fix == with_fix) {
        if number % every == first {
            played.push((number, house.play(scene, number, take).await?));
        }
    }
    house.sessions.shutdown(Duration::from_secs(2)).await;
    Ok(played)
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
        if let Some(prop) = scene.tool.clone() {
            let take = Arc::clone(&take);
            let recorded: Arc<dyn Tool> = Arc::new(Recorded { prop, take });
            toolbox.register(recorded).map_err(|error| wrong(&error))?;
        }
        let (behaviour, names) = served(scene, with_fix);
        let model: Arc<dyn LocalModel> = Arc::new(Actor {
            tool: scene.tool.as_ref().map(|prop| prop.spec.name.clone()),
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
        is_bad(&outcome, scene.tool.as_ref())
    }
}

/// Bad is a turn that failed, or whose last call of the tool did. One that never came to a call says nothing
/// of it. Of what is done about models the end of the turn says all.
fn is_bad(outcome: &Outcome, tool: Option<&Prop>) -> Result<bool, String> {
    if outcome.status != OutcomeStatus::Ok {
        return Ok(true);
    }
    let Some(prop) = tool else {
        return Ok(false);
    };
    let mut results = outcome
        .entries
        .iter()
        .rev()
        .filter_map(|entry| match &entry.body {
            EntryBody::ToolResult {
                tool: of, is_error, ..
            } if *of == prop.spec.name => Some(*is_error),
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

/// The behaviour with its routes led to what was recorded. Nothing else is done about anything, so that what
/// makes a difference is the fix; and time is not rehearsed: a pause is none, and limits of time are short ones.
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
            match &mut fix.act {
                Act::Retry { pause_ms, .. } | Act::ModelRetry { pause_ms, .. } => *pause_ms = 0,
                Act::RouteFirst { model } => *model = format!("{SCRIPTED}/{model}"),
                Act::ModelPatience { seconds } => *seconds = PATIENCE_SECONDS,
                _ => {}
            }
            agent.mitigations.push(fix);
        }
        if scene.takes.iter().any(Take::is_silent) {
            agent.limits.timeout_seconds = TURN_SECONDS;
        }
    }
    if let Some(prop) = &scene.tool {
        let known = &mut served.authority.annotations;
        known
            .entry(prop.spec.name.clone())
            .or_insert_with(|| prop.annotation.clone());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use instar_release::{AgentBehaviour, Limits, Route};
    use serde_json::json;

    type Of = (&'static str, &'static [Tried]);

    fn one(tape: &'static [Tried]) -> Of {
        ("a/one", tape)
    }

    fn two(tape: &'static [Tried]) -> Of {
        ("b/two", tape)
    }

    /// Four turns, every other one with the fix, in which the models of a route do as they did.
    async fn played(act: Act, models: &[Of]) -> Vec<bool> {
        let agent = AgentBehaviour {
            route: Route {
                primary: "a/one".to_owned(),
                fallbacks: vec!["b/two".to_owned()],
                pictures: Vec::new(),
            },
            limits: Limits {
                model_calls_max: 8,
                tool_calls_max: 8,
                timeout_seconds: 60,
                output_tokens_max: 1_000,
            },
            ..AgentBehaviour::default()
        };
        let tapes = models
            .iter()
            .map(|(model, tape)| ((*model).to_owned(), tape.to_vec()));
        let take = |with_fix| Take {
            with_fix,
            models: tapes.clone().collect(),
            ..Take::default()
        };
        let fix = json!({
            "id": "fix", "gene": "g@0", "fault": "flt_1", "reach": "everybody", "act": act,
        });
        let scene = Scene {
            agent: AgentId::main(),
            behaviour: Behaviour {
                agents: BTreeMap::from([("main".to_owned(), agent)]),
                ..Behaviour::default()
            },
            mitigation: serde_json::from_value(fix).unwrap(),
            tool: None,
            takes: [true, false, true, false].map(take).to_vec(),
        };
        let folder = tempfile::tempdir().unwrap();
        all(&scene, folder.path()).await.unwrap()
    }

    #[tokio::test]
    async fn models_do_as_they_did_and_what_is_done_about_them_is_what_the_agent_does() {
        use Tried::{Answered, Failed, Silent};
        const HELPS: [bool; 4] = [false, true, false, true];
        let again = || Act::ModelRetry {
            again: 1,
            pause_ms: 60_000,
        };
        let patience = || Act::ModelPatience { seconds: 300 };
        let first = || Act::RouteFirst {
            model: "b/two".to_owned(),
        };
        // The next try gets what the next call had got, and where there was none the failure stays.
        assert_eq!(played(again(), &[one(&[Failed, Answered])]).await, HELPS);
        assert_eq!(played(again(), &[one(&[Failed])]).await, [true; 4]);
        // A model that answered anyway was no failure of the turn.
        let fell_back = [one(&[Failed]), two(&[Answered])];
        assert_eq!(played(first(), &fell_back).await, [false; 4]);
        // The time of the turn goes by with a silent one, and nobody else is heard.
        let silent = [one(&[Silent]), two(&[Answered])];
        assert_eq!(played(first(), &silent).await, HELPS);
        assert_eq!(played(patience(), &silent).await, HELPS);
        assert_eq!(played(patience(), &[one(&[Silent])]).await, [true; 4]);
    }
}
