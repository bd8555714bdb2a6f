//! A folder that is gone when it is not needed any more.

use std::path::{Path, PathBuf};

use crate::error::Trouble;

#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn new() -> Result<Self, Trouble> {
        let mut random = [0_u8; 12];
        let name = getrandom::fill(&mut random)
            .map(|()| {
                random
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            })
            .map_err(|error| Trouble::Wrong(format!("no chance to be had: {error}")))?;
        let path = std::env::temp_dir().join(format!("instar-eval-{name}"));
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt as _;
            builder.mode(0o700);
        }
        match builder.create(&path) {
            Ok(()) => Ok(Self { path }),
            Err(error) => Trouble::wrong(format!("{}: {error}", path.display())),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in the folder for temporary files, where it is swept.
        drop(std::fs::remove_dir_all(&self.path));
    }
}
