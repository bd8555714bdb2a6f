//! Samples of others as suites: OpenAI evals and Inspect.
//!
//! A sample is a line of JSON with what is asked and what is right. It becomes a test with one assertion;
//! the suite is written out as promptfoo's YAML reads it, which is JSON, too.

use serde_json::{Map, Value, json};

use crate::bounds::{CASES_MAX, FILE_BYTES_MAX};
use crate::data::{self, show};
use crate::error::SuiteError;

/// Whose samples these are, and how they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// OpenAI evals, class `Match`: the answer begins with what is ideal.
    OpenAiMatch,
    /// Class `Includes`: the answer holds it.
    OpenAiIncludes,
    /// Class `FuzzyMatch`: one holds the other.
    OpenAiFuzzy,
    /// Class `JsonMatch`: the same JSON.
    OpenAiJson,
    /// Inspect, by `target`, or the letter of the right choice.
    Inspect,
}

/// A suite made of samples, one a line, or one list.
pub fn import(text: &str, kind: Samples) -> Result<Value, SuiteError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(SuiteError::content(
            "samples",
            format!("more than {FILE_BYTES_MAX} bytes"),
        ));
    }
    let samples: Vec<Value> = match data::json(text) {
        Some(Value::Array(samples)) => samples,
        _ => text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                let wrong = || SuiteError::content(format!("line {}", index + 1), "is no JSON");
                data::json(line).ok_or_else(wrong)
            })
            .collect::<Result<_, _>>()?,
    };
    if samples.is_empty() || samples.len() > CASES_MAX {
        return Err(SuiteError::content(
            "samples",
            format!("must be 1 to {CASES_MAX}"),
        ));
    }
    let tests = samples
        .iter()
        .enumerate()
        .map(|(index, sample)| test(sample, kind, index))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "description": "imported samples",
        "prompts": ["{{input}}"],
        "providers": ["gateway"],
        "tests": tests,
    }))
}

fn test(sample: &Value, kind: Samples, index: usize) -> Result<Value, SuiteError> {
    let place = format!("sample {}", index + 1);
    let missing = |key: &str| SuiteError::content(place.as_str(), format!("has no `{key}`"));
    let input = sample.get("input").ok_or_else(|| missing("input"))?;
    let choices: Vec<String> = match sample.get("choices") {
        Some(Value::Array(choices)) if kind == Samples::Inspect => {
            choices.iter().map(show).collect()
        }
        _ => Vec::new(),
    };
    let key = if kind == Samples::Inspect {
        "target"
    } else {
        "ideal"
    };
    let right: Vec<String> = match sample.get(key) {
        Some(Value::Array(items)) => items
            .iter()
            .map(|one| right(one, kind))
            .collect::<Option<_>>(),
        Some(one) if !one.is_null() => right(one, kind).map(|one| vec![one]),
        _ => return Err(missing(key)),
    }
    .ok_or_else(|| SuiteError::content(place.as_str(), format!("`{key}` is no text")))?;
    let around = ["files", "setup", "sandbox"].into_iter().find(|key| {
        let asked = sample.get(*key).filter(|_| kind == Samples::Inspect);
        asked.is_some_and(|value| !value.is_null())
    });
    if let Some(key) = around {
        let why =
            format!("`{key}` wants files around the question, which a case here does not have");
        return Err(SuiteError::content(place.as_str(), why));
    }
    let no_message =
        || SuiteError::content(place.as_str(), "`choices` without a message of the user's");
    let input = asked(input, &choices).ok_or_else(no_message)?;
    let mut vars = Map::new();
    vars.insert("input".to_owned(), literal(&input).into());
    if kind == Samples::OpenAiFuzzy {
        for (place, text) in right.iter().enumerate() {
            vars.insert(ideal(place), literal(text).into());
        }
    }
    let assertion = if choices.is_empty() {
        assertion(kind, &right)
    } else {
        letters(&right)
    };
    Ok(json!({
        "description": sample.get("id").map_or(place, show),
        "vars": vars,
        "metadata": sample.get("metadata").filter(|value| value.is_object()).cloned().unwrap_or(json!({})),
        "assert": [assertion],
    }))
}

/// What is right, as text. Only where JSON is compared may it be anything else.
fn right(of: &Value, kind: Samples) -> Option<String> {
    match of {
        Value::Object(_) | Value::Array(_) if kind == Samples::OpenAiJson => Some(of.to_string()),
        Value::Object(_) | Value::Array(_) => None,
        plain => Some(show(plain)),
    }
}

/// What is asked: a text, or a conversation as JSON, with the choices under the last message of the user's.
fn asked(input: &Value, choices: &[String]) -> Option<String> {
    if choices.is_empty() {
        return Some(data::as_text(input));
    }
    let Value::Array(messages) = input else {
        return Some(data::as_text(input) + &offered(choices));
    };
    let mut messages = messages.clone();
    let is_user = |message: &&mut Value| message["role"] == "user";
    let last = messages.iter_mut().rfind(is_user)?;
    match &mut last["content"] {
        Value::String(text) => text.push_str(&offered(choices)),
        Value::Array(parts) => parts.push(json!({"type": "text", "text": offered(choices)})),
        _ => return None,
    }
    Some(Value::Array(messages).to_string())
}

fn offered(choices: &[String]) -> String {
    let mut text = String::new();
    for (letter, choice) in ('A'..='Z').zip(choices) {
        text.push_str(&format!("\n{letter}) {choice}"));
    }
    text.push_str(
        "\nAnswer with the letter of the right choice alone; of several, with all of them.",
    );
    text
}

/// The variable that a text stands in which is ideal.
fn ideal(place: usize) -> String {
    format!("ideal{place}")
}

/// The letters of the right choices at the beginning of the answer. A letter somewhere in it says nothing.
fn letters(right: &[String]) -> Value {
    let letters: Vec<String> = right.iter().map(|text| regex::escape(text)).collect();
    let pattern = format!(
        r"^\W*(?:[Aa][Nn][Ss][Ww][Ee][Rr]\W+)?{}(?:[).:,]|\W*$)",
        letters.join(r"\W+")
    );
    json!({"type": "regex", "value": literal(&pattern)})
}

fn assertion(kind: Samples, right: &[String]) -> Value {
    let one_of = |of: &dyn Fn(&String) -> Value| {
        let checks: Vec<Value> = right.iter().map(of).collect();
        match <[Value; 1]>::try_from(checks) {
            Ok([only]) => only,
            Err(several) => one_is_enough(&several),
        }
    };
    match kind {
        Samples::OpenAiMatch => {
            one_of(&|text| json!({"type": "starts-with", "value": literal(text)}))
        }
        Samples::OpenAiIncludes => json!({"type": "contains-any", "value": literals(right)}),
        Samples::Inspect => json!({"type": "icontains-any", "value": literals(right)}),
        Samples::OpenAiFuzzy => either_holds_the_other(right),
        Samples::OpenAiJson => one_of(&|text| match data::json(text) {
            Some(value @ (Value::Object(_) | Value::Array(_))) => {
                json!({"type": "equals", "value": value})
            }
            _ => json!({"type": "equals", "value": literal(text)}),
        }),
    }
}

/// One of the texts is in the answer, or the answer, where there is one, is in one of them.
fn either_holds_the_other(right: &[String]) -> Value {
    let mut checks = vec![json!({"type": "icontains-any", "value": literals(right)})];
    for place in 0..right.len() {
        let within = format!(
            "output.trim() ? context.vars.{}.toLowerCase().includes(output.trim().toLowerCase()) : false",
            ideal(place)
        );
        checks.push(json!({"type": "equals", "value": "true", "transform": within}));
    }
    one_is_enough(&checks)
}

/// A set that needs the share of one.
fn one_is_enough(checks: &[Value]) -> Value {
    let share = 1.0 / f64::from(u32::try_from(checks.len()).unwrap_or(u32::MAX));
    json!({"type": "assert-set", "threshold": share - 1e-9, "assert": checks})
}

fn literals(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| literal(text)).collect()
}

/// Text of others that must not be read as a template.
fn literal(text: &str) -> String {
    match text.contains("{{") || text.contains("{%") || text.contains("{#") {
        true => format!("{{% raw %}}{text}{{% endraw %}}"),
        false => text.to_owned(),
    }
}
