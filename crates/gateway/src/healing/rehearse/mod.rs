//! Rehearsals: exposures that were made and did not happen.
//!
//! A fault that is rare would be on trial for years. The calls that met it are played again behind walls, by the
//! real agent with the release in service, with and without the fix by a coin: see [`stage`]. Calls of tools are
//! played for fixes of arguments and second tries, calls of models for what is done about models. Where none was
//! kept, calls with what is wrong in it are made up. What comes of it is a trial of its own, counted apart, and can say
//! no more than `supported_synthetic`.

mod actors;
mod models;
mod recorded;
mod stage;

use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::Example;
use instar_protocol::{AgentId, EventId};
use instar_release::evidence::{self, Coin, KEY_BYTES};
use instar_release::mitigation::{Act, Mitigation};
use instar_sandbox::confined::{Bounds, Starter};
use instar_store::Op;
use instar_tools::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{TrialView, fold, trials};
use crate::api::queries::QueryError;
use crate::app::AppState;
use recorded::{Failure, failures};
use stage::{Played, Prop, Scene, Take};
pub use stage::{ROLE, play};

/// Exposures of one rehearsal, and calls that may be brought for it.
const UNITS: usize = 60;
/// The same where a model has to be silent for a while in each.
const UNITS_OF_SILENCE: usize = 40;
const CALLS_MAX: usize = 64;

/// Failures that are looked up.
const FAILURES_MAX: usize = 32;

const BOUNDS: Bounds = Bounds {
    cpu_seconds: 120,
    memory_bytes: 512 << 20,
    wall_seconds: 300,
    message_bytes: 4 << 20,
    told_bytes: 16 << 20,
};

/// What is rehearsed, and the wrong part of some calls, for a fault of which no call was kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    #[serde(default = "main_agent")]
    pub agent: String,
    pub mitigation: Mitigation,
    #[serde(default)]
    pub calls: Vec<Value>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsed {
    /// Calls that were recorded and played again, and such as were made up.
    pub recorded: usize,
    pub made_up: usize,
    #[serde(flatten)]
    pub trial: TrialView,
}

fn main_agent() -> String {
    AgentId::main().to_string()
}

fn invalid(why: impl Into<String>) -> QueryError {
    QueryError::Invalid {
        param: "mitigation",
        why: why.into(),
    }
}

pub(crate) async fn rehearse(app: &AppState, asked: Rehearsal) -> Result<Rehearsed, QueryError> {
    let stable = app
        .releases
        .stable()
        .ok_or_else(|| invalid("nothing is served yet"))?;
    let agent = stable.behaviour.agents.get(&asked.agent);
    let agent = agent.ok_or_else(|| invalid("there is no such agent"))?;
    let mitigation = &asked.mitigation;
    mitigation
        .check(agent, &stable.behaviour.authority)
        .map_err(invalid)?;
    if asked.calls.len() > CALLS_MAX {
        return Err(invalid(format!("more than {CALLS_MAX} calls")));
    }
    if let Some(why) = why_not(&mitigation.act) {
        return Err(invalid(why));
    }
    let examples = examples(app, &mitigation.fault).await?;
    let (takes, made_up, tool) = match &mitigation.act {
        Act::Arguments { tool, .. } | Act::Retry { tool, .. } => {
            let (takes, made_up, prop) = of_tool(app, tool, &asked, &examples).await?;
            (takes, made_up, Some(prop))
        }
        _ => (models::failures(&app.store, &examples).await?, 0, None),
    };
    if takes.is_empty() {
        return Err(invalid(
            "no call was kept that failed so, and none can be made up that fails",
        ));
    }
    let recorded = takes.len() - made_up;
    let experiment = mitigation.rehearsal(&asked.agent);
    let count = if takes.iter().any(Take::is_silent) {
        UNITS_OF_SILENCE
    } else {
        UNITS
    };
    let units = thrown(app, &experiment, count);
    let cast = units
        .iter()
        .enumerate()
        .map(|(number, (_, with_fix))| Take {
            with_fix: *with_fix,
            ..takes[number % takes.len()].clone()
        });
    let scene = Scene {
        agent: AgentId::parse(&asked.agent).map_err(|_| invalid("there is no such agent"))?,
        behaviour: stable.behaviour.clone(),
        mitigation: mitigation.clone(),
        tool,
        takes: cast.collect(),
    };
    let bad = staged(scene).await.map_err(|why| {
        tracing::warn!(why, "a rehearsal could not be played");
        invalid(format!("it could not be played: {why}"))
    })?;
    let ops = events(app, mitigation, &experiment, &units, &bad);
    app.store.commit(ops).await?;
    fold(app).await?;
    let all = trials(&app.store).await?;
    let found = all.into_iter().find(|view| view.experiment == experiment);
    Ok(Rehearsed {
        recorded,
        made_up,
        trial: found.ok_or_else(|| invalid("there are too many trials"))?,
    })
}

/// Calls of a tool that failed, how many of them were made up, and what stands in the place of the tool. Where
/// none was kept, some are made up for a fix of arguments.
async fn of_tool(
    app: &AppState,
    tool: &str,
    asked: &Rehearsal,
    examples: &[Example],
) -> Result<(Vec<Take>, usize, Prop), QueryError> {
    let act = &asked.mitigation.act;
    let specs = app.toolbox.specs();
    let spec = specs.iter().find(|spec| spec.name == tool);
    let spec = spec.ok_or_else(|| invalid("its tool is not here"))?;
    let annotation = app.toolbox.annotations().remove(tool);
    let annotation = annotation.ok_or_else(|| invalid("its tool is not here"))?;
    let schema = Schema::read(&spec.parameters).map_err(|error| invalid(error.to_string()))?;
    let failures = failures(&app.store, tool, examples).await?;
    let mut takes = replayed(act, failures, &schema, &spec.parameters);
    let mut made_up = 0;
    if takes.is_empty() && matches!(act, Act::Arguments { .. }) {
        let whole = asked.calls.iter();
        let whole = whole.map(|call| filled(&spec.parameters, call));
        takes.extend(whole.filter(|call| schema.check(call).is_err()).map(call));
        made_up = takes.len();
    }
    let spec = spec.as_ref().clone();
    Ok((takes, made_up, Prop { spec, annotation }))
}

/// Why a fix cannot be rehearsed, where it cannot: what it acts on was recorded nowhere, and to make that up
/// would be to say beforehand what comes of it.
fn why_not(act: &Act) -> Option<&'static str> {
    match act {
        Act::Arguments { .. }
        | Act::Retry { .. }
        | Act::RouteFirst { .. }
        | Act::ModelRetry { .. }
        | Act::ModelPatience { .. } => None,
        Act::Patience { .. } => Some(
            "a time limit of a tool cannot be rehearsed: how long the call would have needed was not recorded",
        ),
        Act::Breaker { .. } => Some(
            "a breaker cannot be rehearsed: a call that is not made counts as one that failed, and whether the \
             tool comes back sooner when it is left alone was not recorded",
        ),
        Act::Pace { .. } => Some(
            "a pace cannot be rehearsed: minutes would have to go by between the calls, and time is not \
             rehearsed",
        ),
        Act::Prefer { .. } => Some(
            "another tool cannot be rehearsed: what it would have said to the call was not recorded",
        ),
        Act::Lesson(_) => Some(
            "a sentence in the prompt cannot be rehearsed: only a model can show whether it heeds it, and none \
             is asked here",
        ),
    }
}

/// The failures of a fault and of what was merged into it of which something is kept, the latest first.
async fn examples(app: &AppState, fault: &str) -> Result<Vec<Example>, QueryError> {
    let Ok(view) = crate::lab::one(&app.store, fault).await else {
        return Ok(Vec::new());
    };
    let rows = app.store.faults().await?.into_iter();
    let of =
        rows.filter(|row| row.fault.id == view.fault.id || view.members.contains(&row.fault.id));
    let mut all: Vec<Example> = of.flat_map(|row| row.fault.examples).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.at));
    all.truncate(FAILURES_MAX);
    Ok(all)
}

/// The failures as turns that can be played. With other arguments only the tool's check can say whether a call
/// goes: one that failed inside the tool is not played for a fix of arguments.
fn replayed(act: &Act, failures: Vec<Failure>, schema: &Schema, parameters: &Value) -> Vec<Take> {
    let take = |failure: Failure| match act {
        Act::Arguments { .. } => failure
            .arguments
            .filter(|arguments| schema.check(arguments).is_err())
            .map(call),
        _ => {
            let arguments = failure.arguments;
            Some(Take {
                arguments: arguments.unwrap_or_else(|| filled(parameters, &Value::Null)),
                tape: failure.tape,
                ..Take::default()
            })
        }
    };
    failures.into_iter().filter_map(take).collect()
}

fn call(arguments: Value) -> Take {
    Take {
        arguments,
        ..Take::default()
    }
}

/// Plays it in a job behind walls, which is believed nothing but a yes or no for each take.
async fn staged(scene: Scene) -> Result<Vec<bool>, String> {
    let count = scene.takes.len();
    let played = tokio::task::spawn_blocking(move || {
        let mut job = Starter::default().with_scratch().start(ROLE, BOUNDS)?;
        job.tell(&scene)?;
        job.hear::<Played>()
    });
    let played = played.await.map_err(|error| error.to_string())?;
    match played.map_err(|error| error.to_string())? {
        Played::Takes(bad) if bad.len() == count => Ok(bad),
        Played::Takes(_) => Err("it told of other takes than were asked".to_owned()),
        Played::Unable(why) => Err(why.chars().take(300).collect()),
    }
}

/// The units of a rehearsal, and what its coin says of each.
fn thrown(app: &AppState, experiment: &str, count: usize) -> Vec<(String, bool)> {
    let mut key = [0; KEY_BYTES];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&app.random()[..part.len()]);
    }
    let coin = Coin::of(&key, experiment);
    let unit = |_| {
        let unit = format!("run_rehearsed_{}", hex::encode(app.random()));
        let with_fix = coin.throw(&unit, 0.5) == evidence::Arm::New;
        (unit, with_fix)
    };
    (0..count).map(unit).collect()
}

/// The exposures and their ends, as those of turns are told.
fn events(
    app: &AppState,
    mitigation: &Mitigation,
    experiment: &str,
    units: &[(String, bool)],
    bad: &[bool],
) -> Vec<Op> {
    let now = app.clock.now();
    let event = |kind| Op::AppendEvent(Event::of_house(EventId::new(now, app.random()), now, kind));
    let told = |((unit, with_fix), bad): (&(String, bool), &bool)| {
        let begun = EventKind::Exposure {
            fault: mitigation.fault.clone(),
            mitigation: mitigation.id.clone(),
            experiment: experiment.to_owned(),
            unit: unit.clone(),
            with_fix: *with_fix,
            share_permille: 500,
        };
        let ended = EventKind::ExposureEnd {
            experiment: experiment.to_owned(),
            unit: unit.clone(),
            bad: Some(*bad),
        };
        [event(begun), event(ended)]
    };
    units.iter().zip(bad).flat_map(told).collect()
}

/// A call with what the tool needs besides, made up by its schema.
fn filled(parameters: &Value, wrong: &Value) -> Value {
    let mut call = wrong.as_object().cloned().unwrap_or_else(Map::new);
    let needed = parameters["required"].as_array();
    for name in needed.into_iter().flatten().filter_map(Value::as_str) {
        if !call.contains_key(name) {
            let of = &parameters["properties"][name];
            call.insert(name.to_owned(), plain(of));
        }
    }
    Value::Object(call)
}

fn plain(of: &Value) -> Value {
    match of["type"].as_str() {
        Some("integer" | "number") => of.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(false),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => of["enum"][0]
            .as_str()
            .map_or_else(|| json!("a"), |first| json!(first)),
    }
}
