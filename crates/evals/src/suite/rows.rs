//! A row of a table as a test.

use serde_json::{Map, Value};

use super::{Assertion, Check, Test, script};
use crate::data::show;
use crate::files::Files;

/// The type names that the short form of an assertion may begin with; the first that fits is meant.
const KINDS: [&str; 66] = [
    "agent-rubric",
    "answer-relevance",
    "bleu",
    "classifier",
    "contains",
    "contains-all",
    "contains-any",
    "contains-html",
    "contains-json",
    "contains-sql",
    "contains-xml",
    "context-faithfulness",
    "context-recall",
    "context-relevance",
    "conversation-relevance",
    "cost",
    "equals",
    "factuality",
    "finish-reason",
    "g-eval",
    "gleu",
    "guardrails",
    "icontains",
    "icontains-all",
    "icontains-any",
    "is-html",
    "is-json",
    "is-refusal",
    "is-sql",
    "is-valid-function-call",
    "is-valid-openai-function-call",
    "is-valid-openai-tools-call",
    "is-xml",
    "javascript",
    "latency",
    "levenshtein",
    "llm-rubric",
    "pi",
    "meteor",
    "model-graded-closedqa",
    "model-graded-factuality",
    "moderation",
    "perplexity",
    "perplexity-score",
    "python",
    "regex",
    "rouge-n",
    "ruby",
    "similar",
    "similar:cosine",
    "similar:dot",
    "similar:euclidean",
    "starts-with",
    "tool-call-f1",
    "skill-used",
    "trajectory:goal-success",
    "trajectory:tool-args-match",
    "trajectory:step-count",
    "trajectory:tool-sequence",
    "trajectory:tool-used",
    "trace-error-spans",
    "trace-span-count",
    "trace-span-duration",
    "search-rubric",
    "webhook",
    "word-count",
];

/// Types whose short form carries a threshold, the usual one if none is given.
const WITH_THRESHOLD: [&str; 13] = [
    "answer-relevance",
    "classifier",
    "context-faithfulness",
    "context-recall",
    "context-relevance",
    "cost",
    "latency",
    "levenshtein",
    "perplexity",
    "perplexity-score",
    "rouge-n",
    "similar",
    "starts-with",
];

/// The test that a row stands for: columns are values, those with two underscores say more.
pub(super) fn test(row: &Map<String, Value>, index: usize, files: &Files) -> Result<Test, String> {
    let mut test = Test {
        description: Some(format!("Row #{}", index + 1)),
        ..Test::default()
    };
    let mut asserts = Vec::new();
    let mut metric = None;
    let mut thresholds = Vec::new();
    for (column, value) in row {
        let column = column.trim();
        let text = show(value);
        let given = !text.trim().is_empty();
        match column {
            _ if column.starts_with("__expected") => {
                if given {
                    asserts.push(short(text.trim(), files)?);
                }
            }
            "__prefix" | "__suffix" => {
                test.options
                    .insert(column[2..].to_owned(), Value::String(text));
            }
            "__description" if given => test.description = Some(text),
            "__description" => {}
            "__providerOutput" if given => test.output = Some(Value::String(text)),
            "__providerOutput" => {}
            "__metric" => metric = given.then_some(text),
            "__threshold" => test.threshold = text.trim().parse().ok(),
            _ if column.starts_with("__metadata:") => {
                let key = &column["__metadata:".len()..];
                if given {
                    let (key, value) = metadata(key, text);
                    test.metadata.insert(key, value);
                }
            }
            _ if column.starts_with("__config:") => thresholds.push(threshold_of(column, &text)?),
            _ => {
                test.vars.insert(column.to_owned(), Value::String(text));
            }
        }
    }
    for (at, threshold) in thresholds {
        if let Some(assertion) = asserts.get_mut(at) {
            assertion.threshold = Some(threshold);
        }
    }
    test.checks = asserts
        .into_iter()
        .map(|assertion: Assertion| {
            let metric = metric.clone();
            Check::One(Box::new(Assertion {
                metric,
                ..assertion
            }))
        })
        .collect();
    Ok(test)
}

fn metadata(key: &str, text: String) -> (String, Value) {
    match key.strip_suffix("[]") {
        Some(key) => {
            let parts = text.split(',').map(|part| Value::from(part.trim()));
            (key.to_owned(), parts.collect())
        }
        None => (key.to_owned(), Value::String(text)),
    }
}

/// `__config:__expected2:threshold`: which assertion, and what.
fn threshold_of(column: &str, text: &str) -> Result<(usize, f64), String> {
    let wrong = || format!("the column {column:?} is not like `__config:__expected1:threshold`");
    let (which, key) = column["__config:".len()..]
        .split_once(':')
        .ok_or_else(wrong)?;
    let number = which.strip_prefix("__expected").ok_or_else(wrong)?;
    let at: usize = match number {
        "" => 1,
        digits => digits.parse().map_err(|_| wrong())?,
    };
    let value = text.trim().parse().map_err(|_| wrong())?;
    match (key, at.checked_sub(1)) {
        ("threshold", Some(at)) => Ok((at, value)),
        _ => Err(wrong()),
    }
}

/// An assertion in its short form, `type(threshold): value`; anything else is the answer itself.
fn short(text: &str, files: &Files) -> Result<Assertion, String> {
    if let Some(kind) = script_in(text) {
        let value = Value::from(text);
        let read = script::read(kind, Some(&value), files).map_err(|error| error.to_string())?;
        return Ok(Assertion::short(kind, read.unwrap_or(value), None));
    }
    for (prefixes, kind) in [
        (&["javascript:", "fn:", "eval:"][..], "javascript"),
        (&["grade:", "llm-rubric:"][..], "llm-rubric"),
        (&["python:"][..], "python"),
    ] {
        if let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            let rest = if kind == "llm-rubric" {
                rest
            } else {
                rest.trim()
            };
            return Ok(Assertion::short(kind, rest.into(), None));
        }
    }
    let Some((kind, threshold, value)) = taken_apart(text) else {
        return Ok(Assertion::short("equals", text.into(), None));
    };
    let plain = kind.strip_prefix("not-").unwrap_or(kind);
    let trimmed = || value.map_or(Value::Null, |value| value.trim().into());
    Ok(match plain {
        "contains-all" | "contains-any" | "icontains-all" | "icontains-any" => {
            let list = match value {
                Some(value) if !value.is_empty() => {
                    let parts = crate::assertion::comma_separated(value)?;
                    parts.into_iter().map(Value::from).collect()
                }
                _ => Value::Null,
            };
            Assertion::short(kind, list, None)
        }
        "contains-json" | "is-json" => {
            Assertion::short(kind, value.map_or(Value::Null, Value::from), None)
        }
        _ if WITH_THRESHOLD.contains(&plain) => {
            let usual = if plain == "similar" { 0.8 } else { 0.75 };
            Assertion::short(kind, trimmed(), Some(threshold.unwrap_or(usual)))
        }
        _ => Assertion::short(kind, trimmed(), None),
    })
}

/// The type, the number in parentheses and what stands behind the colon.
fn taken_apart(text: &str) -> Option<(&str, Option<f64>, Option<&str>)> {
    let not = if text.starts_with("not-") {
        "not-".len()
    } else {
        0
    };
    KINDS.into_iter().find_map(|plain| {
        let rest = text[not..].strip_prefix(plain)?;
        let (threshold, rest) = match rest.strip_prefix('(') {
            Some(inner) => {
                let (number, rest) = inner.split_once(')')?;
                let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
                (Some(number.parse().ok().filter(|_| is_plain)?), rest)
            }
            None => (None, rest),
        };
        let value = match rest.strip_prefix(':') {
            Some(value) => Some(value),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some((&text[..not + plain.len()], threshold, value))
    })
}

/// The type of the script whose file is named: by the ending, before the name of a function.
fn script_in(text: &str) -> Option<&'static str> {
    let file = text.strip_prefix("file://")?;
    let name = file.split_once(':').map_or(file, |(name, _)| name);
    match name.rsplit_once('.')?.1 {
        "js" | "cjs" | "mjs" | "ts" | "cts" | "mts" => Some("javascript"),
        "py" => Some("python"),
        _ => None,
    }
}
