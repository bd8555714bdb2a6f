//! How much of a text stands in another: BLEU and GLEU.

use serde_json::Value;
use std::collections::HashMap;

use super::{Asked, Verdict};
use crate::error::Trouble;

/// The longest run of words that is compared.
const LONGEST: usize = 4;
/// What stands for no run in common, so that a logarithm exists.
const SMALL: f64 = 1e-7;

pub(super) fn many(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let references: Vec<&str> = match &asked.value {
        Value::String(text) => vec![text],
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect()
        }
        _ => Vec::new(),
    };
    if references.is_empty() {
        return Trouble::wrong(format!("{:?} needs a text or a list of texts", asked.kind));
    }
    let score = match asked.kind {
        "bleu" => bleu(asked.text, &references),
        _ if asked.text.is_empty() => return Trouble::wrong("\"gleu\" of an empty answer"),
        _ => gleu(asked.text, &references),
    };
    let threshold = asked.threshold.unwrap_or(0.5);
    Ok(Verdict::scored(asked.kind, score, threshold, asked.inverse))
}

type Runs<'a> = HashMap<&'a [String], usize>;

fn runs(words: &[String], length: usize) -> Runs<'_> {
    let mut found = Runs::new();
    for run in words.windows(length) {
        *found.entry(run).or_default() += 1;
    }
    found
}

/// Runs of the first that stand in the second, none counted more often than there.
fn common(candidate: &Runs<'_>, reference: &Runs<'_>) -> usize {
    // A sum does not depend on the order.
    #[expect(
        clippy::iter_over_hash_type,
        reason = "a sum does not depend on the order"
    )]
    let counted = {
        let mut sum = 0;
        for (run, count) in candidate {
            sum += reference.get(run).copied().unwrap_or_default().min(*count);
        }
        sum
    };
    counted
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let trimmed = lower.trim();
    match trimmed.is_empty() {
        true => vec![String::new()],
        false => trimmed.split_whitespace().map(str::to_owned).collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "no answer has so many words")]
fn bleu(candidate: &str, references: &[&str]) -> f64 {
    if candidate.trim().is_empty() {
        return 0.0;
    }
    let candidate = words(candidate);
    let references: Vec<_> = references.iter().map(|text| words(text)).collect();
    let nearest = references
        .iter()
        .map(Vec::len)
        .min_by_key(|length| (length.abs_diff(candidate.len()), *length))
        .unwrap_or_default();
    let usable = LONGEST.min(candidate.len());
    let mut logs = 0.0;
    for length in 1..=usable {
        let own = runs(&candidate, length);
        let best = references
            .iter()
            .map(|one| common(&own, &runs(one, length)))
            .max();
        let total = candidate.len() + 1 - length;
        let precision = best.unwrap_or_default() as f64 / total as f64;
        logs += if precision == 0.0 { SMALL } else { precision }.ln();
    }
    let brevity = match candidate.len() > nearest {
        true => 1.0,
        false => (1.0 - nearest as f64 / candidate.len() as f64).exp(),
    };
    brevity * (logs / usable as f64).exp()
}

#[expect(clippy::cast_precision_loss, reason = "no answer has so many words")]
fn gleu(candidate: &str, references: &[&str]) -> f64 {
    let bare = |text: &str| -> Vec<String> {
        let words = words(text).into_iter();
        words
            .map(|word| word.trim_end_matches('.').to_owned())
            .collect()
    };
    let candidate = bare(candidate);
    let one = |reference: &&str| {
        let reference = bare(reference);
        if candidate == reference {
            return 1.0;
        }
        let total = |words: &[String]| -> usize {
            (1..=LONGEST)
                .map(|length| (words.len() + 1).saturating_sub(length))
                .sum()
        };
        let matched: usize = (1..=LONGEST)
            .map(|length| common(&runs(&candidate, length), &runs(&reference, length)))
            .sum();
        let longer = total(&candidate).max(total(&reference));
        if longer == 0 {
            0.0
        } else {
            matched as f64 / longer as f64
        }
    };
    references.iter().map(one).fold(0.0, f64::max)
}
