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
    again(|| rustix::fs::openat2(root, name, flags, mode, resolve))
}

fn again<T>(mut look: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 1..TRIES_MAX {
        match look() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    look()
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

pub(super) fn open_folder(above: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    open(
        above,
        name,
        OFlags::RDONLY | OFlags::DIRECTORY,
        Mode::empty(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_is_tried_again_when_a_rename_runs_beside_it_but_not_for_ever() {
        let mut looks = 0;
        let found = again(|| {
            looks += 1;
            match looks {
                1 => Err(Errno::AGAIN),
                2 => Err(Errno::INTR),
                _ => Ok(looks),
            }
        });
        assert_eq!(found, Ok(3));
        for (error, expected) in [(Errno::NOENT, 1), (Errno::AGAIN, TRIES_MAX)] {
            let mut looks = 0;
            let never = again(|| {
                looks += 1;
                Err::<(), _>(error)
            });
            assert_eq!((never, looks), (Err(error), expected));
        }
    }
}
