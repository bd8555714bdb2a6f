//! Listing a folder, walking a tree and removing one, from descriptor to descriptor.

use super::change::{Missing, remove_part};
use super::read::{describe, kind_of};
use super::{DEPTH_MAX, Inside, Kind, Root, RootError, Stat, resolve};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// One entry of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// As text; bytes that are none are shown as replacement characters.
    pub name: String,
    pub kind: Kind,
}

/// An entry met on a walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    pub name: Inside,
    pub stat: Stat,
}

/// What a walk does after an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Go {
    On,
    /// Do not look into this folder.
    Past,
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WalkLimits {
    /// Most entries looked at, over the whole walk.
    pub entries: usize,
    /// Deepest folder looked into, counted from where the walk begins.
    pub depth: usize,
}

impl Default for WalkLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            depth: DEPTH_MAX,
        }
    }
}

impl Root {
    /// The entries of a folder, by name. More than `limit` is an error, not a shorter list.
    pub fn list(&self, folder: &Inside, limit: usize) -> Result<Vec<Entry>, RootError> {
        list_fd(resolve::folder(self.as_fd(), folder)?.as_fd(), limit)
    }

    /// Visits everything below a folder, folders before what is in them, names in order. Links are
    /// told and not followed. An entry that vanishes meanwhile, or whose name cannot be given back
    /// to this module, is passed over.
    ///
    /// Returns whether the walk saw all there was within its limits.
    pub fn walk(
        &self,
        folder: &Inside,
        limits: WalkLimits,
        visit: &mut dyn FnMut(&Found) -> Go,
    ) -> Result<bool, RootError> {
        let fd = resolve::folder(self.as_fd(), folder)?;
        let mut walk = Walk {
            left: limits.entries,
            whole: true,
            visit,
        };
        walk.below(fd.as_fd(), folder, limits.depth)?;
        Ok(walk.whole)
    }

    /// Removes a folder with all that is in it. Links in it are removed, what they lead to is not.
    pub fn remove_tree(&self, folder: &Inside) -> Result<(), RootError> {
        let (above, last) = self.folder_of(folder, Missing::Refuse)?;
        empty(above.as_fd(), last, DEPTH_MAX)?;
        remove_part(above.as_fd(), last)
    }
}

struct Walk<'a> {
    left: usize,
    whole: bool,
    visit: &'a mut dyn FnMut(&Found) -> Go,
}

impl Walk<'_> {
    fn below(&mut self, fd: BorrowedFd<'_>, at: &Inside, depth: usize) -> Result<Go, RootError> {
        let entries = match list_fd(fd, self.left) {
            Err(RootError::TooMany { .. }) => {
                self.whole = false;
                return Ok(Go::Stop);
            }
            other => other?,
        };
        self.left -= entries.len();
        for entry in entries {
            if self.visit_one(fd, at, &entry, depth)? == Go::Stop {
                return Ok(Go::Stop);
            }
        }
        Ok(Go::On)
    }

    fn visit_one(
        &mut self,
        folder: BorrowedFd<'_>,
        at: &Inside,
        entry: &Entry,
        depth: usize,
    ) -> Result<Go, RootError> {
        let Ok(name) = at.join(&entry.name) else {
            self.whole = false;
            return Ok(Go::On);
        };
        let Ok(fd) = resolve::open(folder, &entry.name, OFlags::PATH, Mode::empty()) else {
            return Ok(Go::On);
        };
        let stat = describe(&fd)?;
        let found = Found { name, stat };
        let go = (self.visit)(&found);
        if go != Go::On || stat.kind != Kind::Folder {
            return Ok(go);
        }
        if depth == 0 {
            self.whole = false;
            return Ok(Go::On);
        }
        // From the descriptor that was described, so that it is the same folder.
        match resolve::open_folder(fd.as_fd(), ".") {
            Ok(inner) => self.below(inner.as_fd(), &found.name, depth - 1),
            Err(_) => {
                self.whole = false;
                Ok(Go::On)
            }
        }
    }
}

/// Most entries of one folder when a tree is removed; it is emptied in rounds of so many.
const ROUND: usize = 10_000;

fn empty(above: BorrowedFd<'_>, name: &str, depth: usize) -> Result<(), RootError> {
    let folder =
        resolve::open_folder(above, name).map_err(|errno| RootError::from_errno("open", errno))?;
    loop {
        let mut names = raw_names(folder.as_fd(), ROUND)?;
        let more = names.len() == ROUND;
        for (name, kind) in names.drain(..) {
            remove_entry(folder.as_fd(), &name, kind, depth)?;
        }
        if !more {
            return Ok(());
        }
    }
}

fn remove_entry(
    folder: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    kind: Kind,
    depth: usize,
) -> Result<(), RootError> {
    use rustix::fs::unlinkat;
    if kind != Kind::Folder {
        return match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(RootError::from_errno("remove", errno)),
        };
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(RootError::Name(super::NameError::Deep));
    };
    let text = name.to_str().map_err(|_| RootError::NotAFolder)?;
    empty(folder, text, depth)?;
    unlinkat(folder, name, AtFlags::REMOVEDIR)
        .map_err(|errno| RootError::from_errno("remove", errno))
}

fn list_fd(folder: BorrowedFd<'_>, limit: usize) -> Result<Vec<Entry>, RootError> {
    let names = raw_names(folder, limit.saturating_add(1))?;
    if names.len() > limit {
        return Err(RootError::TooMany { limit });
    }
    let mut entries: Vec<Entry> = names
        .into_iter()
        .map(|(name, kind)| Entry {
            name: name.to_string_lossy().into_owned(),
            kind,
        })
        .collect();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

fn raw_names(
    folder: BorrowedFd<'_>,
    limit: usize,
) -> Result<Vec<(std::ffi::CString, Kind)>, RootError> {
    let doing = "list the folder";
    let mut dir = Dir::read_from(folder).map_err(|errno| RootError::from_errno(doing, errno))?;
    let mut names = Vec::new();
    while names.len() < limit {
        let Some(entry) = dir.read() else { break };
        let entry = entry.map_err(|errno| RootError::from_errno(doing, errno))?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push((name.to_owned(), kind_in(folder, name, entry.file_type())));
        }
    }
    Ok(names)
}

/// Some file systems do not tell the kind in the listing.
fn kind_in(folder: BorrowedFd<'_>, name: &std::ffi::CStr, told: FileType) -> Kind {
    if told != FileType::Unknown {
        return kind_of(told);
    }
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_or(Kind::Other, |stat| {
        kind_of(FileType::from_raw_mode(stat.st_mode))
    })
}
