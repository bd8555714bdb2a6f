//! From the ledger to the files.

use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::{
    CAPSULES, CLUSTERS, EMBEDDINGS, EVENTS, FEEDBACK, GENES, KNOWLEDGE, PREDICTOR, SCHEMA,
};
use crate::asset::{AssetError, seal};
use crate::gene::{Catalogue, Gene};

/// What the gateway has, as its API says it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Faults with their counts.
    pub faults: Vec<Value>,
    /// Changes of their register, the newest first.
    pub edits: Vec<Value>,
    /// Cycles of the lab, the newest first.
    pub cycles: Vec<Value>,
    /// Fixes that were tried, with their verdicts.
    pub trials: Vec<Value>,
}

/// The files by their path below the folder. The same ledger gives the same bytes.
pub fn write(
    ledger: &Ledger,
    genes: &Catalogue,
) -> Result<BTreeMap<&'static str, String>, AssetError> {
    let genes = genes
        .genes()
        .map(|gene| seal(shown(gene)))
        .collect::<Result<Vec<_>, _>>()?;
    let proven: Vec<&Value> = ledger
        .trials
        .iter()
        .filter(|trial| verdict(trial) == "proven")
        .collect();
    let capsules = proven
        .iter()
        .map(|trial| seal(capsule(trial)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(BTreeMap::from([
        (GENES, pretty(&json!({ "version": 1, "genes": genes }))),
        (
            CAPSULES,
            pretty(&json!({ "version": 1, "capsules": capsules })),
        ),
        (EVENTS, lines(&events(ledger)?)),
        (
            FEEDBACK,
            lines(&ledger.trials.iter().map(feedback).collect::<Vec<_>>()),
        ),
        // Vectors are of a model of the owner's and stay with it.
        (EMBEDDINGS, pretty(&json!({ "version": 1, "entries": {} }))),
        (
            KNOWLEDGE,
            pretty(
                &json!({ "version": 1, "lessons": proven.iter().map(|trial| feedback(trial)).collect::<Vec<_>>() }),
            ),
        ),
        // The weights of a nearest-neighbour predictor are its rows.
        (
            PREDICTOR,
            pretty(
                &json!({ "version": 1, "kind": "knn", "rows": ledger.trials.iter().map(feedback).collect::<Vec<_>>() }),
            ),
        ),
        (CLUSTERS, pretty(&clusters(ledger))),
    ]))
}

/// A gene in the words of the exchange. What it writes is a value of ours, not a step for a model.
fn shown(gene: &Gene) -> Value {
    let mut signals: Vec<&str> = gene.fits.kinds.iter().map(|kind| kind.name()).collect();
    signals.extend(gene.fits.words.iter().map(String::as_str));
    json!({
        "type": "Gene",
        "schema_version": SCHEMA,
        "id": gene.id,
        "summary": gene.title,
        "category": "repair",
        "signals_match": signals,
        "preconditions": [],
        "strategy": [gene.title],
        "constraints": { "max_files": 0, "forbidden_paths": [] },
        "validation": [],
        "instar": gene,
    })
}

fn capsule(trial: &Value) -> Value {
    json!({
        "type": "Capsule",
        "schema_version": SCHEMA,
        "id": format!("capsule_{}", text(trial, "id")),
        "trigger": [text(trial, "fault")],
        "gene": text(trial, "gene"),
        "summary": text(trial, "title"),
        "confidence": trial["confidence"],
        "blast_radius": { "files": 0, "lines": 0 },
        "outcome": { "status": "success", "score": trial["confidence"] },
        "source_type": "generated",
        "a2a": { "eligible_to_broadcast": false },
        "content": trial["mitigation"].to_string(),
    })
}

/// One event for each cycle, each naming the one before it.
fn events(ledger: &Ledger) -> Result<Vec<Value>, AssetError> {
    let mut parent = Value::Null;
    let mut written = Vec::new();
    let signals: Vec<Value> = ledger
        .faults
        .iter()
        .map(|fault| fault["kind"].clone())
        .collect();
    for cycle in ledger.cycles.iter().rev() {
        let id = format!("evt_{}", cycle["at"]);
        let done = cycle["outcome"] == "done";
        let event = seal(json!({
            "type": "EvolutionEvent",
            "schema_version": SCHEMA,
            "id": id,
            "parent": parent,
            "intent": "repair",
            "signals": if done { json!(signals) } else { json!([]) },
            "genes_used": [],
            "outcome": { "status": if done { "success" } else { "failed" } },
            "meta": { "at": cycle["at"], "cycle": cycle },
        }))?;
        parent = json!(id);
        written.push(event);
    }
    Ok(written)
}

fn feedback(trial: &Value) -> Value {
    json!({
        "fix": text(trial, "id"),
        "fault": text(trial, "fault"),
        "gene": text(trial, "gene"),
        "exposures": trial["exposures"],
        "failures": trial["failures"],
        "decision": verdict(trial),
        "evidence": trial["evidence"],
    })
}

fn clusters(ledger: &Ledger) -> Value {
    let version = ledger
        .edits
        .first()
        .map_or(json!(0), |edit| edit["version"].clone());
    let clusters: Vec<Value> = ledger
        .faults
        .iter()
        .map(|fault| {
            json!({
                "id": fault["id"], "kind": fault["kind"], "place": fault["place"], "name": fault["name"],
                "template": fault["template"], "members": fault["members"], "failures": fault["failures"],
                "exposures": fault["exposures"], "first_seen": fault["first_seen"], "last_seen": fault["last_seen"],
            })
        })
        .collect();
    json!({ "version": version, "clusters": clusters, "edits": ledger.edits })
}

fn verdict(trial: &Value) -> &str {
    trial["verdict"].as_str().unwrap_or("undecided")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}
