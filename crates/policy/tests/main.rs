//! Policy at its border: facts in, decisions out.

mod canonical;
mod decisions;
mod facts;
mod permits;
mod table;
