//! Checks arguments against the part of JSON Schema that tool specs here are written in.
//!
//! A schema is read once, when its tool is registered; a keyword that this module does not know
//! refuses the tool, so that nothing is ever left unchecked. Objects take the fields that they
//! name and no others, whether or not the schema says so.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Nesting beyond this is refused in a schema.
const DEPTH_MAX: usize = 16;

/// A schema in a form that can be checked against.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Object {
        fields: BTreeMap<String, Self>,
        required: BTreeSet<String>,
    },
    Array {
        items: Box<Self>,
        max: Option<u64>,
    },
    Text {
        one_of: Option<Vec<String>>,
        min: u64,
        max: Option<u64>,
    },
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
    },
    Boolean,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SchemaError {
    #[error("the schema at {at} has the keyword {keyword:?}, which is not supported")]
    Keyword { at: String, keyword: String },
    #[error("the schema at {at} {problem}")]
    Shape { at: String, problem: &'static str },
}

impl Schema {
    /// Reads the schema of a tool's arguments: always an object.
    pub fn read(schema: &Value) -> Result<Self, SchemaError> {
        let shape = read(schema, "arguments", 0)?;
        match shape {
            Shape::Object { .. } => Ok(Self(shape)),
            Shape::Array { .. }
            | Shape::Text { .. }
            | Shape::Integer { .. }
            | Shape::Number { .. }
            | Shape::Boolean => Err(broken("arguments", "is not an object schema")),
        }
    }

    /// Checks arguments; the error names the field and what was expected, for the model.
    pub fn check(&self, arguments: &Value) -> Result<(), String> {
        check(&self.0, arguments, "arguments")
    }
}

fn read(schema: &Value, at: &str, depth: usize) -> Result<Shape, SchemaError> {
    if depth > DEPTH_MAX {
        return Err(broken(at, "is nested too deep"));
    }
    let Value::Object(keywords) = schema else {
        return Err(broken(at, "is not an object"));
    };
    let known: &[&str] = match keywords.get("type").and_then(Value::as_str) {
        Some("object") => &["properties", "required", "additionalProperties"],
        Some("array") => &["items", "maxItems"],
        Some("string") => &["enum", "minLength", "maxLength"],
        Some("integer" | "number") => &["minimum", "maximum"],
        Some("boolean") => &[],
        _ => return Err(broken(at, "has no single type that is known")),
    };
    // Keywords that say something to the model and nothing to the check.
    let silent = ["type", "description", "title", "default", "examples"];
    if let Some(keyword) = keywords
        .keys()
        .find(|key| !known.contains(&key.as_str()) && !silent.contains(&key.as_str()))
    {
        return Err(SchemaError::Keyword {
            at: at.to_owned(),
            keyword: keyword.clone(),
        });
    }
    match keywords.get("type").and_then(Value::as_str) {
        Some("object") => read_object(keywords, at, depth),
        Some("array") => Ok(Shape::Array {
            items: Box::new(read(
                keywords
                    .get("items")
                    .ok_or_else(|| broken(at, "has no items"))?,
                &format!("{at}[]"),
                depth + 1,
            )?),
            max: bound(keywords, "maxItems", at, Value::as_u64)?,
        }),
        Some("string") => Ok(Shape::Text {
            one_of: strings(keywords, "enum", at)?,
            min: bound(keywords, "minLength", at, Value::as_u64)?.unwrap_or(0),
            max: bound(keywords, "maxLength", at, Value::as_u64)?,
        }),
        Some("integer") => Ok(Shape::Integer {
            min: bound(keywords, "minimum", at, Value::as_i64)?,
            max: bound(keywords, "maximum", at, Value::as_i64)?,
        }),
        Some("number") => Ok(Shape::Number {
            min: bound(keywords, "minimum", at, Value::as_f64)?,
            max: bound(keywords, "maximum", at, Value::as_f64)?,
        }),
        _ => Ok(Shape::Boolean),
    }
}

fn read_object(
    keywords: &Map<String, Value>,
    at: &str,
    depth: usize,
) -> Result<Shape, SchemaError> {
    if !matches!(
        keywords.get("additionalProperties"),
        None | Some(Value::Bool(false))
    ) {
        return Err(broken(at, "lets unknown fields in"));
    }
    let mut fields = BTreeMap::new();
    match keywords.get("properties") {
        None => {}
        Some(Value::Object(properties)) => {
            for (name, schema) in properties {
                fields.insert(
                    name.clone(),
                    read(schema, &format!("{at}.{name}"), depth + 1)?,
                );
            }
        }
        Some(_) => return Err(broken(at, "has properties that are not an object")),
    }
    let required: BTreeSet<String> = strings(keywords, "required", at)?
        .unwrap_or_default()
        .into_iter()
        .collect();
    if required.iter().any(|name| !fields.contains_key(name)) {
        return Err(broken(at, "requires a field that it does not have"));
    }
    Ok(Shape::Object { fields, required })
}

fn bound<T>(
    keywords: &Map<String, Value>,
    key: &str,
    at: &str,
    as_bound: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, SchemaError> {
    keywords
        .get(key)
        .map(|value| as_bound(value).ok_or_else(|| broken(at, "has a bound that is not a number")))
        .transpose()
}

fn strings(
    keywords: &Map<String, Value>,
    key: &str,
    at: &str,
) -> Result<Option<Vec<String>>, SchemaError> {
    let Some(value) = keywords.get(key) else {
        return Ok(None);
    };
    value
        .as_array()
        .and_then(|items| {
            items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        })
        .map(Some)
        .ok_or_else(|| broken(at, "has a list that is not of strings"))
}

fn broken(at: &str, problem: &'static str) -> SchemaError {
    SchemaError::Shape {
        at: at.to_owned(),
        problem,
    }
}

fn check(shape: &Shape, value: &Value, at: &str) -> Result<(), String> {
    match (shape, value) {
        (Shape::Object { fields, required }, Value::Object(given)) => {
            if let Some(name) = required.iter().find(|name| !given.contains_key(*name)) {
                return Err(format!("{at}.{name} is missing"));
            }
            for (name, value) in given {
                let Some(field) = fields.get(name) else {
                    return Err(unknown_field(at, name, fields));
                };
                check(field, value, &format!("{at}.{name}"))?;
            }
            Ok(())
        }
        (Shape::Array { items, max }, Value::Array(given)) => {
            if max.is_some_and(|max| given.len() as u64 > max) {
                return Err(format!("{at} has more than {} items", max.unwrap_or(0)));
            }
            given
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| check(items, item, &format!("{at}[{index}]")))
        }
        (Shape::Text { one_of, min, max }, Value::String(text)) => {
            check_text(text, one_of.as_deref(), *min, *max, at)
        }
        (Shape::Integer { min, max }, Value::Number(number)) => {
            let integer = number
                .as_i64()
                .ok_or_else(|| format!("{at} must be a whole number"))?;
            check_range(integer, *min, *max, at)
        }
        (Shape::Number { min, max }, Value::Number(number)) => {
            let double = number.as_f64().unwrap_or(f64::NAN);
            check_range(double, *min, *max, at)
        }
        (Shape::Boolean, Value::Bool(_)) => Ok(()),
        _ => Err(format!("{at} must be {}", shape.noun())),
    }
}

fn unknown_field(at: &str, name: &str, fields: &BTreeMap<String, Shape>) -> String {
    let known: Vec<&str> = fields.keys().map(String::as_str).collect();
    let name = instar_protocol::redact::log_field(name);
    if known.is_empty() {
        format!("{at} must be empty, but has the field {name}")
    } else {
        format!("{at} has no field {name}; it has {}", known.join(", "))
    }
}

fn check_text(
    text: &str,
    one_of: Option<&[String]>,
    min: u64,
    max: Option<u64>,
    at: &str,
) -> Result<(), String> {
    if let Some(one_of) = one_of
        && !one_of.iter().any(|allowed| allowed == text)
    {
        return Err(format!("{at} must be one of {}", one_of.join(", ")));
    }
    let chars = text.chars().count() as u64;
    if chars < min {
        return Err(format!("{at} must have at least {min} characters"));
    }
    match max {
        Some(max) if chars > max => Err(format!("{at} must have at most {max} characters")),
        _ => Ok(()),
    }
}

fn check_range<T: PartialOrd + Copy + std::fmt::Display>(
    value: T,
    min: Option<T>,
    max: Option<T>,
    at: &str,
) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if value < min => Err(format!("{at} must be at least {min}")),
        (_, Some(max)) if value > max => Err(format!("{at} must be at most {max}")),
        _ => Ok(()),
    }
}

impl Shape {
    fn noun(&self) -> &'static str {
        match self {
            Self::Object { .. } => "an object",
            Self::Array { .. } => "a list",
            Self::Text { .. } => "text",
            Self::Integer { .. } => "a whole number",
            Self::Number { .. } => "a number",
            Self::Boolean => "true or false",
        }
    }
}
