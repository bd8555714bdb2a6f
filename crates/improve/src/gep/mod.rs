//! The folder of files in which engines of this kind exchange what they know: genes, capsules, events,
//! and what was learned. They are written from the one ledger of the gateway, every asset under the
//! address of the very bytes that are stored, and read with distrust.
//!
//! Nothing in them says on which machine they were written. Nothing in them is run: what a foreign gene
//! says in prose and in command lines is shown and left alone.

mod events;
mod fix;
mod read;
mod take;
mod write;

pub use read::{Doubt, Report, read};
pub use write::{Ledger, write};

/// The version of the schema that is written.
pub const SCHEMA: &str = "1.6.0";

const GENES: &str = "assets/gep/genes.json";
const CAPSULES: &str = "assets/gep/capsules.json";
/// Later entries of the same id win over those of the list.
const GENES_MORE: &str = "assets/gep/genes.jsonl";
const CAPSULES_MORE: &str = "assets/gep/capsules.jsonl";
const FAILED: &str = "assets/gep/failed_capsules.json";
const EVENTS: &str = "assets/gep/events.jsonl";
const FEEDBACK: &str = "memory/feedback.jsonl";
const EMBEDDINGS: &str = "memory/embeddings-cache.json";
const KNOWLEDGE: &str = "memory/knowledge.json";
const PREDICTOR: &str = "memory/predictor.json";
const CLUSTERS: &str = "memory/cluster-registry.json";
