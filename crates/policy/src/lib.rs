//! Pure decisions about tool calls: facts in, allow or deny out. Mints the only [`Permit`].
//!
//! It does no I/O, reads no clock and keeps no state: the same facts give the same answer. What it
//! does not do: check arguments against a tool's schema (the toolbox does, unknown fields refused),
//! ask people (its caller does), or read files of rules (it is handed their text).
//!
//! Start at [`decide()`], then [`Authority`], which is every fact that a decision reads, then
//! [`Permit`]. [`proof`] asks a solver whether rules let through more than others. [`canonical`] writes values in the one form that digests and hashes are taken over.

mod decide;

mod annotation;
mod authority;
pub mod canonical;
pub mod cedar;
mod disguise;
mod evidence;
mod facts;
mod grade;
mod infer;
mod judge;
pub mod links;
mod naming;
mod payload;
mod permit;
mod plan;
pub mod proof;
mod question;
mod recorded;
pub mod suppose;
mod typed;
mod wide;
pub mod words;
mod writers;

pub use annotation::{Annotation, Field, FieldRole, Leaf, OwnRow, Reach, Slot, SlotRole};
pub use authority::{Authority, Known, ListOf, Posture, Profile, Role, ToolList};
pub use decide::{
    ARGUMENT_BYTES_MAX, Approval, Counts, Decision, Denial, Explanation, NAME_BYTES_MAX, OPEN_MAX,
    REFUSALS_MAX, Request, decide, decide_recorded, explain, offered, rules, visible,
};
pub use evidence::Evidence;
pub use grade::{Grade, Graded, OWNER, OWNERS_INBOX, WORKSPACE};
pub use infer::{Families, Server, infer};
pub use permit::Permit;
pub use plan::{OffPlan, Pick, Plan, Planned, STEPS_MAX, Step};
pub use question::{Draft, Rule};
pub use recorded::{Recorded, Turn};
pub use typed::{Kind, Typed, normal};
pub use wide::{Wide, wide};
pub use words::Words;
pub use writers::{Writer, refused};
