//! ROUGE-N with words as the Penn Treebank cuts them.

use regex::Regex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Asked, Verdict};
use crate::error::Trouble;

pub(super) fn rouge(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let Value::String(reference) = &asked.value else {
        return Trouble::wrong("\"rouge-n\" needs a text");
    };
    let score = overlap(&asked.text.to_lowercase(), &reference.to_lowercase());
    let threshold = asked.threshold.unwrap_or(0.75);
    Ok(Verdict::scored(asked.kind, score, threshold, asked.inverse))
}

/// The harmonic mean of how many words of each stand in the other.
#[expect(clippy::cast_precision_loss, reason = "no answer has so many words")]
fn overlap(candidate: &str, reference: &str) -> f64 {
    let (candidate, reference) = (words(candidate), words(reference));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &reference {
        *left.entry(word).or_default() += 1;
    }
    let mut common = 0_usize;
    for word in &candidate {
        if let Some(count) = left.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let precision = common as f64 / candidate.len() as f64;
    let recall = common as f64 / reference.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// One rule of cutting: what is found, and what stands in its place.
type Rule = (Regex, &'static str);

/// The rules in their order; the text has a space at both ends from the eighth on.
fn rules() -> Vec<Rule> {
    let written = [
        (r"\.{3}", " ... "),
        (r"([;@#$%&])", " $1 "),
        (r"([?!])", " $1 "),
        (r"([\]\[(){}<>])", " $1 "),
        (r"--", " -- "),
        (r"([^']) ?' ", "$1 ' "),
        (r"'([sSmMdD]) ", " '$1 "),
        (r"('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", " $1 "),
        (r"(?i)\b(can)(not)\b", " $1 $2 "),
        (r"(?i)\b(d)('ye)\b", " $1 $2 "),
        (r"(?i)\b(gim)(me)\b", " $1 $2 "),
        (r"(?i)\b(gon)(na)\b", " $1 $2 "),
        (r"(?i)\b(got)(ta)\b", " $1 $2 "),
        (r"(?i)\b(lem)(me)\b", " $1 $2 "),
        (r"(?i)\b(more)('n)\b", " $1 $2 "),
        (r"(?i)\b(wan)(na) ", " $1 $2  "),
        (r"(?i)('t)(is)\b", " $1 $2 "),
        (r"(?i)('t)(was)\b", " $1 $2 "),
    ];
    // A pattern that is none would be found by every test of this file.
    written
        .into_iter()
        .filter_map(|(pattern, to)| Some((Regex::new(pattern).ok()?, to)))
        .collect()
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(rules);

fn words(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return Vec::new();
    }
    let mut text = format!(" {} ", last_stop(&separators(&quotes(&text))));
    for (pattern, to) in RULES.iter() {
        text = pattern.replace_all(&text, *to).into_owned();
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// Quotation marks become two backticks where they open and two apostrophes where they close.
fn quotes(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    let mut before = ' ';
    for c in text.chars() {
        if c == '"' {
            inside = !inside && (before == ' ' || "([{<".contains(before));
            out.push_str(if inside { " `` " } else { " '' " });
        } else {
            out.push(c);
        }
        before = c;
    }
    out
}

/// Colons and commas stand alone, unless a digit follows.
fn separators(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let apart = matches!(c, ':' | ',') && !chars.peek().is_some_and(|next| next.is_numeric());
        if apart {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// The full stop of the sentence stands alone; those of an abbreviation like `u.s.` do not.
fn last_stop(text: &str) -> String {
    let body = text.trim_end_matches([']', ')', '}', '>', '\'', ' ']);
    let Some(before) = body.strip_suffix('.') else {
        return text.to_owned();
    };
    let mut end = before.chars().rev();
    let (last, second, third) = (end.next(), end.next(), end.next());
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    let fourth_is_word = end.next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    let abbreviation = letter(last) && second == Some('.') && letter(third) && !fourth_is_word;
    if abbreviation || last.is_none() || last == Some('.') {
        return text.to_owned();
    }
    format!("{before} .{} ", &text[body.len()..])
}
