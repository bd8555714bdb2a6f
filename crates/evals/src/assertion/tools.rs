//! Calls of tools: as a model wrote them, and as an agent made them.

use instar_tools::SKILL;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

use super::text::alike;
use super::{Asked, Verdict, schema};
use crate::data::{self, show};
use crate::error::Trouble;
use crate::files::wildcard;
use crate::provider::Step;

/// Nobody here checks the calls of a vendor in the vendor's way.
pub(super) fn function_call(asked: &Asked<'_>) -> Verdict {
    let functions = asked
        .facts
        .config
        .get("functions")
        .and_then(Value::as_array);
    let call = match asked.output {
        Value::String(text) => data::json(text),
        other => Some(other.clone()),
    };
    let (Some(functions), Some(call)) = (functions, call) else {
        return Verdict::of(false, || {
            "whoever answered has no functions to check a call by".to_owned()
        });
    };
    let call = call.get("function_call").unwrap_or(&call);
    let problem = call_problem(call, functions.iter());
    Verdict::of(problem.is_none(), || problem.unwrap_or_default())
}

pub(super) fn tools_call(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let output = asked.output.get("tool_calls").unwrap_or(asked.output);
    let calls: Vec<&Value> = match output {
        Value::Array(items) => items
            .iter()
            .filter_map(|item| item.get("function"))
            .collect(),
        _ => Vec::new(),
    };
    let whole = output
        .as_array()
        .is_some_and(|items| items.len() == calls.len());
    if calls.is_empty() || !whole {
        return Ok(Verdict::of(false, || {
            "the answer is no list of calls".to_owned()
        }));
    }
    let tools = match asked.facts.config.get("tools") {
        Some(Value::Array(tools)) => tools,
        Some(Value::String(_)) => return Trouble::unsupported("tools in a file"),
        _ => {
            let problem = "calls were made, and whoever answered has no tools";
            return Ok(Verdict::of(false, || problem.to_owned()));
        }
    };
    let functions = || tools.iter().filter_map(|tool| tool.get("function"));
    let problem = calls
        .into_iter()
        .find_map(|call| call_problem(call, functions()));
    Ok(Verdict::of(problem.is_none(), || {
        problem.unwrap_or_default()
    }))
}

fn call_problem<'a>(
    call: &Value,
    mut functions: impl Iterator<Item = &'a Value>,
) -> Option<String> {
    let Some(name) = call.get("name").and_then(Value::as_str) else {
        return Some("a call names no function".to_owned());
    };
    let known = functions.find(|one| one.get("name").and_then(Value::as_str) == Some(name));
    let Some(function) = known else {
        return Some(format!("there is no function {name:?}"));
    };
    let written = call
        .get("arguments")
        .and_then(Value::as_str)
        .and_then(data::json);
    let Some(arguments) = written else {
        return Some(format!("the arguments for {name:?} are no JSON"));
    };
    let parameters = function.get("parameters")?;
    match schema::problem(&arguments, parameters) {
        Ok(problem) => problem.map(|problem| format!("the arguments for {name:?}: {problem}")),
        Err(trouble) => Some(trouble.to_string()),
    }
}

/// Which tools were called against which should have been, the order left out.
pub(super) fn f1(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let wanted: BTreeSet<String> = match &asked.value {
        Value::Array(items) => items.iter().map(show).collect(),
        Value::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        _ => BTreeSet::new(),
    };
    if wanted.is_empty() {
        return Trouble::wrong("\"tool-call-f1\" needs the names of tools");
    }
    let mut called = BTreeSet::new();
    names(asked.output, &mut called);
    if let Some(steps) = &asked.facts.answer.steps {
        called.extend(steps.iter().map(|step| step.name.clone()));
    }
    let count = |set: &BTreeSet<String>| f64::from(u32::try_from(set.len()).unwrap_or(u32::MAX));
    let common = f64::from(u32::try_from(wanted.intersection(&called).count()).unwrap_or(u32::MAX));
    let score = if common == 0.0 {
        0.0
    } else {
        f1_of(common, count(&called), count(&wanted))
    };
    let threshold = asked.threshold.unwrap_or(1.0);
    Ok(Verdict {
        pass: (score >= threshold) != asked.inverse,
        score,
        reason: format!("F1 {score:.3} against {threshold}: wanted {wanted:?}, called {called:?}"),
    })
}

fn f1_of(common: f64, called: f64, wanted: f64) -> f64 {
    let (precision, recall) = (common / called, common / wanted);
    2.0 * precision * recall / (precision + recall)
}

/// The names of tools in an answer, however its vendor writes calls.
fn names(output: &Value, found: &mut BTreeSet<String>) {
    match output {
        Value::String(text) => match data::json(text) {
            Some(Value::String(_)) | None => {
                let lines = text.lines().map(str::trim);
                for value in lines
                    .filter(|l| l.starts_with(['{', '[']))
                    .filter_map(data::json)
                {
                    names_in(&value, found);
                }
            }
            Some(value) => names_in(&value, found),
        },
        other => names_in(other, found),
    }
}

fn names_in(value: &Value, found: &mut BTreeSet<String>) {
    let mut add = |name: Option<&Value>| {
        if let Some(Value::String(name)) = name {
            found.insert(name.clone());
        }
    };
    if let Some(calls) = value.get("tool_calls").and_then(Value::as_array) {
        for call in calls {
            add(call
                .get("function")
                .and_then(|function| function.get("name")));
            add(call.get("name"));
        }
    } else if value.get("type").is_some_and(|kind| kind == "tool_use") {
        add(value.get("name"));
    } else if let Some(call) = value.get("functionCall") {
        add(call.get("name"));
    } else if let Some(calls) = value
        .get("toolCall")
        .and_then(|call| call.get("functionCalls"))
    {
        for call in calls.as_array().into_iter().flatten() {
            add(call.get("name"));
        }
    } else if let Value::Array(items) = value {
        for item in items {
            let function = item.get("functionCall").or_else(|| item.get("function"));
            add(function.map_or(item, |function| function).get("name"));
        }
    }
}

/// A wish for steps: a name or a pattern, and how often.
struct Wish {
    pattern: String,
    kinds: Option<Vec<String>>,
    min: Option<f64>,
    max: Option<f64>,
}

impl Wish {
    fn of(value: &Value) -> Self {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        Self {
            pattern: match value {
                Value::String(name) => name.clone(),
                _ => text("pattern").or_else(|| text("name")).unwrap_or_default(),
            },
            kinds: value.get("type").map(|kinds| match kinds {
                Value::Array(items) => items.iter().map(show).collect(),
                one => vec![show(one)],
            }),
            min: number("min"),
            max: number("max"),
        }
    }

    fn fits(&self, step: &Step) -> bool {
        let kind = |kinds: &Vec<String>| kinds.contains(&step.kind);
        self.kinds.as_ref().is_none_or(kind)
            && (self.pattern.is_empty() || wildcard(&self.pattern, &step.name))
    }

    fn within(&self, count: usize, least: f64) -> bool {
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        count >= self.min.unwrap_or(least) && self.max.is_none_or(|max| count <= max)
    }
}

fn steps<'a>(asked: &'a Asked<'_>) -> Result<&'a [Step], Trouble> {
    match &asked.facts.answer.steps {
        Some(steps) => Ok(steps),
        None => Trouble::wrong(format!("{}: whoever answered tells no steps", asked.kind)),
    }
}

fn tools<'a>(asked: &'a Asked<'_>) -> Result<Vec<&'a Step>, Trouble> {
    Ok(steps(asked)?
        .iter()
        .filter(|step| step.kind == "tool")
        .collect())
}

fn shown(steps: &[&Step]) -> String {
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

pub(super) fn tool_used(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    used(asked, &tools(asked)?, 1.0)
}

/// The skills that an answer tells of, and those that an agent has read.
pub(super) fn skill_used(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let calls = asked
        .facts
        .answer
        .metadata
        .get("skillCalls")
        .and_then(Value::as_array);
    let called: Vec<Step> = calls
        .into_iter()
        .flatten()
        .filter(|call| call.get("is_error") != Some(&Value::Bool(true)))
        .filter_map(|call| call.get("name").and_then(Value::as_str))
        .map(|name| Step::tool(name, Value::Null))
        .chain(read_by_agent(asked))
        .collect();
    let least = if asked.value.get("max").is_some() {
        0.0
    } else {
        1.0
    };
    used(asked, &called.iter().collect::<Vec<_>>(), least)
}

fn read_by_agent<'a>(asked: &'a Asked<'_>) -> impl Iterator<Item = Step> + 'a {
    let steps = asked.facts.answer.steps.iter().flatten();
    let read = steps.filter(|step| step.kind == "tool" && step.name == SKILL);
    let named = read.filter_map(|step| step.arguments.get("name").and_then(Value::as_str));
    named.map(|name| Step::tool(name, Value::Null))
}

fn used(asked: &Asked<'_>, steps: &[&Step], least: f64) -> Result<Verdict, Trouble> {
    let wishes: Vec<Wish> = match &asked.value {
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(Wish::of).collect()
        }
        one @ (Value::String(_) | Value::Object(_)) => vec![Wish::of(one)],
        _ => Vec::new(),
    };
    if wishes.is_empty() || wishes.iter().any(|wish| wish.pattern.is_empty()) {
        return Trouble::wrong(format!("{:?} needs the name of what is used", asked.kind));
    }
    let count = |wish: &Wish| steps.iter().filter(|step| wish.fits(step)).count();
    let pass = if asked.value.is_object() {
        wishes.iter().all(|wish| wish.within(count(wish), least)) != asked.inverse
    } else if asked.inverse {
        wishes.iter().all(|wish| count(wish) == 0)
    } else {
        wishes.iter().all(|wish| count(wish) > 0)
    };
    Ok(Verdict::of(pass, || {
        let not = if asked.inverse { "not " } else { "" };
        format!(
            "expected {} to {not}be used; used: {}",
            asked.value,
            shown(steps)
        )
    }))
}

pub(super) fn sequence(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let called = tools(asked)?;
    let listed = match &asked.value {
        Value::Array(items) => Some(items),
        other => other.get("steps").and_then(Value::as_array),
    };
    let wishes: Vec<Wish> = listed.into_iter().flatten().map(Wish::of).collect();
    if wishes.is_empty() || wishes.iter().any(|wish| wish.pattern.is_empty()) {
        return Trouble::wrong("\"trajectory:tool-sequence\" needs the names of steps");
    }
    let exact = asked.value.get("mode").is_some_and(|mode| mode == "exact");
    let holds = if exact {
        called.len() == wishes.len()
            && called
                .iter()
                .zip(&wishes)
                .all(|(step, wish)| wish.fits(step))
    } else {
        let mut left = wishes.iter().peekable();
        for step in &called {
            if left.peek().is_some_and(|wish| wish.fits(step)) {
                left.next();
            }
        }
        left.peek().is_none()
    };
    Ok(asked.decide(holds, || {
        format!(
            "call in the order {}; called: {}",
            asked.value,
            shown(&called)
        )
    }))
}

pub(super) fn arguments(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let called = tools(asked)?;
    let wish = Wish::of(&asked.value);
    let wanted = asked
        .value
        .get("args")
        .or_else(|| asked.value.get("arguments"));
    let (Some(wanted), false) = (wanted, wish.pattern.is_empty()) else {
        return Trouble::wrong("\"trajectory:tool-args-match\" needs a name and args");
    };
    let exact = match asked.value.get("mode").and_then(Value::as_str) {
        None | Some("partial") => false,
        Some("exact") => true,
        Some(other) => return Trouble::wrong(format!("{other:?} is no way to compare arguments")),
    };
    let ignored: Vec<String> = match asked.value.get("ignore") {
        Some(Value::Array(items)) => items.iter().map(show).collect(),
        Some(one) => vec![show(one)],
        None => Vec::new(),
    };
    let defaults = asked.value.get("defaults").and_then(Value::as_object);
    let wanted = bare(wanted, &ignored, None);
    let same = |step: &&&Step| {
        let actual = bare(&step.arguments, &ignored, defaults);
        if exact {
            alike(&actual, &wanted)
        } else {
            holds_within(&actual, &wanted)
        }
    };
    let holds = called
        .iter()
        .filter(|step| wish.fits(step))
        .any(|step| same(&step));
    Ok(asked.decide(holds, || {
        let seen: Vec<_> = called
            .iter()
            .filter(|step| wish.fits(step))
            .map(|step| step.arguments.to_string())
            .collect();
        format!(
            "call {} with {wanted}; it was called with {seen:?}",
            wish.pattern
        )
    }))
}

/// Arguments without those that are ignored, and those that stand at their default.
fn bare(of: &Value, ignored: &[String], defaults: Option<&Map<String, Value>>) -> Value {
    let Value::Object(map) = of else {
        return of.clone();
    };
    map.iter()
        .filter(|(key, _)| !ignored.iter().any(|pattern| wildcard(pattern, key)))
        .filter(|(key, value)| {
            !defaults
                .and_then(|defaults| defaults.get(*key))
                .is_some_and(|default| alike(default, value))
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// True if everything that is wanted is there; more may be.
pub(crate) fn holds_within(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::Object(actual), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| actual.get(key).is_some_and(|has| holds_within(has, value))),
        (Value::Array(actual), Value::Array(wanted)) => {
            actual.len() == wanted.len()
                && actual.iter().zip(wanted).all(|(a, w)| holds_within(a, w))
        }
        _ => alike(actual, wanted),
    }
}

pub(super) fn step_count(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let wish = Wish::of(&asked.value);
    if !asked.value.is_object() || (wish.min.is_none() && wish.max.is_none()) {
        return Trouble::wrong("\"trajectory:step-count\" needs min or max");
    }
    let count = steps(asked)?.iter().filter(|step| wish.fits(step)).count();
    Ok(asked.decide(wish.within(count, 0.0), || {
        format!("take steps as in {}, it took {count}", asked.value)
    }))
}
