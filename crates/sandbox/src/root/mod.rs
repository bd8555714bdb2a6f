//! Files beneath a root: one descriptor is opened once, and every access starts from it.
//!
//! The kernel resolves each name with `openat2` (beneath the root, no links, no magic links), and
//! what follows acts on the descriptor that came back, so there is no moment between a check and a
//! use. Links are never followed, wherever they lead; they are told as links. Calls block: an async
//! caller runs them on a thread for blocking work.
//!
//! Reading order: [`Inside`] (what a name may be), [`Root`] (what can be done with it).

mod inside;
mod resolve;

mod change;
mod error;
mod read;
mod walk;

pub use change::Replace;
pub use error::RootError;
pub use inside::{DEPTH_MAX, Inside, NAME_BYTES_MAX, NameError, PATH_BYTES_MAX};
pub use read::{Kind, Stat, now};
pub use walk::{Entry, Found, Go, WalkLimits};

use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A folder held open; everything is reached from it and nothing beside it.
///
/// The folder may be renamed or replaced meanwhile: the descriptor goes on meaning the folder that
/// was opened.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens a folder of the host. Only for paths from the owner's configuration: links on the way
    /// to the root itself are followed once, here.
    pub fn open(host: &Path) -> Result<Self, RootError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(host, flags, Mode::empty())
            .map_err(|errno| RootError::from_errno("open the root", errno))?;
        Ok(Self { fd })
    }

    /// A folder beneath this one as a root of its own.
    pub fn sub(&self, folder: &Inside) -> Result<Self, RootError> {
        let fd = resolve::folder(self.fd.as_fd(), folder)?;
        Ok(Self { fd })
    }

    /// A second descriptor of the same folder.
    pub fn try_clone(&self) -> Result<Self, RootError> {
        let fd = self
            .fd
            .try_clone()
            .map_err(|source| RootError::io("copy the root's descriptor", source))?;
        Ok(Self { fd })
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
