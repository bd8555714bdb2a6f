//! Turns that nobody asked for: of heartbeats and of schedules.
//!
//! Each has a conversation of its own, which begins anew each time: what one turn read taints no other,
//! and none grows with those before. The run has no owner's words and no plan, so that each effect asks.
//! What the agent finds worth telling is left in the owner's inbox.

use instar_protocol::heartbeat::BeatEnd;
use instar_protocol::letter::{Letter, Sender};
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::{Inbound, OnRestart, Overrides, Part};
use instar_protocol::{AgentId, InboundId, Label, LetterId, Principal, SessionKey, Timestamp};
use std::time::Duration;

use crate::sessions::Sessions;
use crate::submit::SubmitError;

/// Says that there is nothing to say, as agents for other gateways do.
const NOTHING: &str = "HEARTBEAT_OK";
/// The most characters beside that word which still say nothing.
pub const ASIDE_CHARS_MAX: usize = 300;
/// Letters of the time in which nothing is said again that are looked through for it.
const LOOKED_AT: usize = 200;

/// A turn that the gateway begins.
#[derive(Debug)]
pub(crate) struct Unasked {
    pub(crate) agent: AgentId,
    pub(crate) key: SessionKey,
    /// The surface and source of its message.
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
    /// What was left within this time is not left again.
    pub(crate) same: Option<Duration>,
}

impl Sessions {
    /// Has the turn made in its conversation, begun anew, and leaves what comes of it in the inbox.
    pub(crate) async fn run_unasked(&self, turn: Unasked) -> BeatEnd {
        let failed = |reason: String| BeatEnd::Failed { reason };
        // The first of all has no conversation yet that could begin anew.
        let reason = format!("a {} begins anew", turn.kind);
        if let Err(error) = self.start_over(&turn.key, &reason).await {
            tracing::debug!(%error, kind = turn.kind, "there is nothing before it");
        }
        let submitted = match self.submit(self.inbound(&turn)).await {
            Ok(submitted) => submitted,
            Err(error @ (SubmitError::ShuttingDown | SubmitError::QueueFull)) => {
                let reason = error.to_string();
                return BeatEnd::Skipped { reason };
            }
            Err(error) => return failed(error.to_string()),
        };
        let Ok(outcome) = submitted.outcome.await else {
            let reason = "the gateway stopped".to_owned();
            return BeatEnd::Skipped { reason };
        };
        match outcome.status {
            OutcomeStatus::Ok if says_nothing(&outcome.text) => BeatEnd::Quiet,
            OutcomeStatus::Ok => self.tell(turn, &outcome).await.unwrap_or_else(failed),
            OutcomeStatus::Aborted => BeatEnd::Skipped {
                reason: "it was stopped".to_owned(),
            },
            OutcomeStatus::Failed => {
                let error = outcome.error.as_ref();
                let reason = error.map_or("it gave no reason", |error| error.message.as_str());
                failed(reason.to_owned())
            }
        }
    }

    fn inbound(&self, turn: &Unasked) -> Inbound {
        let house = &self.inner.house;
        Inbound {
            id: InboundId::new(turn.at, house.random()),
            session_key: turn.key.clone(),
            principal: Principal::Automation {
                source: turn.kind.to_owned(),
            },
            received_at: turn.at,
            surface: turn.kind.to_owned(),
            idempotency_key: None,
            parts: vec![Part::text(turn.text.clone())],
            // What a restart cut short is not made up for: the next one comes.
            on_restart: OnRestart::Interrupt,
            overrides: Overrides::default(),
        }
    }

    /// Leaves what the agent said in the owner's inbox, unless it says the same again too soon.
    async fn tell(&self, turn: Unasked, outcome: &Outcome) -> Result<BeatEnd, String> {
        let house = &self.inner.house;
        let entry = outcome
            .entries
            .iter()
            .rev()
            .find(|entry| entry.run.is_some());
        let Some((entry, run)) = entry.and_then(|entry| Some((entry, entry.run.clone()?))) else {
            return Err("its answer was not stored".to_owned());
        };
        let now = house.now();
        if let Some(same) = turn.same {
            let since = Timestamp::from_millis(now.millis().saturating_sub(millis(same)));
            let of = Some((&entry.session, since));
            let recent = house.parts.store.letters(None, of, LOOKED_AT).await;
            let recent = recent.map_err(|error| error.to_string())?;
            if recent.iter().any(|letter| letter.text == outcome.text) {
                return Ok(BeatEnd::Repeated);
            }
        }
        let labels = outcome.entries.iter().map(|entry| &entry.label);
        let label = labels.fold(Label::system(), |joined, label| joined.join(label));
        let sender = Sender {
            session: entry.session.clone(),
            key: turn.key,
            run,
            agent: turn.agent,
        };
        let id = LetterId::new(now, house.random());
        let letter = Letter::message(id.clone(), sender, label, &outcome.text, now);
        house
            .letters
            .leave(letter)
            .await
            .map_err(|error| error.to_string())?;
        Ok(BeatEnd::Told {
            letter: id,
            text: outcome.text.clone(),
        })
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// True for an empty answer, and for the word for it with little beside.
fn says_nothing(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() {
        return true;
    }
    let rest = text
        .strip_prefix(NOTHING)
        .or_else(|| text.strip_suffix(NOTHING));
    rest.is_some_and(|rest| rest.chars().count() <= ASIDE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_for_nothing_may_have_little_beside_it() {
        assert!(says_nothing(" "));
        assert!(says_nothing("HEARTBEAT_OK"));
        assert!(says_nothing("All is well. HEARTBEAT_OK"));
        assert!(!says_nothing("The disk is full."));
        assert!(!says_nothing("It said HEARTBEAT_OK, yet the disk is full."));
        let long = format!("HEARTBEAT_OK {}", "x".repeat(ASIDE_CHARS_MAX));
        assert!(!says_nothing(&long));
    }
}
