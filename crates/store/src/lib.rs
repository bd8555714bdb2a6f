//! All SQL and the content-addressed object store.
//!
//! One writer thread applies batches of [`Op`]s and commits them in groups; readers come from a
//! pool. Start reading at [`Store`] and [`Op`]. Nothing outside this crate knows SQL.

use std::path::{Path, PathBuf};

use instar_protocol::event::Event;
use instar_protocol::message::{Entry, Inbound, InboxState, Outbox, OutboxState};
use instar_protocol::tool::ToolCall;
use instar_protocol::{
    AgentId, EntryId, EventId, InboundId, Label, ObjectHash, OutboxId, ReleaseId, RunId, SessionId,
    SessionKey, Timestamp,
};

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
    AppendEntry(Entry),
    AppendEvent(Event),
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectOutcome {
    Done,
    Failed,
    Uncertain,
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
}

/// `Some` fields are written, `None` fields stay.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionPatch {
    pub title: Option<String>,
    pub leaf: Option<EntryId>,
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
    pub limit: usize,
}

#[derive(Debug, Clone)]
pub struct AliasMove {
    pub alias: String,
    pub from: Option<ReleaseId>,
    pub to: ReleaseId,
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone)]
pub struct StoredRelease {
    pub id: ReleaseId,
    pub object: ObjectHash,
    pub at: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the state folder {path} was written by a newer Instar (schema {found}, this one knows {known})"
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error("cannot open the store in {path}")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot bring the store in {path} to schema {to}")]
    Migrate {
        path: PathBuf,
        to: u32,
        #[source]
        source: rusqlite::Error,
    },
    #[error("cannot prepare the folder {path}")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full")]
    Full,
    #[error("the state folder is read-only")]
    ReadOnly,
    #[error("the store is closed")]
    Closed,
    #[error("too many writes are waiting")]
    Busy,
    #[error("{doing} failed")]
    Sql {
        doing: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("stored {what} {id} cannot be read")]
    Decode {
        what: &'static str,
        id: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("object {0} is not stored or was changed on disk")]
    Object(ObjectHash),
    #[error("object store: {doing}")]
    Io {
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
}

#[derive(Debug, Clone)]
pub struct Options {
    pub readers: usize,
    /// How long a lazy batch may wait for company before it is committed on its own.
    pub lazy_ms: u64,
}
impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 2,
            lazy_ms: 50,
        }
    }
}

/// The open store. Cheap to clone; the writer thread ends when the last clone is dropped or
/// [`Store::close`] was called.
#[derive(Debug, Clone)]
pub struct Store {}

#[expect(clippy::todo, reason = "interface first")]
impl Store {
    /// Opens (or makes) the store below `state`, migrates it, and starts the writer.
    pub fn open(_state: &Path, _options: Options) -> Result<Self, OpenError> {
        todo!()
    }
    /// Stores an inbound message with its event. Durable when this returns.
    pub async fn accept(&self, _inbound: &Inbound, _event: Event) -> Result<Accepted, StoreError> {
        todo!()
    }
    /// Applies a batch atomically. Durable when this returns.
    pub async fn commit(&self, _ops: Vec<Op>) -> Result<(), StoreError> {
        todo!()
    }
    /// Hands over a batch that may wait for the next group commit. Lost by a crash before that.
    pub fn enqueue(&self, _ops: Vec<Op>) -> Result<(), StoreError> {
        todo!()
    }
    /// Flushes everything and stops the writer.
    pub async fn close(&self) -> Result<(), StoreError> {
        todo!()
    }

    /// The session that a key points at now.
    pub async fn session_by_key(
        &self,
        _key: &SessionKey,
    ) -> Result<Option<SessionRow>, StoreError> {
        todo!()
    }
    pub async fn session(&self, _id: &SessionId) -> Result<Option<SessionRow>, StoreError> {
        todo!()
    }
    pub async fn sessions(&self, _filter: SessionFilter) -> Result<Vec<SessionRow>, StoreError> {
        todo!()
    }
    pub async fn session_count(&self) -> Result<u64, StoreError> {
        todo!()
    }
    /// The path from the leaf towards the root, newest first, at most `limit` entries; it stops
    /// after a `Reset` entry. `from` is the leaf when `None`.
    pub async fn branch(
        &self,
        _session: &SessionId,
        _from: Option<EntryId>,
        _limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        todo!()
    }
    /// All entries of a session in the order they were stored, all branches, paged by rowid order.
    pub async fn entries(
        &self,
        _session: &SessionId,
        _after: Option<EntryId>,
        _limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        todo!()
    }
    pub async fn unfinished(&self) -> Result<Unfinished, StoreError> {
        todo!()
    }
    pub async fn inbound(&self, _id: &InboundId) -> Result<Option<StoredInbound>, StoreError> {
        todo!()
    }
    pub async fn entries_of_run(&self, _run: &RunId) -> Result<Vec<Entry>, StoreError> {
        todo!()
    }
    pub async fn outbox_of_run(&self, _run: &RunId) -> Result<Vec<Outbox>, StoreError> {
        todo!()
    }
    pub async fn uncertain(&self, _limit: usize) -> Result<Vec<Outbox>, StoreError> {
        todo!()
    }
    /// Newest first without `after`, oldest first behind it.
    pub async fn events(&self, _filter: EventFilter) -> Result<Vec<Event>, StoreError> {
        todo!()
    }
    pub async fn alias(&self, _alias: &str) -> Result<Option<ReleaseId>, StoreError> {
        todo!()
    }
    pub async fn alias_log(
        &self,
        _alias: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<AliasMove>, StoreError> {
        todo!()
    }
    pub async fn releases(&self) -> Result<Vec<StoredRelease>, StoreError> {
        todo!()
    }
    /// Spending rows of the days `from..=to`, summed per day, agent and model.
    pub async fn spend(&self, _from: &str, _to: &str) -> Result<Vec<Spend>, StoreError> {
        todo!()
    }
    pub async fn web_session(&self, _digest: &str) -> Result<Option<WebSession>, StoreError> {
        todo!()
    }
    /// Removes what retention says: deleted sessions, old events, spent web sessions. Bounded work per call.
    pub async fn maintain(&self, _now: Timestamp, _keep: Retention) -> Result<u64, StoreError> {
        todo!()
    }

    /// Stores bytes under their SHA-256; an object that exists is left alone. Durable when this returns.
    pub async fn put_object(&self, _bytes: Vec<u8>) -> Result<ObjectHash, StoreError> {
        todo!()
    }
    /// Reads an object and checks its hash.
    pub async fn object(&self, _hash: &ObjectHash) -> Result<Vec<u8>, StoreError> {
        todo!()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Retention {
    pub deleted_sessions_days: u32,
    pub events_days: u32,
}

#[allow(unused_imports, reason = "interface first")]
use Label as _;
