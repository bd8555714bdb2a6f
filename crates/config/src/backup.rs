//! Five generations of the file that is about to be replaced.

use std::path::{Path, PathBuf};

use crate::files::{read_bounded, write_atomically};
use crate::problem::ConfigError;
use crate::resolve::FILE_BYTES_MAX;

/// How many earlier versions are kept: `instar.json.bak.1` is the youngest.
pub const BACKUPS: usize = 5;

/// Keeps the present file as the youngest backup and puts the new bytes in its place.
///
/// A configuration file that is a link stays one: its target is replaced.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> Result<(), ConfigError> {
    let target = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ConfigError::Write { path, source }
    };
    match read_bounded(&target, FILE_BYTES_MAX) {
        Ok(old) => {
            rotate(file, &old).map_err(failed(&name(file, 1)))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(ConfigError::Read {
                path: target,
                source,
            });
        }
    }
    write_atomically(&target, bytes).map_err(failed(&target))
}

fn rotate(file: &Path, old: &[u8]) -> std::io::Result<()> {
    for generation in (1..BACKUPS).rev() {
        match std::fs::rename(name(file, generation), name(file, generation + 1)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    write_atomically(&name(file, 1), old)
}

fn name(file: &Path, generation: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".bak.{generation}"));
    PathBuf::from(name)
}
