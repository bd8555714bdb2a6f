//! What happens in conversations, read from the house and told to clients.
//!
//! One task reads everything that happens and tells each connection what it may hear and wants to
//! hear; [`Told`] makes the protocol's events of it. Nothing waits for this task: a turn's events go
//! into a bounded ring, and if it ever falls behind, clients learn the end of a run from its last
//! event, which holds the whole text.

use instar_protocol::approval::QuestionState;
use instar_protocol::letter::{LetterKind, LetterState};
use serde_json::json;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::frame::Event;
use super::methods::heartbeat;
use super::scope::Scope;
use super::show::approval::{requested, resolved};
use super::show::question;
use super::told::Told;
use crate::app::AppState;

/// Between two ticks, by which clients know that the gateway lives.
pub(super) const TICK: Duration = Duration::from_secs(30);

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
                is_here = none_left(&mut count) => if is_here { break } else { return },
                () = until(told.due()) => told.say_due(&app, Instant::now()),
                next = seen.recv() => match next {
                    Ok(next) => {
                        told.tell(&app, &next).await;
                        if seen.is_empty() {
                            told.say_stored(&app).await;
                        }
                    }
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

/// Tells clients that hold the approvals scope of questions that are asked and answered, until the
/// gateway stops. One that lagged behind asks for the list.
pub(crate) async fn approvals(app: AppState) {
    let mut changes = app.sessions.asking().watch();
    loop {
        let question = tokio::select! {
            () = app.closing.cancelled() => return,
            changed = changes.recv() => match changed {
                Ok(question) => question,
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "clients miss some questions");
                    continue;
                }
                Err(RecvError::Closed) => return,
            },
        };
        let now = app.clock.now().millis();
        let (name, payload) = match question.state {
            QuestionState::Open => ("exec.approval.requested", requested(&question)),
            // Told when it was answered.
            QuestionState::Used => continue,
            QuestionState::Expired | QuestionState::Void if question.answer.is_some() => continue,
            QuestionState::Approved
            | QuestionState::Denied
            | QuestionState::Expired
            | QuestionState::Void => ("exec.approval.resolved", resolved(&question, now)),
        };
        app.control.tell_holders(Scope::Approvals, name, &payload);
    }
}

/// Tells clients that hold the questions scope what agents ask of their owner in words, until the
/// gateway stops.
pub(crate) async fn questions(app: AppState) {
    let mut changes = app.sessions.letters().watch();
    loop {
        let letter = tokio::select! {
            () = app.closing.cancelled() => return,
            changed = changes.recv() => match changed {
                Ok(letter) => letter,
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "clients miss some questions");
                    continue;
                }
                Err(RecvError::Closed) => return,
            },
        };
        if letter.kind != LetterKind::Question {
            continue;
        }
        let (name, payload) = match letter.state {
            LetterState::Open => ("question.requested", question::shown(&letter)),
            // Told when it was answered.
            LetterState::Delivered => continue,
            LetterState::Answered | LetterState::Closed | LetterState::Expired => {
                ("question.resolved", question::settled(&letter))
            }
        };
        app.control.tell_holders(Scope::Questions, name, &payload);
    }
}

/// Tells every client of heartbeats that end, until the gateway stops.
pub(crate) async fn heartbeats(app: AppState) {
    let mut beats = app.sessions.watch_beats();
    loop {
        tokio::select! {
            () = app.closing.cancelled() => return,
            beat = beats.recv() => match beat {
                Ok(beat) => {
                    let event = Event::new("heartbeat", &heartbeat::shown(&beat));
                    app.control.tell(&event, |_| true);
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "clients miss some heartbeats");
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Waits until no client is there; false if the list of them is gone.
async fn none_left(count: &mut watch::Receiver<usize>) -> bool {
    count.wait_for(|count| *count == 0).await.is_ok()
}

/// Waits for a moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
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
