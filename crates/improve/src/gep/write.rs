//! From the ledger to the files.

use instar_protocol::lab::Case;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::fix::{self, Fix};
use super::{
    CAPSULES, CLUSTERS, EMBEDDINGS, EVENTS, FAILED, FEEDBACK, GENES, KNOWLEDGE, PREDICTOR, SCHEMA,
};
use crate::asset::seal;
use crate::choose::{Chooser, Key, Outcome, Predictor};
use crate::gene::{Catalogue, Gene};
use crate::heal::{HealError, catalogue, learned, name};

/// Numbers of belief are written with six digits.
const CONFIDENCE_DIGITS: f64 = 1e6;

/// What the gateway has, as its API says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Faults with their counts.
    pub faults: Vec<Value>,
    /// Changes of their register, the newest first.
    pub edits: Vec<Value>,
    /// Cycles of the lab, the newest first.
    pub cycles: Vec<Value>,
    /// Fixes that were tried, with their verdicts.
    pub trials: Vec<Value>,
    /// What choices are made from: recipes, what is in service, what was learned.
    pub case: Case,
    /// Events in which somebody said what he thinks of an answer.
    pub feedback: Vec<Value>,
    /// Vectors of the owner's embedder by the hash of their text; null where there is none.
    pub embeddings: Value,
}

/// What the files are made from, worked out once.
pub(super) struct Known<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) catalogue: Catalogue,
    chooser: Chooser,
    pub(super) fixes: Vec<Fix<'a>>,
}

/// The files by their path below the folder. The same ledger gives the same bytes.
pub fn write(ledger: &Ledger) -> Result<BTreeMap<&'static str, String>, HealError> {
    let catalogue = catalogue(&ledger.case)?;
    let known = Known {
        chooser: learned(&ledger.case, &catalogue),
        catalogue,
        fixes: fix::all(ledger),
        ledger,
    };
    let sealed = |assets: Vec<Value>| -> Result<Vec<Value>, HealError> {
        let sealed = assets.into_iter().map(seal);
        Ok(sealed.collect::<Result<_, _>>()?)
    };
    let genes = sealed(known.catalogue.genes().map(shown).collect())?;
    let capsules = sealed(known.of(Outcome::Helped, "success"))?;
    let failed = sealed(known.of(Outcome::Hurt, "failed"))?;
    let predictor = serde_json::to_value(&known.chooser.predictor).map_err(HealError::Delta)?;
    Ok(BTreeMap::from([
        (GENES, pretty(&json!({ "version": 1, "genes": genes }))),
        (
            CAPSULES,
            pretty(&json!({ "version": 1, "capsules": capsules })),
        ),
        (
            FAILED,
            pretty(&json!({ "version": 1, "failed_capsules": failed })),
        ),
        (EVENTS, lines(&sealed(known.events())?)),
        (FEEDBACK, lines(&known.feedback())),
        (EMBEDDINGS, pretty(&embeddings(&ledger.embeddings))),
        (
            KNOWLEDGE,
            pretty(&json!({ "version": 1, "lessons": known.lessons() })),
        ),
        // The weights of a nearest-neighbour predictor are its rows.
        (
            PREDICTOR,
            pretty(
                &json!({ "version": 1, "kind": "knn", "form": Predictor::form(), "rows": predictor["cases"] }),
            ),
        ),
        (CLUSTERS, pretty(&clusters(ledger))),
    ]))
}

impl Known<'_> {
    pub(super) fn fault(&self, id: &str) -> Option<&Value> {
        let all = self.ledger.faults.iter();
        let is_it = |fault: &&Value| {
            let members = fault["members"].as_array();
            fault["id"] == id || members.is_some_and(|members| members.iter().any(|one| one == id))
        };
        all.into_iter().find(is_it)
    }

    fn key(&self, gene: &str) -> Option<Key> {
        let family = self.catalogue.get(gene).ok()?.family;
        // Where it was tried last.
        let known = self.ledger.case.known.iter();
        let last = known
            .filter(|known| name(&known.gene) == gene)
            .max_by_key(|known| known.at);
        let seen = last.and_then(|known| known.seen.as_ref());
        Some(Key {
            gene: gene.to_owned(),
            family,
            environment: seen.map_or_else(String::new, |seen| seen.environment.clone()),
        })
    }

    /// What is believed of a gene now. It is no count of clean cycles.
    pub(super) fn confidence(&self, gene: &str) -> Value {
        let key = self.key(gene);
        key.map_or(Value::Null, |key| {
            json!(short(self.chooser.prior.posterior(&key).mean()))
        })
    }

    /// The fixes of one kind, as capsules.
    fn of(&self, kind: Outcome, status: &str) -> Vec<Value> {
        let of = self
            .fixes
            .iter()
            .filter(|fix| Outcome::of(fix.outcome) == Some(kind));
        of.map(|fix| self.capsule(fix, status)).collect()
    }

    fn capsule(&self, fix: &Fix<'_>, status: &str) -> Value {
        let fault = self.fault(fix.fault).unwrap_or(&Value::Null);
        let mut trigger = vec![fault["kind"].clone(), json!(fix.fault)];
        if let Some(template) = fault["template"].as_str().filter(|text| !text.is_empty()) {
            trigger.push(json!(format!("errsig:{template}")));
        }
        trigger.retain(|one| !one.is_null());
        let confidence = self.confidence(fix.gene);
        let gene = self.catalogue.get(fix.gene);
        let told = format!(
            "{} of {} units failed with the fix, {} of {} without; evidence {:.1}",
            fix.treated.1, fix.treated.0, fix.control.1, fix.control.0, fix.evidence
        );
        let mut capsule = json!({
            "type": "Capsule",
            "schema_version": SCHEMA,
            "id": format!("capsule_{}", fix.id),
            "trigger": trigger,
            "gene": fix.gene,
            "summary": gene.map_or("", |gene| gene.title.as_str()),
            "confidence": confidence,
            "blast_radius": { "files": 0, "lines": 0 },
            "outcome": { "status": status, "score": confidence },
            "source_type": "generated",
            "a2a": { "eligible_to_broadcast": false },
            "content": fix.act.to_string(),
            "instar": {
                "verdict": fix.outcome, "evidence": fix.evidence, "with_fix": fix.treated,
                "without_fix": fix.control, "classic": fix.classic,
            },
        });
        let reason = if status == "success" {
            "success_reason"
        } else {
            "failure_reason"
        };
        capsule[reason] = json!(told);
        capsule
    }

    /// One row for each fix, then what was said of answers.
    fn feedback(&self) -> Vec<Value> {
        let fixes = self.fixes.iter().map(|fix| {
            let others = self.fixes.iter().filter(|other| fix.meets(other));
            let others: Vec<&str> = others.map(|other| other.mitigation).collect();
            fix.row(self.fault(fix.fault), &others)
        });
        fixes
            .chain(self.ledger.feedback.iter().map(answer))
            .chain(self.ledger.faults.iter().flat_map(corrections))
            .collect()
    }

    /// What was learned of each recipe about a family of faults: a posterior, and what it rests on.
    fn lessons(&self) -> Vec<Value> {
        let mut genes: BTreeMap<&str, Vec<&Fix<'_>>> = BTreeMap::new();
        for fix in &self.fixes {
            let is_told = Outcome::of(fix.outcome).is_some_and(|one| one != Outcome::Unclear);
            if is_told || fix.ended.is_some() {
                genes.entry(fix.gene).or_default().push(fix);
            }
        }
        let lesson = |(gene, fixes): (&str, Vec<&Fix<'_>>)| {
            let key = self.key(gene)?;
            let posterior = self.chooser.prior.posterior(&key);
            let count = |kind| {
                fixes
                    .iter()
                    .filter(|fix| Outcome::of(fix.outcome) == Some(kind))
                    .count()
            };
            let rest: Vec<Value> = fixes
                .iter()
                .map(|fix| json!({ "fix": fix.id, "fault": fix.fault, "verdict": fix.outcome, "evidence": fix.evidence, "at": fix.ended }))
                .collect();
            Some(json!({
                "gene": gene, "family": key.family, "environment": key.environment,
                "confidence": short(posterior.mean()),
                "posterior": { "helps": short(posterior.with), "does_not": short(posterior.against) },
                "proven": count(Outcome::Helped),
                "failed": count(Outcome::Hurt),
                "rests_on": rest,
            }))
        };
        genes.into_iter().filter_map(lesson).collect()
    }
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
        "category": gene.intent().name(),
        "signals_match": signals,
        "preconditions": [],
        "strategy": [gene.title],
        "constraints": { "max_files": 0, "forbidden_paths": [] },
        "validation": [],
        "instar": gene,
    })
}

/// What somebody thought of an answer. What he wrote about it stays here: a folder travels.
fn answer(event: &Value) -> Value {
    json!({
        "kind": "answer", "event": event["id"], "at": event["at"], "run": event["about_run"],
        "release": event["release"], "arm": event["arm"], "verdict": event["verdict"],
        "has_comment": event["content"].is_string(),
    })
}

/// Answers that somebody had to put right, as far as the register has examples of them.
fn corrections(fault: &Value) -> Vec<Value> {
    let examples = fault["examples"]
        .as_array()
        .filter(|_| fault["kind"] == "correction");
    let row = |example: &Value| json!({ "kind": "correction", "fault": fault["id"], "event": example["event"], "at": example["at"] });
    examples.into_iter().flatten().map(row).collect()
}

fn embeddings(kept: &Value) -> Value {
    let entries = &kept["entries"];
    json!({
        "version": 1,
        "model": kept["model"],
        "entries": if entries.is_object() { entries.clone() } else { json!({}) },
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

fn short(value: f64) -> f64 {
    (value * CONFIDENCE_DIGITS).round() / CONFIDENCE_DIGITS
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}
