//! Signs that something went wrong, out of redacted events.
//!
//! What an event says in its fields comes first: the class of an error, attempts, outcomes, costs, how
//! often a call was made. Text comes second ([`text`]), and where it says that nothing happened, nothing
//! did. All that is remembered between events is bounded.

mod denial;
mod taken_back;
pub mod text;
mod trace;
mod watch;
mod words;

pub use trace::frames;
pub use watch::{KeptWatch, Sign, Watch};
