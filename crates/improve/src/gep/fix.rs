//! A fix that was tried, put together from what the ledger says of it in several places.

use instar_protocol::lab::{Case, Known};
use serde_json::{Value, json};

use super::Ledger;
use crate::heal::name;

/// The rule by which verdicts are found here; another one would be another name.
const RULE: &str = "three-e-processes/1";

#[derive(Debug)]
pub(super) struct Fix<'a> {
    pub(super) id: String,
    pub(super) fault: &'a str,
    pub(super) gene: &'a str,
    pub(super) mitigation: &'a str,
    /// The verdict, or the stage of one that has none.
    pub(super) outcome: &'a str,
    /// Units with the fix and without, and how many were bad.
    pub(super) treated: (u64, f64),
    pub(super) control: (u64, f64),
    pub(super) evidence: f64,
    /// It was held against the time before it.
    pub(super) without_coin: bool,
    pub(super) classic: Option<&'a str>,
    /// What it does, as long as a behaviour has it.
    pub(super) act: Value,
    pub(super) begun: u64,
    pub(super) ended: Option<u64>,
    pub(super) release: &'a str,
}

/// Every fix of the ledger: those with a trial, and those of which only the verdict is remembered.
pub(super) fn all(ledger: &Ledger) -> Vec<Fix<'_>> {
    let known = |mitigation: &str| {
        let of = ledger.case.known.iter();
        of.filter(|known| known.mitigation == mitigation)
            .max_by_key(|known| known.at)
    };
    let mut fixes: Vec<Fix<'_>> = ledger
        .trials
        .iter()
        .map(|trial| of_trial(&ledger.case, trial, known(text(trial, "mitigation"))))
        .collect();
    for verdict in &ledger.case.known {
        if fixes.iter().all(|fix| fix.mitigation != verdict.mitigation) {
            fixes.push(of_known(&ledger.case, verdict));
        }
    }
    fixes.sort_by(|a, b| (a.begun, &a.id).cmp(&(b.begun, &b.id)));
    fixes
}

fn of_trial<'a>(case: &'a Case, trial: &'a Value, known: Option<&'a Known>) -> Fix<'a> {
    let mitigation = text(trial, "mitigation");
    let served = served(case, mitigation);
    let gene = known.map_or_else(|| text(served, "gene"), |known| known.gene.as_str());
    let stage = text(trial, "stage");
    let outcome = trial["verdict"].as_str().unwrap_or(stage);
    let arm = |of: &str| {
        let units = trial[of][0].as_u64().unwrap_or(0);
        (units, trial[of][1].as_f64().unwrap_or(0.0))
    };
    Fix {
        id: text(trial, "experiment").to_owned(),
        fault: text(trial, "fault"),
        gene: name(gene),
        mitigation,
        outcome,
        treated: arm("treated"),
        control: arm("control"),
        evidence: trial["evidence_proven"].as_f64().unwrap_or(0.0),
        without_coin: trial["without_coin"] == true,
        classic: trial["classic"].as_str(),
        act: served["act"].clone(),
        begun: trial["begun"].as_u64().unwrap_or(0),
        ended: known.map(|known| known.at.millis()),
        release: known.map_or("", |known| known.release.as_str()),
    }
}

fn of_known<'a>(case: &'a Case, known: &'a Known) -> Fix<'a> {
    Fix {
        id: format!("{}-{}", known.mitigation, known.at.millis()),
        fault: &known.fault,
        gene: name(&known.gene),
        mitigation: &known.mitigation,
        outcome: &known.outcome,
        treated: known.treated,
        control: known.control,
        evidence: known.evidence,
        without_coin: known.without_coin,
        classic: known.classic.as_deref(),
        act: served(case, &known.mitigation)["act"].clone(),
        begun: known.at.millis(),
        ended: Some(known.at.millis()),
        release: &known.release,
    }
}

/// The mitigation as the behaviour in service has it.
fn served<'a>(case: &'a Case, mitigation: &str) -> &'a Value {
    let agents = case.behaviour["agents"].as_object();
    let all = agents.into_iter().flat_map(serde_json::Map::values);
    let mut mitigations = all.filter_map(|agent| agent["mitigations"].as_array());
    let found = mitigations.find_map(|list| list.iter().find(|one| one["id"] == mitigation));
    found.unwrap_or(&Value::Null)
}

impl Fix<'_> {
    /// One row of feedback: what was counted, where from, and by which rule it was decided.
    pub(super) fn row(&self, fault: Option<&Value>, others: &[&str]) -> Value {
        let (mut exposures, mut errors) = (0, 0);
        let day = self.begun / 86_400_000;
        for row in fault
            .and_then(|fault| fault["by_day"].as_array())
            .into_iter()
            .flatten()
        {
            if row["day"].as_u64().is_some_and(|of| of < day) {
                exposures += row["exposures"].as_u64().unwrap_or(0);
                errors += row["failures"].as_u64().unwrap_or(0);
            }
        }
        json!({
            "kind": "fix", "fix": self.id, "fault": self.fault, "gene": self.gene, "mitigation": self.mitigation,
            "environment": self.release, "exposure_source": if self.without_coin { "window" } else { "coin" },
            "before": { "exposures": exposures, "errors": errors },
            "with_fix": { "exposures": self.treated.0, "errors": self.treated.1 },
            "without_fix": { "exposures": self.control.0, "errors": self.control.1 },
            "start": self.begun, "end": self.ended, "others_in_window": others,
            "decision": self.outcome, "rule": RULE, "evidence": self.evidence, "classic": self.classic,
        })
    }

    /// True if both were on trial at some time.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let ends = |fix: &Self| fix.ended.unwrap_or(u64::MAX);
        self.id != other.id && self.begun <= ends(other) && other.begun <= ends(self)
    }
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
