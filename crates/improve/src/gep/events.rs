//! The log of events: the cycles of the lab, and how trials ended.

use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::SCHEMA;
use super::fix::Fix;
use super::write::Known;
use crate::choose::{Intent, Outcome};
use crate::gene::Gene;

impl Known<'_> {
    /// The oldest first, each naming the one before it. Before the end of a trial stands the report that it
    /// rests on.
    pub(super) fn events(&self) -> Vec<Value> {
        let cycles = self.ledger.cycles.iter().rev();
        let cycles =
            cycles.map(|cycle| (cycle["at"].as_u64().unwrap_or(0), vec![self.cycle(cycle)]));
        let ends = self.fixes.iter().filter_map(|fix| self.end(fix));
        let mut all: Vec<(u64, Vec<Value>)> = cycles.chain(ends).collect();
        all.sort_by_key(|(at, _)| *at);
        let mut parent = Value::Null;
        let mut written = Vec::new();
        for mut one in all.into_iter().flat_map(|(_, told)| told) {
            if one["type"] == "EvolutionEvent" {
                one["parent"] = std::mem::replace(&mut parent, one["id"].clone());
            }
            written.push(one);
        }
        written
    }

    /// A cycle, with the recipes that it picked and the signs of the faults that it picked them for.
    fn cycle(&self, cycle: &Value) -> Value {
        let picked = cycle["picked"].as_array().into_iter().flatten();
        let (mut genes, mut signals) = (BTreeSet::new(), BTreeSet::new());
        for one in picked {
            genes.extend(one["gene"].as_str());
            signals.extend(one["fault"].as_str().and_then(|fault| self.kind(fault)));
        }
        let is_done = cycle["outcome"] == "done";
        let mut event = event(&format!("evt_{}", cycle["at"]), &cycle["at"]);
        event["intent"] = json!(self.intent(&genes).name());
        event["signals"] = json!(signals);
        event["genes_used"] = json!(genes);
        event["outcome"] = json!({ "status": if is_done { "success" } else { "failed" } });
        event["meta"]["cycle"] = cycle.clone();
        event
    }

    /// How a trial ended, for or against.
    fn end(&self, fix: &Fix<'_>) -> Option<(u64, Vec<Value>)> {
        let is_helped = match Outcome::of(fix.outcome)? {
            Outcome::Helped => true,
            Outcome::Hurt => false,
            Outcome::SeemedToHelp | Outcome::Unclear => return None,
        };
        let at = fix.ended?;
        let report = json!({
            "type": "ValidationReport",
            "schema_version": SCHEMA,
            "id": format!("vr_{}", fix.id),
            "gene_id": fix.gene,
            // No command says whether a fix works: its units do.
            "commands": [],
            "overall_ok": is_helped,
            "duration_ms": at.saturating_sub(fix.begun),
            "created_at": at,
            "instar": { "verdict": fix.outcome, "evidence": fix.evidence, "with_fix": fix.treated, "without_fix": fix.control },
        });
        let mut event = event(&format!("evt_{}", fix.id), &json!(at));
        event["signals"] = json!(self.kind(fix.fault).into_iter().collect::<Vec<_>>());
        event["intent"] = json!(self.intent(&BTreeSet::from([fix.gene])).name());
        event["genes_used"] = json!([fix.gene]);
        event["mutation_id"] = json!(format!("mut_{}", fix.mitigation));
        event["capsule_id"] = json!(format!("capsule_{}", fix.id));
        event["validation_report_id"] = report["id"].clone();
        event["outcome"] = json!({
            "status": if is_helped { "success" } else { "failed" }, "score": self.confidence(fix.gene),
        });
        Some((at, vec![report, event]))
    }

    /// What most of these genes are for. What picked none, or only what is not known any more, looked for what to
    /// repair.
    fn intent(&self, genes: &BTreeSet<&str>) -> Intent {
        let of = |gene: &&str| self.catalogue.get(gene).ok().map(Gene::intent);
        let all: Vec<Intent> = genes.iter().filter_map(of).collect();
        let count = |intent: &Intent| all.iter().filter(|one| *one == intent).count();
        // Of those that are equally many the last is taken: repair.
        let most = Intent::ALL.into_iter().rev().max_by_key(count);
        most.unwrap_or(Intent::Repair)
    }

    fn kind(&self, fault: &str) -> Option<&str> {
        self.fault(fault)?["kind"].as_str()
    }
}

fn event(id: &str, at: &Value) -> Value {
    json!({
        "type": "EvolutionEvent",
        "schema_version": SCHEMA,
        "id": id,
        "parent": null,
        "intent": "repair",
        "signals": [],
        "genes_used": [],
        "mutation_id": null,
        "blast_radius": { "files": 0, "lines": 0 },
        "capsule_id": null,
        "source_type": "generated",
        "reused_asset_id": null,
        "validation_report_id": null,
        "meta": { "at": at },
    })
}
