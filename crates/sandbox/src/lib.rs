//! Running a program inside walls, and acting on files beneath a root that nothing leads out of.
//!
//! The crate decides nothing: what may run, and with which walls, is settled before it is called.
//! It is the only crate with `unsafe` beyond one call of the command line.
//!
//! Start at [`root`]: files by descriptor, never by a path that is looked up twice.

pub mod root;
