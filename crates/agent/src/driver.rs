//! Runs one turn: does what the pure step asks for and feeds back what came of it.
//!
//! Nothing of a turn is written before its end, in one batch, unless a tool leaves traces: then
//! everything so far and the intent are committed before the tool runs, and its outcome after.
//! Dropping the future of a turn leaves the transcript as it was; a tool that leaves traces is run
//! to completion even when the turn is cancelled.

use instar_models::{Call, Mend};
use instar_policy::Authority;
use instar_protocol::event::{ErrorClass, Event, EventKind};
use instar_protocol::live::{LiveEvent, UserError};
use instar_protocol::message::{EntryBody, Inbound, Part};
use instar_protocol::model::{
    Attempt, ModelEvent, ModelRef, ModelReply, ModelRequest, StopReason, SystemSection, ToolChoice,
};
use instar_protocol::tool::{ToolCall, ToolSpec};
use instar_protocol::{Label, Principal, RunId, SessionKey};
use instar_release::{AgentBehaviour, Served};
use instar_store::Op;
use instar_tools::LoopGuard;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::errands;
use crate::fence;
use crate::house::{House, Settings};
use crate::judging::Judging;
use crate::kept::Kept;
use crate::live::Live;
use crate::mending::Mending;
use crate::place;
use crate::prompt::{self, Of};
use crate::queue::Steering;
use crate::record::Record;
use crate::shadow::Shadow;
use crate::skills;
use crate::step::{self, Bounds, Effect, End, Input, State, ToolUse};
use crate::tokens;
use crate::window::Window;

/// Everything a turn works with. It goes in whole and comes back whole.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) house: Arc<House>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) key: SessionKey,
    pub(crate) record: Record,
    pub(crate) window: Window,
    /// The messages that the turn answers; those that join it are added.
    pub(crate) batch: Vec<Arc<Inbound>>,
    pub(crate) preface: Option<String>,
    /// True for `/compact`: shorten the history and answer nothing.
    pub(crate) compacts_only: bool,
    pub(crate) steering: Arc<Steering>,
    pub(crate) cancel: CancellationToken,
    pub(crate) live: Live,
    pub(crate) run: RunId,
    pub(crate) begun: Instant,
    /// What the turn found out on its way; see [`Found`].
    pub(crate) found: Found,
    pub(crate) guard: LoopGuard,
    /// Outcomes of calls that the store did not take yet.
    pub(crate) unsettled: Vec<Op>,
    /// What its decisions are made of, once the first call came up.
    pub(crate) judging: Option<Judging>,
    /// Whom a call that was approved late is made for.
    pub(crate) behalf: Option<Principal>,
    /// The answer to whoever gave the task, stored with the end of the turn.
    pub(crate) answer: Option<(Inbound, Event)>,
    /// What a candidate is given to answer beside the turn.
    pub(crate) shadow: Option<Box<Shadow>>,
    /// Set while the store may still be writing the message that the turn answers.
    pub(crate) kept: Option<Kept>,
}

/// What the end of the turn is told from.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) model_calls: u32,
    pub(crate) tool_calls: u32,
    /// The text of the last answer.
    pub(crate) text: String,
    /// Text that had arrived of an answer that was not finished.
    pub(crate) partial: String,
    pub(crate) stop: Option<StopReason>,
    pub(crate) model: Option<ModelRef>,
    pub(crate) error: Option<UserError>,
    /// The store refused a write in mid-turn.
    pub(crate) storage_failed: bool,
    /// What was done about faults.
    pub(crate) mending: Mending,
}

/// What is fixed when the turn begins.
pub(crate) struct Basis {
    pub(crate) served: Served,
    pub(crate) chain: Vec<ModelRef>,
    pub(crate) system: Vec<SystemSection>,
    pub(crate) tools: Vec<Arc<ToolSpec>>,
    /// What is in force for this run, where that is less than what is in force for its principal.
    narrowed: Option<Box<Authority>>,
    pub(crate) deadline: Instant,
    /// The label of everything in a request beside the history.
    pub(crate) label: Label,
    /// Our estimate of the tokens of a request beside the history.
    pub(crate) extra_tokens: u64,
}

/// Runs the turn up to its end. What it left is in `turn`; nothing of the end is stored yet.
pub(crate) async fn run(turn: &mut Turn) -> End {
    turn.live.send(|| LiveEvent::Started {
        run: turn.run.clone(),
        inbound: turn
            .batch
            .iter()
            .map(|inbound| inbound.id.clone())
            .collect(),
    });
    turn.take_arm().await;
    let mut basis = match turn.basis() {
        Ok(basis) => basis,
        Err(error) => {
            if !turn.compacts_only {
                turn.take_in_batch();
            }
            turn.found.error = Some(error);
            return End::Failed(ErrorClass::Config);
        }
    };
    if turn.compacts_only {
        return turn.compact_only(&basis).await;
    }
    turn.take_in_batch();
    turn.begin_shadow(&basis);
    turn.mend_turn(&mut basis);
    turn.make_approved(&basis).await;
    let limits = &basis.behaviour(turn).limits;
    let bounds = Bounds {
        model_calls_max: limits.model_calls_max,
        tool_calls_max: limits.tool_calls_max,
    };
    let client_tools: BTreeSet<String> =
        turn.client_tools().map(|tool| tool.name.clone()).collect();
    let (mut state, mut effect) = step::step(State::new(bounds, client_tools), Input::Begin);
    loop {
        let input = match effect {
            Effect::CallModel { tools } => turn.call_model(&mut basis, tools).await,
            Effect::RunTools(due) => turn.run_tools(&mut basis, due).await,
            Effect::Compact => turn.compact(&basis).await,
            Effect::Finish(end) => return end,
        };
        (state, effect) = step::step(state, input);
    }
}

impl Basis {
    /// Every fact that a decision of this run reads.
    pub(crate) fn authority(&self) -> &Authority {
        let whole = &self.served.release.behaviour.authority;
        self.narrowed.as_deref().unwrap_or(whole)
    }

    pub(crate) fn behaviour<'a>(&'a self, turn: &Turn) -> &'a AgentBehaviour {
        static EMPTY: std::sync::LazyLock<AgentBehaviour> =
            std::sync::LazyLock::new(AgentBehaviour::default);
        let agents = &self.served.release.behaviour.agents;
        agents.get(turn.record.agent().as_str()).unwrap_or(&EMPTY)
    }
}

impl Turn {
    /// The message whose wishes hold for the turn: the newest of the batch.
    fn asked(&self) -> Option<&Arc<Inbound>> {
        self.batch.last()
    }

    pub(crate) fn principal(&self) -> Principal {
        match self.batch.first() {
            Some(inbound) => inbound.principal.clone(),
            None => Principal::Automation {
                source: "house".to_owned(),
            },
        }
    }

    fn client_tools(&self) -> impl Iterator<Item = &ToolSpec> {
        self.asked()
            .into_iter()
            .flat_map(|inbound| &inbound.overrides.client_tools)
    }

    /// Has the conversation put on an arm, where a rollout is under way. Without one nothing is written.
    ///
    /// An episode is begun by somebody who is there to be heard of: what runs by itself, and a request that
    /// brings its own conversation and takes it away again, as an evaluation does, says nothing of how it went.
    async fn take_arm(&self) {
        let house = &self.house;
        let row = &self.record.row;
        let is_alone = row.parent.is_none()
            && (self.errand().is_some()
                || matches!(self.principal(), Principal::Automation { .. })
                || row.key.is_passing());
        if is_alone {
            return;
        }
        let begun = house
            .parts
            .releases
            .begin_turn(&row.id, row.parent.as_ref(), house.now(), house.random())
            .await;
        if let Err(error) = begun {
            tracing::warn!(%error, "the episode could not be recorded; the stable release serves it");
        }
    }

    /// Resolves the release and everything that follows from it.
    pub(crate) fn basis(&mut self) -> Result<Basis, UserError> {
        let agent = self.record.agent().clone();
        let cohort = instar_release::Cohort {
            session: self.record.session().clone(),
            at: self.house.now(),
        };
        let served = self
            .house
            .parts
            .releases
            .resolve(&agent, &cohort)
            .ok_or_else(|| config_error("no release is in service", "restart the gateway"))?;
        self.record.serve(&served);
        let behaviour = served
            .release
            .behaviour
            .agents
            .get(agent.as_str())
            .ok_or_else(|| {
                config_error(
                    &format!("the release in service has no agent {agent}"),
                    "check agents.entries in the configuration, then restart the gateway",
                )
            })?;
        let overrides = self.asked().map(|inbound| &inbound.overrides);
        let chain = self.chain(behaviour);
        if chain.is_empty() {
            return Err(config_error(
                "no model is configured",
                "set one with: instar models set PROVIDER/MODEL",
            ));
        }
        let name = self
            .settings
            .config
            .agent(&agent)
            .map_or_else(|| agent.to_string(), |a| a.name);
        let instructions = overrides.and_then(|overrides| overrides.instructions.as_deref());
        let authority = &served.release.behaviour.authority;
        let mut visible = skills::visible(authority, &self.principal(), &agent, behaviour);
        let narrowed = self.errand().map(|errand| {
            visible.retain(|tool| errand.tools.contains(tool));
            Box::new(authority.narrowed(&visible))
        });
        let of = Of {
            behaviour,
            name: &name,
            key: &self.key,
        };
        let system = prompt::sections(of, &visible, instructions);
        let tools: Vec<Arc<ToolSpec>> = self
            .house
            .parts
            .tools
            .specs()
            .into_iter()
            .filter(|spec| visible.contains(&spec.name))
            .chain(self.client_tools().cloned().map(Arc::new))
            .collect();
        let label = instructions.map_or_else(Label::owner, |text| {
            let words = fence::label_of(&[Part::text(text)], &self.principal());
            Label::owner().join(&words)
        });
        let described = |label: Label, tool: &Arc<ToolSpec>| {
            label.join(&instar_tools::description_label(&tool.name))
        };
        let label = tools.iter().fold(label, described);
        let extra = system
            .iter()
            .map(|section| u64::from(tokens::of_text(&section.text)));
        let specs = self.house.specs.of(&tools);
        let timeout = behaviour.limits.timeout_seconds.max(1);
        Ok(Basis {
            extra_tokens: extra.sum::<u64>() + specs,
            deadline: Instant::now() + std::time::Duration::from_secs(u64::from(timeout)),
            chain,
            system,
            tools,
            label,
            narrowed,
            served,
        })
    }

    /// The message's own model alone; else the session's, then the route of the release.
    pub(crate) fn chain(&self, behaviour: &AgentBehaviour) -> Vec<ModelRef> {
        let asked = self
            .asked()
            .and_then(|inbound| inbound.overrides.model.clone());
        if let Some(model) = asked {
            return vec![model];
        }
        let session = self.record.row.model.as_deref();
        let primary = session.unwrap_or(&behaviour.route.primary);
        let mut chain: Vec<ModelRef> = Vec::new();
        for name in
            std::iter::once(primary).chain(behaviour.route.fallbacks.iter().map(String::as_str))
        {
            if let Some(model) = ModelRef::parse(name)
                && !chain.contains(&model)
            {
                chain.push(model);
            }
        }
        chain
    }

    /// Makes entries of the messages that the turn answers.
    pub(crate) fn take_in_batch(&mut self) {
        let preface = self.preface.take();
        for (place, inbound) in self.batch.clone().iter().enumerate() {
            let preface = if place == 0 { preface.clone() } else { None };
            self.take_in(inbound, preface);
        }
    }

    fn take_in(&mut self, inbound: &Inbound, preface: Option<String>) {
        self.import(inbound);
        if place::is_again(inbound) {
            // Its words stand in the transcript already.
            return;
        }
        let mut parts = inbound.parts.clone();
        if let Some(preface) = preface {
            parts.insert(0, Part::text(preface));
        }
        let errand = inbound.overrides.errand.as_deref();
        let label = match errand {
            Some(errand) => errand.label.clone(),
            None => fence::label_of(&parts, &inbound.principal),
        };
        // Whoever may do things here has not said a word of this.
        let writer = errand.map_or_else(|| inbound.principal.clone(), errands::writer);
        let body = EntryBody::User {
            parts,
            principal: writer,
            inbound: Some(inbound.id.clone()),
            surface: inbound.surface.clone(),
        };
        let entry = self.record.entry_at(inbound.received_at, body, label);
        self.window.push(entry);
    }

    /// Takes the messages that were offered since the last call into the turn.
    fn take_steered(&mut self) {
        for inbound in self.steering.take() {
            self.record.heard(inbound.principal.standing());
            self.take_in(&inbound, None);
            self.batch.push(inbound);
        }
    }

    pub(crate) fn append(&mut self, body: EntryBody, label: Label) {
        let entry = self.record.entry(body, label);
        self.window.push(entry);
    }

    /// The label of a request made now.
    pub(crate) fn context(&self, basis: &Basis) -> Label {
        basis.label.join(self.window.label())
    }

    async fn call_model(&mut self, basis: &mut Basis, tools: ToolUse) -> Input {
        self.take_steered();
        if self.is_full(basis) {
            return Input::Full;
        }
        let mend = self.mend_model(basis);
        let request = self.request(basis, tools);
        let result = self.call(basis, &request, mend).await;
        self.window.give_back(request.messages);
        (basis.system, basis.tools) = (request.system, request.tools);
        if !self.is_kept().await {
            self.found.storage_failed = true;
            return Input::ModelFailed(ErrorClass::Storage);
        }
        match result {
            Ok(reply) => self.take_reply(basis, reply, request.label),
            Err(input) => input,
        }
    }

    /// Waits until the message that the turn answers is durable; false if the store refused it.
    pub(crate) async fn is_kept(&mut self) -> bool {
        match &mut self.kept {
            Some(kept) => kept.wait().await,
            None => true,
        }
    }

    /// The request takes history, system text and tools along; they come back after the call.
    fn request(&mut self, basis: &mut Basis, tools: ToolUse) -> ModelRequest {
        let asked = self.asked().map(|inbound| &inbound.overrides);
        let (mut sampling, choice) = asked.map_or_else(Default::default, |asked| {
            (asked.sampling.clone(), asked.tool_choice.clone())
        });
        let output_max = basis.behaviour(self).limits.output_tokens_max;
        if output_max > 0 {
            let asked = sampling.max_output_tokens.unwrap_or(output_max);
            sampling.max_output_tokens = Some(asked.min(output_max));
        }
        let tool_choice = match tools {
            _ if basis.tools.is_empty() => ToolChoice::Auto,
            ToolUse::WordsOnly => ToolChoice::None,
            // A caller that forces a tool forces the first call, not an endless row of them.
            ToolUse::Free if self.found.stop.is_some() => ToolChoice::Auto,
            ToolUse::Free => choice,
        };
        ModelRequest {
            system: std::mem::take(&mut basis.system),
            label: self.context(basis),
            messages: self.window.lend(),
            tools: std::mem::take(&mut basis.tools),
            tool_choice,
            sampling,
        }
    }

    /// One call, cut by the turn's cancel or deadline. Notes the event and what was used either way:
    /// what had arrived of an answer is paid, too.
    pub(crate) async fn call(
        &mut self,
        basis: &Basis,
        request: &ModelRequest,
        mend: Mend,
    ) -> Result<ModelReply, Input> {
        self.found.model_calls += 1;
        self.found.partial.clear();
        let begun = Instant::now();
        let (live, run, partial) = (&self.live, &self.run, &mut self.found.partial);
        let mut on_event = |event: &ModelEvent| match event {
            ModelEvent::Text { delta } => {
                partial.push_str(delta);
                live.send(|| LiveEvent::Text {
                    run: run.clone(),
                    delta: delta.clone(),
                });
            }
            ModelEvent::Reasoning { delta, .. } => live.send(|| LiveEvent::Reasoning {
                run: run.clone(),
                delta: delta.clone(),
            }),
            ModelEvent::ToolCall { .. } | ModelEvent::Finish { .. } => {}
        };
        // The call ends by itself with the token or the deadline, and then says what it used.
        let result = self.house.parts.models.call(
            Call {
                request,
                chain: &basis.chain,
                agent: self.record.agent(),
                session: self.record.session(),
                turn_spent_micros: self.record.cost_micros,
                deadline: basis.deadline,
                cancel: &self.cancel,
                mend,
            },
            &mut on_event,
        );
        let result = Box::pin(result).await;
        let millis = millis_since(begun);
        let label = request.label.clone();
        match result {
            Ok(reply) => {
                self.record.spent(&reply.attempts);
                self.record.event(label, model_call_event(&reply, millis));
                Ok(reply)
            }
            Err(error) => {
                let class = error.class;
                let over = class == ErrorClass::Cancelled
                    || (class == ErrorClass::Timeout && Instant::now() >= basis.deadline);
                if !over {
                    tracing::warn!(?class, operator = %error.operator, "a model call failed");
                }
                let attempts = error.attempts;
                self.record.spent(&attempts);
                let (usage, cost_micros) = Attempt::spent(&attempts);
                let model = attempts
                    .last()
                    .map_or(&basis.chain[0], |attempt| &attempt.model)
                    .clone();
                let kind = EventKind::ModelCall {
                    model: model.clone(),
                    stop: None,
                    millis,
                    usage,
                    cost_micros,
                    attempts,
                    error: Some(class),
                };
                self.record.event(label, kind);
                self.found.model = Some(model);
                // The turn's own end is told in the turn's words.
                self.found.error = (!over).then_some(error.user);
                Err(match class {
                    ErrorClass::Cancelled => Input::Cancelled,
                    ErrorClass::Timeout if over => Input::DeadlinePassed,
                    class => Input::ModelFailed(class),
                })
            }
        }
    }

    fn take_reply(&mut self, basis: &Basis, reply: ModelReply, label: Label) -> Input {
        let (usage, cost_micros) = Attempt::spent(&reply.attempts);
        self.window.calibrate(reply.usage, basis.extra_tokens);
        self.found.partial.clear();
        self.found.text.clone_from(&reply.text);
        self.found.stop = Some(reply.stop);
        self.found.model = Some(reply.model.clone());
        let calls: Vec<ToolCall> = reply.tool_calls.clone();
        let body = EntryBody::Assistant {
            text: reply.text,
            tool_calls: reply.tool_calls,
            reasoning: reply.reasoning,
            model: reply.model,
            usage,
            cost_micros,
            stop: reply.stop,
        };
        self.append(body, label);
        Input::Replied { calls }
    }

    /// Tokens that history and answer may use together.
    pub(crate) fn room(&self, basis: &Basis) -> u64 {
        let window = self.house.parts.models.context_window(&basis.chain[0]);
        let reserve = u64::from(
            self.settings
                .config
                .agents
                .defaults
                .compaction
                .reserve_tokens,
        );
        window - reserve.min(window / 4)
    }

    pub(crate) fn is_full(&self, basis: &Basis) -> bool {
        self.window.tokens() + self.window.corrected(basis.extra_tokens) > self.room(basis)
    }
}

pub(crate) fn model_call_event(reply: &ModelReply, millis: u64) -> EventKind {
    let (usage, cost_micros) = Attempt::spent(&reply.attempts);
    EventKind::ModelCall {
        model: reply.model.clone(),
        stop: Some(reply.stop),
        millis,
        usage,
        cost_micros,
        attempts: reply.attempts.clone(),
        error: None,
    }
}

fn config_error(message: &str, next_step: &str) -> UserError {
    UserError {
        class: ErrorClass::Config,
        message: message.to_owned(),
        next_step: next_step.to_owned(),
    }
}

pub(crate) fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
