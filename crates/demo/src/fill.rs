//! Placeholders: `{{name}}` in texts and arguments, filled from the request in one pass, so that
//! what is filled in is never read for placeholders again.

use serde_json::Value;
use std::borrow::Cow;

use crate::ask::Ask;

const NAMES: [&str; 7] = [
    "text",
    "model",
    "call",
    "result",
    "result_list",
    "tools",
    "images",
];
const TEXT_CHARS_MAX: usize = 2_000;
const RESULT_CHARS_MAX: usize = 16_000;
const LIST_ROWS_MAX: usize = 12;
const LIST_FIELDS_MAX: usize = 6;
const LIST_VALUE_CHARS_MAX: usize = 80;

/// The first placeholder of a text that nobody can fill.
pub(crate) fn unknown_placeholder(text: &str) -> Option<&str> {
    placeholders(text).find(|name| !NAMES.contains(name))
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{")
        .skip(1)
        .filter_map(|rest| rest.split_once("}}"))
        .map(|(name, _)| name.trim())
}

/// The text with its placeholders filled.
pub(crate) fn fill<'a>(text: &'a str, ask: &Ask, call: u64) -> Cow<'a, str> {
    if !text.contains("{{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once("}}") else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        out.push_str(&value(name.trim(), ask, call));
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The same for every string inside a JSON value.
pub(crate) fn fill_value(value: &Value, ask: &Ask, call: u64) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, ask, call).into_owned()),
        Value::Array(items) => items.iter().map(|v| fill_value(v, ask, call)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, v)| (key.clone(), fill_value(v, ask, call)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn value<'a>(name: &str, ask: &'a Ask, call: u64) -> Cow<'a, str> {
    let result = || ask.results.last().map_or("", |given| given.text.as_str());
    match name {
        "text" => cut(ask.text.trim(), TEXT_CHARS_MAX),
        "model" => Cow::Borrowed(&ask.model),
        "call" => Cow::Owned(call.to_string()),
        "result" => cut(result(), RESULT_CHARS_MAX),
        "result_list" => Cow::Owned(markdown_list(result())),
        "tools" => Cow::Owned(ask.tools.join(", ")),
        "images" => Cow::Owned(ask.images.to_string()),
        _ => Cow::Borrowed(""),
    }
}

fn cut(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// A tool result as a person would want to read it: a list if it is JSON, a quotation if not.
fn markdown_list(result: &str) -> String {
    match serde_json::from_str::<Value>(result) {
        Ok(Value::Array(rows)) => bullets(&rows),
        Ok(Value::Object(fields)) => {
            let rows = fields.values().find_map(Value::as_array);
            match rows {
                Some(rows) => bullets(rows),
                None => fields
                    .iter()
                    .filter_map(|(key, value)| Some(format!("- **{key}**: {}", scalar(value)?)))
                    .take(LIST_ROWS_MAX)
                    .collect::<Vec<_>>()
                    .join("\n"),
            }
        }
        Ok(_) | Err(_) => cut(result.trim(), RESULT_CHARS_MAX)
            .lines()
            .map(|line| format!("> {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn bullets(rows: &[Value]) -> String {
    if rows.is_empty() {
        return "- (none)".to_owned();
    }
    let mut lines: Vec<String> = rows.iter().take(LIST_ROWS_MAX).map(bullet).collect();
    if rows.len() > LIST_ROWS_MAX {
        lines.push(format!("- … and {} more", rows.len() - LIST_ROWS_MAX));
    }
    lines.join("\n")
}

fn bullet(row: &Value) -> String {
    let Value::Object(fields) = row else {
        return format!("- {}", scalar(row).unwrap_or_else(|| "…".to_owned()));
    };
    let named: Vec<String> = fields
        .iter()
        .filter_map(|(key, value)| Some(format!("{key} {}", scalar(value)?)))
        .take(LIST_FIELDS_MAX)
        .collect();
    format!("- {}", named.join(", "))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.is_empty() => None,
        // Backticks keep a stored text from acting as Markdown.
        Value::String(text) => Some(format!(
            "`{}`",
            cut(&text.replace(['`', '\n'], " "), LIST_VALUE_CHARS_MAX)
        )),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
