//! Whether the open files are still those at their paths, with nothing in them but what we wrote.
//!
//! A file that is moved away, removed or replaced stays open, and the system goes on taking writes
//! into it: everything would seem to work, and nobody would ever find what was stored. A file that
//! somebody copies a backup over keeps its place, and our log would be mixed with it. SQLite looks
//! at neither while a write-ahead log is in use, so we do, before each commit.
//!
//! The database itself changes only when the log is copied into it, which is our doing alone: a
//! change at another time is somebody else's.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::StoreError;
use crate::open;

/// The database and its log, as they were when we last touched them.
#[derive(Debug)]
pub(super) struct Files {
    /// By path, and by what stood there when they were opened.
    places: [(PathBuf, Identity); 2],
    /// Tells the next start, in case nobody reads what this one says.
    mark: PathBuf,
    content: Mutex<Content>,
    /// Copies of the log that have begun, and that are under way.
    begun: AtomicU64,
    under_way: AtomicU64,
}

/// Device and inode.
type Identity = (u64, u64);

/// When the database was last written, to the nanosecond, and its length.
type Content = (i64, i64, u64);

impl Files {
    /// Remembers what stands at the paths; both files are open by now.
    pub(super) fn remember(state: &Path) -> io::Result<Self> {
        let known = |path: PathBuf| {
            let found = path.symlink_metadata()?;
            Ok::<_, io::Error>((path, identity(&found)))
        };
        let content = content(&open::file(state).symlink_metadata()?);
        Ok(Self {
            places: [known(open::file(state))?, known(open::log(state))?],
            mark: open::overwritten(state),
            content: Mutex::new(content),
            begun: AtomicU64::new(0),
            under_way: AtomicU64::new(0),
        })
    }

    /// What is wrong with them. A path that cannot be looked at for another reason than that nothing
    /// stands there is not judged: the write itself will tell.
    pub(super) fn problem(&self) -> Option<StoreError> {
        let begun = self.begun.load(Ordering::SeqCst);
        let is_quiet = self.under_way.load(Ordering::SeqCst) == 0;
        let mut strange = false;
        for (at, (path, known)) in self.places.iter().enumerate() {
            match path.symlink_metadata() {
                Ok(found) if identity(&found) != *known => return Some(StoreError::Gone),
                Ok(found) => strange |= at == 0 && content(&found) != self.last_written(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Some(StoreError::Gone);
                }
                Err(_) => {}
            }
        }
        // What changed while a copy began or ran may be its work.
        let is_ours = !is_quiet || self.begun.load(Ordering::SeqCst) != begun;
        (strange && !is_ours).then_some(StoreError::Overwritten)
    }

    fn last_written(&self) -> Content {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the log into the database, unless that is not ours any more.
    pub(super) fn while_copying<T>(&self, copy: impl FnOnce() -> T) -> Option<T> {
        if self.problem().is_some() {
            return None;
        }
        self.under_way.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        let done = copy();
        if let Ok(found) = self.places[0].0.symlink_metadata() {
            *self.content.lock().unwrap_or_else(PoisonError::into_inner) = content(&found);
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        Some(done)
    }

    /// Leaves word for the next start: the log beside the file is of another one.
    pub(super) fn leave_mark(&self) {
        if let Err(error) = std::fs::write(&self.mark, "") {
            tracing::error!(%error, "that the store was overwritten cannot be written down");
        }
    }
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

fn content(found: &Metadata) -> Content {
    (found.mtime(), found.mtime_nsec(), found.len())
}
