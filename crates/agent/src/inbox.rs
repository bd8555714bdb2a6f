//! The owner's inbox: what tools leave there, how a turn waits for an answer, and the answer's way
//! into the conversation.
//!
//! What the owner types is his word: it comes in as a message of his. An answer that he picks was
//! written by the model: it comes in as a text of the model's, with the label of everything that had
//! been read when it was written, and adds nothing to his words.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_protocol::errand::Errand;
use instar_protocol::letter::{Letter, LetterKind, LetterState, Reply, Said, Sender};
use instar_protocol::message::{Inbound, NoticeKind, OnRestart, Overrides, Part};
use instar_protocol::principal::Via;
use instar_protocol::{InboundId, LetterId, Principal, Timestamp};
use instar_tools::owner::OwnerPort;
use instar_tools::{Caller, ToolError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::calls::Judged;
use crate::driver::{Basis, Turn};
use crate::errander::Errander;
use crate::errands::Chain;
use crate::letters::LetterError;
use crate::sessions::Sessions;

/// The surface of an answer on its way into the conversation.
pub(crate) const SURFACE: &str = "inbox";
/// The tool that asks.
const TOOL: &str = "ask_owner";
/// Questions of one conversation in an hour. Questions are a way to wear people out.
const QUESTIONS_MAX: usize = 6;
/// Messages of one conversation in an hour.
const MESSAGES_MAX: usize = 20;
/// Letters of one conversation that are looked at for these two.
const RECENT_MAX: usize = 100;
const UNREACHABLE: &str = "the owner's inbox cannot be reached right now";
const HOUR: u64 = 60 * 60 * 1_000;
/// How often a turn that waits looks whether the owner wrote something else.
const LOOK: Duration = Duration::from_millis(100);
/// An answer that was given is in the conversation within a moment.
const SETTLING: Duration = Duration::from_secs(5);

/// What a run goes on with when an answer is picked for it.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    principal: Principal,
    errand: Errand,
}

impl Errander {
    async fn leave(
        &self,
        caller: &Caller,
        kind: LetterKind,
        text: &str,
        options: &[String],
    ) -> Result<LetterId, ToolError> {
        let sessions = self.sessions()?;
        let house = &sessions.inner.house;
        let now = house.now();
        let letters = &house.letters;
        let unreadable = |_| failed(UNREACHABLE);
        let hour_ago = Timestamp::from_millis(now.millis().saturating_sub(HOUR));
        let of = Some((&caller.session, hour_ago));
        let recent = house.parts.store.letters(None, of, RECENT_MAX).await;
        let mut recent = recent.map_err(unreadable)?;
        recent.retain(|letter| letter.kind == kind);
        let mut facts = Value::Null;
        let mut expires_at = None;
        if kind == LetterKind::Question {
            if !caller.principal.is_owner() {
                return Err(failed(
                    "nobody asked for this run, so it asks nobody: end with your question in words",
                ));
            }
            if let Some(open) = recent.iter().find(|letter| letter.waits_at(now)) {
                // Asked again after a restart, it is the same question.
                if open.text == text && open.options == options {
                    return Ok(open.id.clone());
                }
                return Err(failed(
                    "a question of this conversation waits for the owner already: one at a time",
                ));
            }
            let chain: Chain = house
                .errands
                .offered(&caller.run)
                .ok_or_else(|| failed("this run cannot ask"))?;
            let errand = chain.again(&caller.key, caller.context.clone());
            let principal = chain.principal.clone();
            facts = serde_json::to_value(Facts { principal, errand }).unwrap_or_default();
            let minutes = u64::from(house.settings().config.policy.ask_expire_minutes);
            expires_at = Some(Timestamp::from_millis(now.millis() + minutes * 60_000));
        }
        let (max, what) = match kind {
            LetterKind::Question => (QUESTIONS_MAX, "questions"),
            LetterKind::Message => (MESSAGES_MAX, "messages"),
        };
        if recent.len() >= max {
            return Err(failed(&format!(
                "this conversation has sent the owner {max} {what} within an hour: say it in your answer"
            )));
        }
        let sender = Sender {
            session: caller.session.clone(),
            key: caller.key.clone(),
            run: caller.run.clone(),
            agent: caller.agent.clone(),
        };
        let id = LetterId::new(now, house.random());
        let letter = Letter {
            kind,
            options: options.to_vec(),
            facts,
            expires_at,
            ..Letter::message(id.clone(), sender, caller.context.clone(), text, now)
        };
        match letters.leave(letter).await {
            Ok(()) => Ok(id),
            Err(LetterError::Full) => Err(failed(
                "too much waits for the owner already: say it in your answer",
            )),
            Err(_) => Err(failed(UNREACHABLE)),
        }
    }
}

impl OwnerPort for Errander {
    fn ask<'a>(
        &'a self,
        caller: &'a Caller,
        question: &'a str,
        options: &'a [String],
    ) -> BoxFuture<'a, Result<LetterId, ToolError>> {
        self.leave(caller, LetterKind::Question, question, options)
            .boxed()
    }

    fn tell<'a>(
        &'a self,
        caller: &'a Caller,
        text: &'a str,
    ) -> BoxFuture<'a, Result<LetterId, ToolError>> {
        self.leave(caller, LetterKind::Message, text, &[]).boxed()
    }
}

fn failed(why: &str) -> ToolError {
    ToolError::Failed(why.to_owned())
}

/// True if one of these calls asks the owner something.
pub(crate) fn asks(judged: &[Judged]) -> bool {
    judged.iter().any(|judged| judged.call.name == TOOL)
}

impl Turn {
    /// Waits a while for the answers to the questions that were just asked. What is not answered
    /// stays open, and the conversation goes on when the answer comes.
    pub(crate) async fn wait_for_answers(&mut self, basis: &mut Basis, judged: &mut [Judged]) {
        for judged in judged.iter_mut().filter(|one| one.call.name == TOOL) {
            let asked = judged.output.as_ref().filter(|output| !output.is_error);
            let asked = asked.and_then(|output| output.value.as_ref()?.get("question")?.as_str());
            let Some(id) = asked.map(LetterId::from_stored) else {
                continue;
            };
            let told = self.wait_for_answer(basis, &id).await;
            if let Some(output) = &mut judged.output {
                told.clone_into(&mut output.text);
                output.value = None;
            }
        }
    }

    async fn wait_for_answer(&mut self, basis: &mut Basis, id: &LetterId) -> &'static str {
        let letters = self.house.letters.clone();
        let awaited = letters.await_one(id);
        let text = format!(
            "The agent asks you something: `instar inbox show {id}`, or the approvals page."
        );
        self.notice(NoticeKind::Question, text.clone());
        self.live.send(|| instar_protocol::live::LiveEvent::Notice {
            kind: NoticeKind::Question,
            text,
        });
        // A restart finds the question asked, and does not begin the turn again.
        let tied = self.tied(self.house.now());
        if self.commit(&tied).await.is_err() {
            return "the question is asked, but this turn cannot be stored";
        }
        let begun = Instant::now();
        let wait = Duration::from_secs(u64::from(self.settings.config.policy.ask_wait_seconds));
        let state = self.wait_for_letter(id, begun + wait).await;
        let told = match state {
            LetterState::Answered | LetterState::Delivered => {
                let until = Instant::now() + SETTLING;
                while self.steering.is_empty() && Instant::now() < until {
                    tokio::time::sleep(LOOK / 10).await;
                }
                "the owner has answered; his answer is the message that follows"
            }
            LetterState::Open if !self.steering.is_empty() => {
                drop(letters.close(id).await);
                "the owner wrote a message instead, which follows; the question was put aside"
            }
            LetterState::Open => {
                "the owner was asked and has not answered yet. His answer comes as a message. Go on \
                 without it, or end here and say what waits for him"
            }
            LetterState::Closed => {
                "the owner put the question aside without an answer; do not ask it again"
            }
            LetterState::Expired => "nobody answered in time; go on without an answer",
        };
        drop(awaited);
        // Whoever waits for a person does not use up the time of the turn.
        basis.deadline += begun.elapsed();
        told
    }

    /// Waits until the letter is settled, the owner writes something, or the time is over.
    async fn wait_for_letter(&self, id: &LetterId, until: Instant) -> LetterState {
        let mut changes = self.house.letters.watch();
        loop {
            let found = self.house.parts.store.letter(id).await;
            let state = match found {
                Ok(Some(letter)) => letter.state,
                Ok(None) | Err(_) => LetterState::Open,
            };
            if state != LetterState::Open || !self.steering.is_empty() {
                return state;
            }
            let news = async {
                loop {
                    tokio::select! {
                        changed = changes.recv() => match changed {
                            Ok(changed) if changed.id != *id => {}
                            // Also after a lag, and when nobody can tell any more: look.
                            _ => return,
                        },
                        () = tokio::time::sleep(LOOK) => {
                            if !self.steering.is_empty() {
                                return;
                            }
                        }
                    }
                }
            };
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return state,
                () = tokio::time::sleep_until(until) => return state,
                () = news => {}
            }
        }
    }
}

impl Sessions {
    /// Brings answers into their conversations, until the process ends.
    pub(crate) async fn deliver_answers(self) {
        let mut changes = self.inner.house.letters.watch();
        let closing = self.inner.house.closing.clone();
        self.deliver_waiting().await;
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                changed = changes.recv() => match changed {
                    Ok(letter) if letter.state == LetterState::Answered => {
                        self.deliver(&letter).await;
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.deliver_waiting().await,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Looks for answers that did not arrive: a restart came between.
    async fn deliver_waiting(&self) {
        let store = &self.inner.house.parts.store;
        match store
            .letters(Some(LetterState::Answered), None, RECENT_MAX)
            .await
        {
            Ok(answered) => {
                for letter in answered {
                    self.deliver(&letter).await;
                }
            }
            Err(error) => tracing::warn!(%error, "answers that wait cannot be read"),
        }
    }

    async fn deliver(&self, letter: &Letter) {
        let house = &self.inner.house;
        let there = house.parts.store.session_by_key(&letter.key).await;
        let is_gone = matches!(there, Ok(Some(row)) if row.deleted_at.is_some());
        let message = letter
            .reply
            .as_ref()
            .and_then(|reply| self.message(letter, reply));
        if let Some(message) = message.filter(|_| !is_gone)
            && let Err(error) = self.submit(message).await
        {
            tracing::warn!(%error, letter = %letter.id, "an answer cannot be delivered now");
            return;
        }
        if let Err(error) = house.letters.delivered(letter.clone()).await {
            tracing::debug!(%error, "an answer was delivered before");
        }
    }

    fn message(&self, letter: &Letter, reply: &Reply) -> Option<Inbound> {
        let house = &self.inner.house;
        let (principal, parts, errand) = match &reply.said {
            Said::Typed(text) => (
                Principal::Owner {
                    via: via(&reply.by),
                },
                vec![Part::text(text)],
                None,
            ),
            Said::Picked(at) => {
                let facts: Facts = serde_json::from_value(letter.facts.clone()).ok()?;
                let head = "[From the gateway] Of the answers that you offered the owner picked:";
                let picked = letter.options.get(*at)?;
                (
                    facts.principal,
                    vec![Part::text(head), Part::text(picked)],
                    Some(Box::new(facts.errand)),
                )
            }
        };
        Some(Inbound {
            id: InboundId::new(house.now(), house.random()),
            session_key: letter.key.clone(),
            principal,
            received_at: reply.at,
            surface: SURFACE.to_owned(),
            // However often this is tried, it is one message.
            idempotency_key: Some(letter.id.to_string()),
            parts,
            on_restart: OnRestart::Resume,
            overrides: Overrides {
                answers: Some(letter.id.clone()),
                errand,
                ..Overrides::default()
            },
        })
    }
}

fn via(by: &str) -> Via {
    match by {
        "command line" => Via::Local,
        by if by.starts_with("device:") => Via::Device,
        _ => Via::Session,
    }
}
