//! A folder of somebody else's engine, read with distrust.

use instar_protocol::fault::SignalKind;
use instar_protocol::lab::{FOREIGN_MAX, Takeover};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    CAPSULES, CAPSULES_MORE, EVENTS, FAILED, FEEDBACK, GENES, GENES_MORE, KNOWLEDGE, take,
};
use crate::asset::verify;
use crate::signal::text;

/// Assets of one folder that are looked at.
const ASSETS_MAX: usize = 20_000;
/// Characters of a name in a report.
const NAME_CHARS_MAX: usize = 80;

/// What was found.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub genes: usize,
    pub capsules: usize,
    pub failed_capsules: usize,
    pub events: usize,
    /// Assets whose address is that of their content.
    pub verified: usize,
    /// Those that are not to be believed, and why.
    pub doubts: Vec<Doubt>,
    /// Kinds of signs that the verified genes are for.
    pub signals: BTreeSet<SignalKind>,
    /// Command lines in them. None is ever run.
    pub commands: usize,
    /// Assets that say on which machine they were made; that is not kept.
    pub fingerprints: usize,
    /// Verified genes that have a recipe which this house understands, by id. They can be allowed.
    pub proposed: Vec<String>,
    /// Verified genes of prose and command lines alone: kept to be looked at.
    pub prose_only: usize,
    /// Verified genes that are here already.
    pub known: usize,
    /// Verified capsules that name the evidence they rest on: they count a little for and against a recipe.
    pub counted: usize,
    /// Rows of feedback and lessons. They have no address, so nothing of them is taken over.
    pub rows_without_address: usize,
    /// Files that are not there or cannot be read.
    pub missing: Vec<String>,
    /// What can be taken over.
    #[serde(skip)]
    pub takeover: Takeover,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Doubt {
    pub asset: String,
    pub why: String,
}

/// Reads the files that `open` gives by their path below the folder.
pub fn read(open: impl Fn(&str) -> Option<String>) -> Report {
    let mut report = Report::default();
    let lists = [
        (GENES, Some(GENES_MORE), "genes"),
        (CAPSULES, Some(CAPSULES_MORE), "capsules"),
        (FAILED, None, "failed_capsules"),
    ];
    for (path, more, field) in lists {
        let mut assets = match open(path).and_then(|text| list(&text, field)) {
            Some(list) => list,
            None if path == FAILED => Vec::new(),
            None => {
                report.missing.push(path.to_owned());
                Vec::new()
            }
        };
        if let Some((path, text)) = more.and_then(|path| Some((path, open(path)?))) {
            assets.extend(report.lines(path, &text));
        }
        for asset in last_of_each(assets) {
            report.take(&asset, field == "failed_capsules");
        }
    }
    match open(EVENTS) {
        None => report.missing.push(EVENTS.to_owned()),
        Some(text) => {
            for asset in report.lines(EVENTS, &text) {
                report.take(&asset, false);
            }
        }
    }
    let feedback = open(FEEDBACK).map_or(0, |text| text.lines().count());
    let lessons = open(KNOWLEDGE).and_then(|text| list(&text, "lessons"));
    report.rows_without_address = feedback + lessons.map_or(0, |lessons| lessons.len());
    report
}

impl Report {
    fn lines(&mut self, path: &str, text: &str) -> Vec<Value> {
        let mut assets = Vec::new();
        for (number, line) in text.lines().take(ASSETS_MAX).enumerate() {
            match serde_json::from_str(line) {
                Ok(asset) => assets.push(asset),
                Err(error) => {
                    self.doubt(&format!("{path} line {}", number + 1), &error.to_string())
                }
            }
        }
        assets
    }

    fn take(&mut self, asset: &Value, has_failed: bool) {
        let kind = asset["type"].as_str().unwrap_or_default();
        match (kind, has_failed) {
            ("Gene", _) => self.genes += 1,
            ("Capsule", false) => self.capsules += 1,
            (_, true) => self.failed_capsules += 1,
            _ => self.events += 1,
        }
        self.fingerprints += usize::from(asset.get("env_fingerprint").is_some());
        self.commands += asset["validation"].as_array().map_or(0, Vec::len);
        let name = asset["id"].as_str().unwrap_or("without an id");
        if let Err(error) = verify(asset) {
            self.doubt(name, &error.to_string());
            return;
        }
        self.verified += 1;
        match kind {
            "Gene" => {
                self.signals.extend(signals(asset));
                match take::gene(asset) {
                    Ok(take::Found::Here) => self.known += 1,
                    Ok(take::Found::New(foreign)) => {
                        match &foreign.gene {
                            Some(_) => self.proposed.push(foreign.id.clone()),
                            None => self.prose_only += 1,
                        }
                        self.keep(*foreign);
                    }
                    Err(why) => self.doubt(name, &why),
                }
            }
            "Capsule" => {
                let foreign = take::capsule(asset, has_failed);
                self.counted += usize::from(!foreign.outcome.is_empty());
                self.keep(foreign);
            }
            _ => {}
        }
    }

    fn keep(&mut self, foreign: instar_protocol::lab::Foreign) {
        if self.takeover.assets.len() < FOREIGN_MAX {
            self.takeover.assets.push(foreign);
        }
    }

    fn doubt(&mut self, asset: &str, why: &str) {
        self.doubts.push(Doubt {
            asset: asset.chars().take(NAME_CHARS_MAX).collect(),
            why: why.to_owned(),
        });
    }
}

/// The last of each id; one without an id stands for itself.
fn last_of_each(assets: Vec<Value>) -> Vec<Value> {
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<Value> = Vec::new();
    for asset in assets.into_iter().take(ASSETS_MAX) {
        let id = asset["id"].as_str().map(str::to_owned);
        match id.as_ref().and_then(|id| at.get(id)) {
            Some(&there) => kept[there] = asset,
            None => {
                if let Some(id) = id {
                    at.insert(id, kept.len());
                }
                kept.push(asset);
            }
        }
    }
    kept
}

/// The kinds that a foreign gene's patterns speak of.
fn signals(gene: &Value) -> BTreeSet<SignalKind> {
    let patterns = gene["signals_match"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let words = patterns
        .iter()
        .take(64)
        .filter_map(Value::as_str)
        .flat_map(|pattern| pattern.split('|'));
    words
        .flat_map(|word| {
            let said = text::read(word).into_iter().map(|reading| reading.kind);
            SignalKind::from_name(word).into_iter().chain(said)
        })
        .collect()
}

fn list(text: &str, field: &str) -> Option<Vec<Value>> {
    let value: Value = serde_json::from_str(text).ok()?;
    value[field].as_array().cloned()
}
