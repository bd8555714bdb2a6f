//! The file as a whole, for editors that are not people: its text without secrets, a digest to
//! notice changes by, and writing it back whole or as a patch.

use jsonc_parser::cst::CstRootNode;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::document::{options, split_mark};
use crate::edit::{
    Change, Edited, Rules, edit, read, refuse_new_problems, rewrite, text_of, uneditable, value_of,
};
use crate::files::digest;
use crate::path::KeyPath;
use crate::problem::{ConfigError, is_sensitive};
use crate::tree::{put, put_value};
use crate::{Author, Env, StateDir, diff};

/// Stands for a text that is not shown. Written back, it means the text that is there already.
pub const HIDDEN: &str = "__OPENCLAW_REDACTED__";

/// Says of a path whether its text is a secret, beyond those that their key gives away.
pub type Secrets<'a> = &'a dyn Fn(&KeyPath) -> bool;

/// The file as it is written now.
#[derive(Debug, Clone)]
pub struct Sheet {
    /// False where there is no file yet: the rest is then that of an empty one.
    pub exists: bool,
    /// SHA-256 of the bytes.
    pub digest: String,
    /// The text with secrets hidden; `None` if it cannot be read as a document.
    pub text: Option<String>,
    /// The values as they are written, includes and variables unresolved, secrets hidden.
    pub document: Option<Value>,
}

/// Reads the file for somebody who may see everything but secrets.
pub fn sheet(state: &StateDir, secrets: Secrets<'_>) -> Result<Sheet, ConfigError> {
    let bytes = read(state)?;
    let shown = text_of(state, &bytes).and_then(|text| hidden(state, text, secrets));
    let (text, document) = shown.map_or((None, None), |(text, document)| {
        (Some(text), Some(document))
    });
    Ok(Sheet {
        exists: state.config_file().exists(),
        digest: digest(&bytes),
        text,
        document,
    })
}

/// Who writes, and what the file has to be like for that.
#[derive(Clone, Copy)]
pub struct Writing<'a, T> {
    pub author: &'a Author,
    pub env: Env<'a>,
    pub rules: Rules<'a, T>,
    /// The digest of the file that the writer has seen; another one is [`ConfigError::Changed`].
    pub seen: Option<&'a str>,
}

impl<T> std::fmt::Debug for Writing<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writing")
            .field("author", self.author)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// Puts a new text in the file's place. Returns the paths that changed.
pub fn replace<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    text: &str,
    writing: &Writing<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    write(state, writing, &|old| {
        let old = value_of(state, text_of(state, old)?)?;
        let asked = value_of(state, split_mark(text).1)?;
        let kept: Vec<Change> = restored(state, &old, &KeyPath::default(), &asked)?;
        let edited = edit(state, text, &kept)?;
        Ok(Edited { old, ..edited })
    })
}

/// Lays a patch over the file: objects are merged, `null` removes, everything else is set. Comments
/// and order of what is not named stay. At the paths in `whole` objects are set, not merged.
pub fn patch<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    patch: &Value,
    whole: &[KeyPath],
    writing: &Writing<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    if !patch.is_object() {
        return Err(uneditable(state, "a patch is an object"));
    }
    write(state, writing, &|old| {
        let text = text_of(state, old)?;
        let present = value_of(state, split_mark(text).1)?;
        let mut patch = patch.clone();
        for (path, value) in restored(state, &present, &KeyPath::default(), &patch)? {
            if let Some(value) = value {
                put_value(&mut patch, &path.0, &value);
            }
        }
        let mut changes = Vec::new();
        merge(
            &KeyPath::default(),
            Some(&present),
            &patch,
            whole,
            &mut changes,
        );
        edit(state, text, &changes)
    })
}

/// Sets or removes one key of the file that the writer has seen. Returns the paths that changed.
pub fn put_key<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &KeyPath,
    value: Option<&Value>,
    writing: &Writing<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    write(state, writing, &|old| key_put(state, old, path, value))
}

/// What an edit of one key would make of the file, secrets hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The digest of the file as it is: whoever goes on from here has seen that one.
    pub digest: String,
    pub changed: Vec<String>,
    pub before: String,
    pub after: String,
}

/// Does everything that [`put_key`] does, all checks included, except writing.
pub fn preview<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &KeyPath,
    value: Option<&Value>,
    (env, rules): (Env<'_>, Rules<'_, T>),
    secrets: Secrets<'_>,
) -> Result<Preview, ConfigError> {
    let old = read(state)?;
    let edited = key_put(state, &old, path, value)?;
    refuse_new_problems::<T>(state, &old, edited.text.as_bytes(), env, rules)?;
    Ok(Preview {
        digest: digest(&old),
        changed: diff(&edited.old, &edited.new),
        before: hidden(state, text_of(state, &old)?, secrets)?.0,
        after: hidden(state, &edited.text, secrets)?.0,
    })
}

fn key_put(
    state: &StateDir,
    old: &[u8],
    path: &KeyPath,
    value: Option<&Value>,
) -> Result<Edited, ConfigError> {
    let text = text_of(state, old)?;
    let Some(value) = value else {
        return edit(state, text, &[(path.clone(), None)]);
    };
    let mut value = value.clone();
    let present = value_of(state, split_mark(text).1)?;
    for (at, kept) in restored(state, &present, path, &value)? {
        if let Some(kept) = kept {
            put_value(&mut value, &at.0[path.0.len()..], &kept);
        }
    }
    edit(state, text, &[(path.clone(), Some(value))])
}

/// A document with the text of every secret in it hidden.
#[must_use]
pub fn without_secrets(document: &Value, secrets: Secrets<'_>) -> Value {
    let mut shown = document.clone();
    texts(&KeyPath::default(), document, &mut |path, _| {
        if is_sensitive(path) || secrets(path) {
            put_value(&mut shown, &path.0, &Value::from(HIDDEN));
        }
    });
    shown
}

fn write<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    writing: &Writing<'_, T>,
    make: &dyn Fn(&[u8]) -> Result<Edited, ConfigError>,
) -> Result<Vec<String>, ConfigError> {
    rewrite::<T>(state, writing.author, writing.env, writing.rules, &|old| {
        if writing.seen.is_some_and(|seen| seen != digest(old)) {
            return Err(ConfigError::Changed {
                path: state.config_file().to_owned(),
            });
        }
        make(old)
    })
}

/// The changes that a merge patch comes to.
fn merge(
    at: &KeyPath,
    old: Option<&Value>,
    patch: &Value,
    whole: &[KeyPath],
    changes: &mut Vec<Change>,
) {
    match (patch, old) {
        (Value::Object(members), Some(Value::Object(old))) if !whole.contains(at) => {
            for (key, value) in members {
                merge(&at.key(key), old.get(key), value, whole, changes);
            }
        }
        (Value::Null, None) => {}
        (Value::Null, Some(_)) => changes.push((at.clone(), None)),
        (value, old) => {
            let value = without_nulls(value);
            if old != Some(&value) {
                changes.push((at.clone(), Some(value)));
            }
        }
    }
}

/// Where nothing is, there is nothing for a `null` to remove.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect()
        }
        other => other.clone(),
    }
}

/// The text and values with every secret's text hidden.
fn hidden(
    state: &StateDir,
    whole: &str,
    secrets: Secrets<'_>,
) -> Result<(String, Value), ConfigError> {
    let (mark, text) = split_mark(whole);
    let mut document = value_of(state, text)?;
    let mut found = Vec::new();
    texts(&KeyPath::default(), &document, &mut |path, _| {
        if is_sensitive(path) || secrets(path) {
            found.push(path.clone());
        }
    });
    if found.is_empty() {
        return Ok((whole.to_owned(), document));
    }
    let tree = CstRootNode::parse(text, &options())
        .map_err(|error| uneditable(state, &error.to_string()))?;
    let shown = Value::from(HIDDEN);
    for path in &found {
        put(&tree, path, &shown).map_err(|reason| uneditable(state, &reason))?;
        put_value(&mut document, &path.0, &shown);
    }
    Ok((format!("{mark}{tree}"), document))
}

/// What has to stand where a writer left [`HIDDEN`]: the text that is there now.
fn restored(
    state: &StateDir,
    old: &Value,
    at: &KeyPath,
    asked: &Value,
) -> Result<Vec<Change>, ConfigError> {
    let mut found = Vec::new();
    texts(at, asked, &mut |path, text| {
        if text == HIDDEN {
            found.push(path.clone());
        }
    });
    found
        .into_iter()
        .map(|path| match path.find(old) {
            Some(Value::String(text)) => Ok((path, Some(Value::from(text.clone())))),
            _ => Err(uneditable(
                state,
                &format!("{path} is hidden, and there is nothing yet that it could stand for"),
            )),
        })
        .collect()
}

/// Visits every text of a document.
fn texts(at: &KeyPath, value: &Value, visit: &mut dyn FnMut(&KeyPath, &str)) {
    match value {
        Value::String(text) => visit(at, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(&at.index(index), item, visit);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                texts(&at.key(key), member, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
