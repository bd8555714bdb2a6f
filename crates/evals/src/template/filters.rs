//! The filters of templates.

use serde_json::Value;

use super::eval::number;
use crate::bounds::RENDERED_BYTES_MAX;
use crate::data::{self, number_of, show, truthy};
use crate::error::Trouble;

/// Applies a filter; `default` is done where names are known.
pub(super) fn apply(name: &str, of: Value, arguments: &[Value]) -> Result<Value, Trouble> {
    let text = || match &of {
        Value::Null => String::new(),
        other => show(other),
    };
    Ok(match name {
        "upper" => text().to_uppercase().into(),
        "lower" => text().to_lowercase().into(),
        "trim" => text().trim().into(),
        "capitalize" => capitalised(&text()).into(),
        "title" => {
            let words: Vec<_> = text().split(' ').map(capitalised).collect();
            words.join(" ").into()
        }
        "string" => text().into(),
        "safe" => of,
        "escape" | "e" | "forceescape" => escaped(&text()).into(),
        "nl2br" => text()
            .replace("\r\n", "\n")
            .replace('\n', "<br />\n")
            .into(),
        "urlencode" => percent_encoded(&text()).into(),
        "wordcount" => words(&text()).into(),
        "length" => length(&of).into(),
        "list" => listed(of)?,
        "first" => match of {
            Value::Array(items) => items.into_iter().next().unwrap_or(Value::Null),
            Value::String(text) => text
                .chars()
                .next()
                .map_or(Value::Null, |c| c.to_string().into()),
            _ => Value::Null,
        },
        "last" => match of {
            Value::Array(items) => items.into_iter().next_back().unwrap_or(Value::Null),
            Value::String(text) => text
                .chars()
                .last()
                .map_or(Value::Null, |c| c.to_string().into()),
            _ => Value::Null,
        },
        "reverse" => match of {
            Value::Array(mut items) => {
                items.reverse();
                Value::Array(items)
            }
            other => show(&other).chars().rev().collect::<String>().into(),
        },
        "join" => joined(&of, arguments).into(),
        "replace" => replaced(&text(), arguments)?.into(),
        "truncate" => truncated(&text(), arguments).into(),
        "indent" => indented(&text(), arguments).into(),
        "abs" => number_of(number(&of)?.abs()),
        "int" => match number(&of) {
            Ok(number) => number_of(number.trunc()),
            Err(_) => arguments.first().cloned().unwrap_or_else(|| 0.into()),
        },
        "float" => match number(&of) {
            Ok(number) => number_of(number),
            Err(_) => arguments.first().cloned().unwrap_or_else(|| 0.into()),
        },
        "round" => rounded(number(&of)?, arguments)?,
        "sum" => summed(&of, arguments)?,
        "sort" => sorted(of, arguments)?,
        "dump" => dumped(&of, arguments)?,
        "load" => match data::json(&text()) {
            Some(value) => value,
            None => return Trouble::wrong("the filter \"load\" was given no JSON"),
        },
        other => return Trouble::unsupported(format!("the filter {other:?} in a template")),
    })
}

fn capitalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut chars = lower.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push_str("&#96;"),
            '\\' => out.push_str("&#92;"),
            other => out.push(other),
        }
    }
    out
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            use std::fmt::Write as _;
            // Writing into a string does not fail.
            let _done = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn words(text: &str) -> usize {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .count()
}

fn length(of: &Value) -> usize {
    match of {
        Value::String(text) => text.encode_utf16().count(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn listed(of: Value) -> Result<Value, Trouble> {
    match of {
        Value::String(text) => Ok(text.chars().map(|c| Value::from(c.to_string())).collect()),
        Value::Array(items) => Ok(Value::Array(items)),
        Value::Object(map) => Ok(map
            .into_iter()
            .map(|(key, value)| serde_json::json!({"key": key, "value": value}))
            .collect()),
        other => Trouble::wrong(format!("{other} is no list")),
    }
}

fn joined(of: &Value, arguments: &[Value]) -> String {
    let between = arguments.first().map(show).unwrap_or_default();
    let field = arguments.get(1).and_then(Value::as_str);
    let Value::Array(items) = of else {
        return show(of);
    };
    let shown: Vec<_> = items
        .iter()
        .map(
            |item| match field.map_or(Some(item), |name| item.get(name)) {
                None | Some(Value::Null) => String::new(),
                Some(value) => show(value),
            },
        )
        .collect();
    shown.join(&between)
}

fn replaced(text: &str, arguments: &[Value]) -> Result<String, Trouble> {
    let (Some(from), Some(to)) = (arguments.first(), arguments.get(1)) else {
        return Trouble::wrong("the filter \"replace\" needs two arguments");
    };
    let (from, to) = (show(from), show(to));
    if from.is_empty() {
        return Trouble::unsupported("the filter \"replace\" of nothing");
    }
    let times = arguments.get(2).and_then(Value::as_u64);
    let most = times.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let count = text.matches(&from).count().min(most);
    if text.len().saturating_add(count.saturating_mul(to.len())) > RENDERED_BYTES_MAX {
        return Trouble::wrong("a replaced text grows too long");
    }
    Ok(text.replacen(&from, &to, most))
}

fn truncated(text: &str, arguments: &[Value]) -> String {
    let most = arguments.first().and_then(Value::as_u64).unwrap_or(255);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= most {
        return text.to_owned();
    }
    let cuts_words = arguments.get(1).is_some_and(truthy);
    let end = match cuts_words {
        true => most,
        false => chars[..=most]
            .iter()
            .rposition(|c| *c == ' ')
            .filter(|at| *at > 0)
            .unwrap_or(most),
    };
    let dots = arguments.get(2).map_or_else(|| "...".to_owned(), show);
    chars[..end].iter().collect::<String>() + &dots
}

fn indented(text: &str, arguments: &[Value]) -> String {
    let width = arguments
        .first()
        .and_then(Value::as_u64)
        .unwrap_or(4)
        .min(100);
    let space = " ".repeat(usize::try_from(width).unwrap_or_default());
    let first_too = arguments.get(1).is_some_and(truthy);
    let lines: Vec<_> = text
        .split('\n')
        .enumerate()
        .map(|(index, line)| match index == 0 && !first_too {
            true => line.to_owned(),
            false => format!("{space}{line}"),
        })
        .collect();
    lines.join("\n")
}

fn rounded(of: f64, arguments: &[Value]) -> Result<Value, Trouble> {
    let places = arguments.first().map_or(Ok(0.0), number)?;
    let factor = 10_f64.powf(places);
    let scaled = of * factor;
    let whole = match arguments.get(1).and_then(Value::as_str) {
        Some("ceil") => scaled.ceil(),
        Some("floor") => scaled.floor(),
        // Halves go up, as in ECMAScript.
        _ => (scaled + 0.5).floor(),
    };
    Ok(number_of(whole / factor))
}

fn summed(of: &Value, arguments: &[Value]) -> Result<Value, Trouble> {
    let Value::Array(items) = of else {
        return Trouble::wrong("the filter \"sum\" needs a list");
    };
    let field = arguments.first().and_then(Value::as_str);
    let mut sum = 0.0;
    for item in items {
        sum += number(
            field
                .map_or(Some(item), |name| item.get(name))
                .unwrap_or(&Value::Null),
        )?;
    }
    Ok(number_of(sum))
}

fn sorted(of: Value, arguments: &[Value]) -> Result<Value, Trouble> {
    let Value::Array(mut items) = of else {
        return Trouble::wrong("the filter \"sort\" needs a list");
    };
    let backwards = arguments.first().is_some_and(truthy);
    let exact_case = arguments.get(1).is_some_and(truthy);
    let field = arguments.get(2).and_then(Value::as_str);
    let key = |item: &Value| {
        let value = field
            .map_or(Some(item), |name| item.get(name))
            .unwrap_or(&Value::Null);
        match value {
            Value::String(text) if !exact_case => Value::String(text.to_lowercase()),
            other => other.clone(),
        }
    };
    items.sort_by(|left, right| {
        let order = match (key(left), key(right)) {
            (Value::String(left), Value::String(right)) => left.cmp(&right),
            (left, right) => match (number(&left), number(&right)) {
                (Ok(left), Ok(right)) => left.total_cmp(&right),
                _ => std::cmp::Ordering::Equal,
            },
        };
        if backwards { order.reverse() } else { order }
    });
    Ok(Value::Array(items))
}

fn dumped(of: &Value, arguments: &[Value]) -> Result<Value, Trouble> {
    let written = match arguments.first() {
        _ if of.is_null() => return Ok(Value::Null),
        None | Some(Value::Null) => serde_json::to_string(of),
        Some(Value::Number(number)) if number.as_u64() == Some(2) => {
            serde_json::to_string_pretty(of)
        }
        Some(_) => return Trouble::unsupported("the filter \"dump\" with other than two spaces"),
    };
    written.map_or_else(
        |error| Trouble::wrong(error.to_string()),
        |text| Ok(text.into()),
    )
}
