//! Behaviour as a value: canonical form, content hash, releases, aliases and `resolve`.
//!
//! A release is two objects in the store: the behaviour in canonical form, whose SHA-256 is the
//! release's id, and a manifest that says who made it when and from what. Equal behaviour has an
//! equal id, so going back to an earlier behaviour moves the alias and stores nothing.
//!
//! What is served is signed ([`sign`], [`Releases::open_signed`]): its provenance, and the move of the
//! alias to it, so that an old release is not taken for the one in service.
//!
//! Cohorts are told apart in [`Releases::resolve`].
//!
//! Changes that people, recipes or models propose are [`delta`]s. Some of them with a parent are a
//! [`Candidate`]: stored, judged ([`class`]), shown, and served to nobody before its gates have spoken
//! ([`gate`]): each is a check whose answer is signed, and one function decides from all of them.
//!
//! Where a release comes from is a [`lineage`]. What a behaviour does about faults is a [`mitigation`], and [`trial`] says whether it works.
//!
//! Start at [`Behaviour`], then [`Releases::adopt`].

mod behaviour;
mod candidate;
pub mod class;
pub mod delta;
pub mod mitigation;
mod releases;
pub mod retrieval;

pub mod evidence;
pub mod gate;
pub mod lineage;
mod literal;
pub mod rollout;
pub mod trial;

mod check;
mod diff;
mod endorse;
mod error;
mod files;
mod handover;
pub mod heartbeat;
mod kept;
mod name;
mod oci;
mod record;
mod rollback;
pub mod schedule;
mod settings;
pub mod sign;
pub mod skill;
mod trust;

pub use behaviour::{AgentBehaviour, Behaviour, Limits, PROMPT_FILES, PromptFile, Route};
pub use candidate::{
    Candidate, DELTAS_BYTES_MAX, DELTAS_MAX, Fit, Listed, OPEN_MAX, Proposal, Spec, build,
    read_deltas, short,
};
pub use check::{
    AGENTS_MAX, BEHAVIOUR_BYTES_MAX, FALLBACKS_MAX, PROMPT_CHARS_MAX, PROMPTS_CHARS_MAX, check,
};
pub use class::{Assessment, Class};
pub use delta::Delta;
pub use diff::{Change, diff, shown as skill_shown, text_diff};
pub use endorse::Spoken;
pub use error::ReleaseError;
pub use files::FILES;
pub use handover::{KeyShown, purpose};
pub use heartbeat::{Heartbeat, Hours};
pub use oci::{Bundle, BundleError};
pub use record::{Manifest, Release};
pub use releases::{Cohort, LIST_MAX, Releases, STABLE, Served, canonical};
pub use retrieval::Retrieval;
pub use rollback::WentBack;
pub use schedule::{Schedule, Schedules, When};
pub use settings::ToolSettings;
pub use skill::{Skill, Skills};
pub use trust::{Signer, Verified};
