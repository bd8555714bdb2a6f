//! Rehearsals: exposures that were made and did not happen.
//!
//! A fault that is rare would be on trial for years. Calls with what is wrong in it are made up and put to the
//! tool's own check, with and without the fix; no tool runs. What comes of it is a trial of its own, counted
//! apart, and can say no more than `supported_synthetic`.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::{AgentId, EventId};
use instar_release::evidence::{self, Coin, KEY_BYTES};
use instar_release::mitigation::{Act, ArgumentFix, Mitigation};
use instar_store::Op;
use instar_tools::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{TrialView, fold, trials};
use crate::api::queries::QueryError;
use crate::app::AppState;

/// Exposures of one rehearsal, and calls that may be brought for it.
const UNITS: usize = 60;
const CALLS_MAX: usize = 64;

/// What is rehearsed: a fix of arguments, and the wrong part of some calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    #[serde(default = "main_agent")]
    pub agent: String,
    pub mitigation: Mitigation,
    pub calls: Vec<Value>,
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

pub(crate) async fn rehearse(app: &AppState, asked: Rehearsal) -> Result<TrialView, QueryError> {
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
    let Act::Arguments { tool, fixes } = &mitigation.act else {
        return Err(invalid(
            "what is done about arguments can be rehearsed; for all else the world would have to be made up",
        ));
    };
    if asked.calls.len() > CALLS_MAX {
        return Err(invalid(format!("more than {CALLS_MAX} calls")));
    }
    let specs = app.toolbox.specs();
    let spec = specs.iter().find(|spec| spec.name == *tool);
    let spec = spec.ok_or_else(|| invalid("its tool is not here"))?;
    let schema = Schema::read(&spec.parameters).map_err(|error| invalid(error.to_string()))?;
    let whole = asked
        .calls
        .iter()
        .map(|call| filled(&spec.parameters, call));
    let wrong: Vec<Value> = whole.filter(|call| schema.check(call).is_err()).collect();
    if wrong.is_empty() {
        return Err(invalid("none of the calls is one that the tool refuses"));
    }
    let experiment = mitigation.rehearsal(&asked.agent);
    let ops = events(app, mitigation, &experiment, |number, with_fix| {
        let mut call = wrong[number % wrong.len()].clone();
        if with_fix {
            mend(fixes, &mut call);
        }
        schema.check(&call).is_err()
    });
    app.store.commit(ops).await?;
    fold(app).await?;
    let all = trials(&app.store).await?;
    let found = all.into_iter().find(|view| view.experiment == experiment);
    found.ok_or_else(|| invalid("there are too many trials"))
}

fn mend(fixes: &[ArgumentFix], call: &mut Value) {
    for fix in fixes {
        fix.apply(call);
    }
}

/// The exposures and their ends, as those of turns are told.
fn events(
    app: &AppState,
    mitigation: &Mitigation,
    experiment: &str,
    is_bad: impl Fn(usize, bool) -> bool,
) -> Vec<Op> {
    let mut key = [0; KEY_BYTES];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&app.random()[..part.len()]);
    }
    let (coin, now) = (Coin::of(&key, experiment), app.clock.now());
    let event = |kind| Op::AppendEvent(Event::of_house(EventId::new(now, app.random()), now, kind));
    let mut ops = Vec::new();
    for number in 0..UNITS {
        let unit = format!("run_rehearsed_{}", hex::encode(app.random()));
        let with_fix = coin.throw(&unit, 0.5) == evidence::Arm::New;
        ops.push(event(EventKind::Exposure {
            fault: mitigation.fault.clone(),
            mitigation: mitigation.id.clone(),
            experiment: experiment.to_owned(),
            unit: unit.clone(),
            with_fix,
            share_permille: 500,
        }));
        ops.push(event(EventKind::ExposureEnd {
            experiment: experiment.to_owned(),
            unit,
            bad: Some(is_bad(number, with_fix)),
        }));
    }
    ops
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
