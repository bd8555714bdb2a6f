//! Whether the open files are still those at their paths.
//!
//! A file that is moved away, removed or replaced stays open, and the system goes on taking writes
//! into it: everything would seem to work, and nobody would ever find what was stored. SQLite does
//! not look while a write-ahead log is in use, so we do, before each commit.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::open;

/// The database and its log, by path and by what stood there when they were opened.
#[derive(Debug)]
pub(super) struct Files([(PathBuf, Identity); 2]);

/// Device and inode.
type Identity = (u64, u64);

impl Files {
    /// Remembers what stands at the paths; both files are open by now.
    pub(super) fn remember(state: &Path) -> io::Result<Self> {
        let known = |path: PathBuf| Ok::<_, io::Error>((path.clone(), identity(&path)?));
        Ok(Self([known(open::file(state))?, known(open::log(state))?]))
    }

    /// False if one of them is gone or another one has taken its place. A path that cannot be looked
    /// at for another reason is not judged: the write itself will tell.
    pub(super) fn stand(&self) -> bool {
        self.0.iter().all(|(path, known)| match identity(path) {
            Ok(found) => found == *known,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        })
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino()))
}
