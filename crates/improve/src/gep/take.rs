//! What of a foreign asset is kept here: its address, its words cut to a bound, and its recipe where it has
//! one in our types. What else it holds (prose for a model, command lines, a machine's name) is left behind.

use instar_protocol::lab::{FOREIGN_CHARS_MAX, Foreign, ForeignKind};
use instar_protocol::redact::redact;
use serde_json::Value;

use crate::asset::FIELD;
use crate::gene::{Catalogue, Gene};

/// Evidence from which on a capsule speaks for a recipe: that which proves a fix here.
const EVIDENCE_MIN: f64 = 20.0;
const SIGNALS_MAX: usize = 16;

#[derive(Debug)]
pub(super) enum Found {
    /// The house has it.
    Here,
    New(Box<Foreign>),
}

/// A verified gene; an error where it takes the name of a recipe of the house.
pub(super) fn gene(asset: &Value) -> Result<Found, String> {
    let mut foreign = record(asset, ForeignKind::Gene);
    foreign.signals = strings(&asset["signals_match"]);
    if asset["instar"].is_object() {
        let recipe = Gene::read(&asset["instar"].to_string()).map_err(|error| error.to_string())?;
        let house = Catalogue::built_in().map_err(|error| error.to_string())?;
        match house.get(&recipe.id) {
            Ok(own) if *own == recipe => return Ok(Found::Here),
            Ok(_) => {
                return Err("it has the name of a recipe of the house, and is another".to_owned());
            }
            Err(_) => {}
        }
        foreign.id.clone_from(&recipe.id);
        foreign.gene = serde_json::to_value(&recipe).ok();
    }
    Ok(Found::New(Box::new(foreign)))
}

/// A verified capsule. It counts for or against a recipe only if it names evidence; a score alone is a
/// constant in the engine that this form comes from.
pub(super) fn capsule(asset: &Value, has_failed: bool) -> Foreign {
    let kind = if has_failed {
        ForeignKind::FailedCapsule
    } else {
        ForeignKind::Capsule
    };
    let mut foreign = record(asset, kind);
    foreign.signals = strings(&asset["trigger"]);
    foreign.about = cut(asset["gene"].as_str().unwrap_or_default());
    let evidence = asset["instar"]["evidence"].as_f64();
    let verdict = asset["instar"]["verdict"].as_str();
    foreign.outcome = match (has_failed, evidence, verdict) {
        (false, Some(evidence), _) if evidence >= EVIDENCE_MIN => "helped".to_owned(),
        (true, _, Some(_)) => "hurt".to_owned(),
        _ => String::new(),
    };
    foreign
}

fn record(asset: &Value, what: ForeignKind) -> Foreign {
    Foreign {
        // It was verified, so it is a hash and nothing else.
        address: asset[FIELD].as_str().unwrap_or_default().to_owned(),
        id: cut(asset["id"].as_str().unwrap_or_default()),
        what,
        summary: cut(asset["summary"].as_str().unwrap_or_default()),
        signals: Vec::new(),
        gene: None,
        about: String::new(),
        outcome: String::new(),
    }
}

fn strings(list: &Value) -> Vec<String> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    let texts = all.iter().filter_map(Value::as_str);
    texts.take(SIGNALS_MAX).map(cut).collect()
}

fn cut(text: &str) -> String {
    let redacted = redact(text);
    let plain = redacted.as_str().chars().filter(|sign| !sign.is_control());
    plain.take(FOREIGN_CHARS_MAX).collect()
}
