//! JSON Schema, as far as answers are described with it: draft 7 without references to elsewhere.

use serde_json::{Map, Value};

use super::pattern::{Counted, Pattern};
use super::schema_formats;
use super::text::alike;
use crate::bounds::DEPTH_MAX;
use crate::error::Trouble;

/// Keywords that say nothing about a value.
const NOTES: [&str; 12] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "definitions",
    "$defs",
    "readOnly",
    "writeOnly",
    "deprecated",
];

/// The first thing about a value that its schema does not allow.
pub(super) fn problem(value: &Value, schema: &Value) -> Result<Option<String>, Trouble> {
    let checker = Checker { root: schema };
    Ok(checker.check(value, schema, "", 0)?.err())
}

struct Checker<'a> {
    root: &'a Value,
}

/// Fits, or why not.
type Fit = Result<(), String>;

impl Checker<'_> {
    fn check(&self, value: &Value, schema: &Value, at: &str, depth: usize) -> Result<Fit, Trouble> {
        if depth > DEPTH_MAX {
            return Trouble::wrong("a schema is nested too deep, or goes round in a circle");
        }
        let map = match schema {
            Value::Bool(true) => return Ok(Ok(())),
            Value::Bool(false) => return Ok(Err(format!("{}: nothing may stand here", shown(at)))),
            Value::Object(map) => map,
            other => return Trouble::wrong(format!("{other} is no schema")),
        };
        if let Some(Value::String(target)) = map.get("$ref") {
            let Some(found) = target.strip_prefix('#').and_then(|p| self.root.pointer(p)) else {
                return Trouble::unsupported(format!("the schema {target:?} that is elsewhere"));
            };
            return self.check(value, found, at, depth + 1);
        }
        for (keyword, rule) in map {
            let fit = self.keyword(value, keyword, rule, map, at, depth)?;
            if let Err(problem) = fit {
                let problem = match problem.is_empty() {
                    true => format!("{}: {keyword} {rule}", shown(at)),
                    false => problem,
                };
                return Ok(Err(problem));
            }
        }
        Ok(Ok(()))
    }

    fn fits(&self, value: &Value, schema: &Value, at: &str, depth: usize) -> Result<bool, Trouble> {
        Ok(self.check(value, schema, at, depth + 1)?.is_ok())
    }

    fn keyword(
        &self,
        value: &Value,
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Fit, Trouble> {
        let listed = || match rule {
            Value::Array(items) => Ok(items),
            _ => Trouble::wrong(format!("{keyword:?} of a schema is no list")),
        };
        match keyword {
            "type" => {
                let nullable =
                    value.is_null() && schema.get("nullable") == Some(&Value::Bool(true));
                plain(nullable || is_of_type(value, rule)?)
            }
            "nullable" => plain(true),
            "enum" => plain(listed()?.iter().any(|one| alike(one, value))),
            "const" => plain(alike(rule, value)),
            "allOf" => {
                for one in listed()? {
                    if let Err(problem) = self.check(value, one, at, depth + 1)? {
                        return Ok(Err(problem));
                    }
                }
                plain(true)
            }
            "anyOf" => {
                for one in listed()? {
                    if self.fits(value, one, at, depth)? {
                        return plain(true);
                    }
                }
                plain(false)
            }
            "oneOf" => {
                let mut count = 0;
                for one in listed()? {
                    count += usize::from(self.fits(value, one, at, depth)?);
                }
                plain(count == 1)
            }
            "not" => plain(!self.fits(value, rule, at, depth)?),
            "if" => {
                let branch = if self.fits(value, rule, at, depth)? {
                    "then"
                } else {
                    "else"
                };
                match schema.get(branch) {
                    Some(schema) => self.check(value, schema, at, depth + 1),
                    None => plain(true),
                }
            }
            "then" | "else" => plain(true),
            "multipleOf" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                plain(number_fits(value, keyword, rule)?)
            }
            "minLength" | "maxLength" | "pattern" | "format" => {
                plain(text_fits(value, keyword, rule)?)
            }
            _ if NOTES.contains(&keyword) => plain(true),
            _ => match value {
                Value::Object(object) => self.object(object, keyword, rule, schema, at, depth),
                Value::Array(items) => self.array(items, keyword, rule, schema, at, depth),
                _ if OBJECTS.contains(&keyword) || ARRAYS.contains(&keyword) => plain(true),
                _ => Trouble::unsupported(format!("{keyword:?} in a schema")),
            },
        }
    }

    fn object(
        &self,
        object: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Fit, Trouble> {
        let each =
            |found: &mut dyn Iterator<Item = (String, &Value, &Value)>| -> Result<Fit, Trouble> {
                for (key, value, schema) in found {
                    if let Err(problem) =
                        self.check(value, schema, &format!("{at}/{key}"), depth + 1)?
                    {
                        return Ok(Err(problem));
                    }
                }
                Ok(Ok(()))
            };
        match (keyword, rule) {
            ("required", Value::Array(names)) => {
                let missing = names
                    .iter()
                    .filter_map(Value::as_str)
                    .find(|name| !object.contains_key(*name));
                Ok(missing.map_or(Ok(()), |name| {
                    Err(format!("{}: {name:?} is missing", shown(at)))
                }))
            }
            ("properties", Value::Object(rules)) => {
                each(&mut rules.iter().filter_map(|(key, schema)| {
                    object.get(key).map(|value| (key.clone(), value, schema))
                }))
            }
            ("patternProperties", Value::Object(rules)) => {
                for (pattern, schema) in rules {
                    let pattern = Pattern::new(pattern, Counted::Characters)?;
                    let fitting = object.iter().filter(|(key, _)| pattern.is_match(key));
                    let fit = each(&mut fitting.map(|(key, value)| (key.clone(), value, schema)))?;
                    if fit.is_err() {
                        return Ok(fit);
                    }
                }
                plain(true)
            }
            ("additionalProperties", rule) => {
                let known = schema.get("properties").and_then(Value::as_object);
                let mut patterns = Vec::new();
                if let Some(Value::Object(rules)) = schema.get("patternProperties") {
                    for pattern in rules.keys() {
                        patterns.push(Pattern::new(pattern, Counted::Characters)?);
                    }
                }
                let others = object.iter().filter(|(key, _)| {
                    !known.is_some_and(|known| known.contains_key(*key))
                        && !patterns.iter().any(|pattern| pattern.is_match(key))
                });
                each(&mut others.map(|(key, value)| (key.clone(), value, rule)))
            }
            ("propertyNames", rule) => {
                for key in object.keys() {
                    if !self.fits(&Value::String(key.clone()), rule, at, depth)? {
                        return plain(false);
                    }
                }
                plain(true)
            }
            ("minProperties", rule) => plain(at_least(object.len(), rule)?),
            ("maxProperties", rule) => plain(at_most(object.len(), rule)?),
            ("dependencies", Value::Object(rules)) => {
                for (key, rule) in rules.iter().filter(|(key, _)| object.contains_key(*key)) {
                    let fits = match rule {
                        Value::Array(names) => {
                            let mut names = names.iter().filter_map(Value::as_str);
                            names.all(|name| object.contains_key(name))
                        }
                        schema => self.fits(&Value::Object(object.clone()), schema, at, depth)?,
                    };
                    if !fits {
                        return Ok(Err(format!("{}: {key:?} needs others", shown(at))));
                    }
                }
                plain(true)
            }
            _ if ARRAYS.contains(&keyword) => plain(true),
            _ => Trouble::unsupported(format!("{keyword:?} in a schema")),
        }
    }

    fn array(
        &self,
        items: &[Value],
        keyword: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Fit, Trouble> {
        match (keyword, rule) {
            ("items", Value::Array(schemas)) => {
                for (index, (item, schema)) in items.iter().zip(schemas).enumerate() {
                    let fit = self.check(item, schema, &format!("{at}/{index}"), depth + 1)?;
                    if fit.is_err() {
                        return Ok(fit);
                    }
                }
                plain(true)
            }
            ("items", schema) => {
                for (index, item) in items.iter().enumerate() {
                    let fit = self.check(item, schema, &format!("{at}/{index}"), depth + 1)?;
                    if fit.is_err() {
                        return Ok(fit);
                    }
                }
                plain(true)
            }
            ("additionalItems", rule) => {
                let known = schema
                    .get("items")
                    .and_then(Value::as_array)
                    .map_or(items.len(), Vec::len);
                for item in items.iter().skip(known) {
                    if !self.fits(item, rule, at, depth)? {
                        return plain(false);
                    }
                }
                plain(true)
            }
            ("contains", rule) => {
                for item in items {
                    if self.fits(item, rule, at, depth)? {
                        return plain(true);
                    }
                }
                plain(false)
            }
            ("minItems", rule) => plain(at_least(items.len(), rule)?),
            ("maxItems", rule) => plain(at_most(items.len(), rule)?),
            ("uniqueItems", Value::Bool(false)) => plain(true),
            ("uniqueItems", _) => {
                let twice =
                    |(at, item): (usize, &Value)| items[..at].iter().any(|one| alike(one, item));
                plain(!items.iter().enumerate().take(10_000).any(twice))
            }
            _ if OBJECTS.contains(&keyword) => plain(true),
            _ => Trouble::unsupported(format!("{keyword:?} in a schema")),
        }
    }
}

const OBJECTS: [&str; 8] = [
    "required",
    "properties",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "dependencies",
];

const ARRAYS: [&str; 6] = [
    "items",
    "additionalItems",
    "contains",
    "minItems",
    "maxItems",
    "uniqueItems",
];

fn shown(at: &str) -> &str {
    if at.is_empty() { "the value" } else { at }
}

fn is_of_type(value: &Value, rule: &Value) -> Result<bool, Trouble> {
    let one = |name: &Value| {
        Ok(match name.as_str() {
            Some("null") => value.is_null(),
            Some("boolean") => value.is_boolean(),
            Some("string") => value.is_string(),
            Some("number") => value.is_number(),
            Some("integer") => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => return Trouble::wrong(format!("{name} is no type of a schema")),
        })
    };
    match rule {
        Value::Array(names) => {
            for name in names {
                if one(name)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        name => one(name),
    }
}

fn bound(rule: &Value) -> Result<f64, Trouble> {
    rule.as_f64().map_or_else(
        || Trouble::wrong(format!("{rule} of a schema is no number")),
        Ok,
    )
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is so long")]
fn at_least(length: usize, rule: &Value) -> Result<bool, Trouble> {
    Ok(length as f64 >= bound(rule)?)
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is so long")]
fn at_most(length: usize, rule: &Value) -> Result<bool, Trouble> {
    Ok(length as f64 <= bound(rule)?)
}

fn number_fits(value: &Value, keyword: &str, rule: &Value) -> Result<bool, Trouble> {
    let rule = bound(rule)?;
    let Some(number) = value.as_f64() else {
        return Ok(true);
    };
    Ok(match keyword {
        "multipleOf" => (number / rule).fract() == 0.0,
        "minimum" => number >= rule,
        "maximum" => number <= rule,
        "exclusiveMinimum" => number > rule,
        _ => number < rule,
    })
}

fn text_fits(value: &Value, keyword: &str, rule: &Value) -> Result<bool, Trouble> {
    let Value::String(text) = value else {
        return Ok(true);
    };
    match (keyword, rule) {
        ("minLength", rule) => at_least(text.chars().count(), rule),
        ("maxLength", rule) => at_most(text.chars().count(), rule),
        ("pattern", Value::String(source)) => {
            Ok(Pattern::new(source, Counted::Characters)?.is_match(text))
        }
        ("format", Value::String(name)) => schema_formats::fits(text, name),
        _ => Trouble::wrong(format!("{keyword:?} of a schema is no text")),
    }
}

/// Whether a rule without a place of its own holds.
fn plain(holds: bool) -> Result<Fit, Trouble> {
    Ok(if holds { Ok(()) } else { Err(String::new()) })
}
