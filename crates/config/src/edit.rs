//! Changing one key and nothing else: comments, order and spelling of the rest stay.
//!
//! An edit is checked three ways before it is written: the text that comes out holds exactly the
//! value that was asked for, it has lost no comment, and it has no problem that was not there
//! before. What the editor cannot keep it refuses.

use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use jsonc_parser::tokens::Token;
use jsonc_parser::{Scanner, ScannerOptions};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::check::accepts;
use crate::document::{self, Source, options, split_mark};
use crate::files::{digest, read_bounded};
use crate::journal::{self, Author};
use crate::load::finish;
use crate::path::{KeyPath, Step};
use crate::problem::{ConfigError, Problem};
use crate::resolve::{FILE_BYTES_MAX, resolve_bytes};
use crate::schema::Schema;
use crate::{Env, StateDir, backup, diff};

/// How often an edit starts over because somebody else wrote the file meanwhile.
const TRIES: usize = 3;

/// Sets one key, keeping comments and order; checks the result against the schema before it is written.
///
/// Returns the paths that changed. Problems that the file had before do not stop an edit, so that a
/// broken file can be mended key by key.
pub fn set<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    value: &Value,
    author: &Author,
    env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    let path = KeyPath::parse(path)?;
    write::<T>(state, &path, Some(value), author, env)
}

/// Removes one key with the comments that belong to it; an absent key is an error.
pub fn unset<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    author: &Author,
    env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    let path = KeyPath::parse(path)?;
    write::<T>(state, &path, None, author, env)
}

/// The value at a path: what the files say, or else the default that the schema names.
pub fn get<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    env: Env<'_>,
) -> Result<Option<Value>, ConfigError> {
    let path = KeyPath::parse(path)?;
    let loaded = crate::load::<T>(state.config_file(), env)?;
    if let Some(value) = path.find(&loaded.document) {
        return Ok(Some(value.clone()));
    }
    let schema = Schema::of::<T>();
    match schema.at(&path) {
        Some(_) => Ok(schema.default_at(&path)),
        None => Err(unknown(&schema, &path)),
    }
}

/// Reads a value as people type it on a command line: JSON5, or a bare word where text belongs.
pub fn parse_value<T: JsonSchema>(path: &str, text: &str) -> Result<Value, ConfigError> {
    let path = KeyPath::parse(path)?;
    let schema = Schema::of::<T>();
    let Some(wanted) = schema.at(&path) else {
        return Err(unknown(&schema, &path));
    };
    let plain = || Value::String(text.to_owned());
    let source = Source {
        path: "<value>".into(),
        text: text.to_owned(),
    };
    match document::parse(&source, 0) {
        _ if text.trim().is_empty() && schema.takes_text(wanted) => Ok(plain()),
        Ok(node) if accepts(&schema, wanted, &node, &source) || !schema.takes_text(wanted) => {
            Ok(node.to_value())
        }
        // Goes on as text, so that the check says where secrets belong.
        Err(_) if schema.takes_secret(wanted) => Ok(plain()),
        Err(problems) if !schema.takes_text(wanted) => {
            let mut problems = problems;
            for problem in &mut problems {
                problem.line = 0;
                problem.path = path.to_string();
                problem.expected = Some(schema.describe(wanted));
            }
            Err(ConfigError::Invalid(problems))
        }
        Ok(_) | Err(_) => Ok(plain()),
    }
}

fn unknown(schema: &Schema, path: &KeyPath) -> ConfigError {
    ConfigError::UnknownKey {
        path: path.to_string(),
        hint: schema
            .nearest_path(path)
            .map(|near| format!("did you mean {near}?")),
    }
}

fn write<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &KeyPath,
    value: Option<&Value>,
    author: &Author,
    env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    state.prepare()?;
    let _lock = journal::lock(state)?;
    for _ in 0..TRIES {
        let before = read(state)?;
        let text = text_of(state, &before)?;
        let edited = edit(state, text, path, value)?;
        refuse_new_problems::<T>(state, &before, edited.text.as_bytes(), env)?;
        let changed = diff(&edited.old, &edited.new);
        if changed.is_empty() {
            return Ok(changed);
        }
        if digest(&read(state)?) != digest(&before) {
            continue;
        }
        backup::replace(state.config_file(), edited.text.as_bytes())?;
        let after = Some((edited.text.as_bytes(), &edited.new));
        journal::note(state, author, (&before, &edited.old), after)?;
        return Ok(changed);
    }
    Err(ConfigError::Changed {
        path: state.config_file().to_owned(),
    })
}

/// The bytes of the file; a missing one has none.
fn read(state: &StateDir) -> Result<Vec<u8>, ConfigError> {
    let path = state.config_file();
    match read_bounded(path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn text_of<'a>(state: &StateDir, bytes: &'a [u8]) -> Result<&'a str, ConfigError> {
    std::str::from_utf8(bytes).map_err(|_| uneditable(state, "it is not UTF-8 text"))
}

/// Refuses a result with problems that were not there before.
fn refuse_new_problems<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    before: &[u8],
    after: &[u8],
    env: Env<'_>,
) -> Result<(), ConfigError> {
    let problems_of = |bytes: &[u8]| {
        let resolved = resolve_bytes(state.config_file(), bytes, env);
        match finish::<T>(resolved) {
            Err(ConfigError::Invalid(problems)) => Ok(problems),
            other => other.map(|_| Vec::new()),
        }
    };
    let mut fresh = problems_of(after)?;
    if fresh.is_empty() {
        return Ok(());
    }
    let told = |problem: &Problem| (problem.path.clone(), problem.message.clone());
    let known: Vec<_> = problems_of(before)?.iter().map(told).collect();
    fresh.retain(|problem| !known.contains(&told(problem)));
    for problem in &mut fresh {
        // The text that they were found in is not in the file.
        problem.line = 0;
    }
    if fresh.is_empty() {
        Ok(())
    } else {
        Err(ConfigError::Invalid(fresh))
    }
}

/// A text before and after, as values.
struct Edited {
    text: String,
    old: Value,
    new: Value,
}

/// Changes the text, and makes sure that nothing but the change happened.
fn edit(
    state: &StateDir,
    whole: &str,
    path: &KeyPath,
    value: Option<&Value>,
) -> Result<Edited, ConfigError> {
    let (mark, text) = split_mark(whole);
    let old = value_of(state, text)?;
    let tree = CstRootNode::parse(text, &options())
        .map_err(|error| uneditable(state, &error.to_string()))?;
    if tree.to_string() != text {
        return Err(uneditable(
            state,
            "it is written in a way that an edit cannot keep",
        ));
    }
    let mut expected = old.clone();
    match value {
        Some(value) => {
            put(&tree, path, value).map_err(|reason| uneditable(state, &reason))?;
            put_value(&mut expected, &path.0, value);
        }
        None => {
            take(&tree, path).map_err(|missing| match missing {
                Missing::Key => ConfigError::UnknownKey {
                    path: path.to_string(),
                    hint: Some("it is not set in this file".to_owned()),
                },
                Missing::Shape(reason) => uneditable(state, &reason),
            })?;
            take_value(&mut expected, &path.0);
        }
    }
    let edited = tree.to_string();
    let new = value_of(state, &edited)
        .map_err(|_| uneditable(state, "the edit would not leave a readable file"))?;
    if new != expected {
        return Err(uneditable(
            state,
            "the edit would change more than was asked for",
        ));
    }
    if value.is_some() && comments(&edited) < comments(text) {
        return Err(uneditable(
            state,
            "a comment stands inside the value and would be lost: edit the file by hand",
        ));
    }
    Ok(Edited {
        text: format!("{mark}{edited}"),
        old,
        new,
    })
}

fn value_of(state: &StateDir, text: &str) -> Result<Value, ConfigError> {
    let source = Source {
        path: state.config_file().to_owned(),
        text: text.to_owned(),
    };
    document::parse(&source, 0)
        .map(|node| node.to_value())
        .map_err(ConfigError::Invalid)
}

fn uneditable(state: &StateDir, reason: &str) -> ConfigError {
    ConfigError::Uneditable {
        path: state.config_file().to_owned(),
        reason: reason.to_owned(),
    }
}

fn comments(text: &str) -> usize {
    let mut scanner = Scanner::new(text, &ScannerOptions::default());
    let mut count = 0;
    while let Ok(Some(token)) = scanner.scan() {
        count += usize::from(matches!(
            token,
            Token::CommentLine(_) | Token::CommentBlock(_)
        ));
    }
    count
}

/// A container that a step leads into.
enum Container {
    Object(CstObject),
    List(CstArray),
}

impl Container {
    fn of(node: &CstNode) -> Option<Self> {
        let object = node.as_object().map(Self::Object);
        object.or_else(|| node.as_array().map(Self::List))
    }

    /// The value one step down.
    fn child(&self, step: &Step) -> Option<CstNode> {
        match self {
            Self::Object(object) => match step {
                Step::Key(key) => object.get(key)?.value(),
                Step::Index(_) => None,
            },
            Self::List(list) => list.elements().get(position(step)?).cloned(),
        }
    }
}

/// A list position, written `[0]` or as a key that is a number.
fn position(step: &Step) -> Option<usize> {
    match step {
        Step::Index(index) => Some(*index),
        Step::Key(key) => key.parse().ok(),
    }
}

fn put(tree: &CstRootNode, path: &KeyPath, value: &Value) -> Result<(), String> {
    let Some(root) = tree.object_value_or_create() else {
        return Err("the document is not an object".to_owned());
    };
    let Some((last, above)) = path.0.split_last() else {
        return Err("name the key to set".to_owned());
    };
    let mut container = Container::Object(root);
    for (depth, step) in above.iter().enumerate() {
        let Some(child) = container.child(step) else {
            let mut rest = path.0[depth + 1..].iter().rev();
            let nested = rest.try_fold(value.clone(), |inner, step| nest(step, inner))?;
            return place(&container, step, &nested);
        };
        container = Container::of(&child).ok_or_else(|| {
            let at = KeyPath(path.0[..=depth].to_vec());
            format!("{at} holds a plain value that nothing can stand below: unset it first")
        })?;
    }
    place(&container, last, value)
}

/// Wraps a value in the container that a step needs.
fn nest(step: &Step, inner: Value) -> Result<Value, String> {
    match step {
        Step::Key(key) => Ok(Value::Object(Map::from_iter([(key.clone(), inner)]))),
        Step::Index(0) => Ok(Value::Array(vec![inner])),
        Step::Index(index) => Err(format!("the list has no entry before position {index}")),
    }
}

fn place(container: &Container, step: &Step, value: &Value) -> Result<(), String> {
    match (container, step) {
        (Container::Object(object), Step::Key(key)) => match object.get(key) {
            Some(property) => property.set_value(input(value)),
            None => {
                object.append(key, input(value));
            }
        },
        (Container::Object(_), Step::Index(index)) => {
            return Err(format!(
                "[{index}] names a list position, but an object stands there"
            ));
        }
        (Container::List(list), step) => {
            let elements = list.elements();
            match position(step) {
                Some(index) if index < elements.len() => {
                    list.insert(index, input(value));
                    elements[index].clone().remove();
                }
                Some(index) if index == elements.len() => {
                    list.append(input(value));
                }
                _ => {
                    let count = elements.len();
                    return Err(format!(
                        "the list has {count} entries; name one of them, or [{count}] to append"
                    ));
                }
            }
        }
    }
    Ok(())
}

enum Missing {
    Key,
    Shape(String),
}

fn take(tree: &CstRootNode, path: &KeyPath) -> Result<(), Missing> {
    let (last, above) = path
        .0
        .split_last()
        .ok_or_else(|| Missing::Shape("name the key to remove".to_owned()))?;
    let root = tree.object_value().ok_or(Missing::Key)?;
    let mut container = Container::Object(root);
    for step in above {
        let child = container.child(step).ok_or(Missing::Key)?;
        container = Container::of(&child).ok_or(Missing::Key)?;
    }
    match (&container, last) {
        (Container::Object(object), Step::Key(key)) => {
            object.get(key).ok_or(Missing::Key)?.remove();
        }
        (container, step) => container.child(step).ok_or(Missing::Key)?.remove(),
    }
    Ok(())
}

fn put_value(at: &mut Value, steps: &[Step], value: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *at = value.clone();
        return;
    };
    match (at, step) {
        (Value::Array(items), step) => {
            let index = position(step).unwrap_or(items.len());
            if index >= items.len() {
                items.push(Value::Null);
            }
            if let Some(item) = items.get_mut(index) {
                put_value(item, rest, value);
            }
        }
        (Value::Object(members), Step::Key(key)) => {
            let member = members.entry(key).or_insert(Value::Null);
            put_value(member, rest, value);
        }
        (other, Step::Key(_)) => {
            *other = Value::Object(Map::new());
            put_value(other, steps, value);
        }
        (other, Step::Index(_)) => {
            *other = Value::Array(Vec::new());
            put_value(other, steps, value);
        }
    }
}

fn take_value(at: &mut Value, steps: &[Step]) {
    match (at, steps) {
        (Value::Object(members), [Step::Key(key)]) => {
            members.shift_remove(key);
        }
        (Value::Object(members), [Step::Key(key), rest @ ..]) => {
            if let Some(member) = members.get_mut(key) {
                take_value(member, rest);
            }
        }
        (Value::Array(items), [step, rest @ ..]) => {
            let Some(index) = position(step).filter(|index| *index < items.len()) else {
                return;
            };
            if rest.is_empty() {
                items.remove(index);
            } else {
                take_value(&mut items[index], rest);
            }
        }
        _ => {}
    }
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => CstInputValue::Object(
            members
                .iter()
                .map(|(key, value)| (key.clone(), input(value)))
                .collect(),
        ),
    }
}
