//! Assertions on what an agent did.
//!
//! Each looks through one list of what was told (`agent:call`, `agent:reply`, `agent:question`,
//! `agent:event`, `agent:request`) for entries that fit: every field that the assertion gives has to be
//! there, a text by holding it. `min` (1 unless `max` is given) and `max` say how many may fit, `turn` picks a
//! reply.

use serde_json::{Map, Value};

use crate::assertion::{Asked, Verdict};
use crate::error::Trouble;

/// Fields of an assertion that count and do not describe.
const COUNTING: [&str; 3] = ["min", "max", "turn"];

pub(crate) fn check(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let list = match asked.kind {
        "agent:call" => "calls",
        "agent:reply" => "replies",
        "agent:question" => "questions",
        "agent:event" => "events",
        "agent:request" => "requests",
        kind => return Trouble::unsupported(format!("assertions of the type {kind:?}")),
    };
    let Some(told) = asked
        .facts
        .answer
        .metadata
        .get(list)
        .and_then(Value::as_array)
    else {
        return Trouble::wrong(format!("{:?}: whoever answered is no agent", asked.kind));
    };
    let Value::Object(wanted) = &asked.value else {
        return Trouble::wrong(format!(
            "{:?} needs fields that have to be there",
            asked.kind
        ));
    };
    let number = |key: &str| wanted.get(key).and_then(Value::as_u64);
    let turn = number("turn").and_then(|turn| usize::try_from(turn).ok());
    let fields: Map<String, Value> = wanted
        .iter()
        .filter(|(key, _)| !COUNTING.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let fields = crate::template::render_value(&Value::Object(fields), asked.facts.vars)?;
    let count = told
        .iter()
        .enumerate()
        .filter(|(index, _)| turn.is_none_or(|turn| index + 1 == turn))
        .filter(|(_, one)| holds(one, &fields))
        .count() as u64;
    let least = number("min").unwrap_or(u64::from(!wanted.contains_key("max")));
    let fits = count >= least && number("max").is_none_or(|most| count <= most);
    let pass = fits != asked.inverse;
    Ok(Verdict::of(pass, || {
        let not = if asked.inverse { "not " } else { "" };
        format!(
            "expected {list} {not}to fit {}; {count} of {} do",
            asked.value,
            told.len()
        )
    }))
}

/// True if everything that is wanted is there: a text inside a text, a field inside an object, an element in a
/// list.
fn holds(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::String(actual), Value::String(wanted)) => actual.contains(wanted),
        (Value::Object(actual), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| actual.get(key).is_some_and(|has| holds(has, value))),
        (Value::Array(actual), Value::Array(wanted)) => wanted
            .iter()
            .all(|one| actual.iter().any(|has| holds(has, one))),
        (Value::Array(actual), wanted) => actual.iter().any(|has| holds(has, wanted)),
        // What is decided is written `{"decision": "denied", ..}`; its name alone is enough.
        (Value::Object(actual), Value::String(wanted)) => actual
            .get("decision")
            .is_some_and(|decision| decision == wanted.as_str()),
        _ => actual == wanted,
    }
}
