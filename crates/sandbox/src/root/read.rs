//! Looking: open, read, stat.

use super::{Inside, Root, RootError, resolve};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    File,
    Folder,
    /// A link, wherever it leads. It is told, never followed.
    Link,
    /// A device, pipe or socket: can be seen and removed, not opened.
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    pub kind: Kind,
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    pub modified: SystemTime,
    /// When content, name or rights changed last, in nanoseconds since 1970. Who changes a file cannot
    /// set this.
    pub changed: u64,
    /// Device and inode: what is the same file under two names.
    pub device: u64,
    pub inode: u64,
}

impl Root {
    /// Opens an ordinary file for reading.
    pub fn open_file(&self, name: &Inside) -> Result<File, RootError> {
        // Without NONBLOCK a pipe laid in the way would hold the caller.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = resolve::open(self.as_fd(), &name.for_kernel(), flags, Mode::empty()).map_err(
            |errno| match errno {
                // A socket cannot be opened.
                rustix::io::Errno::NXIO => RootError::NotAFile,
                errno => RootError::from_errno("open", errno),
            },
        )?;
        match describe(&fd)?.kind {
            Kind::File => Ok(File::from(fd)),
            Kind::Folder | Kind::Link | Kind::Other => Err(RootError::NotAFile),
        }
    }

    /// Reads a whole file of at most `limit` bytes.
    pub fn read(&self, name: &Inside, limit: u64) -> Result<Vec<u8>, RootError> {
        self.read_dated(name, limit).map(|(bytes, _)| bytes)
    }

    /// The same, with the time of the last change before the end of the reading.
    pub fn read_dated(&self, name: &Inside, limit: u64) -> Result<(Vec<u8>, u64), RootError> {
        let mut file = self.open_file(name)?;
        let mut bytes = Vec::new();
        // One more than allowed tells "exactly at the limit" from "beyond", also for a file that
        // grows under our hands.
        let mut part = (&mut file).take(limit.saturating_add(1));
        part.read_to_end(&mut bytes)
            .map_err(|source| RootError::io("read", source))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            Ok((bytes, describe(&file)?.changed))
        } else {
            Err(RootError::TooLarge { limit })
        }
    }

    /// What a name is. A link at the end is described as a link; one in the middle is refused.
    pub fn stat(&self, name: &Inside) -> Result<Stat, RootError> {
        let fd = resolve::open(
            self.as_fd(),
            &name.for_kernel(),
            OFlags::PATH,
            Mode::empty(),
        )
        .map_err(|errno| RootError::from_errno("look at it", errno))?;
        describe(&fd)
    }
}

pub(super) fn describe(fd: impl AsFd) -> Result<Stat, RootError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| RootError::from_errno("look at it", errno))?;
    let kind = kind_of(FileType::from_raw_mode(stat.st_mode));
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    Ok(Stat {
        kind,
        bytes: u64::try_from(stat.st_size).unwrap_or(0),
        mode: stat.st_mode & 0o7777,
        changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
        modified: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        device: stat.st_dev,
        inode: stat.st_ino,
    })
}

/// Now, on the clock that times of files are taken from: what changes from here on is not older.
#[must_use]
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    nanos(now.tv_sec, u64::try_from(now.tv_nsec).unwrap_or(0))
}

fn nanos(seconds: i64, nanos: u64) -> u64 {
    u64::try_from(seconds)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(nanos)
}

pub(super) fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => Kind::Other,
    }
}
