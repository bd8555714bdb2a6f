//! The folder of one job, gone when the job is.

use std::fs::File;
use std::io::{Error, Result};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Entries of the folder for temporary files that are looked at.
const ENTRIES_MAX: usize = 10_000;
/// Between making a folder and locking it less than this goes by.
const JUST_MADE: Duration = Duration::from_secs(1);

const PREFIX: &str = "instar-job-";

/// A folder of this process, which holds a lock on it for as long as it lives.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf, #[expect(dead_code, reason = "held")] File);

impl Scratch {
    pub(super) fn make() -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Error::other(error.to_string()))?;
        let name = format!("{PREFIX}{}", hex::encode(random));
        let path = std::env::temp_dir().canonicalize()?.join(name);
        // A name that is taken is an error and no folder of somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let held = File::open(&path)?;
        held.try_lock()?;
        Ok(Self(path, held))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// Removes the folders of jobs whose starter is gone: nobody holds a lock on them. Returns how many there were.
pub fn sweep() -> usize {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return 0;
    };
    let mut swept = 0;
    for entry in entries.flatten().take(ENTRIES_MAX) {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_ours {
            continue;
        }
        // A folder of somebody else's cannot be opened, and one that was made this very moment is not locked yet.
        let is_left = File::open(entry.path()).is_ok_and(|folder| folder.try_lock().is_ok());
        let is_old = entry
            .metadata()
            .and_then(|about| about.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= JUST_MADE));
        if is_left && is_old && std::fs::remove_dir_all(entry.path()).is_ok() {
            swept += 1;
        }
    }
    swept
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files, where it is swept.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}
