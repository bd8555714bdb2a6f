//! The folder of one job, gone when the job is.

use std::io::{Error, Result};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn make() -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| Error::other(error.to_string()))?;
        let name = format!("instar-job-{}", hex::encode(random));
        let path = std::env::temp_dir().canonicalize()?.join(name);
        // A name that is taken is an error and no folder of somebody else's.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files, where it is swept.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}
