//! The house that a case is played in.

use instar_agent::config::PostureChoice;
use instar_agent::{Config, Parts, Said, Sessions, workspace};
use instar_demo::Player;
use instar_egress::Egress;
use instar_models::{Models, ModelsConfig};
use instar_policy::{Authority, Posture};
use instar_protocol::event::{Event, EventKind};
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::{EntryBody, Inbound, OnRestart, Overrides, Part};
use instar_protocol::model::LocalModel;
use instar_protocol::principal::Via;
use instar_protocol::tool::ToolDecision;
use instar_protocol::{AgentId, Clock, InboundId, Principal, SessionKey};
use instar_release::{Behaviour, Releases};
use instar_store::{EventFilter, Options, Store, Synchronous};
use instar_tools::{SKILL, Tool, Toolbox};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::scratch::Scratch;
use super::stand_ins::{Morning, Nothing, Scripted};
use super::tools::Fake;
use super::{Answering, Conversation, From, PROVIDER};
use crate::error::Trouble;
use crate::provider::{Answer, BuiltIn, Call, Provider, Providers, Step, Tokens};
use crate::suite::ProviderSpec;

/// The local provider that the routes of a case lead to.
const SCRIPTED: &str = "scripted";
/// How long one message may take: it plays no part unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Events that are kept of one case.
const EVENTS_MAX: usize = 10_000;

/// Providers of an arm whose behaviour is known: `agent` plays conversations with it, `echo` echoes.
#[derive(Debug)]
pub struct AgentProviders {
    behaviour: Arc<Behaviour>,
}

impl AgentProviders {
    #[must_use]
    pub fn of(behaviour: Behaviour) -> Self {
        Self {
            behaviour: Arc::new(behaviour),
        }
    }
}

impl Providers for AgentProviders {
    fn provider(&self, spec: &ProviderSpec) -> Result<Box<dyn Provider>, Trouble> {
        match spec.id.as_str() {
            PROVIDER => Ok(Box::new(Agent {
                behaviour: Arc::clone(&self.behaviour),
            })),
            _ => BuiltIn.provider(spec),
        }
    }
}

/// The behaviour of a fresh installation: the identity files that it is seeded with, the usual limits, and
/// an authority that knows no tool yet.
pub fn default_behaviour() -> Result<Behaviour, Trouble> {
    let scratch = Scratch::new()?;
    let config = Config::default();
    let folder = scratch.path().join("workspace");
    let posture = match config.policy.posture {
        PostureChoice::Careful => Posture::Careful,
        PostureChoice::Balanced => Posture::Balanced,
        PostureChoice::Open => Posture::Open,
    };
    let authority = Authority {
        posture,
        ..Authority::over(BTreeMap::new())
    };
    let folder_of = |_: &instar_agent::AgentSettings| folder.clone();
    workspace::seed(&folder)
        .and_then(|()| workspace::behaviour(&config, authority, &folder_of, Some("demo/guide")))
        .map_err(|error| Trouble::Wrong(error.to_string()))
}

#[derive(Debug)]
struct Agent {
    behaviour: Arc<Behaviour>,
}

impl Provider for Agent {
    fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let Some(spec) = &call.case.agent else {
            return Trouble::wrong("the provider \"agent\" needs a case with `agent`");
        };
        let spec = crate::template::put_in(spec, call.vars);
        let conversation = Conversation::of(&spec)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Trouble::Wrong(error.to_string()))?;
        let scratch = Scratch::new()?;
        runtime.block_on(play(&self.behaviour, &conversation, scratch.path()))
    }
}

struct House {
    sessions: Sessions,
    store: Store,
    clock: Arc<Morning>,
    model: Arc<Scripted>,
}

/// The behaviour as a case serves it: routes lead to the script under their own names, and tools that the
/// behaviour does not know are judged as the case says.
fn served(behaviour: &Behaviour, toolbox: &Toolbox) -> (Behaviour, Vec<String>) {
    let mut served = behaviour.clone();
    let mut names = Vec::new();
    for agent in served.agents.values_mut() {
        names.extend(agent.route.lead_to(SCRIPTED));
    }
    for (tool, annotation) in toolbox.annotations() {
        // A list of the owner's cannot name what a case makes up.
        let is_new = !served.authority.annotations.contains_key(&tool);
        if let Some(allow) = served.authority.allow.as_mut().filter(|_| is_new) {
            allow.insert(tool.clone());
        }
        served
            .authority
            .annotations
            .entry(tool)
            .or_insert(annotation);
    }
    names.sort();
    names.dedup();
    (served, names)
}

async fn house(
    behaviour: &Behaviour,
    case: &Conversation,
    folder: &Path,
) -> Result<House, Trouble> {
    let wrong = |what: String| Trouble::Wrong(format!("the house of the case: {what}"));
    let clock = Arc::new(Morning {
        began: std::time::Instant::now(),
    });
    // The folder is gone after the case: nothing in it has to outlive a power cut.
    let options = Options {
        synchronous: Synchronous::Off,
        ..Options::default()
    };
    let store = Store::open(folder, options).map_err(|error| wrong(error.to_string()))?;
    let toolbox = Toolbox::default();
    for (name, told) in &case.tools {
        let fake: Arc<dyn Tool> = Arc::new(Fake::new(name, told));
        toolbox
            .register(fake)
            .map_err(|error| wrong(format!("the tool {name:?}: {error}")))?;
    }
    // What the behaviour tells the model to read with it would not be there.
    let learns = behaviour
        .agents
        .values()
        .any(|agent| !agent.skills.is_empty());
    if learns && !case.tools.contains_key(SKILL) {
        toolbox
            .read_skills()
            .map_err(|error| wrong(format!("the tool {SKILL:?}: {error}")))?;
    }
    let (behaviour, names) = served(behaviour, &toolbox);
    let player = Player::new(case.model.clone()).map_err(|error| wrong(error.to_string()))?;
    let model = Arc::new(Scripted {
        player,
        names,
        seen: Mutex::default(),
    });
    let local: Arc<dyn LocalModel> = model.clone();
    let models = Models::new(
        ModelsConfig::default(),
        Egress::new("instar-eval"),
        instar_models::Parts {
            clock: clock.clone(),
            secrets: Arc::new(Nothing),
            objects: Arc::new(Nothing),
            ledger: Arc::new(Nothing),
            local: BTreeMap::from([(SCRIPTED.to_owned(), local)]),
            env: |_| None,
        },
    )
    .map_err(|error| wrong(error.to_string()))?;
    let releases = Releases::open(store.clone())
        .await
        .map_err(|error| wrong(error.to_string()))?;
    releases
        .adopt(behaviour, "eval", "a case", clock.now(), [0; 10])
        .await
        .map_err(|error| wrong(error.to_string()))?;
    let mut config = Config::default();
    config.agents.defaults.user_timezone = Some("UTC".to_owned());
    if case.owner == Answering::Absent {
        config.policy.ask_wait_seconds = 0;
    }
    let parts = Parts {
        store: store.clone(),
        models,
        releases,
        tools: Arc::new(toolbox),
        clock: clock.clone(),
    };
    let sessions = Sessions::start(parts, config);
    Ok(House {
        sessions,
        store,
        clock,
        model,
    })
}

async fn play(
    behaviour: &Behaviour,
    case: &Conversation,
    folder: &Path,
) -> Result<Answer, Trouble> {
    let house = house(behaviour, case, folder).await?;
    let answering = answering(&house, case.owner);
    let mut outcomes = Vec::new();
    let mut problem = None;
    for turn in &case.turns {
        let from = turn.from().unwrap_or(&case.from);
        let said = say(&house, from, turn.words());
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(Ok(outcome)) => outcomes.push(outcome),
            Ok(Err(why)) => problem = Some(why),
            Err(_) => problem = Some(format!("a message had no answer within {PATIENCE:?}")),
        }
        if problem.is_some() {
            break;
        }
    }
    answering.abort();
    let told = if problem.is_none() {
        told(&house, &outcomes).await
    } else {
        Ok(Answer::default())
    };
    house.sessions.shutdown(Duration::from_secs(2)).await;
    match problem {
        Some(problem) => Trouble::wrong(problem),
        None => told,
    }
}

/// The owner's answers to questions, as the case has him.
fn answering(house: &House, owner: Answering) -> tokio::task::JoinHandle<()> {
    let asking = house.sessions.asking().clone();
    let mut changes = asking.watch();
    tokio::spawn(async move {
        if owner == Answering::Absent {
            return;
        }
        while let Ok(question) = changes.recv().await {
            if question.state == instar_protocol::approval::QuestionState::Open {
                let said = Said {
                    approved: owner == Answering::Approves,
                    by: "eval".to_owned(),
                    always: false,
                    pinned: false,
                };
                // One that was settled meanwhile needs no answer.
                drop(asking.answer(&question.id, said).await);
            }
        }
    })
}

async fn say(house: &House, from: &From, words: &str) -> Result<Arc<Outcome>, String> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let agent = AgentId::main();
    let now = house.clock.now();
    let inbound = Inbound {
        id: InboundId::new(now, random),
        session_key: SessionKey::main(&agent),
        principal: principal(from),
        received_at: now,
        surface: "eval".to_owned(),
        idempotency_key: None,
        parts: vec![Part::text(words)],
        on_restart: OnRestart::Resume,
        overrides: Overrides::default(),
    };
    let submitted = house
        .sessions
        .submit(inbound)
        .await
        .map_err(|error| error.to_string())?;
    submitted
        .outcome
        .await
        .map_err(|_| "a message had no outcome".to_owned())
}

fn principal(from: &From) -> Principal {
    match from {
        From::Owner => Principal::Owner { via: Via::Local },
        From::Contact(id) => Principal::Contact { id: id.clone() },
        From::Stranger(id) => Principal::Stranger { id: id.clone() },
        From::Automation(source) => Principal::Automation {
            source: source.clone(),
        },
    }
}

/// What can be asserted on: replies, calls with their decisions, labels, questions, events, requests.
async fn told(house: &House, outcomes: &[Arc<Outcome>]) -> Result<Answer, Trouble> {
    let mut calls = Vec::new();
    let mut replies = Vec::new();
    let mut steps = Vec::new();
    let mut tokens = Tokens::default();
    let mut cost_micros = 0_u64;
    for outcome in outcomes {
        let mut label = None;
        let mut asked: BTreeMap<&str, &Value> = BTreeMap::new();
        for entry in &outcome.entries {
            match &entry.body {
                EntryBody::Assistant { tool_calls, .. } => {
                    label = Some(entry.label.clone());
                    asked.extend(
                        tool_calls
                            .iter()
                            .map(|call| (call.id.as_str(), &call.arguments)),
                    );
                }
                EntryBody::ToolResult {
                    call_id,
                    tool,
                    text,
                    is_error,
                    decision,
                    ..
                } => {
                    let arguments = asked
                        .get(call_id.as_str())
                        .map_or(Value::Null, |value| (*value).clone());
                    steps.push(step(tool, &arguments, decision));
                    calls.push(json!({
                        "tool": tool, "arguments": arguments, "decision": decision, "result": text,
                        "is_error": is_error, "label": entry.label, "worst": entry.label.origins.worst(),
                    }));
                }
                _ => {}
            }
        }
        let worst = label.as_ref().map(|label| label.origins.worst());
        replies.push(json!({
            "text": outcome.text, "status": outcome.status, "label": label, "worst": worst,
            "error": outcome.error,
        }));
        tokens.prompt += outcome.usage.input_tokens;
        tokens.completion += outcome.usage.output_tokens;
        cost_micros += outcome.cost_micros;
    }
    let wrong = |error: instar_store::StoreError| Trouble::Wrong(error.to_string());
    let filter = EventFilter {
        after: None,
        kind: None,
        session: None,
        since: None,
        limit: EVENTS_MAX,
    };
    let events = house.store.events(filter).await.map_err(wrong)?;
    let questions = house
        .store
        .questions(None, None, 1_000)
        .await
        .map_err(wrong)?;
    let questions: Vec<_> = questions
        .iter()
        .map(|one| json!({"tool": one.call.name, "state": one.state}))
        .collect();
    let requests = house
        .model
        .seen
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let last = outcomes.last();
    let text = last.map(|outcome| outcome.text.clone()).unwrap_or_default();
    let finish = last.map(|outcome| match outcome.status {
        OutcomeStatus::Ok => "stop".to_owned(),
        OutcomeStatus::Failed => "error".to_owned(),
        OutcomeStatus::Aborted => "aborted".to_owned(),
    });
    let mut metadata = Map::new();
    let latency_ms = latency(&events);
    let events = serde_json::to_value(&events).unwrap_or(Value::Null);
    for (name, value) in [
        ("replies", Value::Array(replies)),
        ("calls", Value::Array(calls)),
        ("questions", Value::Array(questions)),
        ("events", events),
        ("requests", Value::Array(requests)),
    ] {
        metadata.insert(name.to_owned(), value);
    }
    #[expect(clippy::cast_precision_loss, reason = "no case costs so much")]
    let cost = cost_micros as f64 / 1e6;
    Ok(Answer {
        tokens,
        cost: Some(cost),
        latency_ms: Some(latency_ms),
        finish,
        steps: Some(steps),
        metadata,
        ..Answer::text(text)
    })
}

/// How long the turns took, as their events say: building the house of the case is no part of it.
#[expect(clippy::cast_precision_loss, reason = "a span of time in milliseconds")]
fn latency(events: &[Event]) -> f64 {
    let turns = events.iter().map(|event| match event.kind {
        EventKind::Turn { millis, .. } => millis,
        _ => 0,
    });
    turns.sum::<u64>() as f64
}

/// A call that ran is a step of a tool; one that did not is a step of its own kind.
fn step(tool: &str, arguments: &Value, decision: &ToolDecision) -> Step {
    let kind = match decision {
        ToolDecision::Allowed { .. } => "tool",
        ToolDecision::Denied { .. } => "denied",
        ToolDecision::Asked { .. } => "asked",
        ToolDecision::Handed => "handed",
    };
    Step {
        kind: kind.to_owned(),
        ..Step::tool(tool, arguments.clone())
    }
}
