//! The nearest earlier cases: what became of this gene where the fault looked like this one.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::Outcome;
use crate::gene::Symptom;

/// Cases that are kept; the oldest go first.
const CASES_MAX: usize = 2_000;
/// Neighbours that are asked, and how many there have to be.
const NEIGHBOURS: usize = 7;
const NEIGHBOURS_MIN: usize = 3;
/// What is less alike than this is no neighbour.
const ALIKE_MIN: f64 = 0.5;
/// Buckets for the words of a text.
const WORDS: usize = 64;
/// The kind and the place of a sign count more than any word.
const KIND_WEIGHT: f64 = 2.0;

/// A case: what it looked like, what was tried, what became of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Case {
    looks: Vec<f64>,
    gene: String,
    outcome: Outcome,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Predictor {
    cases: VecDeque<Case>,
}

impl Case {
    #[must_use]
    pub fn of(symptom: &Symptom, gene: &str, outcome: Outcome) -> Self {
        Self {
            looks: looks(symptom),
            gene: gene.to_owned(),
            outcome,
        }
    }
}

impl Predictor {
    pub fn learn(&mut self, case: Case) {
        if self.cases.len() >= CASES_MAX {
            self.cases.pop_front();
        }
        self.cases.push_back(case);
    }

    /// How likely the gene helps, or nothing where too few cases are like it.
    #[must_use]
    pub fn predict(&self, symptom: &Symptom, gene: &str) -> Option<f64> {
        let looks = looks(symptom);
        let of_gene = self.cases.iter().filter(|case| case.gene == gene);
        let alike = of_gene.map(|case| (cosine(&looks, &case.looks), case.outcome));
        let mut alike: Vec<(f64, Outcome)> =
            alike.filter(|(alike, _)| *alike >= ALIKE_MIN).collect();
        alike.sort_by(|a, b| b.0.total_cmp(&a.0));
        alike.truncate(NEIGHBOURS);
        if alike.len() < NEIGHBOURS_MIN {
            return None;
        }
        let (mut helped, mut all) = (0.0, 0.0);
        for (weight, outcome) in alike {
            let (with, against) = outcome.weights();
            helped += weight * with;
            all += weight * (with + against);
        }
        Some(helped / all)
    }

    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// What each number of a case stands for, and how many neighbours are asked, for whoever reads the
    /// cases elsewhere.
    #[must_use]
    pub fn form() -> serde_json::Value {
        let kinds = instar_protocol::fault::SignalKind::ALL.map(|kind| kind.name());
        serde_json::json!({
            "features": { "kinds": kinds, "places": ["tool", "model"], "word_buckets": WORDS },
            "neighbours": NEIGHBOURS, "neighbours_min": NEIGHBOURS_MIN, "alike_min": ALIKE_MIN,
        })
    }
}

/// A symptom as numbers: its kinds, where it shows, and its words in buckets.
fn looks(symptom: &Symptom) -> Vec<f64> {
    let kinds = instar_protocol::fault::SignalKind::ALL;
    let mut looks = vec![0.0; kinds.len() + 2 + WORDS];
    for (number, kind) in kinds.iter().enumerate() {
        if *kind == symptom.kind {
            looks[number] = KIND_WEIGHT;
        } else if symptom.also.contains(kind) {
            looks[number] = KIND_WEIGHT / 2.0;
        }
    }
    let place = kinds.len() + usize::from(symptom.model().is_some());
    looks[place] = KIND_WEIGHT / 2.0;
    let words = symptom.text.split(|c: char| !c.is_alphabetic());
    for word in words.filter(|word| word.len() >= 3).take(60) {
        looks[kinds.len() + 2 + bucket(word)] = 0.5;
    }
    looks
}

/// FNV-1a.
fn bucket(word: &str) -> usize {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = word.to_lowercase().bytes().fold(0x811c_9dc5, mix);
    usize::try_from(hash).unwrap_or_default() % WORDS
}

fn cosine(one: &[f64], two: &[f64]) -> f64 {
    let dot: f64 = one.iter().zip(two).map(|(a, b)| a * b).sum();
    let size = |of: &[f64]| of.iter().map(|a| a * a).sum::<f64>().sqrt();
    dot / (size(one) * size(two)).max(1e-9)
}
