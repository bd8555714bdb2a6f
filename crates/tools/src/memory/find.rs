//! Which of some texts speak of something: by their words, the best fit first.

use std::collections::{BTreeMap, BTreeSet};

/// How much a word counts that stands there again, and how much long texts are held back.
const AGAIN: f64 = 1.2;
const LENGTH: f64 = 0.75;
/// Words of a query that are looked for.
const WORDS_MAX: usize = 16;
/// From so many characters on the beginning of a word finds the word.
const BEGINNING_CHARS: usize = 3;
/// Characters of a snippet before the first word.
const BEFORE: usize = 80;

/// The words of a text in lower case. A sign of a script without spaces is one by itself.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        let is_alone = c > '\u{2e7f}';
        if (is_alone || !c.is_alphanumeric()) && !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        match c.is_alphanumeric() {
            true if is_alone => found.push(c.to_string()),
            true => word.push(c),
            false => {}
        }
    }
    found.extend((!word.is_empty()).then_some(word));
    found
}

/// The places of the texts that hold words of the query with how well they fit, the best first. Of two that
/// fit alike the one that comes first comes first.
#[must_use]
pub fn ranked(query: &str, texts: &[&str]) -> Vec<(usize, f64)> {
    let wanted: BTreeSet<String> = words(query).into_iter().collect();
    let wanted: Vec<String> = wanted.into_iter().take(WORDS_MAX).collect();
    let counted: Vec<Counted> = texts
        .iter()
        .map(|text| Counted::of(text, &wanted))
        .collect();
    let all = as_float(texts.len());
    let mean = counted.iter().map(|one| one.length).sum::<f64>() / all.max(1.0);
    let rarity: Vec<f64> = (0..wanted.len())
        .map(|word| {
            let having = counted.iter().filter(|one| one.times.contains_key(&word));
            let having = as_float(having.count());
            (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
        })
        .collect();
    let mut found: Vec<(usize, f64)> = counted
        .iter()
        .enumerate()
        .filter(|(_, one)| !one.times.is_empty())
        .map(|(place, one)| {
            let held_back = AGAIN * (1.0 - LENGTH + LENGTH * one.length / mean.max(1.0));
            let score = one.times.iter().map(|(word, times)| {
                rarity.get(*word).copied().unwrap_or(0.0) * times * (AGAIN + 1.0)
                    / (times + held_back)
            });
            (place, score.sum())
        })
        .collect();
    found.sort_by(|(one, first), (two, second)| second.total_cmp(first).then(one.cmp(two)));
    found
}

/// So many characters of a text, from a little before the first of the words on.
#[must_use]
pub fn snippet(text: &str, query: &str, chars: usize) -> String {
    let length = text.chars().count();
    if length <= chars {
        return text.to_owned();
    }
    let lower = text.to_lowercase();
    let starts = words(query)
        .into_iter()
        .filter_map(|word| lower.find(&word));
    // Lower case may be longer than what it is the lower case of: about the same place will do.
    let first = starts.min().map_or(0, |at| lower[..at].chars().count());
    let from = first.saturating_sub(BEFORE).min(length - chars);
    let shown: String = text.chars().skip(from).take(chars).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if from + chars < length { "…" } else { "" };
    format!("{before}{shown}{after}")
}

/// How often a text has each of the words, by their places.
struct Counted {
    length: f64,
    times: BTreeMap<usize, f64>,
}

impl Counted {
    fn of(text: &str, wanted: &[String]) -> Self {
        let words = words(text);
        let mut times = BTreeMap::new();
        for word in &words {
            let is_meant = |wanted: &&String| {
                word == *wanted
                    || (wanted.chars().count() >= BEGINNING_CHARS && word.starts_with(*wanted))
            };
            for (place, _) in wanted.iter().enumerate().filter(|(_, one)| is_meant(one)) {
                *times.entry(place).or_insert(0.0) += 1.0;
            }
        }
        Self {
            length: as_float(words.len()),
            times,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of words in bounded texts"
)]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(query: &str, texts: &[&str]) -> Vec<usize> {
        ranked(query, texts)
            .into_iter()
            .map(|(place, _)| place)
            .collect()
    }

    #[test]
    fn the_text_with_more_and_rarer_words_comes_first() {
        let texts = [
            "the boat is in the harbour",
            "tea at four",
            "the boat is Ida",
            "Boats: three of them",
        ];
        assert_eq!(places("Ida boat", &texts), [2, 3, 0]);
        assert_eq!(places("TEA?", &texts), [1]);
        assert_eq!(places("boot, it", &texts), [0; 0]);
        assert_eq!(places("", &texts), [0; 0]);
        assert_eq!(places("x", &[]), [0; 0]);
    }

    #[test]
    fn a_snippet_shows_the_words() {
        assert_eq!(
            snippet("The Boat is blue.", "boat", 100),
            "The Boat is blue."
        );
        let text = format!("{} the boat {}", "x".repeat(200), "y".repeat(200));
        let shown = snippet(&text, "boat", 100);
        assert_eq!(shown.chars().count(), 102);
        assert!(shown.starts_with('…') && shown.ends_with('…') && shown.contains("the boat"));
        assert!(snippet(&text, "y", 300).contains('y'));
    }

    #[test]
    fn words_are_found_in_every_script() {
        assert_eq!(words("Zürich, 船名 a-b"), ["zürich", "船", "名", "a", "b"]);
        assert_eq!(places("船", &["港の船", "港"]), [0]);
        assert_eq!(places("ZÜR", &["in Zürich"]), [0]);
    }
}
