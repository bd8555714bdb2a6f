//! Files that are written whole, private from their first byte, and read within bounds.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The mode of every file in the state folder.
pub(crate) const FILE_MODE: u32 = 0o600;
/// The mode of every folder in it.
pub(crate) const FOLDER_MODE: u32 = 0o700;

/// A folder and the files and folders below it, at most so many; links are left out. A folder for which
/// `is_closed` holds is named, but not looked into.
#[must_use]
pub fn walk(root: &Path, bound: usize, is_closed: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut all = vec![root.to_owned()];
    let mut at = 0;
    while let Some(path) = all.get(at).cloned() {
        at += 1;
        if is_closed(&path) {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&path) else {
            continue;
        };
        for entry in entries.flatten() {
            let kind = entry.file_type();
            let plain = kind.is_ok_and(|kind| kind.is_dir() || kind.is_file());
            if plain && all.len() < bound {
                all.push(entry.path());
            }
        }
    }
    all
}

/// Writes a file whole or not at all: temporary file in the same folder, 0600, flush, rename, flush the folder.
///
/// A reader sees the old bytes or the new ones, never a mixture; after a power cut one of the two
/// is there. An existing file's looser mode is not inherited.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = folder_of(path);
    let temporary = temporary_beside(path, folder)?;
    let written =
        create_private(&temporary, bytes).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        // The rename did not happen; a left-over that cannot be removed either is harmless.
        drop(std::fs::remove_file(&temporary));
        return Err(error);
    }
    flush_folder(folder)
}

/// Makes a new file with mode 0600 and flushes it; an existing one is an error.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    // The mode above is cut by the umask; a strange one must not leave a file we cannot read.
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a file's name durable.
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Reads a regular file of at most `bytes_max` bytes; pipes and devices are refused, not waited for.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    read_open_bounded(&mut File::open(path)?, bytes_max)
}

/// Like [`read_bounded`] for a file that is open already.
pub(crate) fn read_open_bounded(file: &mut File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(io::Error::other(format!(
            "larger than {bytes_max} bytes, the most that is read"
        )));
    }
    Ok(bytes)
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path, folder: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path has no file name"))?;
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", hex::encode(random)));
    Ok(folder.join(temporary))
}
