//! From a name to a descriptor: the only place that hands a name of more than one part to the kernel.

use super::{Inside, RootError};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Files are private to the owner when they are made here.
pub(super) const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);
/// The kernel asks to try again when a rename runs beside the look-up.
const TRIES_MAX: u32 = 64;

/// Opens `name` below `root`. Nothing else in this module tree calls the kernel with a whole path.
pub(super) fn open(
    root: BorrowedFd<'_>,
    name: &str,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, name, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) if tries < TRIES_MAX => tries += 1,
            other => return other,
        }
    }
}

/// Opens a folder that is there.
pub(super) fn folder(root: BorrowedFd<'_>, folder: &Inside) -> Result<OwnedFd, RootError> {
    open_folder(root, &folder.for_kernel()).map_err(|errno| RootError::from_errno("open", errno))
}

/// Opens a folder and makes the missing parts, one at a time, each from the descriptor above it.
pub(super) fn make_folder(root: BorrowedFd<'_>, folder: &Inside) -> Result<OwnedFd, RootError> {
    let mut here = open_folder(root, ".").map_err(|errno| RootError::from_errno("open", errno))?;
    for part in folder.parts() {
        here = step(here.as_fd(), part)?;
    }
    Ok(here)
}

fn step(above: BorrowedFd<'_>, part: &str) -> Result<OwnedFd, RootError> {
    match open_folder(above, part) {
        Err(Errno::NOENT) => {}
        other => return other.map_err(|errno| RootError::from_errno("open", errno)),
    }
    // Somebody else may have made it meanwhile, as whatever: the second look tells.
    match rustix::fs::mkdirat(above, part, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(RootError::from_errno("make a folder", errno)),
    }
    open_folder(above, part).map_err(|errno| RootError::from_errno("open", errno))
}

fn open_folder(above: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    open(
        above,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )
}
