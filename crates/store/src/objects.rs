//! The content-addressed object store: `objects/ab/cdef…`, named by SHA-256.
//!
//! An object is written beside its place, flushed, renamed, and its folder flushed; so a name
//! always means whole content, and a crash leaves at most an unnamed file that opening removes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use instar_protocol::ObjectHash;
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::open::sync_folder;

/// Half-written objects older than this have no writer any more.
const STALE: Duration = Duration::from_secs(60 * 60);

#[derive(Debug)]
pub(crate) struct Objects {
    root: PathBuf,
    next: AtomicU64,
}

impl Objects {
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            root: state.join("objects"),
            next: AtomicU64::new(0),
        }
    }

    /// Removes what a crash left half-written.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let folder = match fs::read_dir(self.root.join("tmp")) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = SystemTime::now();
        for file in folder {
            let file = file?;
            let age = now.duration_since(file.metadata()?.modified()?);
            if age.is_ok_and(|age| age > STALE) {
                fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<ObjectHash, StoreError> {
        let hash = ObjectHash::from_hex(hex::encode(Sha256::digest(bytes)));
        // Present and sound: left alone. Present but changed on disk: written anew.
        if self.get(&hash).is_ok() {
            return Ok(hash);
        }
        self.write(&hash, bytes)
            .map_err(|source| StoreError::io("writing an object", source))?;
        Ok(hash)
    }

    pub(crate) fn get(&self, hash: &ObjectHash) -> Result<Vec<u8>, StoreError> {
        let Some((folder, name)) = place(hash) else {
            return Err(StoreError::Object(hash.clone()));
        };
        let bytes = match fs::read(self.root.join(folder).join(name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Object(hash.clone()));
            }
            Err(source) => {
                return Err(StoreError::Io {
                    doing: "reading an object",
                    source,
                });
            }
        };
        if hex::encode(Sha256::digest(&bytes)) == hash.as_str() {
            Ok(bytes)
        } else {
            Err(StoreError::Object(hash.clone()))
        }
    }

    fn write(&self, hash: &ObjectHash, bytes: &[u8]) -> io::Result<()> {
        let (folder, name) = place(hash).ok_or(io::ErrorKind::InvalidInput)?;
        let temporary = self.root.join("tmp");
        let folder = self.root.join(folder);
        for path in [&temporary, &folder] {
            DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let draft = temporary.join(format!("{}-{number}", std::process::id()));
        let written = fill(&draft, bytes).and_then(|()| fs::rename(&draft, folder.join(name)));
        if let Err(error) = written {
            // Best effort: opening the store sweeps what stays.
            drop(fs::remove_file(&draft));
            return Err(error);
        }
        sync_folder(&folder)?;
        sync_folder(&self.root)
    }
}

fn fill(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Folder and name of an object; `None` if the text is no hash, whatever path it may spell.
fn place(hash: &ObjectHash) -> Option<(&str, &str)> {
    let text = hash.as_str();
    let valid = text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    valid.then(|| text.split_at(2))
}
