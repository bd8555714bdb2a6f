//! The content-addressed object store: `objects/ab/cdef…`, named by SHA-256.
//!
//! An object is written beside its place, flushed, renamed, and its folder flushed; so a name
//! always means whole content, and a crash leaves at most an unnamed file that opening removes.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use instar_protocol::ObjectHash;
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::open::sync_folder;

/// Half-written objects older than this have no writer any more.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Letters of a hash that name its folder.
const FOLDER_LENGTH: usize = 2;

#[derive(Debug)]
pub(crate) struct Objects {
    root: PathBuf,
    next: AtomicU64,
    /// Held while an object is found to be there and made young, or found to be old and removed.
    ages: Mutex<()>,
}

/// An object that lies there.
#[derive(Debug)]
pub(crate) struct Lying {
    pub(crate) hash: ObjectHash,
    pub(crate) bytes: u64,
    /// When it was stored last, also if it was there already.
    pub(crate) stored: SystemTime,
}

impl Objects {
    pub(crate) fn new(state: &Path) -> Self {
        Self {
            root: state.join("objects"),
            next: AtomicU64::new(0),
            ages: Mutex::new(()),
        }
    }

    /// Removes what a crash left half-written.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        let now = SystemTime::now();
        for file in entries(&self.root.join("tmp"))? {
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
        // Present and sound: made young. Present but changed on disk: written anew.
        if self.get(&hash).is_ok() && self.renew(&hash) {
            return Ok(hash);
        }
        self.write(&hash, bytes)
            .map_err(|source| StoreError::io("writing an object", source))?;
        Ok(hash)
    }

    /// Makes an object young; false if it is gone.
    fn renew(&self, hash: &ObjectHash) -> bool {
        let _ages = self.ages();
        self.file(hash)
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
            .and_then(fs::File::open)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .is_ok()
    }

    /// Every object that lies there.
    pub(crate) fn list(&self) -> io::Result<Vec<Lying>> {
        let mut found = Vec::new();
        for folder in entries(&self.root)? {
            let folder = folder?;
            let Some(begin) = folder.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            if begin.len() != FOLDER_LENGTH || !folder.file_type()?.is_dir() {
                continue;
            }
            for file in entries(&folder.path())? {
                let file = file?;
                let Some(hash) = file.file_name().to_str().map(|end| format!("{begin}{end}"))
                else {
                    continue;
                };
                let hash = ObjectHash::from_hex(hash);
                let about = file.metadata()?;
                if place(&hash).is_some() && about.is_file() {
                    found.push(Lying {
                        hash,
                        bytes: about.len(),
                        stored: about.modified()?,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Removes an object unless it was stored again since `before`. True if it went.
    pub(crate) fn remove_old(&self, hash: &ObjectHash, before: SystemTime) -> io::Result<bool> {
        let Some(file) = self.file(hash) else {
            return Ok(false);
        };
        let _ages = self.ages();
        if fs::metadata(&file)?.modified()? >= before {
            return Ok(false);
        }
        fs::remove_file(&file).map(|()| true)
    }

    fn ages(&self) -> MutexGuard<'_, ()> {
        self.ages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, hash: &ObjectHash) -> Option<PathBuf> {
        let (folder, name) = place(hash)?;
        Some(self.root.join(folder).join(name))
    }

    pub(crate) fn get(&self, hash: &ObjectHash) -> Result<Vec<u8>, StoreError> {
        let Some(file) = self.file(hash) else {
            return Err(StoreError::Object(hash.clone()));
        };
        let bytes = match fs::read(file) {
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

/// What a folder holds; nothing if it is not there.
fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    Ok(found.into_iter().flatten())
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
    valid.then(|| text.split_at(FOLDER_LENGTH))
}
