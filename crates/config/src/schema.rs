//! The part of JSON Schema that the types produce, and how it is said in words.

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::path::{KeyPath, Step};

/// The definition whose place only a reference to a secret may take.
const SECRET_DEFINITION: &str = "SecretRef";
/// A chain of references longer than this is a circle.
const REFERENCES_MAX: usize = 16;

/// The schema of a configuration type.
#[derive(Debug)]
pub(crate) struct Schema {
    root: Value,
}

/// A schema with its references followed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolved<'a> {
    pub(crate) schema: &'a Value,
    /// The last definition on the way.
    pub(crate) definition: Option<&'a str>,
}

impl Resolved<'_> {
    pub(crate) fn is_secret(&self) -> bool {
        self.definition == Some(SECRET_DEFINITION)
    }
}

impl Schema {
    pub(crate) fn of<T: JsonSchema>() -> Self {
        Self {
            root: schemars::schema_for!(T).to_value(),
        }
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    pub(crate) fn knows_root_key(&self, key: &str) -> bool {
        let mut known = Members::default();
        self.members(&self.root, &mut known);
        known.properties.iter().any(|(name, _)| *name == key)
    }

    /// Follows `$ref`s to the schema that says something.
    pub(crate) fn resolve<'a>(&'a self, mut schema: &'a Value) -> Resolved<'a> {
        let mut definition = None;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let Some(target) = reference
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer))
            else {
                break;
            };
            definition = reference.rsplit('/').next();
            schema = target;
        }
        Resolved { schema, definition }
    }

    /// The alternatives of a schema, `null` left out; empty if it is not a choice.
    pub(crate) fn alternatives<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        let Some(choices) = choices.and_then(Value::as_array) else {
            return Vec::new();
        };
        choices
            .iter()
            .filter(|choice| choice.get("type") != Some(&Value::from("null")))
            .collect()
    }

    /// What an object may hold, gathered over everything that is merged into it.
    pub(crate) fn members<'a>(&'a self, schema: &'a Value, known: &mut Members<'a>) {
        let schema = self.resolve(schema).schema;
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            known.is_record = true;
            known.properties.extend(
                properties
                    .iter()
                    .map(|(name, schema)| (name.as_str(), schema)),
            );
        }
        if let Some(required) = schema.get("required").and_then(Value::as_array) {
            known
                .required
                .extend(required.iter().filter_map(Value::as_str));
        }
        for word in ["additionalProperties", "unevaluatedProperties"] {
            match schema.get(word) {
                Some(Value::Bool(false)) => known.is_record = true,
                Some(rest) => known.rest = Some(rest),
                None => {}
            }
        }
        for part in list(schema, "allOf") {
            self.members(part, known);
        }
    }

    /// The schema one step down.
    fn step<'a>(&'a self, schema: &'a Value, step: &Step) -> Option<&'a Value> {
        let resolved = self.resolve(schema).schema;
        let mut known = Members::default();
        self.members(resolved, &mut known);
        let below = match step {
            Step::Key(key) => known.schema_of(key),
            Step::Index(_) => None,
        };
        let is_position = match step {
            Step::Index(_) => true,
            Step::Key(key) => key.parse::<usize>().is_ok(),
        };
        below
            .or_else(|| resolved.get("items").filter(|_| is_position))
            .or_else(|| {
                self.alternatives(resolved)
                    .into_iter()
                    .find_map(|choice| self.step(choice, step))
            })
    }

    /// The schema at a path; `None` if no key of this type stands there.
    pub(crate) fn at(&self, path: &KeyPath) -> Option<&Value> {
        path.0
            .iter()
            .try_fold(&self.root, |schema, step| self.step(schema, step))
    }

    /// What holds at a path if nothing is set: the outermost default that names it.
    pub(crate) fn default_at(&self, path: &KeyPath) -> Option<Value> {
        let mut schema = &self.root;
        let mut default = schema.get("default");
        for step in &path.0 {
            schema = self.step(schema, step)?;
            let inherited = default.and_then(|default| match step {
                Step::Key(key) => default.get(key),
                Step::Index(index) => default.get(index),
            });
            default = inherited.or_else(|| schema.get("default"));
        }
        default.filter(|default| !default.is_null()).cloned()
    }

    /// The path with its first unknown key replaced by the nearest known one.
    pub(crate) fn nearest_path(&self, path: &KeyPath) -> Option<KeyPath> {
        let mut schema = &self.root;
        for (depth, step) in path.0.iter().enumerate() {
            if let Some(below) = self.step(schema, step) {
                schema = below;
                continue;
            }
            let Step::Key(key) = step else { return None };
            let mut known = Members::default();
            self.gather(schema, &mut known);
            let names = known.properties.iter().map(|(name, _)| *name);
            let mut near = path.clone();
            near.0[depth] = Step::Key(crate::check::nearest(key, names)?.to_owned());
            return Some(near);
        }
        None
    }

    /// What an object may hold under any of its alternatives.
    pub(crate) fn gather<'a>(&'a self, schema: &'a Value, known: &mut Members<'a>) {
        let resolved = self.resolve(schema).schema;
        self.members(resolved, known);
        for choice in self.alternatives(resolved) {
            self.gather(choice, known);
        }
    }

    /// True if only a reference to a secret may stand at this schema.
    pub(crate) fn takes_secret(&self, schema: &Value) -> bool {
        let resolved = self.resolve(schema);
        resolved.is_secret()
            || self
                .alternatives(resolved.schema)
                .iter()
                .any(|choice| self.takes_secret(choice))
    }

    /// True if a text may stand at this schema.
    pub(crate) fn takes_text(&self, schema: &Value) -> bool {
        let resolved = self.resolve(schema);
        let schema = resolved.schema;
        if types(schema).contains(&"string") {
            return true;
        }
        if let Some(constant) = schema.get("const") {
            return constant.is_string();
        }
        list(schema, "enum").iter().any(Value::is_string)
            || self
                .alternatives(schema)
                .iter()
                .any(|choice| self.takes_text(choice))
    }

    /// True if `null` may stand at this schema.
    pub(crate) fn takes_null(&self, schema: &Value) -> bool {
        let schema = self.resolve(schema).schema;
        schema == &Value::Bool(true)
            || schema.as_object().is_some_and(Map::is_empty)
            || types(schema).contains(&"null")
            || list(schema, "enum").contains(&Value::Null)
            || ["anyOf", "oneOf"].iter().any(|word| {
                list(schema, word)
                    .iter()
                    .any(|choice| self.takes_null(choice))
            })
    }

    /// The texts that a closed choice of words allows.
    pub(crate) fn words<'a>(&'a self, schema: &'a Value) -> Vec<&'a str> {
        let schema = self.resolve(schema).schema;
        let mut words = Vec::new();
        words.extend(schema.get("const").and_then(Value::as_str));
        words.extend(list(schema, "enum").iter().filter_map(Value::as_str));
        for choice in self.alternatives(schema) {
            words.extend(self.words(choice));
        }
        words
    }

    /// A schema in words: `a whole number from 0 to 65535`.
    pub(crate) fn describe(&self, schema: &Value) -> String {
        self.describe_within(schema, 0)
    }

    fn describe_within(&self, schema: &Value, depth: usize) -> String {
        let resolved = self.resolve(schema);
        if resolved.is_secret() {
            return crate::problem::SECRET_EXPECTED.to_owned();
        }
        let schema = resolved.schema;
        if depth > 4 {
            return "a value".to_owned();
        }
        let alternatives = self.alternatives(schema);
        let words = self.words(schema);
        let closed = alternatives
            .iter()
            .all(|choice| !self.words(choice).is_empty());
        if !words.is_empty() && closed {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            return match quoted.as_slice() {
                [one] => one.clone(),
                many => format!("one of {}", many.join(", ")),
            };
        }
        if !alternatives.is_empty() {
            let mut described: Vec<_> = alternatives
                .iter()
                .map(|choice| self.describe_within(choice, depth + 1))
                .collect();
            described.dedup();
            return described.join(" or ");
        }
        let described: Vec<_> = types(schema)
            .into_iter()
            .filter(|kind| *kind != "null")
            .map(|kind| self.describe_kind(kind, schema, depth))
            .collect();
        if described.is_empty() {
            "any value".to_owned()
        } else {
            described.join(" or ")
        }
    }

    fn describe_kind(&self, kind: &str, schema: &Value, depth: usize) -> String {
        match kind {
            "boolean" => "true or false".to_owned(),
            "integer" => format!("a whole number{}", range_words(schema)),
            "number" => format!("a number{}", range_words(schema)),
            "string" if schema.get("minLength").is_some() => "text that is not empty".to_owned(),
            "string" => "text".to_owned(),
            "array" => match schema.get("items") {
                Some(items) => {
                    let entry = self.describe_within(items, depth + 1);
                    format!("a list of {}", plural(&entry))
                }
                None => "a list".to_owned(),
            },
            "object" => {
                let mut known = Members::default();
                self.members(schema, &mut known);
                match known.rest {
                    Some(rest) if !known.is_record => {
                        let entry = self.describe_within(rest, depth + 1);
                        format!("{} by name", plural(&entry))
                    }
                    _ => "an object".to_owned(),
                }
            }
            "null" => "null".to_owned(),
            _ => "a value".to_owned(),
        }
    }
}

/// The keys an object schema knows.
#[derive(Debug, Default)]
pub(crate) struct Members<'a> {
    pub(crate) properties: Vec<(&'a str, &'a Value)>,
    pub(crate) required: Vec<&'a str>,
    /// The schema of keys without a name of their own: a map's values.
    pub(crate) rest: Option<&'a Value>,
    /// True if the keys are those of a type, so that any other is a mistake.
    pub(crate) is_record: bool,
}

impl<'a> Members<'a> {
    pub(crate) fn schema_of(&self, key: &str) -> Option<&'a Value> {
        self.properties
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, schema)| *schema)
            .or(self.rest)
    }
}

/// The least and the largest number a schema allows; a number format narrows like a range.
pub(crate) fn range(schema: &Value) -> (Option<f64>, Option<f64>) {
    let (low, high) = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => (Some(0.0), Some(f64::from(u8::MAX))),
        Some("uint16") => (Some(0.0), Some(f64::from(u16::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("uint" | "uint64") => (Some(0.0), None),
        Some("int8") => (Some(f64::from(i8::MIN)), Some(f64::from(i8::MAX))),
        Some("int16") => (Some(f64::from(i16::MIN)), Some(f64::from(i16::MAX))),
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        _ => (None, None),
    };
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    (bound("minimum").or(low), bound("maximum").or(high))
}

fn range_words(schema: &Value) -> String {
    match range(schema) {
        (Some(low), Some(high)) => format!(" from {low} to {high}"),
        (Some(low), None) => format!(" of at least {low}"),
        (None, Some(high)) => format!(" of at most {high}"),
        (None, None) => String::new(),
    }
}

/// The same description for many of a kind.
fn plural(kind: &str) -> String {
    if kind.contains(" or ") {
        return format!("entries, each {kind}");
    }
    match kind {
        "an object" => "objects".to_owned(),
        "a list" => "lists".to_owned(),
        "a number" => "numbers".to_owned(),
        "a whole number" => "whole numbers".to_owned(),
        crate::problem::SECRET_EXPECTED => "references to secrets".to_owned(),
        other => other.to_owned(),
    }
}

/// The type words of a schema, one or many.
pub(crate) fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

pub(crate) fn list<'a>(schema: &'a Value, word: &str) -> &'a [Value] {
    schema
        .get(word)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
