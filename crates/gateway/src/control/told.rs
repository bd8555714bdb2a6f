//! Runs as clients are told of them: the protocol's events of what happens in conversations.
//!
//! Each delta carries the answer so far beside what is new, as clients of the protocol expect. Told
//! of every piece that a model sends, that would be bytes by the square of the answer's length, for
//! each client. So pieces wait for one another: for [`PAUSE`], and longer the longer the answer is
//! ([`BYTES_PER_MILLISECOND`]). The first piece never waits. Nothing is made that nobody follows.

use instar_agent::Seen;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::{LiveEvent, Outcome, OutcomeStatus};
use instar_protocol::message::{Entry, EntryBody, NoticeKind};
use instar_protocol::{EntryId, InboundId, RunId, SessionKey};
use instar_store::StoreError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

use super::frame::Event;
use super::link::Link;
use super::show::message::{self, CHARS, usage_of};
use crate::api::export::stop_reason;
use crate::app::{App, AppState};

/// The least time between two deltas of a run.
const PAUSE: Duration = Duration::from_millis(75);
/// How much of an answer is told again per millisecond: one of 64 KiB, every 256 ms more than the
/// pause. No client gets more than about 256 KB a second of one run, however a model cuts it.
const BYTES_PER_MILLISECOND: usize = 256;
/// Runs that are told of at once.
const RUNS_MAX: usize = 4_096;
/// Entries that wait to be told of at once.
const STORED_MAX: usize = 64;

/// The runs under way, as far as they were told of.
#[derive(Debug, Default)]
pub(super) struct Told {
    runs: BTreeMap<RunId, Run>,
    /// When the first of the pieces that wait has waited long enough.
    due: Option<Instant>,
    /// Entries that were stored and not told of yet.
    stored: Vec<(SessionKey, EntryId)>,
}

#[derive(Debug)]
struct Run {
    key: SessionKey,
    /// The name that clients know it by.
    name: String,
    text: String,
    /// How much of the text was told.
    said: usize,
    /// Reasoning that was not told yet.
    thought: String,
    /// Before this, further pieces wait.
    next: Instant,
    /// Numbers of the next `chat` and the next `agent` event.
    chat: u64,
    agent: u64,
    /// Something of the text may be missing.
    gap: bool,
    begun_at: u64,
}

impl Run {
    fn waits(&self) -> bool {
        self.said < self.text.len() || !self.thought.is_empty()
    }
}

/// The pause after a delta, when the answer is this long.
fn pause(bytes: usize) -> Duration {
    PAUSE + Duration::from_millis((bytes / BYTES_PER_MILLISECOND) as u64)
}

impl Told {
    /// When [`Told::say_due`] has something to say.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Some of what happened was missed.
    pub(super) fn gap(&mut self) {
        for run in self.runs.values_mut() {
            run.gap = true;
        }
    }

    pub(super) async fn tell(&mut self, app: &AppState, Seen { key, event }: &Seen) {
        if let LiveEvent::Stored { entry } = &**event {
            if app.control.any(|link| link.hears(key)) {
                self.stored.push((key.clone(), entry.clone()));
            }
            if self.stored.len() < STORED_MAX {
                return;
            }
        }
        self.say_stored(app).await;
        match &**event {
            LiveEvent::Started { run, inbound } => self.started(app, key, run, inbound),
            LiveEvent::Text { run, delta } => self.heard(app, run, |run| run.text.push_str(delta)),
            LiveEvent::Reasoning { run, delta } => {
                self.heard(app, run, |run| run.thought.push_str(delta));
            }
            LiveEvent::ToolCall { run, call } => {
                self.say(app, run);
                self.agent(app, run, "tool", Some("tool-events"), || {
                    json!({
                        "phase": "start", "name": call.name, "toolCallId": call.id,
                        "args": call.arguments,
                    })
                });
            }
            LiveEvent::ToolResult {
                run,
                call_id,
                decision,
                is_error,
                text,
            } => self.agent(app, run, "tool", Some("tool-events"), || {
                json!({
                    "phase": "result", "toolCallId": call_id, "isError": is_error,
                    "result": {
                        "content": [{ "type": "text", "text": text }],
                        "details": { "decision": decision },
                    },
                })
            }),
            LiveEvent::Notice { kind, text } => notice(app, key, *kind, text),
            LiveEvent::Done { run, outcome } => self.done(app, key, run, outcome),
            LiveEvent::Accepted { .. } => changed(app, key, "agent.input.accepted", None),
            LiveEvent::Moved { .. } => changed(app, key, "branch", None),
            LiveEvent::Stored { .. } => {}
        }
    }

    /// More of a run's answer or of its thoughts came.
    fn heard(&mut self, app: &App, run: &RunId, add: impl FnOnce(&mut Run)) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        add(told);
        if told.next <= Instant::now() {
            return self.say(app, run);
        }
        self.due = Some(self.due.map_or(told.next, |due| due.min(told.next)));
    }

    /// Says what has waited long enough.
    pub(super) fn say_due(&mut self, app: &App, now: Instant) {
        let waiting = self.runs.iter().filter(|(_, told)| told.waits());
        let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|(_, told)| told.next <= now);
        self.due = later.iter().map(|(_, told)| told.next).min();
        let due: Vec<RunId> = due.into_iter().map(|(run, _)| run.clone()).collect();
        for run in due {
            self.say(app, &run);
        }
    }

    /// Says what waits of a run.
    fn say(&mut self, app: &App, run: &RunId) {
        let Some(told) = self.runs.get_mut(run).filter(|told| told.waits()) else {
            return;
        };
        let from = std::mem::replace(&mut told.said, told.text.len());
        let thought = std::mem::take(&mut told.thought);
        told.next = Instant::now() + pause(told.text.len());
        if !app.control.any(|link| link.hears(&told.key)) {
            return;
        }
        let delta = told.text[from..].to_owned();
        // After a gap the sum is not the text: the last event says it whole.
        let text = (!told.gap).then(|| told.text.clone());
        if !thought.is_empty() {
            self.agent(app, run, "thinking", None, || json!({ "delta": thought }));
        }
        if delta.is_empty() {
            return;
        }
        self.chat(app, run, || {
            let mut payload = json!({ "state": "delta", "deltaText": delta });
            if let Some(text) = &text {
                payload["message"] = spoken(text, app.clock.now().millis());
            }
            payload
        });
        self.agent(app, run, "assistant", None, || match &text {
            Some(text) => json!({ "text": text, "delta": delta }),
            None => json!({ "delta": delta }),
        });
    }

    /// Says what was stored, as messages: read from the store, where they stand in their place.
    pub(super) async fn say_stored(&mut self, app: &AppState) {
        let stored = std::mem::take(&mut self.stored);
        for batch in stored.chunk_by(|(one, _), (other, _)| one == other) {
            let Some((key, _)) = batch.first() else {
                continue;
            };
            let runs = self.runs.iter().filter(|(_, told)| told.key == *key);
            for run in runs.map(|(run, _)| run.clone()).collect::<Vec<_>>() {
                self.say(app, &run);
            }
            if let Err(error) = stored_in(app, key, batch).await {
                tracing::warn!(%error, "clients are not told of what was stored");
            }
        }
    }

    fn started(&mut self, app: &AppState, key: &SessionKey, run: &RunId, inbound: &[InboundId]) {
        let name = app.control.runs.began(run, inbound);
        if self.runs.len() >= RUNS_MAX {
            return;
        }
        let begun_at = app.clock.now().millis();
        let told = Run {
            key: key.clone(),
            name,
            text: String::new(),
            said: 0,
            thought: String::new(),
            next: Instant::now(),
            chat: 0,
            agent: 0,
            gap: false,
            begun_at,
        };
        self.runs.insert(run.clone(), told);
        changed(app, key, "agent.run.started", Some("start"));
        self.chat(
            app,
            run,
            || json!({ "state": "status", "phase": "starting_model" }),
        );
        self.agent(
            app,
            run,
            "lifecycle",
            None,
            || json!({ "phase": "start", "startedAt": begun_at }),
        );
    }

    fn done(&mut self, app: &App, key: &SessionKey, run: &RunId, outcome: &Outcome) {
        self.say(app, run);
        let now = app.clock.now().millis();
        self.chat(app, run, || end(outcome, now));
        let begun_at = self.runs.get(run).map_or(now, |told| told.begun_at);
        self.agent(app, run, "lifecycle", None, || {
            json!({
                "phase": "end", "startedAt": begun_at, "endedAt": now,
                "stopReason": stop_reason(outcome.stop),
                "aborted": outcome.status == OutcomeStatus::Aborted,
            })
        });
        self.runs.remove(run);
        changed(app, key, "agent.input.settled", Some("end"));
    }

    fn chat(&mut self, app: &App, run: &RunId, payload: impl FnOnce() -> Value) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        told.chat += 1;
        tell(app, &told.key, "chat", None, || {
            let mut payload = payload();
            payload["runId"] = told.name.as_str().into();
            payload["seq"] = told.chat.into();
            payload["sessionKey"] = told.key.as_str().into();
            payload["agentId"] = agent_of(app, &told.key).into();
            payload
        });
    }

    fn agent(
        &mut self,
        app: &App,
        run: &RunId,
        stream: &str,
        cap: Option<&str>,
        data: impl FnOnce() -> Value,
    ) {
        let Some(told) = self.runs.get_mut(run) else {
            return;
        };
        told.agent += 1;
        tell(app, &told.key, "agent", cap, || {
            let mut payload = json!({
                "runId": told.name, "seq": told.agent, "stream": stream,
                "ts": app.clock.now().millis(),
            });
            payload["data"] = data();
            payload
        });
    }
}

/// The last `chat` event of a run.
fn end(outcome: &Outcome, now: u64) -> Value {
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
        payload["message"] = spoken(&outcome.text, now);
    }
    payload
}

/// Tells those who follow a conversation what `payload` makes, if they have the ability that it
/// needs. Without such a client nothing is made.
fn tell(
    app: &App,
    key: &SessionKey,
    name: &str,
    cap: Option<&str>,
    payload: impl FnOnce() -> Value,
) {
    let to = |link: &Link| link.hears(key) && cap.is_none_or(|cap| link.who.has_cap(cap));
    if app.control.any(to) {
        app.control.tell(&Event::new(name, &payload()), to);
    }
}

/// Tells that a conversation changed; not what was said there.
fn changed(app: &App, key: &SessionKey, reason: &str, phase: Option<&str>) {
    let to = |link: &Link| link.hears_changes(key);
    if !app.control.any(to) {
        return;
    }
    let mut payload = json!({
        "sessionKey": key.as_str(), "agentId": agent_of(app, key),
        "reason": reason, "ts": app.clock.now().millis(),
    });
    if let Some(phase) = phase {
        payload["phase"] = phase.into();
    }
    app.control
        .tell(&Event::new("sessions.changed", &payload), to);
}

/// Tells of entries of one conversation, in their order.
async fn stored_in(
    app: &AppState,
    key: &SessionKey,
    stored: &[(SessionKey, EntryId)],
) -> Result<(), StoreError> {
    let Some(row) = app.store.session_by_key(key).await? else {
        return Ok(());
    };
    // A turn that goes on has stored more by now.
    let look_back = stored.len() + STORED_MAX;
    let newest = app.store.branch(&row.id, None, look_back).await?;
    let count = usize::try_from(row.entries).unwrap_or(usize::MAX);
    for (_, id) in stored {
        let found = newest.iter().enumerate().find(|(_, entry)| entry.id == *id);
        if let Some((back, entry)) = found {
            message_of(app, key, entry, count.saturating_sub(back));
        }
    }
    Ok(())
}

/// Tells of one stored entry, if it is something that was said.
fn message_of(app: &App, key: &SessionKey, entry: &Entry, seq: usize) {
    let Some(shown) = message::message(&app.control.runs, entry, seq, CHARS) else {
        return;
    };
    tell(app, key, "session.message", None, || {
        let mut payload = json!({
            "sessionKey": key, "agentId": agent_of(app, key), "sessionId": entry.session,
            "messageId": entry.id, "messageSeq": seq, "ts": entry.at.millis(), "message": shown,
        });
        if let EntryBody::User { principal, .. } = &entry.body {
            payload["senderIsOwner"] = json!(principal.is_owner());
        }
        payload
    });
}

/// Tells what the gateway has to say and does not store. The answer to a command comes as an entry.
fn notice(app: &App, key: &SessionKey, kind: NoticeKind, text: &str) {
    if kind == NoticeKind::Command {
        return;
    }
    tell(app, key, "session.message", None, || {
        let now = app.clock.now().millis();
        json!({
            "sessionKey": key, "agentId": agent_of(app, key), "ts": now,
            "message": spoken(text, now),
        })
    });
}

fn agent_of(app: &App, key: &SessionKey) -> String {
    let agent = key.agent().unwrap_or_else(|| app.default_agent());
    agent.as_str().to_owned()
}

fn spoken(text: &str, at: u64) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_model_cuts_its_answer_the_bytes_told_grow_with_the_time_that_it_takes() {
        // A model that sends a byte as soon as the last one may be told of.
        let (mut told, mut took) = (0, Duration::ZERO);
        for length in (0..2_000_000).step_by(1_000) {
            told += length;
            took += pause(length);
        }
        let each_second = told as f64 / took.as_secs_f64();
        assert!(each_second <= 256_000.0, "{each_second}");
        assert_eq!(pause(0), PAUSE, "the first words are not held back longer");
    }
}
