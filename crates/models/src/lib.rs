//! Calls to language models: one codec per wire format, vendors as table rows, one road for every
//! call.
//!
//! Start at [`Models::call`] in `road`. [`codec`] turns a request into bytes and bytes into events,
//! with no I/O and within bounds; [`vendor`] is the table of vendors; `catalog` is what the
//! configuration makes of both.

mod models;

mod road;

mod attempt;
mod breaker;
mod budget;
mod cache;
mod gather;
mod retry;

pub mod codec;
pub mod stream;

mod catalog;
mod clearance;
pub mod config;
mod discover;
mod embed;
mod endpoint;
mod error;
pub mod price;
mod probe;
mod scrub;
pub mod vendor;

pub use clearance::Clearance;
pub use config::{Dollars, ModelsConfig, ProviderConfig};
pub use discover::LocalServer;
pub use embed::{EmbedError, Embedding, TEXTS_MAX};
pub use error::ModelError;
pub use models::{Call, Ledger, Mend, ModelInfo, Models, ObjectSource, Parts, Probe, SpendRecord};
