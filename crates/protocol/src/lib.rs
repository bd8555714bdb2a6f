//! The words of the house as types: ids, labels, messages, events, model and API vocabulary.
//!
//! Nothing here does I/O, knows async, or decides anything. Every other crate may use it.
//! Start reading at [`message`], then [`label`] and [`principal`]; [`model`] is what model codecs
//! and the scripted demo model speak, [`event`] is what the improvement plane reads.

pub mod message;

pub mod amend;
pub mod api;
pub mod approval;
pub mod approvals;
pub mod beats;
pub mod contact;
pub mod devices;
pub mod errand;
pub mod event;
pub mod fault;
pub mod heartbeat;
pub mod id;
pub mod judge;
pub mod lab;
pub mod label;
pub mod letter;
pub mod live;
pub mod memory;
pub mod model;
pub mod policy;
pub mod principal;
pub mod reads;
pub mod receipt;
pub mod redact;
pub mod schedule;
pub mod secret;
pub mod security;
pub mod session;
pub mod time;
pub mod tool;

pub use id::{
    EntryId, EventId, InboundId, LetterId, ObjectHash, OutboxId, QuestionId, ReleaseId, RuleId,
    RunId, SessionId, UndoId,
};
pub use label::{Label, Origin, Origins, Readers};
pub use principal::{Principal, Standing};
pub use secret::{Secret, SecretOrigin, SecretRef, SecretSource};
pub use session::{AgentId, SessionKey};
pub use time::{Clock, Timestamp};
