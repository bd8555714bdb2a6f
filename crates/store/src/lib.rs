//! All SQL and the content-addressed object store.
//!
//! One writer thread applies batches of [`Op`]s and commits them in groups; readers come from a
//! pool. Start reading at [`Store`] and [`Op`]. Nothing outside this crate knows SQL.

mod aliases;
mod apply;
mod candidates;
mod check;
mod contacts;
mod devices;
mod error;
mod faults;
mod healing;
mod letters;
mod maintain;
mod migrate;
mod note_edits;
mod notes;
mod objects;
mod op;
mod open;
mod pool;
mod programs;
mod questions;
mod read;
mod receipts;
mod rollouts;
mod said;
mod search;
mod store;
mod sweep;
mod traces;
mod tree;
mod writer;

pub use aliases::AliasChain;
pub use apply::WEB_SESSIONS_MAX;
pub use candidates::{CandidateRow, CandidateState, EnvelopeRow};
pub use contacts::CONTACTS_MAX;
pub use devices::{DEVICES_MAX, DeviceRow, DeviceToken};
pub use error::{OpenError, StoreError};
pub use faults::{FAULTS_MAX, FaultEditRow, FaultRow, LabRunRow};
pub use healing::HealingRow;
pub use migrate::SCHEMA_VERSION;
pub use note_edits::NOTE_EDITS_MAX;
pub use notes::{NOTES_MAX, NoteRow};
pub use op::{
    Accepted, AliasMove, Branch, Branches, EffectOutcome, EventFilter, Fork, Op, OpenEffect,
    Retention, SessionFilter, SessionPatch, SessionRow, Spend, StoredInbound, StoredRelease,
    Unfinished, WebSession,
};
pub use open::{Options, Synchronous};
pub use programs::ProgramRun;
pub use questions::RULES_MAX;
pub use read::ROWS_MAX;
pub use rollouts::{RolloutRow, UnitRow};
pub use search::{Found, TextFound, TextSearch};
pub use store::{Stats, Store};
pub use sweep::Swept;
pub use traces::{FileLabel, KeptOutput, UndoRow};
pub use writer::{FLUSH_BOUNDS_MICROS, WriteProblem};
