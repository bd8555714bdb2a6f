//! Tool calls before policy: what the run has seen as evidence, the decision, and the question to the
//! owner where the decision is one.

use instar_policy::{
    Approval, Counts, Decision, Draft, Evidence, Permit, Planned, Posture, Recorded, Request, Rule,
    Typed,
};
use instar_protocol::approval::{Question, QuestionState};
use instar_protocol::message::{InboxState, NoticeKind};
use instar_protocol::tool::{Effect, ToolCall, ToolDecision};
use instar_protocol::{Label, Principal, QuestionId, Timestamp};
use instar_store::Op;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

use crate::calls::{Judged, failure, refused};
use crate::driver::{Basis, Turn};
use crate::errands::{SharedTally, held};
use crate::meeting::know;
use crate::mending::Mended;
use crate::planner::Asked;
use crate::seen::{seen_so_far, take};
use crate::step::{Due, Fate};

/// The rule that stands for what cannot be done, whoever is asked.
const CANNOT: &str = "cannot-run";

/// What a run knows for its decisions. Made when the first call comes up.
#[derive(Debug, Default)]
pub(crate) struct Judging {
    pub(crate) evidence: Evidence,
    /// Plan and counts, shared with whoever serves the same request.
    pub(crate) tally: SharedTally,
    /// What the owner said in this conversation, for the planner.
    asked: Asked,
    standing: Vec<Rule>,
    /// Messages of the turn when it was made: with one more of them there is more to know.
    messages: usize,
}

impl Turn {
    /// Puts one call before policy. A refused call has its answer at once; one that the owner is to
    /// be asked about has its question.
    pub(crate) async fn judge(&mut self, basis: &Basis, context: &Label, due: Due) -> Judged {
        self.found.tool_calls += 1;
        let Due { mut call, fate } = due;
        if fate == Fate::OverLimit {
            let advice = "this turn has used up its tool calls: answer with what you have";
            return refused(
                call,
                "limits.tool_calls",
                "too many tool calls in one turn",
                advice,
            );
        }
        // Before anything is decided: what is judged is what would run.
        let bounds = match self.mend_call(basis, &mut call).await {
            Mended::Goes(bounds) => bounds,
            Mended::Refused(judged) => return *judged,
        };
        let environment = self.environment(basis, &call).await;
        if self.wants_plan(basis, &call) {
            self.plan_once(basis).await;
        }
        let (decision, facts) = self.decide(basis, context, &call, None, &environment);
        let meets = self.meets(facts.as_deref());
        let judged = match decision {
            Decision::Allow(permit) => Self::allowed(call, permit),
            // Nobody is asked about what cannot be done.
            Decision::Ask(_) if let Some(why) = cannot(&environment) => {
                refused(call, CANNOT, why, why)
            }
            Decision::Ask(draft) => Judged {
                decision: ToolDecision::Denied {
                    rule: draft.rule.clone(),
                    reason: draft.why.join("; "),
                },
                ask: Some((draft, environment)),
                ..Judged::of(call)
            },
            Decision::Deny(denial) => refused(call, &denial.rule, &denial.reason, &denial.advice),
        };
        Judged {
            facts,
            meets,
            bounds,
            ..judged
        }
    }

    /// Whom the owner would write to first with what was decided about.
    fn meets(&self, facts: Option<&Recorded>) -> Vec<Typed> {
        let judging = self.judging.as_ref().zip(facts);
        judging.map_or_else(Vec::new, |(judging, facts)| {
            judging.evidence.written_to_first(facts)
        })
    }

    fn allowed(call: ToolCall, permit: Permit) -> Judged {
        Judged {
            decision: ToolDecision::Allowed {
                rule: permit.rule().to_owned(),
            },
            permit: Some(permit),
            ..Judged::of(call)
        }
    }

    /// What the call would run in, as the tool that runs it says.
    async fn environment(&self, basis: &Basis, call: &ToolCall) -> Value {
        let caller = self.caller(basis);
        self.house.parts.tools.environment(call, &caller).await
    }

    fn decide(
        &self,
        basis: &Basis,
        context: &Label,
        call: &ToolCall,
        approval: Option<&Approval>,
        environment: &Value,
    ) -> (Decision, Option<Box<Recorded>>) {
        let none = Judging::default();
        let judging = self.judging.as_ref().unwrap_or(&none);
        let principal = self.principal();
        // Held over decision and count: of two runs of one request only one gets the last of what
        // was planned.
        let mut tally = held(&judging.tally);
        let counts = tally.counts.clone();
        let plan = match (&tally.plan, &principal) {
            _ if tally.is_lost => Planned::Nobody,
            (
                _,
                Principal::Contact { .. }
                | Principal::Stranger { .. }
                | Principal::Automation { .. },
            ) => Planned::Nobody,
            (Some(Some(plan)), Principal::Owner { .. }) => Planned::Is(plan),
            (_, Principal::Owner { .. }) => Planned::Unknown,
        };
        let request = Request {
            call,
            principal: &principal,
            agent: self.record.agent(),
            session: self.record.session(),
            release: &basis.served.release.id,
            context,
            evidence: &judging.evidence,
            plan,
            counts: &counts,
            standing: &judging.standing,
            approval,
            environment,
        };
        let decided = instar_policy::decide_recorded(&request, basis.authority());
        if matches!(decided, (Decision::Allow(_), _)) {
            let done = tally.counts.done.entry(call.name.clone()).or_default();
            *done = done.saturating_add(1);
        }
        decided
    }

    /// Reads what the run has seen so far, once; later results are added as they come.
    pub(crate) async fn begin_judging(&mut self, basis: &Basis) {
        let known = match self.judging.take() {
            Some(judging) if judging.messages == self.batch.len() => {
                self.judging = Some(judging);
                return;
            }
            earlier => earlier.map(|judging| judging.tally),
        };
        let tally = match known {
            // A new word of the owner's is planned for anew; what was done is done.
            Some(tally) => {
                held(&tally).plan = None;
                tally
            }
            None => self.tally().await,
        };
        let said = self.request_words().await;
        let (mut evidence, asked) = seen_so_far(&self.window, basis.authority(), &said);
        match self.house.parts.store.contacts().await {
            Ok(contacts) => know(&mut evidence, &contacts),
            Err(error) => tracing::warn!(%error, "contacts cannot be read: none is known"),
        }
        let standing = match self.house.asking.rules_in_force().await {
            Ok(rules) => rules
                .iter()
                .filter_map(|rule| Rule::read(&rule.rule))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "standing rules cannot be read: none holds");
                Vec::new()
            }
        };
        self.judging = Some(Judging {
            evidence,
            tally,
            asked,
            standing,
            messages: self.batch.len(),
        });
    }

    /// Adds the result of a call to what the run has seen.
    pub(crate) fn learn(
        &mut self,
        basis: &Basis,
        call: &ToolCall,
        text: &str,
        value: Option<&Value>,
        label: &Label,
    ) {
        let Some(judging) = &mut self.judging else {
            return;
        };
        let annotation = basis.authority().annotations.get(&call.name);
        let tool = (call.name.as_str(), annotation);
        take(
            &mut judging.evidence,
            tool,
            &call.arguments,
            (text, value),
            label,
        );
    }

    /// A plan is made for effects only, and only where it can decide something.
    fn wants_plan(&self, basis: &Basis, call: &ToolCall) -> bool {
        let authority = basis.authority();
        authority.posture == Posture::Balanced
            && self.principal().is_owner()
            && self
                .judging
                .as_ref()
                .is_some_and(|judging| held(&judging.tally).plan.is_none())
            && authority
                .annotations
                .get(&call.name)
                .is_some_and(|annotation| annotation.effect > Effect::Read)
    }

    async fn plan_once(&mut self, basis: &Basis) {
        let asked = self.judging.as_ref().map(|judging| judging.asked.clone());
        let plan = self.make_plan(basis, &asked.unwrap_or_default()).await;
        if let Some(judging) = &self.judging {
            // Whoever serves the same request may have been first.
            held(&judging.tally).plan.get_or_insert(plan);
        }
    }

    /// Asks the owner about a call and waits a while for the answer. What is not answered stays open:
    /// the call is made when the answer comes.
    pub(crate) async fn ask(&mut self, basis: &mut Basis, context: &Label, judged: &mut Judged) {
        let Some((draft, environment)) = judged.ask.take() else {
            return;
        };
        let chain = self.hands_on(basis);
        self.house.errands.keep(&chain.request, &chain.tally);
        let facts = json!({
            "rule": draft.rule,
            "environment": environment,
            "facts": judged.facts,
            "meets": judged.meets,
            "chain": chain.again(&self.key, context.clone()),
        });
        let Some(question) = self
            .question_of(basis, context, &judged.call, &draft, facts)
            .await
        else {
            judged.output = Some(failure(
                "the question could not be stored: the call was not made",
            ));
            return;
        };
        let begun = Instant::now();
        let wait = Duration::from_secs(u64::from(self.settings.config.policy.ask_wait_seconds));
        let cancel = self.cancel.clone();
        let heard = self
            .house
            .asking
            .wait(&question.id, begun + wait, &cancel)
            .await;
        // Whoever waits for a person does not use up the time of the turn.
        basis.deadline += begun.elapsed();
        let heard = heard.ok().flatten().unwrap_or(question);
        match heard.state {
            QuestionState::Approved => {
                self.after_yes(basis, context, judged, heard, &environment)
                    .await;
            }
            QuestionState::Denied => {
                self.count(|counts| counts.refused += 1);
                judged.output = Some(failure("the owner said no; do not ask for the same again"));
            }
            QuestionState::Expired | QuestionState::Void | QuestionState::Used => {
                judged.output = Some(failure("nobody answered in time, which means no"));
            }
            QuestionState::Open => {
                self.count(|counts| counts.open += 1);
                judged.decision = ToolDecision::Asked {
                    question: heard.id.clone(),
                    rule: draft.rule.clone(),
                };
                judged.output = Some(failure(
                    "the owner was asked and has not answered yet: the call was not made. It is made \
                     when he says yes. Go on without it, or end here and say what waits for him",
                ));
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        if let Some(judging) = &self.judging {
            change(&mut held(&judging.tally).counts);
        }
    }

    /// The question of this call: the one that waits already, or a new one, stored before anybody
    /// is told of it.
    async fn question_of(
        &mut self,
        basis: &Basis,
        context: &Label,
        call: &ToolCall,
        draft: &Draft,
        facts: Value,
    ) -> Option<Question> {
        let asking = self.house.asking.clone();
        if let Ok(Some(same)) = asking.same(self.record.session(), &draft.digest).await {
            return Some(same);
        }
        let now = self.house.now();
        let minutes = u64::from(self.settings.config.policy.ask_expire_minutes);
        let question = Question {
            id: QuestionId::new(now, self.house.random()),
            digest: draft.digest.clone(),
            session: self.record.session().clone(),
            key: self.key.clone(),
            run: self.run.clone(),
            agent: self.record.agent().clone(),
            principal: self.principal(),
            release: basis.served.release.id.clone(),
            call: call.clone(),
            effect: draft.effect,
            context: context.clone(),
            arguments: draft.arguments.clone(),
            touches: draft.touches.clone(),
            why: draft.why.clone(),
            always: draft.always.clone(),
            facts,
            asked_at: now,
            expires_at: Timestamp::from_millis(now.millis() + minutes * 60_000),
            state: QuestionState::Open,
            answer: None,
        };
        let text = format!(
            "{} waits for your answer: `instar approvals show {}`, or the approvals page.",
            call.name, question.id
        );
        self.notice(NoticeKind::Question, text.clone());
        self.live.send(|| instar_protocol::live::LiveEvent::Notice {
            kind: NoticeKind::Question,
            text,
        });
        let mut more = asking.ask(&question);
        more.extend(self.tied(now));
        self.commit(&more).await.ok()?;
        asking.told(question.clone());
        Some(question)
    }

    /// Ties the messages to this run, so that a restart knows that they must not be run again.
    pub(crate) fn tied(&self, at: Timestamp) -> Vec<Op> {
        let tied = self.batch.iter().map(|inbound| Op::SettleInbound {
            id: inbound.id.clone(),
            run: Some(self.run.clone()),
            state: InboxState::Pending,
            at,
        });
        tied.collect()
    }

    /// The owner said yes: the same facts are decided once more, with his answer among them.
    async fn after_yes(
        &mut self,
        basis: &Basis,
        context: &Label,
        judged: &mut Judged,
        question: Question,
        environment: &Value,
    ) {
        let approval = Approval {
            digest: question.digest.clone(),
        };
        let decided = self.decide(basis, context, &judged.call, Some(&approval), environment);
        let (Decision::Allow(permit), facts) = decided else {
            drop(self.house.asking.void(question).await);
            judged.output = Some(failure(
                "what the owner approved is no longer what would be done",
            ));
            return;
        };
        if self.house.asking.use_up(question).await.is_err() {
            judged.output = Some(failure("the owner's answer was used already"));
            return;
        }
        *judged = Judged {
            facts,
            meets: std::mem::take(&mut judged.meets),
            ..Self::allowed(judged.call.clone(), permit)
        };
    }
}

/// Why what would run cannot, as its tool says.
fn cannot(environment: &Value) -> Option<&str> {
    environment.get("cannot").and_then(Value::as_str)
}
