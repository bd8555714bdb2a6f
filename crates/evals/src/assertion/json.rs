//! Answers that are JSON, or hold some.

use serde_json::Value;

use super::{Asked, Verdict, schema};
use crate::data;
use crate::error::Trouble;

/// The most bytes of one object that is looked for in an answer.
const OBJECT_BYTES_MAX: usize = 100_000;

pub(super) fn is_json(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let parsed = data::json(asked.text);
    let Some(parsed) = parsed else {
        return Ok(Verdict::of(asked.inverse, || {
            "the answer is no JSON".to_owned()
        }));
    };
    let Some(schema) = schema_of(&asked.value)? else {
        return Ok(asked.decide(true, || "be JSON".to_owned()));
    };
    let problem = schema::problem(&parsed, &schema)?;
    let fits = problem.is_none();
    Ok(Verdict::of(fits != asked.inverse, || match problem {
        Some(problem) => format!("the JSON does not fit: {problem}"),
        None => "the JSON fits the schema".to_owned(),
    }))
}

pub(super) fn contains_json(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let objects = objects(asked.text);
    if objects.is_empty() {
        return Ok(Verdict::of(asked.inverse, || {
            "the answer holds no JSON".to_owned()
        }));
    }
    let Some(schema) = schema_of(&asked.value)? else {
        return Ok(asked.decide(true, || "contain JSON".to_owned()));
    };
    let mut problem = None;
    for object in &objects {
        problem = schema::problem(object, &schema)?;
        if problem.is_none() {
            break;
        }
    }
    let fits = problem.is_none();
    Ok(Verdict::of(fits != asked.inverse, || match problem {
        Some(problem) => format!("the JSON does not fit: {problem}"),
        None => "the answer holds JSON that fits the schema".to_owned(),
    }))
}

/// The schema of an assertion: a value, or a text that is YAML.
fn schema_of(value: &Value) -> Result<Option<Value>, Trouble> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.starts_with("file://") => {
            Trouble::unsupported("a schema that a script makes")
        }
        Value::String(text) => match data::yaml(text) {
            Ok(schema) => Ok(Some(schema)),
            Err(problem) => Trouble::wrong(format!("the schema cannot be read: {problem}")),
        },
        Value::Object(_) => Ok(Some(value.clone())),
        other => Trouble::wrong(format!("{other} is no schema")),
    }
}

/// The objects in a text, from the left; one that lacks its end at the end of the text is closed.
pub(super) fn objects(text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        match object_at(&text[open..]) {
            Some((value, length)) => {
                found.push(value);
                from = open + length;
            }
            None => from = open + 1,
        }
        if found.len() >= 1_000 {
            break;
        }
    }
    found
}

fn object_at(text: &str) -> Option<(Value, usize)> {
    let mut depth = 0_usize;
    for (at, c) in text
        .char_indices()
        .take_while(|(at, _)| *at < OBJECT_BYTES_MAX)
    {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let whole = &text[..=at];
            return lenient(whole).map(|value| (value, whole.len()));
        }
    }
    // A brace with nothing after it begins nothing.
    if text.len() == 1 || text.len() > OBJECT_BYTES_MAX || depth > crate::bounds::DEPTH_MAX {
        return None;
    }
    let closed = format!("{text}{}", "}".repeat(depth));
    lenient(&closed).map(|value| (value, text.len()))
}

/// An object as people write them: JSON, else the flow style of YAML, with remarks and without spaces.
fn lenient(text: &str) -> Option<Value> {
    data::json(text)
        .or_else(|| data::yaml(text).ok())
        .or_else(|| data::yaml(&tidied(text)).ok())
        .filter(Value::is_object)
        // A mapping with a mapping as its name is braces within braces.
        .filter(|value| value.get("[object Object]").is_none())
}

/// Without remarks behind two slashes, and with a space between a colon and the bracket after it.
fn tidied(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        let mut quote = None;
        let mut before = None;
        for (at, c) in line.char_indices() {
            let after_letter = before.is_some_and(char::is_alphabetic);
            match (quote, c) {
                (Some(open), c) if c == open && before != Some('\\') => quote = None,
                (None, '"') => quote = Some(c),
                (None, '\'') if !after_letter => quote = Some(c),
                (None, '/') if line[at..].starts_with("//") && before != Some(':') => {
                    out.push('\n');
                    break;
                }
                (None, '[' | '{') if before == Some(':') => out.push(' '),
                _ => {}
            }
            out.push(c);
            before = Some(c);
        }
    }
    out
}
