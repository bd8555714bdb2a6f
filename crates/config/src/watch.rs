//! Noticing that files changed, and which keys differ: what a reload needs.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::path::KeyPath;

/// Looks at a few files when asked; it has no thread and no descriptor of its own.
#[derive(Debug)]
pub struct Watch {
    files: Vec<(PathBuf, Option<Mark>)>,
}

/// What differs after any ordinary write: editors replace the file, tools write into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// Set by the kernel, not by whoever restores an old modification time.
    status_changed: (i64, i64),
}

impl Watch {
    /// Starts from the files' present state. A missing file is watched for its appearance.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Self {
        let marked = files.into_iter().map(|file| {
            let mark = Mark::of(&file);
            (file, mark)
        });
        Self {
            files: marked.collect(),
        }
    }

    /// Watches these from here on. What is watched already is compared with what was seen of it last, so
    /// that nothing is lost that was written meanwhile.
    pub fn follow(&mut self, files: Vec<PathBuf>) {
        let before = std::mem::take(&mut self.files);
        let marked = files.into_iter().map(|file| {
            let seen = before.iter().find(|(known, _)| *known == file);
            let mark = seen.map_or_else(|| Mark::of(&file), |(_, mark)| *mark);
            (file, mark)
        });
        self.files = marked.collect();
    }

    /// True if any file changed, appeared or vanished since the last call; cheap enough for every second.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (file, mark) in &mut self.files {
            let present = Mark::of(file);
            changed |= present != *mark;
            *mark = present;
        }
        changed
    }
}

impl Mark {
    fn of(file: &std::path::Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            status_changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// The paths at which two documents differ, in document order. A list counts as one value.
#[must_use]
pub fn diff(old: &Value, new: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    collect(old, new, &KeyPath::default(), &mut paths);
    paths
}

fn collect(old: &Value, new: &Value, path: &KeyPath, paths: &mut Vec<String>) {
    let empty = serde_json::Map::new();
    let members = match (old, new) {
        (Value::Object(old), Value::Object(new)) => Some((old, new)),
        // A whole object that came or went is told by its keys.
        (Value::Object(old), Value::Null) if !old.is_empty() => Some((old, &empty)),
        (Value::Null, Value::Object(new)) if !new.is_empty() => Some((&empty, new)),
        _ => None,
    };
    let Some((old_members, new_members)) = members else {
        if old != new {
            paths.push(path.to_string());
        }
        return;
    };
    for (key, old) in old_members {
        match new_members.get(key) {
            Some(new) => collect(old, new, &path.key(key), paths),
            None if old.is_null() => paths.push(path.key(key).to_string()),
            None => collect(old, &Value::Null, &path.key(key), paths),
        }
    }
    for (key, new) in new_members {
        if old_members.contains_key(key) {
            continue;
        }
        if new.is_null() {
            paths.push(path.key(key).to_string());
        } else {
            collect(&Value::Null, new, &path.key(key), paths);
        }
    }
}
