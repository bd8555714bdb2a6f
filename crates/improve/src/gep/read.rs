//! A folder of somebody else's engine, read with distrust.

use instar_protocol::fault::SignalKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

use super::{CAPSULES, EVENTS, GENES};
use crate::asset::{AssetError, verify};
use crate::signal::text;

/// Assets of one folder that are looked at.
const ASSETS_MAX: usize = 20_000;
/// Characters of a name in a report.
const NAME_CHARS_MAX: usize = 80;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub genes: usize,
    pub capsules: usize,
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
    /// Files that are not there or cannot be read.
    pub missing: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Doubt {
    pub asset: String,
    pub why: String,
}

/// Reads the files that `open` gives by their path below the folder.
pub fn read(open: impl Fn(&str) -> Option<String>) -> Report {
    let mut report = Report::default();
    let lists = [(GENES, "genes"), (CAPSULES, "capsules")];
    for (path, field) in lists {
        let Some(list) = open(path).and_then(|text| list(&text, field)) else {
            report.missing.push(path.to_owned());
            continue;
        };
        for asset in list.iter().take(ASSETS_MAX) {
            report.take(asset);
        }
    }
    match open(EVENTS) {
        None => report.missing.push(EVENTS.to_owned()),
        Some(text) => {
            for (number, line) in text.lines().take(ASSETS_MAX).enumerate() {
                match serde_json::from_str(line) {
                    Ok(asset) => report.take(&asset),
                    Err(error) => {
                        report.doubt(&format!("{EVENTS} line {}", number + 1), &error.to_string())
                    }
                }
            }
        }
    }
    report
}

impl Report {
    fn take(&mut self, asset: &Value) {
        match asset["type"].as_str() {
            Some("Gene") => self.genes += 1,
            Some("Capsule") => self.capsules += 1,
            _ => self.events += 1,
        }
        self.fingerprints += usize::from(asset.get("env_fingerprint").is_some());
        self.commands += asset["validation"].as_array().map_or(0, Vec::len);
        let name = asset["id"].as_str().unwrap_or("without an id");
        match verify(asset) {
            Ok(()) => {
                self.verified += 1;
                self.signals.extend(signals(asset));
            }
            Err(AssetError::Canonical(error)) => self.doubt(name, &error.to_string()),
            Err(error) => self.doubt(name, &error.to_string()),
        }
    }

    fn doubt(&mut self, asset: &str, why: &str) {
        self.doubts.push(Doubt {
            asset: asset.chars().take(NAME_CHARS_MAX).collect(),
            why: why.to_owned(),
        });
    }
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
