//! Changing: create, replace, rename, remove. Each opens the folder first and acts on one last part.

use super::read::describe;
use super::{Inside, Kind, Root, RootError, resolve};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a rename may do to a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replace {
    Never,
    Files,
}

impl Root {
    /// Makes a folder and the missing ones above it.
    pub fn create_folder(&self, name: &Inside) -> Result<(), RootError> {
        resolve::make_folder(self.as_fd(), name).map(drop)
    }

    /// Writes a new file; the missing folders above it are made. Fails if anything has that name.
    pub fn create(&self, name: &Inside, bytes: &[u8]) -> Result<(), RootError> {
        let (folder, last) = self.folder_of(name, Missing::Make)?;
        let draft = Draft::write(folder.as_fd(), bytes, resolve::FILE_MODE)?;
        draft.publish(last, Replace::Never)
    }

    /// Writes a file as a whole: a reader sees the old bytes or the new ones. An old file keeps its
    /// permissions, a link in its place is replaced and what it leads to is left alone.
    pub fn write(&self, name: &Inside, bytes: &[u8]) -> Result<(), RootError> {
        let (folder, last) = self.folder_of(name, Missing::Make)?;
        let mode = match stat_part(folder.as_fd(), last)? {
            None | Some((Kind::Link, _)) => resolve::FILE_MODE,
            // Not the bits that lend an identity: the new bytes are somebody else's.
            Some((Kind::File, mode)) => Mode::from_raw_mode(mode & 0o777),
            Some((Kind::Folder | Kind::Other, _)) => return Err(RootError::NotAFile),
        };
        let draft = Draft::write(folder.as_fd(), bytes, mode)?;
        draft.publish(last, Replace::Files)
    }

    /// Moves a file or folder; the missing folders above the new name are made.
    pub fn rename(&self, from: &Inside, to: &Inside, replace: Replace) -> Result<(), RootError> {
        let (old, from) = self.folder_of(from, Missing::Refuse)?;
        let (new, to) = self.folder_of(to, Missing::Make)?;
        rename_part(old.as_fd(), from, new.as_fd(), to, replace)
    }

    /// Removes a file, a link (not what it leads to) or an empty folder.
    pub fn remove(&self, name: &Inside) -> Result<(), RootError> {
        let (folder, last) = self.folder_of(name, Missing::Refuse)?;
        remove_part(folder.as_fd(), last)
    }

    pub(super) fn folder_of<'a>(
        &self,
        name: &'a Inside,
        missing: Missing,
    ) -> Result<(OwnedFd, &'a str), RootError> {
        let (above, last) = name.split().ok_or(RootError::TheRoot)?;
        let folder = match missing {
            Missing::Make => resolve::make_folder(self.as_fd(), &above),
            Missing::Refuse => resolve::folder(self.as_fd(), &above),
        }?;
        Ok((folder, last))
    }
}

/// What to do about folders that are not there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missing {
    Make,
    Refuse,
}

/// A file under a name of ours, until it gets its own. Dropped before that, it is removed.
struct Draft<'a> {
    folder: BorrowedFd<'a>,
    name: String,
}

impl<'a> Draft<'a> {
    fn write(folder: BorrowedFd<'a>, bytes: &[u8], mode: Mode) -> Result<Self, RootError> {
        let mut noise = [0; 12];
        getrandom::fill(&mut noise).map_err(|source| {
            RootError::io("draw a name", std::io::Error::other(source.to_string()))
        })?;
        let name = format!(".draft-{}", hex::encode(noise));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let fd = resolve::open(folder, &name, flags, resolve::FILE_MODE)
            .map_err(|errno| RootError::from_errno("create", errno))?;
        let draft = Self { folder, name };
        let mut file = File::from(fd);
        file.write_all(bytes)
            .map_err(|source| RootError::io("write", source))?;
        rustix::fs::fchmod(&file, mode)
            .map_err(|errno| RootError::from_errno("set permissions", errno))?;
        file.sync_data()
            .map_err(|source| RootError::io("flush", source))?;
        Ok(draft)
    }

    fn publish(mut self, last: &str, replace: Replace) -> Result<(), RootError> {
        rename_part(self.folder, &self.name, self.folder, last, replace)?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // The failure that brought us here is the one to tell.
            let _gone = rustix::fs::unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

fn rename_part(
    old: BorrowedFd<'_>,
    from: &str,
    new: BorrowedFd<'_>,
    to: &str,
    replace: Replace,
) -> Result<(), RootError> {
    let flags = match replace {
        Replace::Never => RenameFlags::NOREPLACE,
        Replace::Files => RenameFlags::empty(),
    };
    rustix::fs::renameat_with(old, from, new, to, flags)
        .map_err(|errno| RootError::from_errno("rename", errno))
}

pub(super) fn remove_part(folder: BorrowedFd<'_>, last: &str) -> Result<(), RootError> {
    match rustix::fs::unlinkat(folder, last, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(folder, last, AtFlags::REMOVEDIR),
        other => other,
    }
    .map_err(|errno| RootError::from_errno("remove", errno))
}

fn stat_part(folder: BorrowedFd<'_>, last: &str) -> Result<Option<(Kind, u32)>, RootError> {
    match resolve::open(folder, last, OFlags::PATH, Mode::empty()) {
        Ok(fd) => describe(&fd).map(|stat| Some((stat.kind, stat.mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(RootError::from_errno("look at it", errno)),
    }
}
