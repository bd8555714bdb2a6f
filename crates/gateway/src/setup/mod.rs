//! Setting up: the questions, what their answers mean, and the work between them.
//!
//! [`Wizard`] is the conversation as a plain state machine: it says what to ask or what to do
//! ([`Now`]), takes an [`Answer`] or a [`Report`], and does no I/O. [`Setup`] does the work: it
//! looks around ([`Offer`]), tries models and writes, each answer by itself, so that a wizard that
//! is broken off leaves everything that was answered and nothing half done. The terminal, the
//! browser and the control plane put their own face on the same two; [`Desk`] keeps the wizards of
//! the latter two.

mod ask;
mod candidate;
mod desk;
mod draft;
mod offer;
mod seen;
mod step;
mod wizard;
mod words;
mod work;

#[cfg(test)]
mod tests;

pub use candidate::{Candidate, Custom, format_named};
pub use desk::{Desk, DeskError, View};
pub use offer::{KeyPlace, Listen, Offer, Service, VendorOffer};
pub use step::{Answer, Choice, Refused, Step, StepKind};
pub use wizard::{Now, Report, Summary, Task, Verdict, Wizard};
pub use words::{Tongue, Words, filled};
pub use work::{Setup, SetupError};
