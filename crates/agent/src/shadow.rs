//! A candidate answers beside the stable release, and nobody sees what it says.
//!
//! It is given what the turn was given, after the turn was stored. Its tools do nothing: a call that the
//! turn made as well gets what the turn got, and at the first call that would leave traces both arms stop
//! being counted. Which arm asked for one is an outcome of its own, else a candidate that reaches for
//! effects all the time would never be judged. Answers that came are looked at: by the house, and by what the
//! owner asks of them, without a word of whose they are.

use instar_models::{Call, Mend};
use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::message::plain_text;
use instar_protocol::model::{
    Attempt, ModelMessage, ModelRef, ModelReply, ModelRequest, Sampling, SystemSection, ToolChoice,
};
use instar_protocol::tool::{Effect, ToolCall};
use instar_protocol::{AgentId, EventId, Label, SessionId};
use instar_release::AgentBehaviour;
use instar_release::rollout::Shadowing;
use instar_store::{Op, Spend};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use crate::answers::{Answer, Answers, Unsent};
use crate::driver::{Basis, Turn, millis_since};
use crate::house::House;
use crate::prompt::{self, Of};
use crate::skills;
use crate::step::End;

const TOOL_FAILED: &str = "a tool failed";

/// What the candidate is given, taken when the turn began.
#[derive(Debug)]
pub(crate) struct Shadow {
    of: Shadowing,
    agent: AgentId,
    session: SessionId,
    chain: Vec<ModelRef>,
    system: Vec<SystemSection>,
    tools: Vec<Arc<instar_protocol::tool::ToolSpec>>,
    messages: Vec<ModelMessage>,
    sampling: Sampling,
    question: String,
    label: Label,
    calls_max: u32,
    timeout: Duration,
}

/// What became of one arm's turn, up to the first call that would leave traces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Found {
    has_failed: bool,
    /// What was wrong with it, or could not be judged, without a word of what was said.
    why: Option<String>,
    wants_effect: bool,
    /// It went where the other arm had not been: nothing can be said of it.
    is_lost: bool,
    /// What it said in the end.
    answer: Option<Answer>,
}

impl Found {
    fn answered(mut self, answer: Answer) -> Self {
        if let Some(flaw) = answer.flaw() {
            self.fail(flaw);
        }
        self.answer = Some(answer);
        self
    }

    fn fail(&mut self, why: &str) {
        self.has_failed = true;
        self.why.get_or_insert_with(|| why.to_owned());
    }

    fn counts(&self) -> bool {
        !self.is_lost && (self.has_failed || !self.wants_effect)
    }
}

impl Turn {
    /// Takes down what the turn is given, if a candidate is to answer it as well.
    pub(crate) fn begin_shadow(&mut self, basis: &Basis) {
        if self.record.row.parent.is_some() || self.errand().is_some() || self.batch.is_empty() {
            return;
        }
        let session = self.record.session().clone();
        let Some(of) = self.house.parts.releases.shadowing(&session) else {
            return;
        };
        let agent = self.record.agent().clone();
        let Some(behaviour) = of.release.behaviour.agents.get(agent.as_str()) else {
            return;
        };
        let authority = &of.release.behaviour.authority;
        let visible = skills::visible(authority, &self.principal(), &agent, behaviour);
        let specs = self.house.parts.tools.specs().into_iter();
        self.shadow = Some(Box::new(Shadow {
            chain: self.chain(behaviour),
            system: self.shadow_prompt(behaviour, &agent, &visible),
            tools: specs.filter(|spec| visible.contains(&spec.name)).collect(),
            messages: self.window.messages().to_vec(),
            question: asked(self.window.messages()),
            sampling: Sampling {
                max_output_tokens: Some(behaviour.limits.output_tokens_max).filter(|max| *max > 0),
                ..Sampling::default()
            },
            label: basis.label.join(self.window.label()),
            calls_max: behaviour.limits.model_calls_max,
            timeout: Duration::from_secs(u64::from(behaviour.limits.timeout_seconds.max(1))),
            agent,
            session,
            of,
        }));
    }

    fn shadow_prompt(
        &self,
        behaviour: &AgentBehaviour,
        agent: &AgentId,
        visible: &BTreeSet<String>,
    ) -> Vec<SystemSection> {
        let named = self.settings.config.agent(agent);
        let name = named.map_or_else(|| agent.to_string(), |agent| agent.name);
        let of = Of {
            behaviour,
            name: &name,
            key: &self.key,
        };
        prompt::sections(of, visible, None)
    }

    /// Lets the candidate answer, once the turn is stored. One answers at a time; a turn that comes while
    /// another is being answered is not judged.
    pub(crate) fn cast_shadow(&mut self, end: &End) {
        let Some(shadow) = self.shadow.take() else {
            return;
        };
        let house = Arc::clone(&self.house);
        let Ok(place) = Arc::clone(&house.shadows).try_acquire_owned() else {
            return;
        };
        let mut stable = Found::default();
        if matches!(end, End::Failed(_) | End::Aborted) {
            stable.fail("the turn failed");
        }
        if *end == End::Replied
            && let Some(stop) = self.found.stop
        {
            let text = self.found.text.clone();
            stable = stable.answered(Answer { text, stop });
        }
        // A history that was shortened meanwhile does not show what the turn did.
        let done = self.window.messages().get(shadow.messages.len()..);
        let done = done.map(<[_]>::to_vec).unwrap_or_default();
        let cut = house.cut.clone();
        tokio::spawn(async move {
            let _place = place;
            tokio::select! {
                () = cut.cancelled() => {}
                () = shadow.play(&house, &done, stable) => {}
            }
        });
    }
}

impl Shadow {
    async fn play(self: Box<Self>, house: &House, done: &[ModelMessage], mut stable: Found) {
        let begun = Instant::now();
        if self.fails_before_traces(done) {
            stable.fail(TOOL_FAILED);
        }
        stable.wants_effect = calls(done).any(|call| self.leaves_traces(call));
        let mut attempts = Vec::new();
        let mut canary = self.answer(house, done, &mut attempts).await;
        if let Some(answer) = &canary.answer {
            let answer = Unsent {
                release: self.of.release.id.clone(),
                session: self.session.clone(),
                text: answer.text.clone(),
            };
            house.judges.watch(answer).await;
        }
        let is_judged = canary.counts()
            && stable.counts()
            && self.look(house, [&mut canary, &mut stable]).await;
        let at = house.now();
        let event = Event {
            session: Some(self.session.clone()),
            release: Some(self.of.release.id.clone()),
            arm: Arm::Shadow,
            ..Event::of_house(
                EventId::new(at, house.random()),
                at,
                EventKind::Shadow {
                    rollout: self.of.rollout.clone(),
                    unit: self.of.unit.clone(),
                    is_judged,
                    canary_failed: canary.has_failed,
                    stable_failed: stable.has_failed,
                    canary_why: canary.why,
                    stable_why: stable.why,
                    canary_effect: canary.wants_effect,
                    stable_effect: stable.wants_effect,
                    millis: millis_since(begun),
                    cost_micros: Attempt::spent(&attempts).1,
                },
            )
        };
        let mut ops = self.spent(house, &attempts);
        ops.push(Op::AppendEvent(event));
        if let Err(error) = house.parts.store.commit(ops).await {
            tracing::warn!(%error, "what the candidate would have answered could not be counted");
        }
    }

    /// Has the answers of both arms looked at, in an order that nobody knows; false where one could not be judged. What
    /// failed by itself needs no second look.
    async fn look(&self, house: &House, mut arms: [&mut Found; 2]) -> bool {
        if house.random().last().is_some_and(|byte| byte % 2 == 1) {
            arms.reverse();
        }
        let mut arms: Vec<&mut Found> = arms.into_iter().filter(|arm| !arm.has_failed).collect();
        let texts = arms
            .iter()
            .map(|arm| Some(arm.answer.as_ref()?.text.clone()));
        let Some(texts) = texts.collect::<Option<Vec<String>>>() else {
            return false;
        };
        let answers = Answers {
            agent: self.agent.clone(),
            question: self.question.clone(),
            texts,
            label: self.label.clone(),
        };
        let said = house.judges.look(answers).await;
        let is_judged = said.iter().all(|one| one.holds.is_some());
        for (arm, one) in arms.iter_mut().zip(said) {
            arm.has_failed = one.holds == Some(false);
            let which = || {
                one.which
                    .unwrap_or_else(|| "nobody could look at it".to_owned())
            };
            arm.why = (one.holds != Some(true)).then(which);
        }
        is_judged
    }

    /// The candidate's turn, up to its answer or to where it cannot be followed.
    async fn answer(
        &self,
        house: &House,
        done: &[ModelMessage],
        attempts: &mut Vec<Attempt>,
    ) -> Found {
        let mut found = Found::default();
        let mut messages = self.messages.clone();
        let deadline = Instant::now() + self.timeout;
        for _ in 0..self.calls_max {
            let request = ModelRequest {
                system: self.system.clone(),
                messages,
                tools: self.tools.clone(),
                tool_choice: ToolChoice::Auto,
                sampling: self.sampling.clone(),
                label: self.label.clone(),
            };
            let Some(reply) = self.call(house, &request, deadline, attempts).await else {
                found.fail("the model did not answer");
                return found;
            };
            if reply.tool_calls.is_empty() {
                let (text, stop) = (reply.text, reply.stop);
                return found.answered(Answer { text, stop });
            }
            messages = request.messages;
            let results: Vec<ModelMessage> = reply
                .tool_calls
                .iter()
                .map_while(|call| self.result_of(call, done, &mut found))
                .collect();
            if found != Found::default() {
                return found;
            }
            messages.push(ModelMessage::Assistant {
                text: reply.text,
                tool_calls: reply.tool_calls,
                reasoning: reply.reasoning,
            });
            messages.extend(results);
        }
        found.fail("it called the model more often than it may");
        found
    }

    async fn call(
        &self,
        house: &House,
        request: &ModelRequest,
        deadline: Instant,
        attempts: &mut Vec<Attempt>,
    ) -> Option<ModelReply> {
        let call = Call {
            request,
            chain: &self.chain,
            agent: &self.agent,
            session: &self.session,
            turn_spent_micros: Attempt::spent(attempts).1,
            deadline,
            cancel: &house.cut,
            mend: Mend::default(),
        };
        match Box::pin(house.parts.models.call(call, &mut |_| {})).await {
            Ok(reply) => {
                attempts.extend(reply.attempts.iter().cloned());
                Some(reply)
            }
            Err(error) => {
                attempts.extend(error.attempts);
                None
            }
        }
    }

    /// What the turn got for the same call; nothing if it did not make it, or if it leaves traces.
    fn result_of(
        &self,
        call: &ToolCall,
        done: &[ModelMessage],
        found: &mut Found,
    ) -> Option<ModelMessage> {
        if self.leaves_traces(call) {
            found.wants_effect = true;
            return None;
        }
        let same = calls(done)
            .find(|one| one.name == call.name && one.arguments == call.arguments)
            .map(|one| one.id.as_str());
        let result = done.iter().find_map(|message| match message {
            ModelMessage::Tool { call_id, .. } if Some(call_id.as_str()) == same => {
                Some(message.clone())
            }
            _ => None,
        });
        let Some(mut result) = result else {
            found.is_lost = true;
            return None;
        };
        if let ModelMessage::Tool {
            call_id, is_error, ..
        } = &mut result
        {
            call_id.clone_from(&call.id);
            if *is_error {
                found.fail(TOOL_FAILED);
            }
        }
        Some(result)
    }

    /// What is not known to leave none does.
    fn leaves_traces(&self, call: &ToolCall) -> bool {
        let annotations = &self.of.release.behaviour.authority.annotations;
        annotations
            .get(&call.name)
            .is_none_or(|annotation| annotation.effect > Effect::Read)
    }

    fn fails_before_traces(&self, done: &[ModelMessage]) -> bool {
        for message in done {
            match message {
                ModelMessage::Assistant { tool_calls, .. }
                    if tool_calls.iter().any(|call| self.leaves_traces(call)) =>
                {
                    return false;
                }
                ModelMessage::Tool { is_error: true, .. } => return true,
                _ => {}
            }
        }
        false
    }

    fn spent(&self, house: &House, attempts: &[Attempt]) -> Vec<Op> {
        Spend::of(&house.today(), &self.agent, &self.session, attempts)
    }
}

/// What was said last before the answer.
fn asked(messages: &[ModelMessage]) -> String {
    let said = messages.iter().rev().find_map(|message| match message {
        ModelMessage::User { parts } => Some(plain_text(parts)),
        _ => None,
    });
    said.unwrap_or_default()
}

/// The calls in a stretch of history.
fn calls(messages: &[ModelMessage]) -> impl Iterator<Item = &ToolCall> {
    messages.iter().flat_map(|message| match message {
        ModelMessage::Assistant { tool_calls, .. } => tool_calls.as_slice(),
        _ => &[],
    })
}
