//! What is written and read: the changes, the rows and the filters. Plain data.

use instar_protocol::amend::{EditState, NoteEdit};
use instar_protocol::approval::{Question, StandingRule};
use instar_protocol::contact::Contact;
use instar_protocol::event::Event;
use instar_protocol::fault::{FaultEdit, Occasions};
use instar_protocol::letter::Letter;
use instar_protocol::memory::NoteState;
use instar_protocol::message::{Entry, Inbound, InboxState, Outbox, OutboxState};
use instar_protocol::model::Attempt;
use instar_protocol::receipt::Receipt;
use instar_protocol::tool::ToolCall;
use instar_protocol::{
    AgentId, EntryId, EventId, InboundId, ObjectHash, OutboxId, ReleaseId, RunId, SessionId,
    SessionKey, Timestamp,
};

use crate::candidates::{CandidateRow, EnvelopeRow};
use crate::devices::{DeviceRow, DeviceToken};
use crate::faults::FaultRow;
use crate::healing::HealingRow;
use crate::notes::NoteRow;
use crate::programs::ProgramRun;
use crate::rollouts::{RolloutRow, UnitRow};
use crate::traces::{FileLabel, KeptOutput, UndoRow};

/// One change. A batch of them is applied whole or not at all.
#[derive(Debug, Clone)]
pub enum Op {
    /// Points the key at a new session (the earlier one stays stored).
    PutSession(SessionRow),
    /// Changes the mutable fields of a session.
    PatchSession {
        id: SessionId,
        patch: SessionPatch,
    },
    /// Marks a session deleted; undone by `RestoreSession` until maintenance removes it.
    DeleteSession {
        id: SessionId,
        at: Timestamp,
    },
    RestoreSession {
        id: SessionId,
    },
    /// Adds an entry and counts it; the session's leaf moves by `PatchSession` alone.
    AppendEntry(Entry),
    /// Takes some of the entries that the index of what was said lacks into it, the oldest first.
    IndexSaid,
    AppendEvent(Event),
    /// Stores a message of the gateway's own with its event, unless its idempotency key was seen.
    Accept(Box<(Inbound, Event)>),
    SettleInbound {
        id: InboundId,
        run: Option<RunId>,
        state: InboxState,
        at: Timestamp,
    },
    PutOutbox(Outbox),
    SettleOutbox {
        id: OutboxId,
        state: OutboxState,
        at: Timestamp,
    },
    /// The intent of a call that leaves traces; written before the call runs.
    BeginEffect {
        run: RunId,
        session: SessionId,
        call: ToolCall,
        at: Timestamp,
    },
    /// The outcome of such a call.
    EndEffect {
        run: RunId,
        call_id: String,
        outcome: EffectOutcome,
        at: Timestamp,
    },
    /// Moves an alias and appends to its history.
    MoveAlias {
        alias: String,
        to: ReleaseId,
        reason: String,
        by: String,
        at: Timestamp,
    },
    PutRelease {
        id: ReleaseId,
        object: ObjectHash,
        at: Timestamp,
    },
    /// Adds to the spending of a day, for budgets and the usage page.
    AddSpend(Spend),
    PutWebSession(WebSession),
    DropWebSession {
        digest: String,
    },
    /// Approves a device, or approves it anew: its token is gone then.
    PutDevice(DeviceRow),
    RenameDevice {
        id: String,
        name: String,
    },
    SeenDevice {
        id: String,
        at: Timestamp,
    },
    /// Forgets a device and its token.
    ForgetDevice {
        id: String,
    },
    /// Gives a device its token in the place of the one it had; nothing if the device is gone.
    PutDeviceToken(DeviceToken),
    /// Takes the token of a device back, until the device is approved anew or given another.
    RevokeDeviceToken {
        device: String,
        at: Timestamp,
    },
    /// Asks the owner.
    PutQuestion(Box<Question>),
    /// Writes a question in its next state. The batch is refused if it was settled meanwhile.
    SettleQuestion {
        question: Box<Question>,
        at: Timestamp,
    },
    /// Keeps a standing rule, or writes it again as revoked.
    PutRule(StandingRule),
    AppendReceipt(Receipt),
    PutFileLabel(FileLabel),
    PutUndo(UndoRow),
    PutOutput(KeptOutput),
    PutProgramRun(ProgramRun),
    DropProgramRun {
        id: String,
    },
    /// Stores a candidate, or its next state.
    PutCandidate(CandidateRow),
    PutEnvelope(EnvelopeRow),
    /// Leaves something for the owner.
    PutLetter(Box<Letter>),
    /// Writes a letter in its next state. The batch is refused if it was settled meanwhile.
    SettleLetter {
        letter: Box<Letter>,
        at: Timestamp,
    },
    /// Stores a fault, or what it has come to.
    PutFault(Box<FaultRow>),
    /// Stores what was counted of a place.
    PutOccasions(Occasions),
    /// Writes down a change of the register of faults.
    EditFaults {
        edit: FaultEdit,
        who: String,
        at: Timestamp,
    },
    /// Writes down a cycle of the lab; faults beyond the most that are kept go.
    PutLabRun {
        body: String,
        at: Timestamp,
    },
    /// Keeps something that the lab is told again.
    PutLabMemory {
        name: String,
        body: String,
    },
    /// Stores a row about fixes, or what it has come to.
    PutHealing(HealingRow),
    RemoveHealing {
        kind: String,
        id: String,
    },
    /// Stores a rollout, or its next state. The batch is refused if another one is open.
    PutRollout(RolloutRow),
    /// Stores a unit of a rollout, or its next state; nothing once it is settled.
    PutUnit(UnitRow),
    /// Keeps a note of a candidate's turn; the batch is refused where its rollout has too many.
    PutNote(Box<NoteRow>),
    /// Moves such a note on. The batch is refused if it is in another state.
    SettleNote {
        id: String,
        from: NoteState,
        to: NoteState,
    },
    /// Forgets such a note, which has to be in quarantine.
    DropNote {
        id: String,
    },
    /// Keeps what is proposed about a note; the batch is refused where something about it waits.
    PutNoteEdit(Box<NoteEdit>),
    /// Moves it on. The batch is refused if it is in another state.
    SettleNoteEdit {
        edit: Box<NoteEdit>,
        from: EditState,
    },
    /// Keeps somebody whom the owner wrote to first; nothing if he is known already.
    MeetContact(Contact),
    /// Forgets somebody. The batch is refused if nobody is called that.
    ForgetContact {
        text: String,
    },
    /// Keeps plan and counts of a request that several conversations serve.
    PutRequest {
        run: RunId,
        body: String,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectOutcome {
    Done,
    Failed,
    Uncertain,
}

impl EffectOutcome {
    /// The name as it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    pub id: SessionId,
    pub key: SessionKey,
    pub agent: AgentId,
    pub title: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The entry that the next one hangs under.
    pub leaf: Option<EntryId>,
    pub model: Option<String>,
    pub deleted_at: Option<Timestamp>,
    pub entries: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
    /// The conversation that this one works for, if it is a sub-agent's.
    pub parent: Option<SessionKey>,
}

/// `Some` fields are written, `None` fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPatch {
    pub title: Option<String>,
    /// `Some(None)` goes back to before the first entry.
    pub leaf: Option<Option<EntryId>>,
    pub model: Option<Option<String>>,
    pub updated_at: Option<Timestamp>,
    /// Added to the counters.
    pub add_input_tokens: u64,
    pub add_output_tokens: u64,
    pub add_cost_micros: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Local calendar day, `2026-11-21`.
    pub day: String,
    pub agent: AgentId,
    pub model: String,
    pub session: SessionId,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
}

impl Spend {
    /// What these tries have cost on a day. Those that used nothing cost nothing.
    #[must_use]
    pub fn of(day: &str, agent: &AgentId, session: &SessionId, attempts: &[Attempt]) -> Vec<Op> {
        let paid = attempts.iter().filter(|attempt| !attempt.usage.is_zero());
        paid.map(|attempt| {
            Op::AddSpend(Self {
                day: day.to_owned(),
                agent: agent.clone(),
                model: attempt.model.as_str().to_owned(),
                session: session.clone(),
                calls: 1,
                input_tokens: attempt.usage.input_tokens,
                output_tokens: attempt.usage.output_tokens,
                cost_micros: attempt.cost_micros,
            })
        })
        .collect()
    }
}

/// A browser session, known by the digest of its cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSession {
    pub digest: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub via: String,
}

/// What became of an inbound message at the door of the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// Stored; durable by the time this is returned.
    Fresh,
    /// The same idempotency key was accepted before, for this message.
    Duplicate {
        id: InboundId,
        state: InboxState,
        run: Option<RunId>,
    },
}

/// A place in a transcript where it goes on in more than one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The entry, or the root.
    pub parent: Option<EntryId>,
    /// What hangs under it, oldest first; at least two.
    pub children: Vec<EntryId>,
}

/// The branches of a transcript.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Branches {
    /// The one that was written last first.
    pub branches: Vec<Branch>,
    /// True if there are more than these.
    pub is_cut: bool,
}

/// One branch of a transcript, known by its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    pub leaf: EntryId,
    pub at: Timestamp,
    /// What was said on it since the last reset, by people and agent.
    pub messages: u64,
    /// The last thing that a person said on it.
    pub said: Option<Entry>,
    /// True if the next message goes here.
    pub is_active: bool,
}

#[derive(Debug, Clone)]
pub struct StoredInbound {
    pub inbound: Inbound,
    pub state: InboxState,
    pub run: Option<RunId>,
}

#[derive(Debug, Clone)]
pub struct OpenEffect {
    pub run: RunId,
    pub session: SessionId,
    pub call: ToolCall,
    pub at: Timestamp,
}

/// What a restart has to settle.
#[derive(Debug, Default)]
pub struct Unfinished {
    pub inbox: Vec<StoredInbound>,
    pub effects: Vec<OpenEffect>,
    pub outbox: Vec<Outbox>,
}

#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    pub agent: Option<AgentId>,
    pub search: Option<String>,
    pub deleted: bool,
    pub limit: usize,
    pub before: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub after: Option<EventId>,
    pub kind: Option<String>,
    pub session: Option<SessionId>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    pub limit: usize,
}

#[derive(Debug, Clone)]
pub struct AliasMove {
    pub seq: u64,
    pub alias: String,
    pub from: Option<ReleaseId>,
    pub to: ReleaseId,
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
    /// Takes in the move before it; `None` for moves from before there were hashes.
    pub hash: Option<String>,
}

#[derive(Debug, Clone)]
pub struct StoredRelease {
    pub id: ReleaseId,
    pub object: ObjectHash,
    pub at: Timestamp,
}

/// How long things stay.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub deleted_sessions_days: u32,
    /// Events, and settled inbox, outbox and effect rows.
    pub events_days: u32,
}
