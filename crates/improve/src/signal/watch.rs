//! Events one after the other, and the signs in each.

use instar_protocol::event::{
    ErrorClass, Event, EventKind, FeedbackVerdict, GatewayFact, TurnOutcome,
};
use instar_protocol::fault::SignalKind;
use instar_protocol::model::{Attempt, StopReason};
use instar_protocol::tool::ToolDecision;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

use super::text::{Reading, corrects, read};
use super::trace::frames;

/// Runs that are remembered at a time.
const RUNS_MAX: usize = 512;
/// Of those that have not ended so many outlast a cycle.
const RUNS_KEPT_MAX: usize = 32;
/// Different calls of one run that are counted.
const CALLS_MAX: usize = 64;
/// Calls of one tool with the same arguments in one run that are too many.
const REPEATED_MIN: u32 = 5;
/// Turns before one can be called dear.
const TURNS_MIN: u32 = 20;
/// A turn is dear at so many times the usual cost.
const SPIKE: u64 = 8;
/// Costs below this are none to speak of, in micro-dollars.
const COST_MIN: u64 = 10_000;

/// A sign in an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sign {
    pub kind: SignalKind,
    /// Where it showed: `tool:NAME`, `model:NAME`, `turn`, `gateway`.
    pub place: String,
    /// What tells faults of one kind and place apart: a code, a class, a status, the shape of the
    /// arguments, the frames of a trace.
    pub detail: String,
    /// The line that says it; empty where nothing was said.
    pub text: String,
    /// Further kinds that the same text speaks of.
    pub also: Vec<SignalKind>,
}

/// What is remembered between events.
#[derive(Default, Debug)]
pub struct Watch {
    runs: HashMap<String, Run>,
    order: VecDeque<String>,
    costs: Costs,
}

#[derive(Default, Debug)]
struct Run {
    calls: HashMap<(String, String), u32>,
    failed: Vec<String>,
}

/// What of it outlasts a cycle: the usual cost of a turn, and the latest of the runs that have not ended.
#[derive(Default, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptWatch {
    costs: Costs,
    runs: Vec<KeptRun>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptRun {
    run: String,
    /// Tool, shape of the arguments, and how often.
    calls: Vec<(String, String, u32)>,
    failed: Vec<String>,
}

/// The usual cost of a turn: a mean that forgets slowly.
#[derive(Default, Clone, Copy, Debug, Serialize, Deserialize)]
struct Costs {
    mean_micros: u64,
    turns: u32,
}

impl Watch {
    /// Goes on where another one stopped.
    #[must_use]
    pub fn resume(kept: KeptWatch) -> Self {
        let mut watch = Self {
            costs: kept.costs,
            ..Self::default()
        };
        for one in kept.runs.into_iter().take(RUNS_KEPT_MAX) {
            let calls = one.calls.into_iter().take(CALLS_MAX);
            *watch.run(&one.run) = Run {
                calls: calls
                    .map(|(tool, shape, count)| ((tool, shape), count))
                    .collect(),
                failed: one.failed.into_iter().take(CALLS_MAX).collect(),
            };
        }
        watch
    }

    /// What the next one is to know.
    #[must_use]
    pub fn keep(&self) -> KeptWatch {
        let latest = self.order.len().saturating_sub(RUNS_KEPT_MAX);
        let runs = self.order.iter().skip(latest);
        let kept = runs.filter_map(|name| {
            let run = self.runs.get(name)?;
            let mut calls: Vec<_> = run
                .calls
                .iter()
                .map(|((tool, shape), count)| (tool.clone(), shape.clone(), *count))
                .collect();
            calls.sort_unstable();
            Some(KeptRun {
                run: name.clone(),
                calls,
                failed: run.failed.clone(),
            })
        });
        KeptWatch {
            costs: self.costs,
            runs: kept.collect(),
        }
    }

    /// The signs in the next event.
    pub fn take(&mut self, event: &Event) -> Vec<Sign> {
        match &event.kind {
            EventKind::ToolCall {
                tool,
                decision,
                is_error,
                argument_names,
                content,
                ..
            } => self.tool_call(
                event,
                tool,
                decision,
                *is_error,
                argument_names,
                content.as_deref(),
            ),
            EventKind::ModelCall {
                model,
                stop,
                attempts,
                error,
                ..
            } => model_call(&model.to_string(), *stop, attempts, *error),
            EventKind::Error { class, content } => own_error(*class, content.as_deref()),
            EventKind::Turn {
                outcome,
                cost_micros,
                ..
            } => self.turn(event, *outcome, *cost_micros),
            EventKind::MessageIn {
                content: Some(content),
                ..
            } if corrects(content) => vec![sign(SignalKind::Correction, "turn", "said", "")],
            EventKind::Feedback {
                verdict: FeedbackVerdict::Bad,
                ..
            } => vec![sign(SignalKind::Correction, "turn", "marked", "")],
            EventKind::Gateway {
                what: GatewayFact::StorageFull,
            } => vec![sign(SignalKind::Storage, "gateway", "full", "")],
            // Everything else tells of no failure; a kind that comes to does gets an arm of its own.
            _ => Vec::new(),
        }
    }

    fn tool_call(
        &mut self,
        event: &Event,
        tool: &str,
        decision: &ToolDecision,
        is_error: bool,
        names: &[String],
        content: Option<&str>,
    ) -> Vec<Sign> {
        let place = format!("tool:{tool}");
        let shape = shape(names);
        let mut signs = Vec::new();
        match decision {
            ToolDecision::Denied { rule, .. } => {
                signs.push(sign(SignalKind::RefusedCall, &place, rule, ""));
            }
            ToolDecision::Allowed { .. } if is_error => {
                signs.push(failed_call(&place, &shape, content.unwrap_or_default()));
            }
            ToolDecision::Allowed { .. } | ToolDecision::Asked { .. } | ToolDecision::Handed => {}
        }
        if let Some(run) = &event.run {
            let run = self.run(run.as_str());
            let count = run.call(tool, &shape);
            if count == REPEATED_MIN {
                signs.push(sign(SignalKind::RepeatedCall, &place, &shape, ""));
            }
            if signs.is_empty() && run.recovered(tool) {
                signs.push(sign(SignalKind::Retries, &place, "", ""));
            }
            if is_error {
                run.fail(tool);
            }
        }
        signs
    }

    fn turn(&mut self, event: &Event, outcome: TurnOutcome, cost_micros: u64) -> Vec<Sign> {
        if let Some(run) = &event.run {
            self.runs.remove(run.as_str());
            self.order.retain(|one| one != run.as_str());
        }
        let mut signs = Vec::new();
        if outcome == TurnOutcome::Aborted {
            signs.push(sign(SignalKind::Abandoned, "turn", "", ""));
        }
        if self.costs.is_spike(cost_micros) {
            signs.push(sign(SignalKind::CostSpike, "turn", "", ""));
        }
        self.costs.take(cost_micros);
        signs
    }

    fn run(&mut self, run: &str) -> &mut Run {
        if !self.runs.contains_key(run) {
            if self.order.len() >= RUNS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.runs.remove(&oldest);
            }
            self.order.push_back(run.to_owned());
        }
        self.runs.entry(run.to_owned()).or_default()
    }
}

impl Run {
    fn call(&mut self, tool: &str, shape: &str) -> u32 {
        let key = (tool.to_owned(), shape.to_owned());
        if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&key) {
            return 0;
        }
        let count = self.calls.entry(key).or_default();
        *count += 1;
        *count
    }

    fn fail(&mut self, tool: &str) {
        if self.failed.len() < CALLS_MAX && !self.failed.iter().any(|failed| failed == tool) {
            self.failed.push(tool.to_owned());
        }
    }

    /// Whether the tool had failed before in this run; told once.
    fn recovered(&mut self, tool: &str) -> bool {
        let before = self.failed.len();
        self.failed.retain(|failed| failed != tool);
        self.failed.len() < before
    }
}

impl Costs {
    fn is_spike(&self, micros: u64) -> bool {
        self.turns >= TURNS_MIN && micros >= COST_MIN && micros / SPIKE >= self.mean_micros.max(1)
    }

    fn take(&mut self, micros: u64) {
        self.turns = self.turns.saturating_add(1);
        let weight = u64::from(self.turns.min(64));
        self.mean_micros = (self.mean_micros * (weight - 1) + micros.min(u64::MAX / 128)) / weight;
    }
}

fn sign(kind: SignalKind, place: &str, detail: &str, text: &str) -> Sign {
    Sign {
        kind,
        place: place.to_owned(),
        detail: detail.to_owned(),
        text: text.to_owned(),
        also: Vec::new(),
    }
}

/// The kinds of argument that a call had, in any order.
fn shape(names: &[String]) -> String {
    let mut names: Vec<&str> = names.iter().map(String::as_str).take(32).collect();
    names.sort_unstable();
    names.join(",").chars().take(200).collect()
}

fn failed_call(place: &str, shape: &str, content: &str) -> Sign {
    let mut sign = said(SignalKind::ToolError, place, content);
    if sign.kind == SignalKind::ArgumentShape && sign.detail.is_empty() {
        shape.clone_into(&mut sign.detail);
    }
    sign
}

/// What a text says, or the kind that it is if it says nothing.
fn said(otherwise: SignalKind, place: &str, content: &str) -> Sign {
    let readings = read(content);
    let first = readings.first();
    let kind = first.map_or(otherwise, |reading| reading.kind);
    let mut detail = first
        .map(|reading| reading.detail.clone())
        .unwrap_or_default();
    if let Some(frames) = frames(content) {
        detail = format!("{detail}#{frames}");
    }
    Sign {
        detail,
        also: readings
            .iter()
            .skip(1)
            .map(|reading| reading.kind)
            .collect(),
        ..sign(kind, place, "", telling_line(content, first))
    }
}

/// The line of a longer text that says what is counted: the first that reads the same, else the first.
fn telling_line<'a>(content: &'a str, first: Option<&Reading>) -> &'a str {
    let mut lines = content
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(40);
    let opening = lines.clone().next().unwrap_or_default();
    let Some(first) = first else {
        return opening;
    };
    lines
        .find(|line| read(line).first() == Some(first))
        .unwrap_or(opening)
}

fn model_call(
    model: &str,
    stop: Option<StopReason>,
    attempts: &[Attempt],
    error: Option<ErrorClass>,
) -> Vec<Sign> {
    let place = format!("model:{model}");
    let failure = attempts
        .iter()
        .rev()
        .find_map(|attempt| attempt.failure.as_deref());
    let text = failure.unwrap_or_default();
    match error {
        Some(ErrorClass::Cancelled) => Vec::new(),
        Some(class) => {
            let mut sign = of_class(class, &place, text);
            sign.also = read(text)
                .into_iter()
                .map(|reading| reading.kind)
                .filter(|kind| *kind != sign.kind)
                .collect();
            vec![sign]
        }
        None if stop == Some(StopReason::Refusal) => {
            vec![sign(SignalKind::ProviderError, &place, "refusal", "")]
        }
        None if attempts.len() > 1 => vec![sign(SignalKind::Retries, &place, "", text)],
        None => Vec::new(),
    }
}

/// An error of the turn itself; what a model call or a tool failed with was told by its own event.
fn own_error(class: ErrorClass, content: Option<&str>) -> Vec<Sign> {
    match class {
        ErrorClass::Timeout
        | ErrorClass::Loop
        | ErrorClass::Budget
        | ErrorClass::Storage
        | ErrorClass::Internal
        | ErrorClass::Config
        | ErrorClass::ContextLength => vec![of_class(class, "turn", content.unwrap_or_default())],
        ErrorClass::Auth
        | ErrorClass::Quota
        | ErrorClass::Rate
        | ErrorClass::Refusal
        | ErrorClass::Network
        | ErrorClass::Server
        | ErrorClass::Malformed
        | ErrorClass::Cancelled
        | ErrorClass::Tool => Vec::new(),
    }
}

fn of_class(class: ErrorClass, place: &str, text: &str) -> Sign {
    let (kind, detail) = match class {
        ErrorClass::Rate | ErrorClass::Quota => (SignalKind::RateLimit, ""),
        ErrorClass::Budget => (SignalKind::RateLimit, "budget"),
        ErrorClass::ContextLength => (SignalKind::ContextLength, ""),
        ErrorClass::Network => (SignalKind::Network, ""),
        ErrorClass::Timeout => (SignalKind::Timeout, ""),
        ErrorClass::Storage => (SignalKind::Storage, ""),
        ErrorClass::Loop => (SignalKind::RepeatedCall, "loop"),
        ErrorClass::Auth => (SignalKind::ProviderError, "auth"),
        ErrorClass::Refusal => (SignalKind::ProviderError, "refusal"),
        ErrorClass::Server => (SignalKind::ProviderError, "server"),
        ErrorClass::Malformed => (SignalKind::ProviderError, "malformed"),
        ErrorClass::Config => (SignalKind::ProviderError, "config"),
        ErrorClass::Internal => (SignalKind::Exception, "internal"),
        ErrorClass::Tool => (SignalKind::ToolError, ""),
        ErrorClass::Cancelled => (SignalKind::Abandoned, ""),
    };
    sign(kind, place, detail, text.lines().next().unwrap_or_default())
}
