//! The author of the improvement plane: it reads redacted events, groups failures by cause, and
//! writes deltas. It decides nothing, serves nothing and signs nothing.
//!
//! What comes out of here is a proposal: rows and candidates that the gateway checks by type and bound
//! before it keeps them. Whoever measures a proposal shares no code with whoever wrote it.
//!
//! [`lab`] is one cycle: [`signal`] finds what went wrong in events, [`cluster`] groups messages by
//! template. [`gene`] has the recipes, [`choose`] says which is tried. [`gep`] writes and reads the files of
//! the exchange, [`asset`] has their content addresses.

pub mod asset;
pub mod choose;
pub mod cluster;
pub mod gene;
pub mod gep;
pub mod heal;
pub mod lab;
pub mod signal;
