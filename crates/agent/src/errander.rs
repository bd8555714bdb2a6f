//! The way of an errand: from the tool that asks for it into the other conversation, and back.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use instar_protocol::errand::{Errand, ErrandKind, OwnersWords};
use instar_protocol::event::Event;
use instar_protocol::live::{Outcome, OutcomeStatus};
use instar_protocol::message::{
    EntryBody, Inbound, InboxState, OnRestart, Overrides, Part, plain_text,
};
use instar_protocol::model::ModelRef;
use instar_protocol::{EntryId, InboundId, Label, SessionKey};
use instar_store::{Op, StoredInbound};
use instar_tools::{Caller, ErrandsPort, Sent, Task, ToolError, names_of};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

use crate::driver::{Basis, Turn};
use crate::errands::{self, Chain, SharedTally};
use crate::house::House;
use crate::owner::Order;
use crate::seen::words_in;
use crate::sessions::{Inner, Sessions};
use crate::window::Seen;
use crate::{mask, place, submit};

/// The surface of a message that another conversation sent.
pub(crate) const SURFACE: &str = "session";
/// The most characters of an answer that go back in one piece.
const ANSWER_CHARS_MAX: usize = 12_000;
/// Once its end is being stored, an answer is there in a moment.
const SETTLING: Duration = Duration::from_secs(5);

/// What the tools of errands ask of the house. Made before the sessions are, and connected after.
#[derive(Debug, Default)]
pub struct Errander {
    inner: OnceLock<Weak<Inner>>,
}

impl Errander {
    /// From here on errands are run.
    pub fn connect(&self, sessions: &Sessions) {
        let _twice = self.inner.set(Arc::downgrade(&sessions.inner));
    }

    pub(crate) fn sessions(&self) -> Result<Sessions, ToolError> {
        let inner = self.inner.get().and_then(Weak::upgrade);
        inner
            .map(|inner| Sessions { inner })
            .ok_or_else(|| failed("the gateway is not ready for this"))
    }

    async fn say(
        &self,
        caller: &Caller,
        to: &SessionKey,
        text: &str,
        wait: Duration,
    ) -> Result<Sent, ToolError> {
        let sessions = self.sessions()?;
        let chain = sessions.chain_of(caller)?;
        if to == &caller.key {
            return Err(failed("this is the conversation that you are in"));
        }
        let house = &sessions.inner.house;
        let row = house.parts.store.session_by_key(to).await;
        let row = row.map_err(|_| failed("the conversations cannot be read right now"))?;
        if !row.is_some_and(|row| row.agent == caller.agent && row.deleted_at.is_none()) {
            return Err(failed(
                "there is no such conversation; sessions_list shows those that there are",
            ));
        }
        let errand = chain.word(&caller.key, caller.context.clone(), house.depth_max());
        let message = message(house, &chain, to.clone(), text, errand, None);
        sessions.run(chain, message, wait).await
    }

    async fn begin(&self, caller: &Caller, task: Task, wait: Duration) -> Result<Sent, ToolError> {
        let sessions = self.sessions()?;
        let chain = sessions.chain_of(caller)?;
        let house = &sessions.inner.house;
        let settings = house.settings();
        let limits = &settings.config.agents.defaults.subagents;
        let model = choose_model(&chain, task.model.as_deref(), limits.model.as_deref())?;
        let narrower = task.tools.map(|words| {
            let known = chain.tools.iter().map(String::as_str);
            names_of(&words, known)
        });
        if narrower.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(ToolError::Arguments(
                "tools: none of these is a tool of yours; leave it out to give all".to_owned(),
            ));
        }
        let id = InboundId::new(house.now(), house.random());
        let tail = id.as_str().split_once('_').map_or("", |(_, tail)| tail);
        let tail = tail.to_ascii_lowercase();
        let child = SessionKey::under(&caller.agent, &["subagent", &tail])
            .map_err(|error| failed(&error.to_string()))?;
        let max = usize::try_from(limits.max_children_per_agent).unwrap_or(1);
        if !house.errands.add_child(&caller.key, &child, max) {
            return Err(failed(&format!(
                "{max} sub-agents of this conversation are at work already; wait for one of them"
            )));
        }
        let label = caller.context.clone();
        let depth = house.depth_max();
        let errand = chain.task(&caller.key, label, narrower.as_ref(), task.title, depth);
        let message = Inbound {
            id,
            ..message(house, &chain, child.clone(), &task.text, errand, model)
        };
        let sent = sessions.run(chain, message, wait).await;
        if sent.is_err() {
            house.errands.drop_child(&caller.key, &child);
        }
        sent
    }
}

impl ErrandsPort for Errander {
    fn send<'a>(
        &'a self,
        caller: &'a Caller,
        to: &'a SessionKey,
        text: &'a str,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Sent, ToolError>> {
        self.say(caller, to, text, wait).boxed()
    }

    fn spawn<'a>(
        &'a self,
        caller: &'a Caller,
        task: Task,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Sent, ToolError>> {
        self.begin(caller, task, wait).boxed()
    }
}

/// One of the models that answer here, or the one that the owner set for sub-agents.
fn choose_model(
    chain: &Chain,
    wanted: Option<&str>,
    for_subagents: Option<&str>,
) -> Result<Option<ModelRef>, ToolError> {
    let for_subagents = for_subagents.and_then(ModelRef::parse);
    let Some(wanted) = wanted else {
        return Ok(chain.model.clone().or(for_subagents));
    };
    let mut allowed = chain.models.iter().chain(&for_subagents);
    allowed
        .find(|model| model.as_str() == wanted)
        .cloned()
        .map(Some)
        .ok_or_else(|| {
            let names: Vec<&str> = chain.models.iter().map(ModelRef::as_str).collect();
            ToolError::Arguments(format!("model: it may be {}", names.join(" or ")))
        })
}

fn message(
    house: &House,
    chain: &Chain,
    to: SessionKey,
    text: &str,
    errand: Errand,
    model: Option<ModelRef>,
) -> Inbound {
    Inbound {
        id: InboundId::new(house.now(), house.random()),
        session_key: to,
        principal: chain.principal.clone(),
        received_at: house.now(),
        surface: SURFACE.to_owned(),
        idempotency_key: None,
        parts: vec![Part::text(text)],
        on_restart: OnRestart::Resume,
        overrides: Overrides {
            model,
            errand: Some(Box::new(errand)),
            ..Overrides::default()
        },
    }
}

impl Sessions {
    /// What the run of a call may hand on.
    fn chain_of(&self, caller: &Caller) -> Result<Chain, ToolError> {
        let house = &self.inner.house;
        let chain = house.errands.offered(&caller.run);
        let chain = chain.ok_or_else(|| failed("this run cannot send anybody anywhere"))?;
        if chain.depth >= house.depth_max() {
            return Err(failed(
                "this conversation is as far from the owner as one may be: do it yourself",
            ));
        }
        Ok(chain)
    }

    /// Stores plan and counts before another conversation serves the request.
    async fn keep_request(&self, chain: &Chain) -> Result<(), ToolError> {
        let house = &self.inner.house;
        let Some(body) = house.errands.to_store(&chain.request) else {
            return Ok(());
        };
        let keep = Op::PutRequest {
            run: chain.request.clone(),
            body,
            at: house.now(),
        };
        let kept = house.parts.store.commit(vec![keep]).await;
        kept.map_err(|_| failed("what was planned could not be stored, so nobody was sent"))
    }

    /// Sends a message and waits for its answer, for at most so long.
    async fn run(&self, chain: Chain, message: Inbound, wait: Duration) -> Result<Sent, ToolError> {
        let errands = &self.inner.house.errands;
        if !errands.spend(&chain) {
            return Err(failed(
                "this request has set so much going already: answer with what you have",
            ));
        }
        self.keep_request(&chain).await?;
        let (id, key) = (message.id.clone(), message.session_key.clone());
        let reports = message.overrides.errand.as_ref();
        let reports = reports.is_some_and(|errand| errand.back.is_some());
        let waits = !wait.is_zero();
        if waits {
            errands.expect(&id);
        }
        let submitted = match self.submit(message).await {
            Ok(submitted) => submitted,
            Err(error) => {
                let _waited = errands.settle(&id);
                return Err(failed(&error.to_string()));
            }
        };
        let mut outcome = submitted.outcome;
        let heard = if waits {
            tokio::select! {
                biased;
                heard = &mut outcome => heard.ok(),
                () = chain.cancel.cancelled() => None,
                () = tokio::time::sleep(wait) => None,
            }
        } else {
            None
        };
        let heard = match heard {
            // The other side was first: its end is being stored.
            None if waits && !errands.settle(&id) => {
                let late = tokio::time::timeout(SETTLING, outcome).await;
                late.ok().and_then(Result::ok)
            }
            heard => heard,
        };
        Ok(told(key, heard.as_deref(), reports))
    }
}

fn told(session: SessionKey, heard: Option<&Outcome>, reports: bool) -> Sent {
    let Some(outcome) = heard else {
        let note = if reports {
            "it is at work; its answer comes as a message of its own, so do not wait or ask for it"
        } else {
            "it was sent; what is answered stands in that conversation (sessions_history)"
        };
        return Sent {
            session,
            answer: None,
            note: note.to_owned(),
        };
    };
    let labels = outcome.entries.iter().map(|entry| &entry.label);
    let label = labels.fold(Label::default(), |label, other| label.join(other));
    let note = match outcome.status {
        OutcomeStatus::Ok => "answered",
        OutcomeStatus::Failed => "it failed",
        OutcomeStatus::Aborted => "it was stopped",
    };
    Sent {
        answer: Some((answer_of(outcome, &session), label)),
        note: note.to_owned(),
        session,
    }
}

/// What was answered, or why nothing was.
fn answer_of(outcome: &Outcome, session: &SessionKey) -> String {
    let failed = outcome.error.as_ref();
    let text = match failed {
        Some(error) => format!("{} {}", outcome.text, error.message),
        None => outcome.text.clone(),
    };
    let text = text.trim();
    if text.chars().nth(ANSWER_CHARS_MAX).is_none() {
        return text.to_owned();
    }
    let head: String = text.chars().take(ANSWER_CHARS_MAX).collect();
    format!("{head}\n[the rest: sessions_history of {session}]")
}

fn failed(why: &str) -> ToolError {
    ToolError::Failed(why.to_owned())
}

impl Inner {
    /// Stops everybody who works for a conversation, and whoever works for those.
    pub(crate) fn stop_children(&self, parent: &SessionKey) -> bool {
        let children = self.house.errands.descendants(parent);
        for child in &children {
            if let Some(handle) = self.awake.find(child) {
                let (asker, _answer) = oneshot::channel();
                // An inbox that is full is emptied by a task that is busy: it ends by its deadline.
                drop(handle.orders.try_send(Order::Stop(asker)));
            }
        }
        !children.is_empty()
    }

    /// Hands a message that is stored to the conversation that it is for, as soon as there is room.
    pub(crate) fn hand_on(self: &Arc<Self>, inbound: Inbound) {
        let inner = Arc::clone(self);
        let stored = StoredInbound {
            inbound,
            state: InboxState::Pending,
            run: None,
        };
        self.tasks.spawn(async move {
            crate::recover::resume(&inner, stored, &BTreeMap::new()).await;
        });
    }
}

impl Turn {
    /// The errand that this turn runs.
    pub(crate) fn errand(&self) -> Option<&Errand> {
        self.batch.first()?.overrides.errand.as_deref()
    }

    /// The answer on its way back to whoever gave the task, stored together with the end of the turn.
    /// None if a call waits for it, or if the task was stopped.
    pub(crate) async fn report(&self, outcome: &Outcome) -> Option<(Inbound, Event)> {
        let first = self.batch.first()?;
        let errand = self.errand()?;
        if outcome.status == OutcomeStatus::Aborted || self.house.errands.settle(&first.id) {
            return None;
        }
        let label = self.window.label().clone();
        let (to, report) = errands::report(errand, &self.key, label)?;
        let row = self.house.parts.store.session_by_key(&to).await.ok()??;
        if row.deleted_at.is_some() {
            return None;
        }
        let how = if outcome.status == OutcomeStatus::Ok {
            "has finished"
        } else {
            "could not finish"
        };
        let head = match errand.kind {
            ErrandKind::Task | ErrandKind::Word | ErrandKind::Answer => "The sub-agent",
            ErrandKind::Report => "The sub-agent, with those that work for it,",
        };
        let head = format!("[From the gateway] {head} {} {how}. It says:", self.key);
        let house = &self.house;
        let mut inbound = Inbound {
            id: InboundId::new(house.now(), house.random()),
            session_key: to,
            // A call that was approved late is made on behalf of whoever asked for it.
            principal: self
                .behalf
                .clone()
                .unwrap_or_else(|| first.principal.clone()),
            received_at: house.now(),
            surface: SURFACE.to_owned(),
            idempotency_key: Some(format!("report:{}", first.id)),
            parts: vec![Part::text(head), Part::text(answer_of(outcome, &self.key))],
            on_restart: OnRestart::Resume,
            overrides: Overrides {
                errand: Some(Box::new(report)),
                ..Overrides::default()
            },
        };
        mask::inbound(house.content_mode(), &mut inbound);
        let event = submit::message_in(house, &inbound, &row);
        Some((inbound, event))
    }

    pub(crate) fn report_op(message: &(Inbound, Event)) -> Op {
        Op::Accept(Box::new(message.clone()))
    }
}

impl Turn {
    /// The owner's words that this run serves, the oldest first: those that stand in the conversation,
    /// or those of the request that another one sent it for.
    pub(crate) async fn request_words(&self) -> Vec<String> {
        let Some(errand) = self.errand() else {
            return words_in(&self.window);
        };
        let Some(session) = &errand.words.session else {
            return Vec::new();
        };
        let mut words = Vec::new();
        for id in errand.words.entries.iter().take(errands::WORDS_MAX) {
            let found = place::entry(&self.house.parts.store, session, id).await;
            if let Ok(Some(entry)) = found
                && let EntryBody::User {
                    parts, principal, ..
                } = &entry.body
                && principal.is_owner()
            {
                words.push(plain_text(parts));
            }
        }
        // What he wrote while this run waited for him.
        let beside =
            self.batch.iter().skip(1).filter(|inbound| {
                inbound.principal.is_owner() && inbound.overrides.errand.is_none()
            });
        words.extend(beside.map(|inbound| plain_text(&inbound.parts)));
        words
    }

    /// Plan and counts: those of the request that this run serves.
    pub(crate) async fn tally(&self) -> SharedTally {
        let house = &self.house;
        match self.errand() {
            Some(errand) => {
                house
                    .errands
                    .tally(&errand.request, &house.parts.store)
                    .await
            }
            None => SharedTally::default(),
        }
    }

    /// Plan and counts of the request as they stand now, to be stored with what is done.
    pub(crate) fn request_op(&self) -> Option<Op> {
        let own = &self.run;
        let request = self.errand().map_or(own, |errand| &errand.request);
        let body = self.house.errands.to_store(request)?;
        Some(Op::PutRequest {
            run: request.clone(),
            body,
            at: self.house.now(),
        })
    }

    /// What this run may hand on to another conversation.
    pub(crate) fn hands_on(&self, basis: &Basis) -> Chain {
        let tally = self.judging.as_ref().map(|judging| &judging.tally);
        let known = &basis.authority().annotations;
        let own = basis.tools.iter().map(|tool| tool.name.clone());
        let tools = own.filter(|name| known.contains_key(name)).collect();
        let route = basis.behaviour(self).route.primary.as_str();
        let chosen = basis.chain.first().filter(|model| model.as_str() != route);
        let errand = self.errand();
        Chain {
            principal: self.principal(),
            request: errand.map_or_else(|| self.run.clone(), |errand| errand.request.clone()),
            tally: tally.cloned().unwrap_or_default(),
            words: errand.map_or_else(|| self.words(), |errand| errand.words.clone()),
            depth: errand.map_or(0, |errand| errand.depth),
            tools,
            back: errand.and_then(|errand| errand.back.clone()),
            models: basis.chain.clone(),
            model: chosen.cloned(),
            cancel: self.cancel.clone(),
        }
    }

    /// Where the owner's words of this conversation stand.
    fn words(&self) -> OwnersWords {
        let seen = self.window.seen().into_iter();
        let mut entries: Vec<EntryId> = seen
            .filter_map(|seen| match seen {
                Seen::Words { entry, .. } => Some(entry.clone()),
                Seen::Errand { .. } | Seen::Result { .. } => None,
            })
            .collect();
        let old = entries.len().saturating_sub(errands::WORDS_MAX);
        OwnersWords {
            session: Some(self.record.session().clone()),
            entries: entries.split_off(old),
        }
    }
}
