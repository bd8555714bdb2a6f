//! What the schema of a tool says of its arguments, and the words of a name.

use serde_json::Value;

use super::ARGUMENTS_MAX;
use crate::typed::Kind;

/// The deepest part of an argument that is looked at by itself.
const PARTS_DEPTH_MAX: usize = 4;

/// The arguments by their paths, down to those that hold no declared parts: `body.attendees.email`.
pub(super) fn parameters(root: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    let properties = root.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        parts(name.clone(), schema, root, 0, &mut found);
    }
    found
}

fn parts(
    path: String,
    schema: &Value,
    root: &Value,
    depth: usize,
    found: &mut Vec<(String, Value)>,
) {
    let schema = resolved(schema, root);
    let inner = match schema.get("items") {
        Some(items) => resolved(items, root),
        None => schema,
    };
    let properties = inner.get("properties").and_then(Value::as_object);
    match properties.filter(|properties| !properties.is_empty() && depth < PARTS_DEPTH_MAX) {
        Some(properties) if found.len() <= ARGUMENTS_MAX => {
            for (name, schema) in properties {
                parts(format!("{path}.{name}"), schema, root, depth + 1, found);
            }
        }
        _ => found.push((path, schema.clone())),
    }
}

fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let found = reference.and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    found.unwrap_or(schema)
}

/// True if an argument may be an object, or a list of them.
pub(super) fn is_object(schema: &Value, root: &Value) -> bool {
    let schema = resolved(schema, root);
    let is_named = |name: &Value| name.as_str() == Some("object");
    let is_typed = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_named),
        Some(name) => is_named(name),
        None => schema.get("properties").is_some(),
    };
    let inner = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|key| schema.get(*key)?.as_array());
    let mut ways = inner.flatten().chain(schema.get("items"));
    is_typed || ways.any(|way| way != schema && is_object_within(way, root))
}

/// The same one step further in; deeper than that nobody writes a type.
fn is_object_within(schema: &Value, root: &Value) -> bool {
    let schema = resolved(schema, root);
    schema.get("properties").is_some()
        || schema.get("type").and_then(Value::as_str) == Some("object")
}

/// The closed kind of an argument by its type: a switch, a number, a fixed set of words.
pub(super) fn shape(schema: &Value, root: &Value) -> Option<Kind> {
    let schema = resolved(schema, root);
    if schema.get("enum").is_some() || schema.get("const").is_some() {
        return Some(Kind::Enum);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(ways)) = schema.get(key) {
            let mut kinds = ways
                .iter()
                .filter(|way| way.get("type").and_then(Value::as_str) != Some("null"))
                .map(|way| shape(way, root));
            let first = kinds.next()??;
            return kinds.all(|kind| kind == Some(first)).then_some(first);
        }
    }
    match schema.get("type").and_then(Value::as_str)? {
        "boolean" => Some(Kind::Bool),
        "integer" | "number" => Some(Kind::Number),
        "array" => shape(schema.get("items")?, root),
        _ => None,
    }
}

/// The words of a name: `send_direct_message`, `sendDirectMessage`, `send-direct-message`.
pub(crate) fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_lower = false;
    let mut is_open = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            is_open = false;
            is_lower = false;
            continue;
        }
        if !is_open || (is_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
        is_open = true;
        is_lower = c.is_lowercase() || c.is_numeric();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_that_goes_wide_at_each_step_is_not_followed_to_its_end() {
        let mut schema = json!({ "type": "string" });
        for _ in 0..PARTS_DEPTH_MAX {
            let names = (0..20).map(|at| (format!("part_{at}"), schema.clone()));
            let parts: serde_json::Map<String, Value> = names.collect();
            schema = json!({ "type": "object", "properties": parts });
        }
        let found = parameters(&schema).len();
        let most = ARGUMENTS_MAX + PARTS_DEPTH_MAX * 20;
        assert!(found > ARGUMENTS_MAX && found <= most, "{found}");
    }
}
