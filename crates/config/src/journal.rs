//! `config-journal.jsonl`: who changed which keys when, never to what.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::files::{FILE_MODE, digest, read_bounded};
use crate::problem::ConfigError;
use crate::resolve::FILE_BYTES_MAX;
use crate::{StateDir, diff};

/// A journal this long is put aside as `.1` and begun anew.
const JOURNAL_BYTES_MAX: u64 = 1 << 20;
/// The most paths one entry names.
const PATHS_MAX: usize = 200;
/// A file this small may shrink as it likes.
const SHRINKABLE_BYTES: u64 = 64;
const OUTSIDE: &str = "outside";

/// Who writes, for the journal.
#[derive(Debug, Clone)]
pub struct Author {
    pub who: String,
    pub pid: u32,
}

/// One write of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// RFC 3339, UTC.
    pub time: String,
    /// `outside` for a change that was found, not made.
    pub who: String,
    pub pid: u32,
    /// SHA-256 of the file; `None` where there was none.
    pub before: Option<String>,
    pub after: Option<String>,
    /// Bytes of the file afterwards.
    pub bytes: u64,
    /// Paths only: values never enter the journal.
    pub changed: Vec<String>,
    pub anomalies: Vec<Anomaly>,
}

/// What about a write deserves a second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anomaly {
    /// The file lost more than half of its bytes.
    Shrunken,
    /// Nothing is set any more.
    Emptied,
    KeysRemoved,
    /// The file before this write is not the one that was journalled last.
    WrittenOutside,
}

/// The latest entries, oldest first.
pub fn read(state: &StateDir, limit: usize) -> Result<Vec<JournalEntry>, ConfigError> {
    let mut entries = Vec::new();
    for path in [rotated(state), file(state)] {
        match read_bounded(&path, 2 * JOURNAL_BYTES_MAX) {
            Ok(bytes) => entries.extend(
                // A line that a power cut left half is skipped, the rest still counts.
                bytes
                    .split(|byte| *byte == b'\n')
                    .filter_map(|line| serde_json::from_slice::<JournalEntry>(line).ok()),
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ConfigError::Read { path, source }),
        }
    }
    Ok(entries.split_off(entries.len().saturating_sub(limit)))
}

/// Records a change that somebody made with an editor; `None` if the last entry covers it already.
///
/// Both documents are as [`crate::Loaded::document`]; `after` is absent if the file cannot be read
/// as one. The time of the change is when it was found.
pub fn note_external(
    state: &StateDir,
    before: &Value,
    after: Option<&Value>,
) -> Result<Option<JournalEntry>, ConfigError> {
    let _lock = lock(state)?;
    let path = state.config_file();
    let bytes = match read_bounded(path, FILE_BYTES_MAX) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            let path = path.to_owned();
            return Err(ConfigError::Read { path, source });
        }
    };
    let hash = bytes.as_deref().map(digest);
    let last = read(state, 1)?.pop();
    if last.as_ref().is_some_and(|last| last.after == hash) {
        return Ok(None);
    }
    let size = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
    let mut anomalies = vec![Anomaly::WrittenOutside];
    anomalies.extend(judge(
        last.as_ref().map_or(0, |last| last.bytes),
        size,
        before,
        after.or(bytes.is_none().then_some(&Value::Null)),
    ));
    let entry = JournalEntry {
        time: now(),
        who: OUTSIDE.to_owned(),
        pid: 0,
        before: last.and_then(|last| last.after),
        after: hash,
        bytes: size,
        changed: after.map(|after| paths(before, after)).unwrap_or_default(),
        anomalies,
    };
    append(state, &entry)?;
    Ok(Some(entry))
}

/// Records a write of our own. The caller holds the lock.
pub(crate) fn note(
    state: &StateDir,
    author: &Author,
    (before, old): (&[u8], &Value),
    after: Option<(&[u8], &Value)>,
) -> Result<(), ConfigError> {
    let last = read(state, 1)?.pop();
    let before_hash = (!before.is_empty()).then(|| digest(before));
    let (bytes, new) = after.unwrap_or((&[], &Value::Null));
    let mut anomalies = Vec::new();
    if last.is_some_and(|last| last.after != before_hash) {
        anomalies.push(Anomaly::WrittenOutside);
    }
    anomalies.extend(judge(
        before.len() as u64,
        bytes.len() as u64,
        old,
        Some(new),
    ));
    let entry = JournalEntry {
        time: now(),
        who: author.who.chars().take(200).collect(),
        pid: author.pid,
        before: before_hash,
        after: after.map(|(bytes, _)| digest(bytes)),
        bytes: bytes.len() as u64,
        changed: paths(old, new),
        anomalies,
    };
    append(state, &entry)
}

/// Keeps two writers of one configuration apart; let go when the file is dropped.
pub(crate) fn lock(state: &StateDir) -> Result<File, ConfigError> {
    let path = state.root().join("config.lock");
    let locked = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(crate::state::flags(OFlags::NOFOLLOW))
        .open(&path)
        .and_then(|file| {
            rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        });
    locked.map_err(|source| ConfigError::Write { path, source })
}

fn judge(bytes_before: u64, bytes_after: u64, old: &Value, new: Option<&Value>) -> Vec<Anomaly> {
    let mut anomalies = Vec::new();
    if bytes_before > SHRINKABLE_BYTES && bytes_after * 2 < bytes_before {
        anomalies.push(Anomaly::Shrunken);
    }
    let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    if let Some(new) = new {
        if is_empty(new) && !is_empty(old) {
            anomalies.push(Anomaly::Emptied);
        }
        if loses_keys(old, new) {
            anomalies.push(Anomaly::KeysRemoved);
        }
    }
    anomalies
}

fn loses_keys(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => old
            .iter()
            .any(|(key, old)| new.get(key).is_none_or(|new| loses_keys(old, new))),
        (Value::Object(old), _) => !old.is_empty(),
        _ => false,
    }
}

fn paths(old: &Value, new: &Value) -> Vec<String> {
    let mut paths = diff(old, new);
    paths.truncate(PATHS_MAX);
    paths
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn append(state: &StateDir, entry: &JournalEntry) -> Result<(), ConfigError> {
    let path = file(state);
    write_line(&path, &rotated(state), entry).map_err(|source| ConfigError::Write { path, source })
}

fn write_line(path: &Path, rotated: &Path, entry: &JournalEntry) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > JOURNAL_BYTES_MAX) {
        std::fs::rename(path, rotated)?;
    }
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .custom_flags(crate::state::flags(OFlags::NOFOLLOW))
        .open(path)?;
    file.write_all(&line)?;
    file.sync_all()
}

fn file(state: &StateDir) -> PathBuf {
    state.root().join("config-journal.jsonl")
}

fn rotated(state: &StateDir) -> PathBuf {
    state.root().join("config-journal.jsonl.1")
}
