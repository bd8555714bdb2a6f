//! Tool calls of a turn: policy first, then reads side by side, then calls that leave traces one by
//! one, each with its intent on disk before it runs and its outcome after.

use futures_util::{StreamExt, stream};
use instar_policy::{Draft, Permit, Recorded, Typed, canonical};
use instar_protocol::Label;
use instar_protocol::event::EventKind;
use instar_protocol::live::LiveEvent;
use instar_protocol::message::{EntryBody, Picture};
use instar_protocol::receipt::ReceiptKind;
use instar_protocol::tool::{Effect, ToolCall, ToolDecision};
use instar_store::{EffectOutcome, Op, Store};
use instar_tools::{Bounds, Caller, Output, Repetition};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::time::Instant;

use crate::driver::{Basis, Turn, millis_since};
use crate::errands::Chain;
use crate::inbox;
use crate::skills::Shelf;
use crate::step::{Due, Input};

/// Reads of one reply that run at the same time.
const READS_AT_ONCE_MAX: usize = 8;

/// A call with what was decided about it, and its result once there is one.
pub(crate) struct Judged {
    pub(crate) call: ToolCall,
    pub(crate) decision: ToolDecision,
    pub(crate) permit: Option<Permit>,
    /// What the owner is to be asked, and what the call would run in.
    pub(crate) ask: Option<(Box<Draft>, Value)>,
    /// The facts that it was decided over, for its receipt.
    pub(crate) facts: Option<Box<Recorded>>,
    /// Whom the owner writes to first with it.
    pub(crate) meets: Vec<Typed>,
    /// How it runs, where something is done about a fault of its tool.
    pub(crate) bounds: Bounds,
    pub(crate) output: Option<Output>,
    /// What the output shows, once it is stored.
    pub(crate) pictures: Vec<Picture>,
    pub(crate) millis: u64,
}

impl Judged {
    pub(crate) fn of(call: ToolCall) -> Self {
        Self {
            call,
            decision: ToolDecision::Handed,
            permit: None,
            ask: None,
            facts: None,
            meets: Vec::new(),
            bounds: Bounds::default(),
            output: None,
            pictures: Vec::new(),
            millis: 0,
        }
    }

    /// True if its result says something of the tool: the call was made, or could not be for its shape.
    pub(crate) fn was_made(&self) -> bool {
        match &self.decision {
            ToolDecision::Allowed { .. } => true,
            ToolDecision::Denied { rule, .. } => rule == instar_policy::rules::BAD_ARGUMENTS,
            ToolDecision::Asked { .. } | ToolDecision::Handed => false,
        }
    }

    /// Takes in what came of the call; its pictures are stored before anything names them.
    async fn came(&mut self, mut output: Output, store: &Store) {
        for picture in std::mem::take(&mut output.pictures) {
            let bytes = picture.bytes.len() as u64;
            match store.put_object(picture.bytes).await {
                Ok(object) => self.pictures.push(Picture {
                    object,
                    mime: picture.facts.mime.to_owned(),
                    name: picture.name,
                    width: picture.facts.width,
                    height: picture.facts.height,
                    bytes,
                }),
                Err(error) => {
                    tracing::warn!(%error, "a picture could not be stored");
                    output.text.push_str("; it cannot be shown now");
                }
            }
        }
        self.output = Some(output);
    }
}

impl Turn {
    pub(crate) async fn run_tools(&mut self, basis: &mut Basis, due: Vec<Due>) -> Input {
        let context = self.context(basis);
        self.begin_judging(basis).await;
        let mut judged: Vec<Judged> = Vec::with_capacity(due.len());
        for due in due {
            judged.push(self.judge(basis, &context, due).await);
        }
        for judged in &judged {
            self.live.send(|| LiveEvent::ToolCall {
                run: self.run.clone(),
                call: judged.call.clone(),
            });
        }
        let caller = self.caller(basis);
        self.begin_looking(basis, &judged);
        let house = Arc::clone(&self.house);
        let asks = inbox::asks(&judged);
        let offer = asks.then(|| house.errands.offer(&self.run, self.hands_on(basis)));
        let reads = run_reads(&mut judged, &caller, self);
        let cancel = self.cancel.clone();
        let cut = tokio::select! {
            biased;
            () = cancel.cancelled() => Some(Input::Cancelled),
            () = tokio::time::sleep_until(basis.deadline) => Some(Input::DeadlinePassed),
            () = reads => None,
        };
        self.end_looking();
        drop(offer);
        if let Some(cut) = cut {
            // What was decided, and what came of the reads that were done, is recorded all the same.
            self.mind(basis, &judged);
            self.take_results(judged);
            return cut;
        }
        let waits = |judged: &&mut Judged| judged.permit.is_some() || judged.ask.is_some();
        for judged in judged.iter_mut().filter(waits) {
            if self.cancel.is_cancelled() {
                break;
            }
            self.ask(basis, &context, judged).await;
            let chain = self.hands_on(basis);
            self.run_effect(judged, &caller, chain).await;
        }
        if asks {
            self.wait_for_answers(basis, &mut judged).await;
        }
        for judged in &judged {
            if let Some(output) = judged.output.as_ref().filter(|output| !output.is_error) {
                let (text, value) = (output.text.as_str(), output.value.as_ref());
                self.learn(basis, &judged.call, text, value, &output.label);
            }
        }
        self.mind(basis, &judged);
        self.take_results(judged)
    }

    pub(crate) fn caller(&self, basis: &Basis) -> Caller {
        Caller {
            agent: self.record.agent().clone(),
            session: self.record.session().clone(),
            key: self.key.clone(),
            run: self.run.clone(),
            principal: self.principal(),
            // Comes with the permit of each call.
            context: Label::default(),
            overlay: self.record.overlay.clone(),
            skills: Some(Arc::new(Shelf::of(&basis.served.release))),
        }
    }

    /// `chain` is what the call may hand on to other conversations.
    pub(crate) async fn run_effect(&mut self, judged: &mut Judged, caller: &Caller, chain: Chain) {
        let Some(permit) = judged.permit.take() else {
            return;
        };
        let begun = Instant::now();
        if self.begin_effect(&judged.call).await.is_err() {
            // Without its intent on disk the call must not run.
            judged.output = Some(failure(
                "the call was not run: its intent could not be stored",
            ));
            return;
        }
        let house = Arc::clone(&self.house);
        let offer = house.errands.offer(&self.run, chain);
        let bounds = judged.bounds;
        let output = self.run_to_its_end(permit, caller, bounds).await;
        drop(offer);
        let outcome = if output.is_error {
            EffectOutcome::Failed
        } else {
            EffectOutcome::Done
        };
        let met = match outcome {
            EffectOutcome::Done => self.meet(&judged.call.name, &judged.meets),
            EffectOutcome::Failed | EffectOutcome::Uncertain => Vec::new(),
        };
        self.end_effect(&judged.call, outcome, met).await;
        judged.came(output, &house.parts.store).await;
        judged.millis = millis_since(begun);
    }

    /// A call that leaves traces is never cut; one that runs on in the house is told to end.
    async fn run_to_its_end(&self, permit: Permit, caller: &Caller, bounds: Bounds) -> Output {
        let tools = &self.house.parts.tools;
        let mut running = std::pin::pin!(tools.run_within(permit, caller, bounds));
        tokio::select! {
            output = &mut running => return output,
            () = self.cancel.cancelled() => tools.over(&self.key),
        }
        running.await
    }

    /// Commits everything so far with the intent of a call, and ties the messages to this run, so
    /// that a restart knows that they must not be run again.
    pub(crate) async fn begin_effect(&mut self, call: &ToolCall) -> Result<(), ()> {
        let at = self.house.now();
        let body = json!({ "tool": call.name, "call": call.id });
        let mut more = vec![
            Op::BeginEffect {
                run: self.run.clone(),
                session: self.record.session().clone(),
                call: call.clone(),
                at,
            },
            Op::AppendReceipt(self.record.receipt_of(ReceiptKind::Intent, body)),
        ];
        more.extend(self.tied(at));
        more.extend(self.request_op());
        self.commit(&more).await
    }

    /// Commits what came of the call. If that fails the intent stays open, and the next start
    /// shows it as uncertain.
    pub(crate) async fn end_effect(
        &mut self,
        call: &ToolCall,
        outcome: EffectOutcome,
        more: Vec<Op>,
    ) {
        let end = Op::EndEffect {
            run: self.run.clone(),
            call_id: call.id.clone(),
            outcome,
            at: self.house.now(),
        };
        let body = json!({ "call": call.id, "tool": call.name, "outcome": outcome.name() });
        let receipt = Op::AppendReceipt(self.record.receipt_of(ReceiptKind::Outcome, body));
        let ends: Vec<Op> = [end, receipt].into_iter().chain(more).collect();
        if self.commit(&ends).await.is_err() {
            self.unsettled.extend(ends);
        }
    }

    pub(crate) async fn commit(&mut self, more: &[Op]) -> Result<(), ()> {
        match self.house.parts.store.commit(self.record.ops(more)).await {
            Ok(()) => {
                self.record.committed();
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a step of a turn could not be stored");
                self.found.storage_failed = true;
                Err(())
            }
        }
    }

    /// Makes entries and events of the results, in the order of the calls.
    pub(crate) fn take_results(&mut self, judged: Vec<Judged>) -> Input {
        let (mut looping, mut is_cut) = (false, false);
        let mode = self.house.content_mode();
        for judged in judged {
            let Some(mut output) = judged.output else {
                is_cut = true;
                let facts = judged.facts.as_deref();
                self.note_call(&judged.call, judged.decision, facts, judged.millis, None);
                continue;
            };
            crate::mask::text(mode, &mut output.text);
            looping |= matches!(
                self.guard.note(&judged.call, &output.text),
                Repetition::Loop { .. }
            );
            let decision = judged.decision.clone();
            let facts = judged.facts.as_deref();
            self.note_call(&judged.call, decision, facts, judged.millis, Some(&output));
            self.live.send(|| LiveEvent::ToolResult {
                run: self.run.clone(),
                call_id: judged.call.id.clone(),
                decision: judged.decision.clone(),
                is_error: output.is_error,
                text: output.text.clone(),
            });
            let body = EntryBody::ToolResult {
                has_rows: has_rows(&output),
                call_id: judged.call.id,
                tool: judged.call.name,
                text: output.text,
                is_error: output.is_error,
                decision: judged.decision,
                pictures: judged.pictures,
            };
            self.append(body, output.label);
        }
        if is_cut {
            return Input::Cancelled;
        }
        if self.found.storage_failed {
            return Input::ModelFailed(instar_protocol::event::ErrorClass::Storage);
        }
        match (looping, self.steering.is_empty()) {
            (true, _) => Input::Looping,
            (false, true) => Input::ToolsDone,
            (false, false) => Input::Steered,
        }
    }
}

impl Turn {
    /// The event of a call: what was decided, and how it ended. Without an output it was cut.
    fn note_call(
        &mut self,
        call: &ToolCall,
        decision: ToolDecision,
        facts: Option<&Recorded>,
        millis: u64,
        output: Option<&Output>,
    ) {
        let label = output.map_or_else(Label::system, |output| output.label.clone());
        let body = json!({
            "call": call.id,
            "tool": call.name,
            "arguments": arguments_digest(call),
            "decision": decision,
            "facts": facts,
        });
        self.record.receipt(ReceiptKind::Decision, body);
        let ran = matches!(decision, ToolDecision::Allowed { .. });
        let kind = EventKind::ToolCall {
            tool: call.name.clone(),
            skill: self.record.skill_of(call).filter(|_| ran),
            decision,
            millis,
            is_error: output.is_none_or(|output| output.is_error),
            argument_names: argument_names(call),
            content: output
                .filter(|output| output.is_error)
                .and_then(|output| self.house.content(&output.text)),
        };
        self.record.event(label, kind);
    }
}

/// Runs what leaves no traces, some at a time.
async fn run_reads(judged: &mut [Judged], caller: &Caller, turn: &Turn) {
    let reads = judged.iter_mut().filter(|judged| {
        judged
            .permit
            .as_ref()
            .is_some_and(|permit| !leaves_traces(permit))
    });
    stream::iter(reads)
        .for_each_concurrent(READS_AT_ONCE_MAX, async |judged| {
            if let Some(permit) = judged.permit.take() {
                let begun = Instant::now();
                let parts = &turn.house.parts;
                let tools = &parts.tools;
                let output = tools.run_within(permit, caller, judged.bounds).await;
                judged.came(output, &parts.store).await;
                judged.millis = millis_since(begun);
            }
        })
        .await;
}

fn leaves_traces(permit: &Permit) -> bool {
    Effect::leaves_traces(permit.effect())
}

pub(crate) fn refused(call: ToolCall, rule: &str, reason: &str, advice: &str) -> Judged {
    Judged {
        decision: ToolDecision::Denied {
            rule: rule.to_owned(),
            reason: reason.to_owned(),
        },
        output: Some(failure(advice)),
        ..Judged::of(call)
    }
}

pub(crate) fn failure(text: &str) -> Output {
    Output {
        text: text.to_owned(),
        label: Label::system(),
        is_error: true,
        value: None,
        pictures: Vec::new(),
    }
}

/// True if the rows of a result stand, whole, in its text: then they are there to be read again.
fn has_rows(output: &Output) -> bool {
    output.value.as_ref().is_some_and(|value| {
        serde_json::from_str(&output.text).is_ok_and(|text: serde_json::Value| text == *value)
    })
}

/// The digest of the arguments as they were judged; their text where they have no canonical form.
fn arguments_digest(call: &ToolCall) -> String {
    let text = canonical::write(&call.arguments).unwrap_or_else(|_| call.arguments.to_string());
    canonical::sha256(text.as_bytes())
}

fn argument_names(call: &ToolCall) -> Vec<String> {
    let names = call
        .arguments
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys());
    names
        .take(32)
        .map(|name| crate::fence::one_line(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Found;
    use crate::live::Live;
    use crate::record::Record;
    use crate::support::{Home, call, home, home_at, main_key};
    use crate::window::Window;
    use instar_protocol::{AgentId, RunId};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    /// A turn over one accepted message, as it stands before its first tool call.
    async fn turn(home: &Home) -> Turn {
        home.say("hello").await;
        let house = Arc::clone(&home.sessions.inner.house);
        let inbound = home.message("send it");
        let event = instar_protocol::event::Event {
            label: Label::owner(),
            ..instar_protocol::event::Event::of_house(
                instar_protocol::EventId::new(house.now(), house.random()),
                house.now(),
                EventKind::MessageIn {
                    inbound: inbound.id.clone(),
                    surface: "web".to_owned(),
                    bytes: 7,
                    content: None,
                },
            )
        };
        home.store.accept(&inbound, event).await.unwrap();
        let run = RunId::new(house.now(), house.random());
        let mut record = Record::new(Arc::clone(&house), AgentId::main(), home.row().await, true);
        record.begin(run.clone(), inbound.principal.standing());
        let mut turn = Turn {
            settings: house.settings(),
            window: Window::new(Arc::clone(&house.settings().zone)),
            house,
            key: main_key(),
            record,
            batch: vec![Arc::new(inbound)],
            preface: None,
            compacts_only: false,
            steering: Arc::default(),
            cancel: CancellationToken::new(),
            live: Live::unwatched(),
            run,
            begun: Instant::now(),
            found: Found::default(),
            guard: instar_tools::LoopGuard::new(3),
            unsettled: Vec::new(),
            judging: None,
            behalf: None,
            answer: None,
            shadow: None,
            kept: None,
        };
        turn.take_in_batch();
        turn
    }

    #[test]
    fn a_result_has_rows_where_its_text_is_the_value_that_came_beside_it() {
        let result = |text: &str, value: Option<serde_json::Value>| Output {
            value,
            ..failure(text)
        };
        let value = json!([{ "id": 1 }]);
        assert!(has_rows(&result("[ {\"id\":1} ]", Some(value.clone()))));
        for text in ["[{\"id\":2}]", "one row, with the id 1", ""] {
            assert!(!has_rows(&result(text, Some(value.clone()))), "{text}");
        }
        assert!(
            !has_rows(&result("[{\"id\":1}]", None)),
            "nobody vouches for it"
        );
    }

    #[tokio::test]
    async fn the_intent_is_durable_before_the_call_and_the_outcome_after() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path()).await;
        let mut turn = turn(&home).await;
        turn.begin_effect(&call("a", "send", 1)).await.unwrap();
        let left = home.store.unfinished().await.unwrap();
        assert_eq!((left.effects.len(), &left.effects[0].run), (1, &turn.run));
        assert_eq!(left.inbox[0].run.as_ref(), Some(&turn.run));
        let lines = home.transcript().await;
        assert_eq!(
            lines.last().unwrap(),
            "user: send it",
            "what led to the call is stored with it"
        );
        turn.end_effect(&call("a", "send", 1), EffectOutcome::Done, Vec::new())
            .await;
        assert!(home.store.unfinished().await.unwrap().effects.is_empty());
        assert!(turn.record.is_begun() && turn.unsettled.is_empty());
    }

    #[tokio::test]
    async fn a_crash_after_the_intent_or_after_the_outcome_runs_nothing_again() {
        for has_outcome in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let first = home(folder.path()).await;
            let mut turn = turn(&first).await;
            turn.begin_effect(&call("a", "send", 1)).await.unwrap();
            if has_outcome {
                turn.end_effect(&call("a", "send", 1), EffectOutcome::Done, Vec::new())
                    .await;
            }
            drop(turn);
            first.store.close().await.unwrap();
            let home = home_at(
                folder.path(),
                first.config.clone(),
                first.clock.clone(),
                Arc::default(),
            )
            .await;
            let uncertain = u64::from(!has_outcome);
            assert_eq!(home.sessions.recover().await.unwrap(), (0, 1, uncertain));
            assert_eq!(home.script.calls(), 0);
            let lines = home.transcript().await;
            assert_eq!(
                lines.iter().filter(|line| *line == "user: send it").count(),
                1
            );
            assert_eq!(home.sessions.recover().await.unwrap(), (0, 0, 0));
        }
    }

    #[tokio::test]
    async fn without_its_intent_on_disk_nothing_runs() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path()).await;
        let mut turn = turn(&home).await;
        home.store.close().await.unwrap();
        assert!(turn.begin_effect(&call("a", "send", 1)).await.is_err());
        assert!(turn.found.storage_failed);
    }
}
