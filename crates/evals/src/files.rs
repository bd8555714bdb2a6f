//! The files that a suite names.

use instar_policy::canonical;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bounds::{FILE_BYTES_MAX, FILES_MAX};
use crate::error::SuiteError;

/// Where the files of a suite are: a folder, out of which no name leads, or the program itself.
pub struct Files {
    source: Source,
    read: Cell<usize>,
    /// What was read so far, with its digest.
    seen: RefCell<BTreeMap<String, String>>,
}

enum Source {
    Folder(PathBuf),
    Embedded(BTreeMap<&'static str, &'static str>),
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Source::Embedded(files) => f.debug_tuple("Embedded").field(&files.len()).finish(),
        }
    }
}

impl Files {
    /// Files beneath a folder.
    pub fn beneath(folder: &Path) -> Result<Self, SuiteError> {
        let folder = folder
            .canonicalize()
            .map_err(|error| SuiteError::file(folder.display().to_string(), error))?;
        Ok(Self {
            source: Source::Folder(folder),
            read: Cell::new(0),
            seen: RefCell::default(),
        })
    }

    /// Files that came with the program.
    #[must_use]
    pub fn embedded(files: &[(&'static str, &'static str)]) -> Self {
        Self {
            source: Source::Embedded(files.iter().copied().collect()),
            read: Cell::new(0),
            seen: RefCell::default(),
        }
    }

    /// The text of a file; `name` may begin with `file://`.
    pub(crate) fn text(&self, name: &str) -> Result<String, SuiteError> {
        let name = name.strip_prefix("file://").unwrap_or(name);
        if self.read.get() >= FILES_MAX {
            return Err(SuiteError::file(
                name,
                format!("the suite reads more than {FILES_MAX} files"),
            ));
        }
        self.read.set(self.read.get() + 1);
        let text = match &self.source {
            Source::Embedded(files) => files
                .get(name)
                .map(|text| (*text).to_owned())
                .ok_or_else(|| SuiteError::file(name, "no such file")),
            Source::Folder(folder) => read_beneath(folder, name),
        }?;
        let digest = canonical::sha256(text.as_bytes());
        self.seen.borrow_mut().insert(name.to_owned(), digest);
        Ok(text)
    }

    /// The files that were read so far, by name, with their digests.
    pub(crate) fn seen(&self) -> BTreeMap<String, String> {
        self.seen.borrow().clone()
    }

    /// The names that a pattern with `*` in its last part stands for, in order; a name without one is itself.
    pub(crate) fn matching(&self, pattern: &str) -> Result<Vec<String>, SuiteError> {
        let pattern = pattern.strip_prefix("file://").unwrap_or(pattern);
        if !pattern.contains(['*', '?']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let (parent, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        if parent.contains(['*', '?']) {
            let problem = "a pattern is understood in the last part of a path only";
            return Err(SuiteError::file(pattern, problem));
        }
        let beneath = |name: &str| match parent {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        };
        let mut names: Vec<String> = match &self.source {
            Source::Embedded(files) => files.keys().map(|name| (*name).to_owned()).collect(),
            Source::Folder(folder) => {
                let inside = within(folder, parent)?;
                let entries = std::fs::read_dir(&inside)
                    .map_err(|error| SuiteError::file(parent, error))?
                    .take(FILES_MAX * 10);
                entries
                    .flatten()
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .map(|name| beneath(&name))
                    .collect()
            }
        };
        names.retain(|name| {
            let (at, file) = name.rsplit_once('/').unwrap_or(("", name));
            at == parent
                && wildcard(last, file)
                && (last.starts_with('.') || !file.starts_with('.'))
        });
        names.sort();
        if names.is_empty() {
            return Err(SuiteError::file(pattern, "no file fits"));
        }
        Ok(names)
    }
}

fn within(folder: &Path, name: &str) -> Result<PathBuf, SuiteError> {
    let path = folder
        .join(name)
        .canonicalize()
        .map_err(|error| SuiteError::file(name, error))?;
    if path.starts_with(folder) {
        return Ok(path);
    }
    Err(SuiteError::file(
        name,
        "lies outside the folder of the suite; put it beside the suite",
    ))
}

fn read_beneath(folder: &Path, name: &str) -> Result<String, SuiteError> {
    let path = within(folder, name)?;
    let failed = |error: std::io::Error| SuiteError::file(name, error);
    if !path.is_file() {
        return Err(SuiteError::file(name, "is no file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > FILE_BYTES_MAX {
        let problem = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(SuiteError::file(name, problem));
    }
    Ok(text)
}

/// True if a text fits a pattern in which `*` stands for any text and `?` for one character.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}
