//! Calls that the owner said yes to after their turn had gone on: each is made in a run of its own,
//! with the facts that it was asked about, and the agent is told what came of it.

use instar_policy::{Approval, Counts, Decision, Evidence, Planned, Recorded, Request};
use instar_protocol::approval::{Question, QuestionState};
use instar_protocol::errand::{Errand, ErrandKind};
use instar_protocol::message::{EntryBody, Inbound, NoticeKind, OnRestart, Overrides, Part};
use instar_protocol::model::{ModelRef, StopReason, Usage};
use instar_protocol::{InboundId, Principal, QuestionId};
use instar_tools::Caller;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::broadcast::error::RecvError;

use crate::asking::OPEN_MAX;
use crate::calls::Judged;
use crate::driver::{Basis, Turn};
use crate::errands::{Chain, PER_REQUEST_MAX, held};
use crate::sessions::Sessions;

/// The surface of a message that the gateway writes for an answer.
const SURFACE: &str = "approval";
/// Stands where the model of a call would be named that the owner's answer brought about.
const APPROVED: &str = "instar/approved";

impl Sessions {
    /// Makes the calls that were approved when no turn waited for them, until the process ends.
    pub(crate) async fn make_late_calls(self) {
        let mut changes = self.asking().watch();
        let closing = self.inner.house.closing.clone();
        self.make_waiting_calls().await;
        loop {
            tokio::select! {
                () = closing.cancelled() => return,
                changed = changes.recv() => match changed {
                    Ok(question) => self.make_late_call(&question).await,
                    Err(RecvError::Lagged(_)) => self.make_waiting_calls().await,
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Looks for answers that nobody acted on: a restart came between.
    async fn make_waiting_calls(&self) {
        let store = &self.inner.house.parts.store;
        let approved = store.questions(Some(QuestionState::Approved), None, OPEN_MAX);
        match approved.await {
            Ok(approved) => {
                for question in approved {
                    self.make_late_call(&question).await;
                }
            }
            Err(error) => tracing::warn!(%error, "answers that wait cannot be read"),
        }
    }

    async fn make_late_call(&self, question: &Question) {
        if question.state != QuestionState::Approved || self.asking().is_awaited(&question.id) {
            return;
        }
        let house = &self.inner.house;
        let text = format!(
            "[From the gateway] The owner said yes to question {}: the call of {} that waited for it is \
             made now.",
            question.id, question.call.name
        );
        let inbound = Inbound {
            id: InboundId::new(house.now(), house.random()),
            session_key: question.key.clone(),
            principal: Principal::Automation {
                source: SURFACE.to_owned(),
            },
            received_at: house.now(),
            surface: SURFACE.to_owned(),
            // However often this is tried, it is one message.
            idempotency_key: Some(question.id.to_string()),
            parts: vec![Part::text(text)],
            on_restart: OnRestart::Resume,
            overrides: Overrides {
                approved: Some(question.id.clone()),
                errand: errand_of(question)
                    .filter(|errand| errand.back.is_some())
                    .map(Box::new),
                ..Overrides::default()
            },
        };
        if let Err(error) = self.submit(inbound).await {
            tracing::warn!(%error, question = %question.id, "an approved call cannot be made now");
        }
    }
}

impl Turn {
    /// Makes the call that the owner approved, if this turn is there for one.
    pub(crate) async fn make_approved(&mut self, basis: &Basis) {
        let Some(id) = self.approved() else {
            return;
        };
        let question = match self.house.parts.store.question(&id).await {
            Ok(Some(question)) if question.state == QuestionState::Approved => question,
            _ => return,
        };
        if question.session != *self.record.session() || question.agent != *self.record.agent() {
            return self
                .gone(question, "it was asked in another conversation")
                .await;
        }
        let environment = question.facts.get("environment").cloned();
        let environment = environment.unwrap_or(Value::Null);
        let meets = question.facts.get("meets").cloned().unwrap_or_default();
        let decided = decide(&question, basis, &environment);
        let (Decision::Allow(permit), facts) = decided else {
            return self
                .gone(question, "what is in force has changed since")
                .await;
        };
        let mut call = question.call.clone();
        // Its first id has had a result: that the owner was asked.
        call.id = format!("{}-approved", call.id);
        let context = question.context.clone();
        let chain = self.chain_of_question(basis, &question).await;
        self.behalf = Some(question.principal.clone());
        if self.house.asking.use_up(question).await.is_err() {
            return;
        }
        let Some(model) = ModelRef::parse(APPROVED) else {
            return;
        };
        let body = EntryBody::Assistant {
            text: String::new(),
            tool_calls: vec![call.clone()],
            reasoning: None,
            model,
            usage: Usage::default(),
            cost_micros: 0,
            stop: StopReason::ToolUse,
        };
        self.append(body, context);
        let mut judged = Judged {
            decision: instar_protocol::tool::ToolDecision::Allowed {
                rule: permit.rule().to_owned(),
            },
            permit: Some(permit),
            facts,
            // As it was when he was asked.
            meets: serde_json::from_value(meets).unwrap_or_default(),
            ..Judged::of(call)
        };
        let caller = Caller {
            principal: chain.principal.clone(),
            ..self.caller(basis)
        };
        self.run_effect(&mut judged, &caller, chain).await;
        let _input = self.take_results(vec![judged]);
    }

    /// What the run that asked could have handed on; nothing where that is not known.
    async fn chain_of_question(&self, basis: &Basis, question: &Question) -> Chain {
        let errand = errand_of(question);
        let mut chain = Chain {
            principal: question.principal.clone(),
            tools: BTreeSet::new(),
            ..self.hands_on(basis)
        };
        if let Some(errand) = errand {
            let store = &self.house.parts.store;
            chain.tally = self.house.errands.tally(&errand.request, store).await;
            {
                // The owner approved this one, whatever else was begun before a restart.
                let mut tally = held(&chain.tally);
                tally.errands = tally.errands.min(PER_REQUEST_MAX - 1);
            }
            chain.request = errand.request;
            chain.words = errand.words;
            chain.depth = match errand.kind {
                ErrandKind::Answer => errand.depth,
                // Questions of earlier versions have what the next one would get.
                ErrandKind::Task | ErrandKind::Report | ErrandKind::Word => {
                    errand.depth.saturating_sub(1)
                }
            };
            chain.tools = errand.tools;
            chain.back = errand.back;
        }
        chain
    }

    fn approved(&self) -> Option<QuestionId> {
        let inbound = self.batch.last()?;
        // Nobody but the gateway writes on this surface.
        (inbound.surface == SURFACE)
            .then(|| inbound.overrides.approved.clone())
            .flatten()
    }

    async fn gone(&mut self, question: Question, why: &str) {
        let text = format!(
            "The call of {} that you approved was not made: {why}. Ask for it again.",
            question.call.name
        );
        drop(self.house.asking.void(question).await);
        self.notice(NoticeKind::Error, text);
    }
}

/// What the run that asked was there for.
fn errand_of(question: &Question) -> Option<Errand> {
    let stored = question.facts.get("chain").cloned()?;
    serde_json::from_value(stored).ok()
}

/// The decision over the facts of the question, with the answer among them.
fn decide(
    question: &Question,
    basis: &Basis,
    environment: &Value,
) -> (Decision, Option<Box<Recorded>>) {
    let approval = Approval {
        digest: question.digest.clone(),
    };
    let request = Request {
        call: &question.call,
        principal: &question.principal,
        agent: &question.agent,
        session: &question.session,
        // A release that is not in force any more has another digest than the question.
        release: &basis.served.release.id,
        context: &question.context,
        evidence: &Evidence::default(),
        plan: Planned::Nobody,
        counts: &Counts::default(),
        standing: &[],
        approval: Some(&approval),
        environment,
    };
    instar_policy::decide_recorded(&request, &basis.served.release.behaviour.authority)
}
