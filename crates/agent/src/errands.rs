//! Errands: messages of one conversation of an agent's to another, and what they may do there.
//!
//! A run hands on its principal, the owner's words and the plan by reference, its tools or fewer, and
//! the label of everything that it had read. Nothing on the way adds to that: [`Chain`] is the only
//! place where an errand is made, and each is made from the chain of the run that sends it.

use instar_policy::{Counts, Plan};
use instar_protocol::errand::{Back, Errand, ErrandKind, OwnersWords};
use instar_protocol::model::ModelRef;
use instar_protocol::{InboundId, Label, Principal, RunId, SessionKey};
use instar_store::Store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// Errands that one request of the owner's may set going, all its conversations together.
pub(crate) const PER_REQUEST_MAX: u32 = 20;
/// Requests whose plans and counts are kept for the conversations that serve them.
const REQUESTS_MAX: usize = 512;
/// The owner's newest messages that are handed on by reference.
pub(crate) const WORDS_MAX: usize = 20;
/// Tools that set errands going.
const TOOLS_OF_ERRANDS: [&str; 2] = ["sessions_send", "sessions_spawn"];
/// What stays with the conversation that the owner talks in: who works for it asks whoever sent it.
const NOT_HANDED_ON: &str = "ask_owner";

/// Plan and counts of one request, shared by all the runs that serve it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    /// The outer one is set once a plan was asked for.
    pub(crate) plan: Option<Option<Plan>>,
    pub(crate) errands: u32,
    /// Nobody knows any more what was planned and done.
    pub(crate) is_lost: bool,
}

/// A tally as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredTally {
    counts: Counts,
    /// A plan was asked for, whether or not there came one.
    is_planned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    errands: u32,
}

impl Tally {
    /// Its stored form. A lost one is not stored over what may be known.
    pub(crate) fn stored(&self) -> Option<String> {
        if self.is_lost {
            return None;
        }
        let stored = StoredTally {
            counts: self.counts.clone(),
            is_planned: self.plan.is_some(),
            plan: self.plan.clone().flatten(),
            errands: self.errands,
        };
        serde_json::to_string(&stored).ok()
    }

    fn read(text: &str) -> Option<Self> {
        let stored: StoredTally = serde_json::from_str(text).ok()?;
        Some(Self {
            counts: stored.counts,
            plan: stored.is_planned.then_some(stored.plan),
            errands: stored.errands,
            is_lost: false,
        })
    }
}

pub(crate) type SharedTally = Arc<Mutex<Tally>>;

/// What a run may hand on.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) principal: Principal,
    pub(crate) request: RunId,
    pub(crate) tally: SharedTally,
    pub(crate) words: OwnersWords,
    pub(crate) depth: u8,
    pub(crate) tools: BTreeSet<String>,
    pub(crate) back: Option<Box<Back>>,
    /// The models that the run itself would be answered by.
    pub(crate) models: Vec<ModelRef>,
    /// The one that the owner chose for the conversation, where it is not the agent's own.
    pub(crate) model: Option<ModelRef>,
    pub(crate) cancel: CancellationToken,
}

impl Chain {
    /// What a sub-agent gets: no tool that this run does not have, one step further from the owner.
    pub(crate) fn task(
        &self,
        from: &SessionKey,
        label: Label,
        narrower: Option<&BTreeSet<String>>,
        title: Option<String>,
        depth_max: u8,
    ) -> Errand {
        let back = Back {
            to: from.clone(),
            depth: self.depth,
            tools: self.tools.clone(),
            further: self.back.clone(),
        };
        let errand = self.errand(ErrandKind::Task, from, label, depth_max);
        let tools = match narrower {
            Some(narrower) => errand.tools.intersection(narrower).cloned().collect(),
            None => errand.tools.clone(),
        };
        Errand {
            tools,
            back: Some(Box::new(back)),
            title,
            ..errand
        }
    }

    /// What another conversation gets that this one speaks to. It answers in itself alone.
    pub(crate) fn word(&self, from: &SessionKey, label: Label, depth_max: u8) -> Errand {
        self.errand(ErrandKind::Word, from, label, depth_max)
    }

    /// What the same run goes on with when it had to wait for the owner: no more and no less than it had.
    pub(crate) fn again(&self, from: &SessionKey, label: Label) -> Errand {
        Errand {
            kind: ErrandKind::Answer,
            from: from.clone(),
            label,
            depth: self.depth,
            request: self.request.clone(),
            words: self.words.clone(),
            tools: self.tools.clone(),
            back: self.back.clone(),
            title: None,
        }
    }

    fn errand(&self, kind: ErrandKind, from: &SessionKey, label: Label, depth_max: u8) -> Errand {
        let depth = self.depth.saturating_add(1);
        let mut tools = self.tools.clone();
        tools.remove(NOT_HANDED_ON);
        if depth >= depth_max {
            // What would be refused is not shown either.
            tools.retain(|tool| !TOOLS_OF_ERRANDS.contains(&tool.as_str()));
        }
        Errand {
            kind,
            from: from.clone(),
            label,
            depth,
            request: self.request.clone(),
            words: self.words.clone(),
            tools,
            back: None,
            title: None,
        }
    }
}

/// The answer of a sub-agent on its way back: the authority is that of whoever gave the task, when it
/// was given.
pub(crate) fn report(
    errand: &Errand,
    from: &SessionKey,
    label: Label,
) -> Option<(SessionKey, Errand)> {
    let back = errand.back.as_deref()?;
    let report = Errand {
        kind: ErrandKind::Report,
        from: from.clone(),
        label,
        depth: back.depth,
        request: errand.request.clone(),
        words: errand.words.clone(),
        tools: back.tools.clone(),
        back: back.further.clone(),
        title: None,
    };
    Some((back.to.clone(), report))
}

/// The one who stands for the writer of an errand in a transcript: no person, and nobody's words.
pub(crate) fn writer(errand: &Errand) -> Principal {
    Principal::Automation {
        source: errand.kind.source().to_owned(),
    }
}

/// True if a message of this writer came from another conversation.
pub(crate) fn is_writer(principal: &Principal) -> bool {
    let kinds = [
        ErrandKind::Task,
        ErrandKind::Report,
        ErrandKind::Word,
        ErrandKind::Answer,
    ];
    match principal {
        Principal::Automation { source } => kinds.iter().any(|kind| kind.source() == source),
        _ => false,
    }
}

/// The errands that are under way in this process.
#[derive(Debug, Default)]
pub(crate) struct Errands(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Runs that are calling a tool now, with what they may hand on.
    offers: BTreeMap<RunId, Chain>,
    requests: BTreeMap<RunId, SharedTally>,
    oldest: VecDeque<RunId>,
    children: BTreeMap<SessionKey, BTreeSet<SessionKey>>,
    /// Messages whose answer a call waits for.
    awaited: BTreeSet<InboundId>,
}

impl Errands {
    /// Lets a run hand on what it has, as long as the offer lives.
    pub(crate) fn offer(&self, run: &RunId, chain: Chain) -> Offer<'_> {
        let _earlier = self.lock().offers.insert(run.clone(), chain);
        Offer {
            errands: self,
            run: run.clone(),
        }
    }

    pub(crate) fn offered(&self, run: &RunId) -> Option<Chain> {
        self.lock().offers.get(run).cloned()
    }

    /// Plan and counts of a request; those of one that this process did not see begin as they were
    /// stored, and lost where they were not.
    pub(crate) async fn tally(&self, request: &RunId, store: &Store) -> SharedTally {
        if let Some(known) = self.known(request) {
            return known;
        }
        let stored = match store.request(request).await {
            Ok(stored) => stored.as_deref().and_then(Tally::read),
            Err(error) => {
                tracing::warn!(%error, "what was planned for a request cannot be read");
                None
            }
        };
        let Some(tally) = stored else {
            return Arc::new(Mutex::new(Tally {
                errands: PER_REQUEST_MAX,
                is_lost: true,
                ..Tally::default()
            }));
        };
        // Whoever serves the same request may have been first.
        let tally = Arc::new(Mutex::new(tally));
        let known = self.known(request).unwrap_or(tally);
        self.keep(request, &known);
        known
    }

    fn known(&self, request: &RunId) -> Option<SharedTally> {
        self.lock().requests.get(request).cloned()
    }

    /// What has to be stored of a request that more than one run serves, so that a restart forgets
    /// nothing of it.
    pub(crate) fn to_store(&self, request: &RunId) -> Option<String> {
        let tally = self.known(request)?;
        held(&tally).stored()
    }

    /// Takes one errand of those that the request has. False if it has no more.
    pub(crate) fn spend(&self, chain: &Chain) -> bool {
        {
            let mut tally = held(&chain.tally);
            if tally.errands >= PER_REQUEST_MAX {
                return false;
            }
            tally.errands += 1;
        }
        self.keep(&chain.request, &chain.tally);
        true
    }

    /// Keeps plan and counts for whoever serves the request later.
    pub(crate) fn keep(&self, request: &RunId, tally: &SharedTally) {
        let mut state = self.lock();
        let known = state.requests.insert(request.clone(), Arc::clone(tally));
        if known.is_none() {
            state.oldest.push_back(request.clone());
            if state.oldest.len() > REQUESTS_MAX
                && let Some(oldest) = state.oldest.pop_front()
            {
                let _gone = state.requests.remove(&oldest);
            }
        }
    }

    /// Notes that a conversation works for another one. False if that has `max` already.
    pub(crate) fn add_child(&self, parent: &SessionKey, child: &SessionKey, max: usize) -> bool {
        let mut state = self.lock();
        let children = state.children.entry(parent.clone()).or_default();
        if children.len() >= max && !children.contains(child) {
            return false;
        }
        let _new = children.insert(child.clone());
        true
    }

    pub(crate) fn drop_child(&self, parent: &SessionKey, child: &SessionKey) {
        let mut state = self.lock();
        if let Some(children) = state.children.get_mut(parent) {
            let _was = children.remove(child);
            if children.is_empty() {
                let _none = state.children.remove(parent);
            }
        }
    }

    /// Everybody who works for a conversation now, and for those.
    pub(crate) fn descendants(&self, parent: &SessionKey) -> Vec<SessionKey> {
        let state = self.lock();
        let mut found: Vec<SessionKey> = Vec::new();
        let mut open = vec![parent];
        while let Some(key) = open.pop() {
            for child in state.children.get(key).into_iter().flatten() {
                if !found.contains(child) {
                    found.push(child.clone());
                    open.push(child);
                }
            }
        }
        found
    }

    /// A call waits for the answer to this message.
    pub(crate) fn expect(&self, id: &InboundId) {
        let _new = self.lock().awaited.insert(id.clone());
    }

    /// Ends the waiting, from either side; true for the one that was first.
    pub(crate) fn settle(&self, id: &InboundId) -> bool {
        self.lock().awaited.remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an offer when it goes.
#[derive(Debug)]
pub(crate) struct Offer<'a> {
    errands: &'a Errands,
    run: RunId,
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        let _chain = self.errands.lock().offers.remove(&self.run);
    }
}

pub(crate) fn held(tally: &SharedTally) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::principal::Via;
    use instar_protocol::{AgentId, Origin, Origins, Readers};
    use proptest::prelude::*;

    const DEPTH_MAX: u8 = 4;

    fn chain(tools: BTreeSet<String>) -> Chain {
        Chain {
            principal: Principal::Owner { via: Via::Local },
            request: RunId::from_stored("run_root"),
            tally: SharedTally::default(),
            words: OwnersWords {
                session: None,
                entries: vec![instar_protocol::EntryId::from_stored("ent_said")],
            },
            depth: 0,
            tools,
            back: None,
            models: Vec::new(),
            model: None,
            cancel: CancellationToken::new(),
        }
    }

    /// The chain of the run that an errand begins.
    fn taken_up(errand: &Errand, before: &Chain) -> Chain {
        Chain {
            request: errand.request.clone(),
            words: errand.words.clone(),
            depth: errand.depth,
            tools: errand.tools.clone(),
            back: errand.back.clone(),
            ..before.clone()
        }
    }

    fn label(origin: u8) -> Label {
        let origin = match origin {
            0 => Origin::Owner,
            1 => Origin::System,
            2 => Origin::Contact("ann".to_owned()),
            _ => Origin::Stranger,
        };
        Label {
            origins: Origins::of(origin),
            readers: Readers::Private,
        }
    }

    #[derive(Clone, Debug)]
    enum Hop {
        Task(Option<BTreeSet<String>>, u8),
        Word(u8),
        Report(u8),
        Again(u8),
    }

    fn names() -> impl Strategy<Value = BTreeSet<String>> {
        let all = [
            "read",
            "write",
            "post",
            "look",
            "sessions_send",
            "sessions_spawn",
            "ask_owner",
        ];
        proptest::collection::btree_set(proptest::sample::select(all.to_vec()), 0..6)
            .prop_map(|set| set.into_iter().map(str::to_owned).collect())
    }

    fn hops() -> impl Strategy<Value = Vec<Hop>> {
        let hop = prop_oneof![
            (proptest::option::of(names()), 0_u8..4).prop_map(|(tools, l)| Hop::Task(tools, l)),
            (0_u8..4).prop_map(Hop::Word),
            (0_u8..4).prop_map(Hop::Report),
            (0_u8..4).prop_map(Hop::Again),
        ];
        proptest::collection::vec(hop, 1..12)
    }

    proptest! {
        /// Along any chain of tasks, words and answers nobody comes to have more than the run that the
        /// chain began with, and no label gets better.
        #[test]
        fn authority_never_grows_along_a_chain(root in names(), hops in hops()) {
            let key = SessionKey::main(&AgentId::main());
            let first = chain(root.clone());
            let (mut present, mut read) = (first.clone(), Label::owner());
            let mut errand: Option<Errand> = None;
            for hop in hops {
                let next = match hop {
                    Hop::Task(tools, l) => {
                        let context = read.join(&label(l));
                        present.task(&key, context, tools.as_ref(), None, DEPTH_MAX)
                    }
                    Hop::Word(l) => present.word(&key, read.join(&label(l)), DEPTH_MAX),
                    Hop::Again(l) => present.again(&key, read.join(&label(l))),
                    Hop::Report(l) => {
                        let context = read.join(&label(l));
                        match errand.as_ref().and_then(|errand| report(errand, &key, context)) {
                            Some((_, report)) => report,
                            None => continue,
                        }
                    }
                };
                // The tools are a part of those of the run that sent it, or of whoever gave the task.
                let giver = errand.as_ref().and_then(|errand| errand.back.clone());
                match next.kind {
                    ErrandKind::Report => {
                        let giver = giver.unwrap();
                        prop_assert_eq!(&next.tools, &giver.tools);
                        prop_assert_eq!(next.depth, giver.depth);
                    }
                    ErrandKind::Task | ErrandKind::Word => {
                        prop_assert!(next.tools.is_subset(&present.tools));
                        prop_assert!(!next.tools.contains(NOT_HANDED_ON));
                        prop_assert_eq!(next.depth, present.depth + 1);
                    }
                    ErrandKind::Answer => {
                        prop_assert_eq!(&next.tools, &present.tools);
                        prop_assert_eq!(&next.back, &present.back);
                        prop_assert_eq!(next.depth, present.depth);
                    }
                }
                prop_assert!(next.tools.is_subset(&root));
                prop_assert_eq!(&next.request, &first.request);
                prop_assert_eq!(&next.words, &first.words);
                prop_assert_eq!(&read.join(&next.label), &next.label);
                prop_assert!(!writer(&next).is_owner() && is_writer(&writer(&next)));
                if next.depth >= DEPTH_MAX {
                    prop_assert!(!next.tools.contains("sessions_spawn"));
                }
                read = read.join(&next.label);
                present = taken_up(&next, &present);
                errand = Some(next);
            }
        }
    }

    #[test]
    fn a_request_has_so_many_errands_and_a_lost_one_none() {
        let errands = Errands::default();
        let chain = chain(BTreeSet::new());
        for _ in 0..PER_REQUEST_MAX {
            assert!(errands.spend(&chain));
        }
        assert!(!errands.spend(&chain));
        let known = errands.known(&chain.request).unwrap();
        let stored = held(&known).stored().unwrap();
        let read = Tally::read(&stored).unwrap();
        assert_eq!(
            (read.errands, read.plan, read.is_lost),
            (PER_REQUEST_MAX, None, false)
        );
        assert!(errands.known(&RunId::from_stored("run_before")).is_none());
    }

    #[test]
    fn what_is_stored_of_a_request_is_what_was_planned_and_done() {
        let mut tally = Tally {
            plan: Some(None),
            ..Tally::default()
        };
        let again = |tally: &Tally| Tally::read(&tally.stored().unwrap()).unwrap();
        assert_eq!(
            again(&tally).plan,
            Some(None),
            "a plan was asked for in vain"
        );
        tally.plan = Some(Some(Plan::default()));
        tally.counts.done.insert("post".to_owned(), 2);
        let read = again(&tally);
        assert_eq!(
            (read.plan, read.counts),
            (tally.plan.clone(), tally.counts.clone())
        );
        tally.is_lost = true;
        assert_eq!(tally.stored(), None);
    }

    #[test]
    fn the_children_of_children_are_found_and_counted() {
        let key = |name: &str| SessionKey::under(&AgentId::main(), &["subagent", name]).unwrap();
        let (top, one, two) = (key("top"), key("one"), key("two"));
        let errands = Errands::default();
        assert!(errands.add_child(&top, &one, 1) && errands.add_child(&top, &one, 1));
        assert!(!errands.add_child(&top, &two, 1) && errands.add_child(&one, &two, 1));
        assert_eq!(errands.descendants(&top), [one.clone(), two.clone()]);
        errands.drop_child(&top, &one);
        assert!(errands.descendants(&top).is_empty());
    }
}
