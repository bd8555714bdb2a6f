//! Texts against texts.

use serde_json::Value;

use super::{Asked, Verdict};
use crate::bounds::DISTANCE_CELLS_MAX;
use crate::data::{self, show};
use crate::error::Trouble;

pub(super) fn equals(asked: &Asked<'_>) -> Verdict {
    let same = match &asked.value {
        Value::Object(_) | Value::Array(_) | Value::Null => {
            data::json(asked.text).is_some_and(|parsed| alike(&parsed, &asked.value))
        }
        other => show(other) == asked.text,
    };
    asked.decide(same, || format!("equal {}", asked.value))
}

/// Equality in which the order of keys plays no part.
pub(super) fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| alike(l, r))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, l)| right.get(key).is_some_and(|r| alike(l, r)))
        }
        _ => left == right,
    }
}

pub(super) fn contains(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let wanted = match &asked.value {
        Value::String(text) if !text.is_empty() => text.clone(),
        number @ Value::Number(_) => show(number),
        _ => return Trouble::wrong(format!("{:?} needs a text or a number", asked.kind)),
    };
    let found = match asked.kind {
        "icontains" => asked.text.to_lowercase().contains(&wanted.to_lowercase()),
        _ => asked.text.contains(&wanted),
    };
    Ok(asked.decide(found, || format!("contain {wanted:?}")))
}

pub(super) fn several(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let wanted: Vec<String> = match &asked.value {
        Value::String(text) if !text.is_empty() => comma_separated(text).map_err(Trouble::Wrong)?,
        Value::Array(items) => items.iter().map(show).collect(),
        _ => return Trouble::wrong(format!("{:?} needs a list", asked.kind)),
    };
    let folds = asked.kind.starts_with('i');
    let text = if folds {
        asked.text.to_lowercase()
    } else {
        asked.text.to_owned()
    };
    let has = |one: &String| match folds {
        true => text.contains(&one.to_lowercase()),
        false => text.contains(one.as_str()),
    };
    if asked.kind.ends_with("any") {
        let any = wanted.iter().any(has);
        return Ok(asked.decide(any, || format!("contain one of {wanted:?}")));
    }
    let missing: Vec<_> = wanted.iter().filter(|one| !has(one)).collect();
    let all = missing.is_empty();
    Ok(asked.decide(all, || {
        format!("contain all of {wanted:?}; missing: {missing:?}")
    }))
}

pub(super) fn starts_with(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    match &asked.value {
        Value::String(wanted) if !wanted.is_empty() => {
            let starts = asked.text.starts_with(wanted.as_str());
            Ok(asked.decide(starts, || format!("start with {wanted:?}")))
        }
        _ => Trouble::wrong("\"starts-with\" needs a text"),
    }
}

/// Fields between commas; one in quotes may hold commas, and quotes doubled or behind a backslash.
pub(crate) fn comma_separated(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() {
            return Ok(fields);
        }
        if !rest.starts_with('"') {
            let (field, after) = rest.split_once(',').unwrap_or((rest, ""));
            fields.push(field.trim().to_owned());
            rest = after;
            continue;
        }
        let (field, after) = quoted(&rest[1..]).ok_or("a quoted field has no end")?;
        fields.push(field);
        rest = after.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return Err("a comma is missing after a quoted field".to_owned());
        }
    }
}

fn quoted(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, chars.peek().map(|(_, next)| *next)) {
            ('\\', Some(next @ ('"' | '\\'))) | ('"', Some(next @ '"')) => {
                field.push(next);
                chars.next();
            }
            ('"', _) => return Some((field, &text[at + 1..])),
            (other, _) => field.push(other),
        }
    }
    None
}

pub(super) fn word_count(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an answer has not so many words"
    )]
    let count = asked.text.split_whitespace().count() as f64;
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let holds = match &asked.value {
        Value::Object(map) => {
            let (min, max) = (
                map.get("min").and_then(number),
                map.get("max").and_then(number),
            );
            match (min, max) {
                (None, None) => return Trouble::wrong("\"word-count\" needs min or max"),
                (Some(min), Some(max)) if min > max => {
                    return Trouble::wrong(format!(
                        "\"word-count\" from {min} to {max} holds nothing"
                    ));
                }
                _ => min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max),
            }
        }
        other => match number(other) {
            #[expect(clippy::float_cmp, reason = "both are whole")]
            Some(wanted) => count == wanted,
            None => return Trouble::wrong("\"word-count\" needs a number, or min and max"),
        },
    };
    Ok(asked.decide(holds, || {
        format!("have {} words, it has {count}", asked.value)
    }))
}

pub(super) fn levenshtein(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let Value::String(wanted) = &asked.value else {
        return Trouble::wrong("\"levenshtein\" needs a text");
    };
    let most = asked.threshold.unwrap_or(5.0);
    let distance = distance(asked.text, wanted)?;
    #[expect(clippy::cast_precision_loss, reason = "texts are bounded")]
    let near = distance as f64 <= most;
    Ok(asked.decide(near, || {
        format!("be within {most} edits of {wanted:?}, it is {distance} away")
    }))
}

/// Edits from one text to the other, counted in UTF-16 units as ECMAScript sees texts.
pub(crate) fn distance(left: &str, right: &str) -> Result<usize, Trouble> {
    let left: Vec<u16> = left.encode_utf16().collect();
    let right: Vec<u16> = right.encode_utf16().collect();
    if left.len().saturating_mul(right.len()) > DISTANCE_CELLS_MAX {
        return Trouble::unsupported("the distance of texts as long as these");
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let change = diagonal + usize::from(l != r);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    Ok(row[right.len()])
}
