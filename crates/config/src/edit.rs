//! Changing one key and nothing else: comments, order and spelling of the rest stay.
//!
//! An edit is checked three ways before it is written: the text that comes out holds exactly the
//! value that was asked for, it has lost no comment, and it has no problem that was not there
//! before. What the editor cannot keep it refuses.

use jsonc_parser::cst::CstRootNode;
use jsonc_parser::tokens::Token;
use jsonc_parser::{Scanner, ScannerOptions};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::check::accepts;
use crate::document::{self, Source, options, split_mark};
use crate::files::{digest, read_bounded};
use crate::journal::{self, Author};
use crate::load::finish_with;
use crate::path::KeyPath;
use crate::problem::{ConfigError, Problem};
use crate::resolve::{FILE_BYTES_MAX, resolve_bytes};
use crate::schema::Schema;
use crate::tree::{Missing, put, put_value, take, take_value};
use crate::{Env, StateDir, backup, diff};

/// How often an edit starts over because somebody else wrote the file meanwhile.
const TRIES: usize = 3;

/// What no single value shows, as paths and what is wrong there.
pub type Rules<'a, T> = &'a dyn Fn(&T) -> Vec<(String, String)>;

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
    set_with::<T>(state, path, value, author, env, &|_| Vec::new())
}

/// As [`set`], with rules over several keys as [`crate::load_with`] takes them: an edit that breaks
/// one that was kept before is refused. A rule that was broken already stops nothing.
pub fn set_with<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    value: &Value,
    author: &Author,
    env: Env<'_>,
    rules: Rules<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    let path = KeyPath::parse(path)?;
    write::<T>(state, &path, Some(value), author, env, rules)
}

/// Sets one key to a value as people type it; see [`parse_value`] and [`set`].
pub fn set_text<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    text: &str,
    author: &Author,
    env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    set_text_with::<T>(state, path, text, author, env, &|_| Vec::new())
}

/// As [`set_text`], with the rules of [`set_with`].
pub fn set_text_with<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    text: &str,
    author: &Author,
    env: Env<'_>,
    rules: Rules<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    let value = parse_value::<T>(path, text)?;
    set_with::<T>(state, path, &value, author, env, rules)
}

/// Removes one key with the comments that belong to it; an absent key is an error.
pub fn unset<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    author: &Author,
    env: Env<'_>,
) -> Result<Vec<String>, ConfigError> {
    unset_with::<T>(state, path, author, env, &|_| Vec::new())
}

/// As [`unset`], with the rules of [`set_with`].
pub fn unset_with<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &str,
    author: &Author,
    env: Env<'_>,
    rules: Rules<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    let path = KeyPath::parse(path)?;
    write::<T>(state, &path, None, author, env, rules)
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
                problem.hint = None;
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

/// One change: a new value at a path, or none to remove what is there.
pub(crate) type Change = (KeyPath, Option<Value>);

fn write<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    path: &KeyPath,
    value: Option<&Value>,
    author: &Author,
    env: Env<'_>,
    rules: Rules<'_, T>,
) -> Result<Vec<String>, ConfigError> {
    let change = (path.clone(), value.cloned());
    rewrite::<T>(state, author, env, rules, &|bytes| {
        edit(state, text_of(state, bytes)?, std::slice::from_ref(&change))
    })
}

/// Puts what `make` makes of the present bytes in their place, if it brings no new problem.
pub(crate) fn rewrite<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    author: &Author,
    env: Env<'_>,
    rules: Rules<'_, T>,
    make: &dyn Fn(&[u8]) -> Result<Edited, ConfigError>,
) -> Result<Vec<String>, ConfigError> {
    state.prepare()?;
    let _lock = journal::lock(state)?;
    for _ in 0..TRIES {
        let before = read(state)?;
        let edited = make(&before)?;
        refuse_new_problems::<T>(state, &before, edited.text.as_bytes(), env, rules)?;
        let changed = diff(&edited.old, &edited.new);
        // A file that differs in its comments alone is written all the same.
        if edited.text.as_bytes() == before {
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
pub(crate) fn read(state: &StateDir) -> Result<Vec<u8>, ConfigError> {
    let path = state.config_file();
    match read_bounded(path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

pub(crate) fn text_of<'a>(state: &StateDir, bytes: &'a [u8]) -> Result<&'a str, ConfigError> {
    std::str::from_utf8(bytes).map_err(|_| uneditable(state, "it is not UTF-8 text"))
}

/// Refuses a result with problems that were not there before.
pub(crate) fn refuse_new_problems<T: JsonSchema + DeserializeOwned>(
    state: &StateDir,
    before: &[u8],
    after: &[u8],
    env: Env<'_>,
    rules: Rules<'_, T>,
) -> Result<(), ConfigError> {
    let mut rules_asked = false;
    let mut problems_of = |bytes: &[u8]| {
        let resolved = resolve_bytes(state.config_file(), bytes, env);
        rules_asked = false;
        let asked = |value: &T| {
            rules_asked = true;
            rules(value)
        };
        match finish_with::<T>(resolved, asked) {
            Err(ConfigError::Invalid(problems)) => Ok((problems, rules_asked)),
            other => other.map(|_| (Vec::new(), rules_asked)),
        }
    };
    let (mut fresh, by_rules) = problems_of(after)?;
    if fresh.is_empty() {
        return Ok(());
    }
    let told = |problem: &Problem| (problem.path.clone(), problem.message.clone());
    let (known, had_rules) = problems_of(before)?;
    if by_rules && !had_rules {
        // Before, the rules could not be asked: nobody knows whether the edit broke them.
        return Ok(());
    }
    let known: Vec<_> = known.iter().map(told).collect();
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
pub(crate) struct Edited {
    pub(crate) text: String,
    pub(crate) old: Value,
    pub(crate) new: Value,
}

/// Changes the text, and makes sure that nothing but the changes happened.
pub(crate) fn edit(
    state: &StateDir,
    whole: &str,
    changes: &[Change],
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
    for (path, value) in changes {
        change(state, &tree, path, value.as_ref())?;
        match value {
            Some(value) => put_value(&mut expected, &path.0, value),
            None => take_value(&mut expected, &path.0),
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
    let only_sets = changes.iter().all(|(_, value)| value.is_some());
    if only_sets && comments(&edited) < comments(text) {
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

fn change(
    state: &StateDir,
    tree: &CstRootNode,
    path: &KeyPath,
    value: Option<&Value>,
) -> Result<(), ConfigError> {
    let Some(value) = value else {
        return take(tree, path).map_err(|missing| match missing {
            Missing::Key => ConfigError::UnknownKey {
                path: path.to_string(),
                hint: Some("it is not set in this file".to_owned()),
            },
            Missing::Shape(reason) => uneditable(state, &reason),
        });
    };
    put(tree, path, value).map_err(|reason| uneditable(state, &reason))
}

pub(crate) fn value_of(state: &StateDir, text: &str) -> Result<Value, ConfigError> {
    let source = Source {
        path: state.config_file().to_owned(),
        text: text.to_owned(),
    };
    document::parse(&source, 0)
        .map(|node| node.to_value())
        .map_err(ConfigError::Invalid)
}

pub(crate) fn uneditable(state: &StateDir, reason: &str) -> ConfigError {
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
