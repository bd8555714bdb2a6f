//! The methods that texts and lists have in JavaScript, as far as suites use them.

use serde_json::{Value, json};

use super::eval::number;
use crate::bounds::CASES_MAX;
use crate::data::{self, number_of, show};
use crate::error::Trouble;

pub(super) fn apply(of: &Value, name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    let found = match of {
        Value::String(text) => on_text(text, name, arguments)?,
        Value::Array(items) => on_list(items, name, arguments)?,
        other => match (name, other) {
            ("toString", Value::Number(_) | Value::Bool(_)) => Some(show(other).into()),
            ("toFixed", Value::Number(_)) => {
                let places = arguments.first().map_or(Ok(0.0), number)?;
                Some(fixed(number(other)?, places).into())
            }
            _ => None,
        },
    };
    found.map_or_else(
        || Trouble::unsupported(format!("the method {name:?} in an expression")),
        Ok,
    )
}

fn on_text(text: &str, name: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let argument = || arguments.first().map(show).unwrap_or_default();
    Ok(Some(match name {
        "trim" => text.trim().into(),
        "trimStart" => text.trim_start().into(),
        "trimEnd" => text.trim_end().into(),
        "toUpperCase" => text.to_uppercase().into(),
        "toLowerCase" => text.to_lowercase().into(),
        "toString" => text.into(),
        "includes" => text.contains(&argument()).into(),
        "startsWith" => text.starts_with(&argument()).into(),
        "endsWith" => text.ends_with(&argument()).into(),
        "indexOf" => match text.find(&argument()) {
            Some(at) => text[..at].encode_utf16().count().into(),
            None => (-1).into(),
        },
        "split" => match arguments {
            [Value::String(between)] if between.is_empty() => {
                text.chars().map(|c| Value::from(c.to_string())).collect()
            }
            [Value::String(between)] => text.split(between.as_str()).map(Value::from).collect(),
            _ => return Ok(None),
        },
        "replace" | "replaceAll" => match arguments {
            [Value::String(from), Value::String(to)] if !from.is_empty() && !to.contains('$') => {
                match name {
                    "replace" => text.replacen(from.as_str(), to, 1).into(),
                    _ => text.replace(from.as_str(), to).into(),
                }
            }
            _ => return Ok(None),
        },
        "slice" | "substring" => {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = range(chars.len(), arguments)?;
            chars[from..to].iter().collect::<String>().into()
        }
        _ => return Ok(None),
    }))
}

fn on_list(items: &[Value], name: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    Ok(Some(match name {
        "join" => {
            let between = arguments.first().map_or_else(|| ",".to_owned(), show);
            let shown: Vec<_> = items.iter().map(show).collect();
            shown.join(&between).into()
        }
        "includes" => arguments
            .first()
            .is_some_and(|one| items.contains(one))
            .into(),
        "slice" => {
            let (from, to) = range(items.len(), arguments)?;
            items[from..to].to_vec().into()
        }
        "concat" => match arguments {
            [Value::Array(more)] => items.iter().chain(more).cloned().collect(),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// The two ends of a slice; negative ones count from the end.
fn range(length: usize, arguments: &[Value]) -> Result<(usize, usize), Trouble> {
    let place = |argument: Option<&Value>, missing: usize| match argument {
        None | Some(Value::Null) => Ok(missing),
        Some(value) => match value.as_i64() {
            Some(at) if at < 0 => {
                Ok(length.saturating_sub(usize::try_from(-at).unwrap_or(usize::MAX)))
            }
            Some(at) => Ok(usize::try_from(at).unwrap_or(usize::MAX).min(length)),
            None => Trouble::wrong(format!("{value} is no place in a list")),
        },
    };
    let from = place(arguments.first(), 0)?;
    let to = place(arguments.get(1), length)?;
    Ok((from, to.max(from)))
}

fn fixed(of: f64, places: f64) -> String {
    let places = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
        .into_iter()
        .rfind(|n| f64::from(u8::try_from(*n).unwrap_or_default()) <= places)
        .unwrap_or(0);
    format!("{of:.places$}")
}

/// `JSON.parse` and `JSON.stringify`.
pub(super) fn json(name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    match (name, arguments) {
        ("parse", [text]) => match data::json(&show(text)) {
            Some(value) => Ok(value),
            None => Trouble::wrong("the answer is no JSON"),
        },
        ("stringify", [value]) => Ok(value.to_string().into()),
        _ => Trouble::unsupported(format!("JSON.{name} with these arguments")),
    }
}

/// Functions that stand by themselves.
pub(super) fn function(name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    match name {
        "range" => {
            let (from, to, by) = match arguments {
                [to] => (0.0, number(to)?, 1.0),
                [from, to] => (number(from)?, number(to)?, 1.0),
                [from, to, by] => (number(from)?, number(to)?, number(by)?),
                _ => return Trouble::wrong("range needs one to three numbers"),
            };
            if by == 0.0 {
                return Trouble::wrong("range with steps of nothing");
            }
            let mut items = Vec::new();
            let mut at = from;
            while (by > 0.0 && at < to) || (by < 0.0 && at > to) {
                items.push(number_of(at));
                if items.len() > CASES_MAX {
                    return Trouble::wrong("range is too long");
                }
                at += by;
            }
            Ok(Value::Array(items))
        }
        "String" => Ok(json!(arguments.first().map(show).unwrap_or_default())),
        "Number" | "parseFloat" => number(arguments.first().unwrap_or(&Value::Null)).map(number_of),
        "parseInt" => {
            number(arguments.first().unwrap_or(&Value::Null)).map(|n| number_of(n.trunc()))
        }
        other => Trouble::unsupported(format!("the function {other:?} in an expression")),
    }
}
