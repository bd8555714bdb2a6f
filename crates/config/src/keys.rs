//! Every key of a configuration type, for documentation and completion.

use schemars::JsonSchema;
use serde_json::Value;

use crate::path::{KeyPath, is_plain};
use crate::schema::{Members, Schema, list, types};

/// One key of a schema, for documentation and `config get`.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyDoc {
    /// `agents.entries.<id>.name` below a map, `bindings[].agentId` below a list.
    pub path: String,
    /// In words: `a whole number from 1 to 65535`.
    pub kind: String,
    pub default: Option<Value>,
    pub docs: String,
}

/// Every key of a schema, in the order of the types, each container before what it holds.
#[must_use]
pub fn keys<T: JsonSchema>() -> Vec<KeyDoc> {
    let schema = Schema::of::<T>();
    let mut walk = Walk {
        schema: &schema,
        open: Vec::new(),
        keys: Vec::new(),
    };
    walk.below(schema.root(), "", schema.root().get("default"));
    walk.keys
}

/// The schema itself.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// One place of a schema, and what may stand below it.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub path: KeyPath,
    /// References are followed; definitions that it still needs come with it.
    pub schema: Value,
    pub children: Vec<Child>,
}

/// A key that may stand below a place; `*` for any name or position.
#[derive(Debug, Clone, PartialEq)]
pub struct Child {
    pub key: String,
    pub types: Vec<String>,
    pub required: bool,
    pub has_children: bool,
    pub docs: Option<String>,
}

/// The schema at a path; `None` if nothing may stand there.
#[must_use]
pub fn place<T: JsonSchema>(path: &KeyPath) -> Option<Place> {
    let schema = Schema::of::<T>();
    let found = schema.resolve(schema.at(path)?).schema;
    let mut known = Members::default();
    schema.gather(found, &mut known);
    let mut children: Vec<Child> = known
        .properties
        .iter()
        .map(|(key, below)| child(&schema, key, below, known.required.contains(key)))
        .collect();
    let others = known.rest.or_else(|| found.get("items"));
    children.extend(others.map(|below| child(&schema, "*", below, false)));
    let mut shown = found.clone();
    if let (Value::Object(shown), Some(definitions)) = (&mut shown, schema.root().get("$defs")) {
        shown.insert("$defs".to_owned(), definitions.clone());
    }
    Some(Place {
        path: path.clone(),
        schema: shown,
        children,
    })
}

fn child(schema: &Schema, key: &str, below: &Value, required: bool) -> Child {
    let found = schema.resolve(below).schema;
    let mut known = Members::default();
    schema.gather(found, &mut known);
    let docs = below
        .get("description")
        .or_else(|| found.get("description"));
    Child {
        key: key.to_owned(),
        types: types(found).into_iter().map(str::to_owned).collect(),
        required,
        has_children: !known.properties.is_empty()
            || known.rest.is_some()
            || found.get("items").is_some(),
        docs: docs.and_then(Value::as_str).map(str::to_owned),
    }
}

struct Walk<'a> {
    schema: &'a Schema,
    /// The definitions that are being walked: a type within itself is named, not unrolled.
    open: Vec<&'a str>,
    keys: Vec<KeyDoc>,
}

impl<'a> Walk<'a> {
    fn key(&mut self, schema: &'a Value, path: &str, inherited: Option<&'a Value>) {
        let default = inherited.or_else(|| schema.get("default"));
        let kind = self.schema.describe(schema);
        if let Some(twin) = self.keys.iter_mut().find(|key| key.path == path) {
            // The same key under another alternative of its container.
            if !twin.kind.split(" or ").any(|known| known == kind) {
                twin.kind = format!("{} or {kind}", twin.kind);
            }
            return;
        }
        self.keys.push(KeyDoc {
            path: path.to_owned(),
            kind,
            default: default.filter(|default| !default.is_null()).cloned(),
            docs: self.docs(schema),
        });
        self.below(schema, path, default);
    }

    /// The keys inside a container, under every alternative of it.
    fn below(&mut self, schema: &'a Value, path: &str, default: Option<&'a Value>) {
        let resolved = self.schema.resolve(schema);
        if resolved.is_secret() {
            return;
        }
        if let Some(definition) = resolved.definition {
            if self.open.contains(&definition) {
                return;
            }
            self.open.push(definition);
        }
        let mut known = Members::default();
        self.schema.members(resolved.schema, &mut known);
        for (name, property) in &known.properties {
            let step = if is_plain(name) {
                (*name).to_owned()
            } else {
                format!("[{name:?}]")
            };
            let path = join(path, &step);
            let inherited = default.and_then(|default| default.get(*name));
            self.key(property, &path, inherited);
        }
        if let Some(rest) = known.rest {
            self.inside(rest, &join(path, "<id>"));
        }
        if let Some(items) = resolved.schema.get("items") {
            self.inside(items, &format!("{path}[]"));
        }
        for choice in self.schema.alternatives(resolved.schema) {
            self.below(choice, path, default);
        }
        if resolved.definition.is_some() {
            self.open.pop();
        }
    }

    /// Entries of a map or list: told only if they have keys of their own.
    fn inside(&mut self, schema: &'a Value, path: &str) {
        let mut known = Members::default();
        self.schema.gather(schema, &mut known);
        if known.is_record && !self.schema.takes_secret(schema) {
            self.below(schema, path, None);
        }
    }

    /// The key's own words, or those of its type, and what each word of a choice means.
    fn docs(&self, schema: &'a Value) -> String {
        let text = |schema: &'a Value| schema.get("description").and_then(Value::as_str);
        let resolved = self.schema.resolve(schema).schema;
        let single = match self.schema.alternatives(schema).as_slice() {
            [one] => self.schema.resolve(one).schema,
            _ => resolved,
        };
        let own = text(schema)
            .or_else(|| text(resolved))
            .or_else(|| text(single));
        let mut docs = own.unwrap_or_default().to_owned();
        for choice in list(single, "oneOf") {
            let word = choice.get("const").and_then(Value::as_str);
            if let (Some(word), Some(meaning)) = (word, text(choice)) {
                if !docs.is_empty() {
                    docs.push('\n');
                }
                docs.push_str(&format!("`{word}`: {meaning}"));
            }
        }
        docs
    }
}

fn join(path: &str, step: &str) -> String {
    if path.is_empty() || step.starts_with('[') {
        format!("{path}{step}")
    } else {
        format!("{path}.{step}")
    }
}
