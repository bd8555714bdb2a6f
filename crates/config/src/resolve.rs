//! One document out of many files: `$include` and `${VAR}`.
//!
//! Included objects are merged in the order they are named, the later over the earlier and the
//! including file over all of them. Lists and plain values are replaced, not joined. An include is
//! read from the folder of the main file or below it; only a path that is written out from the
//! root may lead elsewhere. Variables stand in values, never in keys or in `$include`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Env;
use crate::document::{self, Kind, Member, Node, Source};
use crate::files::{folder_of, read_bounded};
use crate::path::KeyPath;
use crate::problem::{ConfigError, Problem};

/// The most bytes one file may have.
pub(crate) const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most files one configuration may be made of.
const FILES_MAX: usize = 64;
/// How deep includes may name includes.
const DEPTH_MAX: usize = 8;
/// The most bytes a text may have after its variables are filled in.
const TEXT_BYTES_MAX: usize = 64 * 1024;
const INCLUDE: &str = "$include";

/// All files of one configuration, read and merged; problems are those found so far.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) root: Node,
    pub(crate) sources: Vec<Source>,
    pub(crate) hash: String,
    pub(crate) problems: Vec<Problem>,
}

/// Reads the main file and everything it includes. A missing main file is an empty one.
pub(crate) fn resolve(file: &Path, env: Env<'_>) -> Result<Resolved, ConfigError> {
    let bytes = match read_bounded(file, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => {
            return Err(ConfigError::Read {
                path: file.to_owned(),
                source,
            });
        }
    };
    Ok(resolve_bytes(file, &bytes, env))
}

/// Like [`resolve`], for bytes that are not in the file yet.
pub(crate) fn resolve_bytes(file: &Path, bytes: &[u8], env: Env<'_>) -> Resolved {
    let folder = std::fs::canonicalize(folder_of(file)).unwrap_or_else(|_| folder_of(file).into());
    let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut resolver = Resolver {
        env,
        folder,
        sources: Vec::new(),
        hasher: Sha256::new(),
        problems: Vec::new(),
        open: vec![real],
    };
    let root = resolver.read(file.to_owned(), bytes, &KeyPath::default());
    if !matches!(root.kind, Kind::Object(_)) {
        let message = "the document is not an object: start it with '{'";
        resolver.complain(&root, &KeyPath::default(), message);
    }
    Resolved {
        root,
        hash: hex::encode(resolver.hasher.finalize()),
        sources: resolver.sources,
        problems: resolver.problems,
    }
}

struct Resolver<'a> {
    env: Env<'a>,
    /// The main file's folder, links resolved.
    folder: PathBuf,
    sources: Vec<Source>,
    hasher: Sha256,
    problems: Vec<Problem>,
    /// The files that are being read, outermost first.
    open: Vec<PathBuf>,
}

impl Resolver<'_> {
    fn read(&mut self, path: PathBuf, bytes: &[u8], at: &KeyPath) -> Node {
        self.hasher.update((bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
        let number = self.sources.len();
        let empty = Node::empty_object(document::Place {
            source: number,
            start: 0,
        });
        let (text, valid) = match std::str::from_utf8(bytes) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => (String::from_utf8_lossy(bytes).into_owned(), false),
        };
        self.sources.push(Source { path, text });
        let source = &self.sources[number];
        if !valid {
            let offset = source.text.find('\u{fffd}').unwrap_or(0);
            let problem = source.problem(offset, at, "the file is not UTF-8 text from here on");
            self.problems.push(problem);
            return empty;
        }
        match document::parse(source, number) {
            Ok(node) => self.expand(node, at),
            Err(problems) => {
                self.problems.extend(problems);
                empty
            }
        }
    }

    /// Fills in includes and variables from a node downwards.
    fn expand(&mut self, node: Node, at: &KeyPath) -> Node {
        let place = node.place;
        let kind = match node.kind {
            Kind::Object(members) => return self.expand_object(members, place, at),
            Kind::List(items) => Kind::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.expand(item, &at.index(index)))
                    .collect(),
            ),
            Kind::Text { text, .. } => {
                let (text, substituted) = match fill_in(&text, self.env) {
                    Ok(filled) => filled,
                    Err((message, hint)) => {
                        let mut problem =
                            self.sources[place.source].problem(place.start, at, message);
                        problem.hint = hint;
                        self.problems.push(problem);
                        // Stands for any text, so that the missing variable is told once.
                        (text, true)
                    }
                };
                Kind::Text { text, substituted }
            }
            plain @ (Kind::Null | Kind::Bool(_) | Kind::Number(_)) => plain,
        };
        Node { kind, place }
    }

    fn expand_object(
        &mut self,
        mut members: Vec<Member>,
        place: document::Place,
        at: &KeyPath,
    ) -> Node {
        let include = members
            .iter()
            .position(|member| member.key == INCLUDE)
            .map(|position| members.remove(position));
        let own = members
            .into_iter()
            .map(|member| Member {
                value: self.expand(member.value, &at.key(&member.key)),
                ..member
            })
            .collect::<Vec<_>>();
        let own_is_empty = own.is_empty();
        let own = Node {
            kind: Kind::Object(own),
            place,
        };
        let Some(include) = include else {
            return own;
        };
        let mut included = self.included(&include.value, at);
        if own_is_empty && included.len() == 1 {
            // `{$include: "list.json"}` alone stands for whatever the file holds.
            return included.remove(0);
        }
        let mut merged = Node::empty_object(place);
        for node in included.into_iter().chain([own]) {
            if matches!(node.kind, Kind::Object(_)) {
                merge(&mut merged, node);
            } else {
                let message = "an included file that is merged must hold an object";
                self.complain(&node, at, message);
            }
        }
        merged.place = place;
        merged
    }

    fn included(&mut self, value: &Node, at: &KeyPath) -> Vec<Node> {
        let at = at.key(INCLUDE);
        match &value.kind {
            Kind::Text { .. } => self.include(value, &at).into_iter().collect(),
            Kind::List(items) => items
                .iter()
                .filter_map(|item| self.include(item, &at))
                .collect(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Object(_) => {
                self.complain(value, &at, "expected a file name or a list of file names");
                Vec::new()
            }
        }
    }

    /// Reads one included file, or says why not.
    fn include(&mut self, named: &Node, at: &KeyPath) -> Option<Node> {
        let Kind::Text { text: name, .. } = &named.kind else {
            self.complain(named, at, "expected a file name");
            return None;
        };
        match self.find_include(name, named) {
            Ok((path, real, bytes)) => {
                self.open.push(real);
                // The included keys stand at the place of the object that includes them.
                let above = KeyPath(at.0[..at.0.len() - 1].to_vec());
                let node = self.read(path, &bytes, &above);
                self.open.pop();
                Some(node)
            }
            Err(message) => {
                self.complain(named, at, message);
                None
            }
        }
    }

    fn find_include(
        &self,
        name: &str,
        named: &Node,
    ) -> Result<(PathBuf, PathBuf, Vec<u8>), String> {
        if name.is_empty() || name.contains('\0') {
            return Err("expected a file name".to_owned());
        }
        if name.contains("${") {
            return Err("variables are not filled in here: write the file name out".to_owned());
        }
        if self.open.len() > DEPTH_MAX {
            return Err(format!("includes are nested more than {DEPTH_MAX} deep"));
        }
        if self.sources.len() >= FILES_MAX {
            return Err(format!(
                "a configuration has at most {FILES_MAX} files; join some of them"
            ));
        }
        let path = folder_of(&self.sources[named.place.source].path).join(name);
        let real = std::fs::canonicalize(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if !Path::new(name).is_absolute() && !real.starts_with(&self.folder) {
            return Err(format!(
                "{} lies outside {}: move it there, or write its path out from the root",
                real.display(),
                self.folder.display()
            ));
        }
        if self.open.contains(&real) {
            return Err(format!("{} includes itself", real.display()));
        }
        let bytes = read_bounded(&real, FILE_BYTES_MAX)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok((path, real, bytes))
    }

    fn complain(&mut self, node: &Node, at: &KeyPath, message: impl Into<String>) {
        let source = &self.sources[node.place.source];
        let problem = source.problem(node.place.start, at, message);
        self.problems.push(problem);
    }
}

/// Lays one object over another: objects merge, everything else is replaced in its place.
fn merge(below: &mut Node, above: Node) {
    match (&mut below.kind, above.kind) {
        (Kind::Object(old), Kind::Object(new)) => {
            for member in new {
                match old.iter_mut().find(|existing| existing.key == member.key) {
                    Some(existing) => {
                        existing.key_place = member.key_place;
                        merge(&mut existing.value, member.value);
                    }
                    None => old.push(member),
                }
            }
        }
        (kind, new) => *kind = new,
    }
    below.place = above.place;
}

/// Replaces `${NAME}` by the variable's value; `$${` stands for `${` itself.
fn fill_in(text: &str, env: Env<'_>) -> Result<(String, bool), (String, Option<String>)> {
    let mut filled = String::with_capacity(text.len());
    let mut substituted = false;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            filled.push_str(&rest[..at - 1]);
            filled.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        filled.push_str(&rest[..at]);
        let name = rest[at + 2..].split('}').next().unwrap_or_default();
        if !is_variable(name) || !rest[at + 2 + name.len()..].starts_with('}') {
            let hint = "write $${ for these two characters themselves".to_owned();
            return Err((
                "'${' is not followed by a variable name and '}'".into(),
                Some(hint),
            ));
        }
        let value = env(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            let hint = format!("set {name}, or write the value out");
            (
                format!("the environment variable {name} is not set"),
                Some(hint),
            )
        })?;
        filled.push_str(&value);
        if filled.len() > TEXT_BYTES_MAX {
            let message =
                format!("the text is longer than {TEXT_BYTES_MAX} bytes once {name} is filled in");
            return Err((message, None));
        }
        substituted = true;
        rest = &rest[at + 3 + name.len()..];
    }
    filled.push_str(rest);
    Ok((filled, substituted))
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= 128
}
