//! What a turn leaves behind, gathered in memory until it is committed as one batch.

use instar_protocol::event::{Arm, Event, EventKind};
use instar_protocol::message::{Entry, EntryBody};
use instar_protocol::model::{Attempt, ModelRef, Usage};
use instar_protocol::reads::SkillText;
use instar_protocol::receipt::{Receipt, ReceiptKind};
use instar_protocol::tool::ToolCall;
use instar_protocol::{
    AgentId, EntryId, EventId, Label, ReleaseId, RunId, SessionId, Standing, Timestamp,
};
use instar_release::Served;
use instar_store::{Op, SessionPatch, SessionRow, Spend};
use std::sync::Arc;

use crate::house::House;
use crate::skills::Shelf;

/// The entries, events and spending of one run. Entries hang in one chain under the session's leaf.
#[derive(Debug)]
pub(crate) struct Record {
    house: Arc<House>,
    pub(crate) run: Option<RunId>,
    asker: Option<Standing>,
    agent: AgentId,
    pub(crate) row: SessionRow,
    /// True once the session's row is in the store.
    pub(crate) is_stored: bool,
    release: Option<ReleaseId>,
    /// The skills of that release.
    shelf: Option<Shelf>,
    arm: Arm,
    /// The rollout and the release of a candidate that serves the run.
    pub(crate) overlay: Option<(String, ReleaseId)>,
    pub(crate) entries: Vec<Entry>,
    /// How many of the entries are in the store.
    committed: usize,
    events: Vec<Event>,
    receipts: Vec<Receipt>,
    spend: Vec<Spend>,
    patch: SessionPatch,
    /// Nothing is said in this run: the time of the last change stays.
    is_quiet: bool,
    pub(crate) usage: Usage,
    pub(crate) cost_micros: u64,
}

impl Record {
    pub(crate) fn new(house: Arc<House>, agent: AgentId, row: SessionRow, is_stored: bool) -> Self {
        Self {
            house,
            run: None,
            asker: None,
            agent,
            row,
            is_stored,
            release: None,
            shelf: None,
            arm: Arm::Stable,
            overlay: None,
            entries: Vec::new(),
            committed: 0,
            events: Vec::new(),
            receipts: Vec::new(),
            spend: Vec::new(),
            patch: SessionPatch::default(),
            is_quiet: false,
            usage: Usage::default(),
            cost_micros: 0,
        }
    }

    /// Starts a run on what the last one left.
    pub(crate) fn begin(&mut self, run: RunId, asker: Standing) {
        self.run = Some(run);
        self.asker = Some(asker);
    }

    /// Leaves the time of the session's last change as it is, for this run.
    pub(crate) fn quiet(&mut self) {
        self.is_quiet = true;
    }

    /// Somebody spoke into the run: it counts as that of whoever is furthest away.
    pub(crate) fn heard(&mut self, asker: Standing) {
        self.asker = self.asker.max(Some(asker));
    }

    /// True if somebody else than the house asked for this run.
    pub(crate) fn is_outside(&self) -> bool {
        self.asker.is_some_and(Standing::is_outside)
    }

    /// Lets go of the entries of a run whose end is durable.
    pub(crate) fn end(&mut self) {
        self.run = None;
        self.asker = None;
        self.is_quiet = false;
        self.entries = Vec::new();
        self.committed = 0;
        self.usage = Usage::default();
        self.cost_micros = 0;
    }

    /// Everything recorded from here on was served by this release.
    pub(crate) fn serve(&mut self, served: &Served) {
        let release = served.release.id.clone();
        self.overlay = served
            .overlay
            .clone()
            .map(|rollout| (rollout, release.clone()));
        self.release = Some(release);
        self.shelf = Some(Shelf::of(&served.release));
        self.arm = served.arm;
    }

    /// The skill that a call reads, if there is one.
    pub(crate) fn skill_of(&self, call: &ToolCall) -> Option<SkillText> {
        self.shelf.as_ref()?.read_by(&self.agent, call)
    }

    /// Lets the next entry hang under another one, or be a root.
    pub(crate) fn move_leaf(&mut self, to: Option<EntryId>) -> Option<EntryId> {
        std::mem::replace(&mut self.row.leaf, to)
    }

    /// Appends an entry under the leaf.
    pub(crate) fn entry(&mut self, body: EntryBody, label: Label) -> &Entry {
        let at = self.house.now();
        self.entry_at(at, body, label)
    }

    pub(crate) fn entry_at(&mut self, at: Timestamp, body: EntryBody, label: Label) -> &Entry {
        let id = EntryId::new(self.house.now(), self.house.random());
        let parent = self.row.leaf.replace(id.clone());
        let index = self.entries.len();
        self.entries.push(Entry {
            id,
            parent,
            session: self.row.id.clone(),
            at,
            run: self.run.clone(),
            label,
            body,
        });
        &self.entries[index]
    }

    pub(crate) fn event(&mut self, label: Label, kind: EventKind) {
        self.house.tally.count(&kind);
        let at = self.house.now();
        self.events.push(Event {
            id: EventId::new(at, self.house.random()),
            at,
            session: Some(self.row.id.clone()),
            run: self.run.clone(),
            asker: self.asker,
            release: self.release.clone(),
            arm: self.arm,
            label,
            kind,
        });
    }

    /// Adds what was decided or done to the chain of receipts.
    pub(crate) fn receipt(&mut self, kind: ReceiptKind, body: serde_json::Value) {
        let receipt = self.receipt_of(kind, body);
        self.receipts.push(receipt);
    }

    /// A receipt of this run.
    pub(crate) fn receipt_of(&self, kind: ReceiptKind, body: serde_json::Value) -> Receipt {
        Receipt {
            at: self.house.now(),
            kind,
            session: Some(self.row.id.clone()),
            run: self.run.clone(),
            body,
            salt: crate::asking::salt(),
        }
    }

    /// Adds what a model call cost to the run, the session and the day, for each model that was
    /// asked.
    pub(crate) fn spent(&mut self, attempts: &[Attempt]) {
        for attempt in attempts.iter().filter(|attempt| !attempt.usage.is_zero()) {
            self.spent_on(&attempt.model, attempt.usage, attempt.cost_micros);
        }
    }

    fn spent_on(&mut self, model: &ModelRef, usage: Usage, cost_micros: u64) {
        self.usage.add(usage);
        self.cost_micros += cost_micros;
        self.patch.add_input_tokens += usage.input_tokens;
        self.patch.add_output_tokens += usage.output_tokens;
        self.patch.add_cost_micros += cost_micros;
        let model = model.as_str();
        if let Some(row) = self.spend.iter_mut().find(|row| row.model == model) {
            row.calls += 1;
            row.input_tokens += usage.input_tokens;
            row.output_tokens += usage.output_tokens;
            row.cost_micros += cost_micros;
            return;
        }
        self.spend.push(Spend {
            day: self.house.today(),
            agent: self.agent.clone(),
            model: model.to_owned(),
            session: self.row.id.clone(),
            calls: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micros,
        });
    }

    pub(crate) fn choose_model(&mut self, model: Option<String>) {
        self.row.model.clone_from(&model);
        self.patch.model = Some(model);
    }

    /// The batch that makes everything since the last [`Record::committed`] durable. `more` goes last.
    pub(crate) fn ops(&self, more: &[Op]) -> Vec<Op> {
        let entries = &self.entries[self.committed..];
        let mut ops = Vec::with_capacity(entries.len() + self.events.len() + more.len() + 3);
        if !self.is_stored {
            // The counters and the leaf come with the patch and the entries.
            ops.push(Op::PutSession(SessionRow {
                leaf: None,
                ..self.row.clone()
            }));
        }
        ops.extend(entries.iter().cloned().map(Op::AppendEntry));
        ops.push(Op::PatchSession {
            id: self.row.id.clone(),
            patch: SessionPatch {
                leaf: Some(self.row.leaf.clone()),
                updated_at: (!self.is_quiet).then(|| self.house.now()),
                ..self.patch.clone()
            },
        });
        ops.extend(self.events.iter().cloned().map(Op::AppendEvent));
        ops.extend(self.receipts.iter().cloned().map(Op::AppendReceipt));
        ops.extend(self.spend.iter().cloned().map(Op::AddSpend));
        ops.extend_from_slice(more);
        ops
    }

    /// The batch that keeps what was spent of a run that leaves nothing else behind. Nothing if
    /// nothing was.
    pub(crate) fn spend_ops(&self) -> Vec<Op> {
        if self.spend.is_empty() {
            return Vec::new();
        }
        let mut ops = Vec::new();
        if !self.is_stored {
            ops.push(Op::PutSession(SessionRow {
                leaf: None,
                ..self.row.clone()
            }));
        }
        ops.push(Op::PatchSession {
            id: self.row.id.clone(),
            patch: SessionPatch {
                model: None,
                ..self.patch.clone()
            },
        });
        let calls = self.events.iter().filter(|event| {
            // The other steps are taken again when the message is answered.
            matches!(event.kind, EventKind::ModelCall { .. })
        });
        ops.extend(calls.cloned().map(Op::AppendEvent));
        ops.extend(self.spend.iter().cloned().map(Op::AddSpend));
        ops
    }

    /// Everything so far is durable.
    pub(crate) fn committed(&mut self) {
        self.is_stored = true;
        self.committed = self.entries.len();
        self.events.clear();
        self.receipts.clear();
        self.spend.clear();
        let patch = std::mem::take(&mut self.patch);
        self.row.input_tokens += patch.add_input_tokens;
        self.row.output_tokens += patch.add_output_tokens;
        self.row.cost_micros += patch.add_cost_micros;
        if !self.is_quiet {
            self.row.updated_at = self.house.now();
        }
    }

    /// True if a part of this run is already in the store.
    pub(crate) fn is_begun(&self) -> bool {
        self.committed > 0
    }

    pub(crate) fn session(&self) -> &SessionId {
        &self.row.id
    }

    pub(crate) fn agent(&self) -> &AgentId {
        &self.agent
    }
}
