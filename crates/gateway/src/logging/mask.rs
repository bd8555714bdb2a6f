//! Masking what the owner named: plain words, found in time linear in the line.

use serde_json::Value;
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

const MASK: &str = "***";

/// The words in force.
#[derive(Debug, Default)]
pub(super) struct Mask(RwLock<Arc<[String]>>);

impl Mask {
    pub(super) fn set(&self, patterns: &[String]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = patterns.into();
    }

    fn patterns(&self) -> Arc<[String]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A line of JSON: its texts are masked as they read without escapes, so that it stays JSON.
    pub(super) fn line(&self, line: &str) -> String {
        let patterns = self.patterns();
        if patterns.is_empty() {
            return line.to_owned();
        }
        match serde_json::from_str(line) {
            Ok(mut value) => {
                mask_texts(&mut value, &patterns);
                value.to_string()
            }
            Err(_) => masked(line, &patterns).into_owned(),
        }
    }

    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        masked(text, &self.patterns())
    }
}

/// As deep as the JSON reader goes, which is bounded.
fn mask_texts(value: &mut Value, patterns: &[String]) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = masked(text, patterns) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, patterns)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|member| mask_texts(member, patterns)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Each pattern is one walk over the text; what was masked is not looked at again.
fn masked<'a>(text: &'a str, patterns: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for pattern in patterns.iter().filter(|pattern| !pattern.is_empty()) {
        if text.contains(pattern.as_str()) {
            text = Cow::Owned(without(&text, pattern));
        }
    }
    text
}

fn without(text: &str, pattern: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(pattern) {
        out.push_str(&rest[..at]);
        out.push_str(MASK);
        rest = &rest[at + pattern.len()..];
        let word = |c: char| c.is_alphanumeric() || "-_.+/=~@".contains(c);
        rest = rest.trim_start_matches(word);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(patterns: &[&str]) -> Mask {
        let mask = Mask::default();
        mask.set(
            &patterns
                .iter()
                .map(|&one| one.to_owned())
                .collect::<Vec<_>>(),
        );
        mask
    }

    #[test]
    fn words_and_their_rest_are_masked() {
        let mask = mask(&["acme-", "Falcon"]);
        assert_eq!(
            mask.text("key acme-123/x= of Falcon9, falcon"),
            "key *** of ***, falcon"
        );
        assert_eq!(mask.text("nothing"), "nothing");
    }

    #[test]
    fn a_line_stays_json_however_a_word_is_escaped() {
        let mask = mask(&["u001b", "a\"b", "level", "Zür"]);
        let line = r#"{"level":"INFO","text":"x\u001by a\"bc Z\u00fcrich level","n":[1,"Zürs"]}"#;
        let masked = mask.line(line);
        let value: Value = serde_json::from_str(&masked).unwrap();
        assert_eq!(value["level"], "INFO", "keys stay");
        assert_eq!(value["text"], "x\u{1b}y *** *** ***");
        assert_eq!(value["n"][1], "***");
        assert_eq!(mask.line("no json Zürich"), "no json ***");
    }

    #[test]
    fn a_line_of_nothing_but_hits_is_walked_once() {
        let mask = mask(&["aaaa"]);
        assert_eq!(mask.text(&"aaaa".repeat(100_000)), "***");
        assert_eq!(mask.text(&"aaaa ".repeat(100_000)), "*** ".repeat(100_000));
    }
}
