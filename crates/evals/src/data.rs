//! Values from outside: YAML and JSON with bounds, and how ECMAScript would write them.

use serde_json::{Map, Number, Value};

use crate::bounds::{DEPTH_MAX, FILE_BYTES_MAX};

/// Reads YAML, or JSON, which is YAML. Merge keys and references inside the file are followed.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("more than {FILE_BYTES_MAX} bytes"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut value: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    value.apply_merge().map_err(|error| error.to_string())?;
    from_yaml(value, 0)
}

/// Reads what a file holds: JSON where its name says so, else YAML. What is called JSON and is a little more
/// lenient is YAML, too.
pub(crate) fn in_file(name: &str, text: &str) -> Result<Value, String> {
    let strict = name.ends_with(".json").then(|| json(text)).flatten();
    strict.map_or_else(|| yaml(text), Ok)
}

/// Writes a value as YAML, for people to go on with.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    // A value of JSON is always one of YAML; if it were not, JSON is YAML, too.
    serde_yaml_ng::to_string(value).unwrap_or_else(|_| value.to_string())
}

fn from_yaml(value: serde_yaml_ng::Value, depth: usize) -> Result<Value, String> {
    use serde_yaml_ng::Value as Yaml;
    if depth > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} levels"));
    }
    Ok(match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(yes) => Value::Bool(yes),
        Yaml::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().map_or(Value::Null, number_of),
        },
        Yaml::String(text) => Value::String(text),
        Yaml::Sequence(items) => Value::Array(
            items
                .into_iter()
                .map(|item| from_yaml(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(text) => text,
                    other => show(&from_yaml(other, depth + 1)?),
                };
                map.insert(key, from_yaml(value, depth + 1)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => return Err(format!("the tag {} is not known", tagged.tag)),
    })
}

/// Reads strict JSON; whole numbers are whole however they were written.
pub(crate) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().map(whole)
}

fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => number.as_f64().map_or(Value::Null, number_of),
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, whole(v))).collect()),
        other => other,
    }
}

/// A number; one without a fraction is a whole one, as in ECMAScript, and one that is none is nothing.
pub(crate) fn number_of(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it has no fraction and stands within what a double holds exactly"
        )]
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The text that ECMAScript makes of a number.
pub(crate) fn number_text(number: f64) -> String {
    ryu_js::Buffer::new().format(number).to_owned()
}

/// The text that ECMAScript makes of a value where one is asked for: lists by commas, objects by their kind.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.to_string(),
            None => number.as_f64().map_or_else(String::new, number_text),
        },
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let shown: Vec<_> = items
                .iter()
                .map(|item| match item {
                    Value::Null => String::new(),
                    other => show(other),
                })
                .collect();
            shown.join(",")
        }
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

/// An answer as text: what is no text is written as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What counts as true where a condition is asked for, as in ECMAScript.
pub(crate) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Puts what `{"$ref": "#/a/b"}` names in its place. Only places inside the same document can be named.
pub(crate) fn follow_references(root: &Value) -> Result<Value, String> {
    fn walk(value: &Value, root: &Value, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("references go round in a circle, or too deep".to_owned());
        }
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref").filter(|_| map.len() == 1)
                    && let Some(pointer) = target.strip_prefix('#')
                {
                    let found = root
                        .pointer(pointer)
                        .ok_or_else(|| format!("nothing stands at {target:?}"))?;
                    return walk(found, root, depth + 1);
                }
                map.iter()
                    .map(|(key, value)| Ok((key.clone(), walk(value, root, depth + 1)?)))
                    .collect()
            }
            Value::Array(items) => items.iter().map(|i| walk(i, root, depth + 1)).collect(),
            other => Ok(other.clone()),
        }
    }
    walk(root, root, 0)
}
