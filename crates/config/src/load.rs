//! Reading and checking a configuration of any type.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Env;
use crate::check::Checker;
use crate::document::{self, Kind, Node, Source};
use crate::path::{KeyPath, Step};
use crate::problem::{ConfigError, Problem};
use crate::resolve::{self, Resolved};
use crate::schema::Schema;
use crate::tree;

/// The key that editors look for; it is not a setting.
pub(crate) const EDITOR_KEY: &str = "$schema";

/// A configuration that was read and found sound.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    pub value: T,
    /// The file and everything it includes.
    pub files: Vec<PathBuf>,
    /// SHA-256 over all bytes read; equal hashes mean nothing changed.
    pub hash: String,
    /// The effective document after includes and variables, without defaults.
    pub document: Value,
}

impl<T: DeserializeOwned> Loaded<T> {
    /// This configuration with the values of another document at some paths, for keys that cannot
    /// change yet. `None` if the two do not make a whole.
    #[must_use]
    pub fn keeping(self, old: &Value, paths: &[String]) -> Option<Self> {
        if paths.is_empty() {
            return Some(self);
        }
        let mut document = self.document;
        for path in paths {
            let path = KeyPath::parse(path).ok()?;
            match path.find(old) {
                Some(value) => tree::put_value(&mut document, &path.0, value),
                None => take_whole(&mut document, old, path),
            }
        }
        let mut plain = document.clone();
        if let Value::Object(members) = &mut plain {
            members.shift_remove(EDITOR_KEY);
        }
        Some(Self {
            value: serde_json::from_value(plain).ok()?,
            document,
            ..self
        })
    }
}

/// Takes a value away, and the objects around it that held nothing else and were not there before.
fn take_whole(document: &mut Value, old: &Value, mut path: KeyPath) {
    loop {
        tree::take_value(document, &path.0);
        path.0.pop();
        let left = path.find(document).and_then(Value::as_object);
        let empty = left.is_some_and(serde_json::Map::is_empty);
        if path.0.is_empty() || !empty || path.find(old).is_some() {
            return;
        }
    }
}

/// Reads and checks a file; a missing file is an empty one. All problems are reported, not the first.
pub fn load<T: JsonSchema + DeserializeOwned>(
    file: &Path,
    env: Env<'_>,
) -> Result<Loaded<T>, ConfigError> {
    finish(resolve::resolve(file, env)?)
}

/// Reads and checks a file as [`load`] does, then asks `rules` for what no single value shows: paths
/// and what is wrong there. Each becomes a problem at the place where that, or what is nearest to
/// it, is written.
pub fn load_with<T: JsonSchema + DeserializeOwned>(
    file: &Path,
    env: Env<'_>,
    rules: impl FnOnce(&T) -> Vec<(String, String)>,
) -> Result<Loaded<T>, ConfigError> {
    finish_with(resolve::resolve(file, env)?, rules)
}

/// Reads JSON5 text without looking at any file: includes and variables stay as they are written.
pub fn parse_str(text: &str) -> Result<Value, Vec<Problem>> {
    let source = Source {
        path: PathBuf::from("<text>"),
        text: text.to_owned(),
    };
    document::parse(&source, 0).map(|node| node.to_value())
}

fn finish<T: JsonSchema + DeserializeOwned>(resolved: Resolved) -> Result<Loaded<T>, ConfigError> {
    finish_with(resolved, |_| Vec::new())
}

/// Checks what was read against the schema, then against the type itself, then asks the rules.
pub(crate) fn finish_with<T: JsonSchema + DeserializeOwned>(
    mut resolved: Resolved,
    rules: impl FnOnce(&T) -> Vec<(String, String)>,
) -> Result<Loaded<T>, ConfigError> {
    let schema = Schema::of::<T>();
    let mut checker = Checker::new(&schema, &resolved.sources);
    checker.check_root(&resolved.root);
    resolved.problems.extend(checker.into_problems());
    let document = resolved.root.to_value();
    if resolved.problems.is_empty() {
        match read_typed::<T>(&resolved, &schema, document.clone()) {
            Ok(value) => {
                let broken = rules(&value);
                if broken.is_empty() {
                    return Ok(loaded(value, resolved, document));
                }
                let placed = broken.into_iter().map(|rule| place(&resolved, rule));
                let placed: Vec<_> = placed.collect();
                resolved.problems.extend(placed);
            }
            Err(problem) => resolved.problems.push(*problem),
        }
    }
    Err(ConfigError::Invalid(resolved.problems))
}

fn loaded<T>(value: T, resolved: Resolved, document: Value) -> Loaded<T> {
    let files = resolved.sources.into_iter().map(|source| source.path);
    Loaded {
        value,
        files: files.collect(),
        hash: resolved.hash,
        document,
    }
}

/// A rule's path that is no path means the whole file.
fn place(resolved: &Resolved, (path, why): (String, String)) -> Problem {
    let path = KeyPath::parse(&path).unwrap_or_default();
    let node = resolved.root.nearest(&path);
    let message = conceal(why, node, &path);
    let source = &resolved.sources[node.place.source];
    source.problem(node.place.start, &path, message)
}

/// The second line of defence: what only the type knows, placed as well as the path allows.
fn read_typed<T: DeserializeOwned>(
    resolved: &Resolved,
    schema: &Schema,
    mut document: Value,
) -> Result<T, Box<Problem>> {
    if let Value::Object(members) = &mut document
        && !schema.knows_root_key(EDITOR_KEY)
    {
        members.shift_remove(EDITOR_KEY);
    }
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = steps(error.path());
        let node = resolved.root.nearest(&path);
        let message = conceal(error.into_inner().to_string(), node, &path);
        let source = &resolved.sources[node.place.source];
        Box::new(source.problem(node.place.start, &path, message))
    })
}

fn steps(path: &serde_path_to_error::Path) -> KeyPath {
    use serde_path_to_error::Segment;
    let steps = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    KeyPath(steps.collect())
}

/// Takes a variable's value, or anything at a secret's place, out of a message.
fn conceal(message: String, node: &Node, path: &KeyPath) -> String {
    match &node.kind {
        Kind::Text { text, substituted }
            if !text.is_empty() && (*substituted || crate::problem::is_sensitive(path)) =>
        {
            let quoted = format!("{text:?}");
            let inner = &quoted[1..quoted.len() - 1];
            message.replace(text.as_str(), "***").replace(inner, "***")
        }
        _ => message,
    }
}
