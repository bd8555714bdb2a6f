//! What happens in conversations, in the events of the protocol.
//!
//! One task reads everything that happens and tells each connection what it may hear and wants to
//! hear. Nothing waits for it: a turn's events go into a bounded ring, and if this task ever falls
//! behind, clients learn the end of a run from its last event, which holds the whole text.

use instar_agent::Seen;
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::{RunId, SessionKey};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;

use super::frame::Event;
use super::show::message::usage_of;
use crate::api::export::stop_reason;
use crate::app::AppState;
use instar_protocol::event::ErrorClass;

/// Between two ticks, by which clients know that the gateway lives.
pub(super) const TICK: Duration = Duration::from_secs(30);
/// Runs that are told of at once.
const RUNS_MAX: usize = 4_096;

/// Tells clients what happens in conversations, until the gateway stops.
pub(crate) async fn pump(app: AppState) {
    let mut count = app.control.count();
    loop {
        // Without clients nobody makes events for them.
        tokio::select! {
            () = app.closing.cancelled() => return,
            present = count.wait_for(|count| *count > 0) => if present.is_err() { return },
        }
        let mut seen = app.sessions.watch_all();
        let mut told = Told::default();
        loop {
            tokio::select! {
                () = app.closing.cancelled() => return,
                gone = count.wait_for(|count| *count == 0) => match gone {
                    Ok(_) => break,
                    Err(_) => return,
                },
                next = seen.recv() => match next {
                    Ok(seen) => told.tell(&app, &seen),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "clients miss some of what happened");
                        told.gap();
                    }
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }
}

/// Tells clients that the gateway lives, until it stops.
pub(crate) async fn tick(app: AppState) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let event = Event::new("tick", &json!({ "ts": app.clock.now().millis() }));
        app.control.tell(&event, |_| true);
    }
}

/// The runs under way, as far as they were told of.
#[derive(Debug, Default)]
struct Told {
    runs: BTreeMap<RunId, Run>,
}

#[derive(Debug, Default)]
struct Run {
    /// The name that clients know it by.
    name: String,
    text: String,
    /// Numbers of the next `chat` and the next `agent` event.
    chat: u64,
    agent: u64,
    /// Something of the text may be missing.
    gap: bool,
    begun_at: u64,
}

impl Told {
    fn gap(&mut self) {
        for run in self.runs.values_mut() {
            run.gap = true;
        }
    }

    fn tell(&mut self, app: &AppState, Seen { key, event }: &Seen) {
        match &**event {
            LiveEvent::Started { run, inbound } => self.started(app, key, run, inbound),
            LiveEvent::Text { run, delta } => self.text(app, key, run, delta),
            LiveEvent::Reasoning { run, delta } => {
                let data = json!({ "delta": delta });
                self.agent(app, key, run, "thinking", data, None);
            }
            LiveEvent::ToolCall { run, call } => {
                let data = json!({
                    "phase": "start", "name": call.name, "toolCallId": call.id,
                    "args": call.arguments,
                });
                self.agent(app, key, run, "tool", data, Some("tool-events"));
            }
            LiveEvent::ToolResult {
                run,
                call_id,
                decision,
                is_error,
                text,
            } => {
                let data = json!({
                    "phase": "result", "toolCallId": call_id, "isError": is_error,
                    "result": {
                        "content": [{ "type": "text", "text": text }],
                        "details": { "decision": decision },
                    },
                });
                self.agent(app, key, run, "tool", data, Some("tool-events"));
            }
            LiveEvent::Notice { text, .. } => {
                let payload = json!({
                    "sessionKey": key.as_str(), "agentId": agent_of(app, key),
                    "ts": app.clock.now().millis(), "text": text,
                });
                say(app, key, "session.message", &payload, None);
            }
            LiveEvent::Done { run, outcome } => self.done(app, key, run, outcome),
            LiveEvent::Accepted { .. } => changed(app, key, "agent.input.accepted", None),
            LiveEvent::Stored { .. } => {}
        }
    }

    fn started(
        &mut self,
        app: &AppState,
        key: &SessionKey,
        run: &RunId,
        inbound: &[instar_protocol::InboundId],
    ) {
        if self.runs.len() >= RUNS_MAX {
            return;
        }
        let begun_at = app.clock.now().millis();
        let told = Run {
            name: app.control.runs.began(run, inbound),
            begun_at,
            ..Run::default()
        };
        self.runs.insert(run.clone(), told);
        changed(app, key, "agent.run.started", Some("start"));
        self.chat(
            app,
            key,
            run,
            json!({ "state": "status", "phase": "starting_model" }),
        );
        let data = json!({ "phase": "start", "startedAt": begun_at });
        self.agent(app, key, run, "lifecycle", data, None);
    }

    fn text(&mut self, app: &AppState, key: &SessionKey, run: &RunId, delta: &str) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        told.text.push_str(delta);
        let text = told.text.clone();
        let message = message(&text, app.clock.now().millis());
        let mut payload = json!({ "state": "delta", "deltaText": delta });
        // After a gap the sum is not the text: the last event says it whole.
        if !told.gap {
            payload["message"] = message;
        }
        self.chat(app, key, run, payload);
        let data = json!({ "text": text, "delta": delta });
        self.agent(app, key, run, "assistant", data, None);
    }

    fn done(&mut self, app: &AppState, key: &SessionKey, run: &RunId, outcome: &Outcome) {
        let now = app.clock.now().millis();
        let usage = usage_of(outcome.usage, outcome.cost_micros);
        let mut payload = match outcome.status {
            OutcomeStatus::Ok => json!({ "state": "final", "usage": usage }),
            OutcomeStatus::Aborted => json!({ "state": "aborted" }),
            OutcomeStatus::Failed => {
                let (told, kind) = outcome.error.as_ref().map_or_else(
                    || ("the run failed".to_owned(), "unknown"),
                    |error| (error.message.clone(), kind_of(error.class)),
                );
                json!({ "state": "error", "errorMessage": told, "errorKind": kind, "usage": usage })
            }
        };
        payload["stopReason"] = stop_reason(outcome.stop).into();
        if !outcome.text.is_empty() {
            payload["message"] = message(&outcome.text, now);
        }
        self.chat(app, key, run, payload);
        let begun_at = self.runs.get(run).map_or(now, |told| told.begun_at);
        let data = json!({
            "phase": "end", "startedAt": begun_at, "endedAt": now,
            "stopReason": stop_reason(outcome.stop),
            "aborted": outcome.status == OutcomeStatus::Aborted,
        });
        self.agent(app, key, run, "lifecycle", data, None);
        self.runs.remove(run);
        changed(app, key, "agent.input.settled", Some("end"));
    }

    fn chat(&mut self, app: &AppState, key: &SessionKey, run: &RunId, mut payload: Value) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        told.chat += 1;
        payload["runId"] = told.name.as_str().into();
        payload["seq"] = told.chat.into();
        payload["sessionKey"] = key.as_str().into();
        payload["agentId"] = agent_of(app, key).into();
        say(app, key, "chat", &payload, None);
    }

    fn agent(
        &mut self,
        app: &AppState,
        key: &SessionKey,
        run: &RunId,
        stream: &str,
        data: Value,
        cap: Option<&str>,
    ) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        told.agent += 1;
        let mut payload = json!({
            "runId": told.name, "seq": told.agent, "stream": stream,
            "ts": app.clock.now().millis(),
        });
        payload["data"] = data;
        say(app, key, "agent", &payload, cap);
    }
}

/// Tells those who follow a conversation, if they have the ability that the event needs.
fn say(app: &AppState, key: &SessionKey, name: &str, payload: &Value, cap: Option<&str>) {
    let event = Event::new(name, payload);
    app.control.tell(&event, |link| {
        link.hears(key) && cap.is_none_or(|cap| link.who.has_cap(cap))
    });
}

/// Tells that a conversation changed; not what was said there.
fn changed(app: &AppState, key: &SessionKey, reason: &str, phase: Option<&str>) {
    let mut payload = json!({
        "sessionKey": key.as_str(), "agentId": agent_of(app, key),
        "reason": reason, "ts": app.clock.now().millis(),
    });
    if let Some(phase) = phase {
        payload["phase"] = phase.into();
    }
    let event = Event::new("sessions.changed", &payload);
    app.control.tell(&event, |link| link.hears_changes(key));
}

fn agent_of(app: &AppState, key: &SessionKey) -> String {
    let agent = key.agent().unwrap_or_else(|| app.default_agent());
    agent.as_str().to_owned()
}

fn message(text: &str, at: u64) -> Value {
    json!({
        "role": "assistant", "content": [{ "type": "text", "text": text }], "timestamp": at,
    })
}

fn kind_of(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Refusal => "refusal",
        ErrorClass::Timeout => "timeout",
        ErrorClass::Rate => "rate_limit",
        ErrorClass::ContextLength => "context_length",
        _ => "unknown",
    }
}
