//! The folder that holds everything one gateway owns, and the lock that keeps it to one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

use crate::Env;
use crate::files::{FILE_MODE, FOLDER_MODE, read_bounded, read_open_bounded, write_atomically};

/// The layout of the state folder that this program writes. A folder with a higher number is
/// refused untouched.
pub const STATE_FORMAT: u32 = 1;

/// The folder that holds everything one gateway owns.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    config: PathBuf,
}

/// Held as long as the gateway runs. The kernel lets go of the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("another gateway (pid {pid}) is running on {path}")]
    Locked { pid: u32, path: PathBuf },
    #[error("another process that has not said its pid holds the lock of {path}")]
    LockedByUnknown { path: PathBuf },
    #[error("{path} was written by a newer Instar (format {found}, this one knows {known})")]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    #[error(
        "the format stamp {path} holds no number: restore it from a backup, or move the folder away"
    )]
    Stamp { path: PathBuf },
    #[error("there is no home folder: set HOME or INSTAR_STATE_DIR")]
    NoHome,
    #[error("profile name {0:?} is not made of letters, digits, '-' and '_'")]
    Profile(String),
    #[error(
        "{path} belongs to user {owner}, this program runs as user {user}: run as its owner, or set INSTAR_STATE_DIR to another folder"
    )]
    Foreign {
        path: PathBuf,
        owner: u32,
        user: u32,
    },
    #[error("{path} is not a folder: move it away, or set INSTAR_STATE_DIR to another folder")]
    NotFolder { path: PathBuf },
    #[error(
        "{path} is a link or not a plain file: remove it, a lock is never taken through a link"
    )]
    LinkedLock { path: PathBuf },
    #[error("{doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl StateDir {
    /// `INSTAR_STATE_DIR`, or `~/.instar`, or `~/.instar-PROFILE`; `INSTAR_CONFIG_PATH` moves the file.
    ///
    /// The profile is the argument or `INSTAR_PROFILE`; `default` means none. An explicit
    /// `INSTAR_STATE_DIR` stands above any profile. Empty variables count as absent.
    pub fn locate(profile: Option<&str>, env: Env<'_>) -> Result<Self, StateError> {
        let variable = |name: &str| env(name).filter(|text| !text.is_empty());
        let home = variable("HOME").map(PathBuf::from);
        let profile = match profile {
            Some(name) => Some(name.to_owned()),
            None => variable("INSTAR_PROFILE"),
        };
        let suffix = match profile.as_deref() {
            None | Some("default") => String::new(),
            Some(name) if is_profile(name) => format!("-{name}"),
            Some(name) => return Err(StateError::Profile(name.to_owned())),
        };
        let root = match variable("INSTAR_STATE_DIR") {
            Some(text) => absolute(&text, home.as_deref())?,
            None => home
                .as_ref()
                .ok_or(StateError::NoHome)?
                .join(format!(".instar{suffix}")),
        };
        let config = match variable("INSTAR_CONFIG_PATH") {
            Some(text) => absolute(&text, home.as_deref())?,
            None => root.join("instar.json"),
        };
        Ok(Self { root, config })
    }

    /// Makes the folder (0700) if it is missing, refuses one of a newer version, tightens loose modes.
    ///
    /// Nothing in a folder that is refused is touched.
    pub fn prepare(&self) -> Result<(), StateError> {
        let found = match std::fs::metadata(&self.root) {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(StateError::NotFolder {
                    path: self.root.clone(),
                });
            }
            Ok(metadata) => {
                refuse_foreign(&self.root, &metadata)?;
                self.read_stamp()?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed("looking at", &self.root)(error)),
        };
        if let Some(found) = found.filter(|found| *found > STATE_FORMAT) {
            return Err(StateError::Newer {
                path: self.root.clone(),
                found,
                known: STATE_FORMAT,
            });
        }
        make_folder(&self.root)?;
        make_folder(&self.root.join("logs"))?;
        tighten(&self.config)?;
        if found.is_none() {
            let stamp = self.stamp_file();
            write_atomically(&stamp, format!("{STATE_FORMAT}\n").as_bytes())
                .map_err(failed("writing", &stamp))?;
        }
        Ok(())
    }

    /// Takes the one gateway's lock; the error names the pid that holds it.
    ///
    /// The kernel's lock decides. The pid in the file is for people: a stale one is no obstacle and
    /// is never signalled.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.root.join("gateway.lock");
        let mut file = open_lock(&path)?;
        match take(&file) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(self.held_by(&mut file)),
            Err(errno) => return Err(failed("locking", &path)(errno.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .and_then(|()| file.sync_all());
        written.map_err(failed("writing", &path))?;
        Ok(StateLock { _file: file })
    }

    /// True if the lock is held at this moment, by the process that wrote this pid when it took it.
    pub fn is_held_by(&self, pid: u32) -> Result<bool, StateError> {
        let path = self.root.join("gateway.lock");
        if !path.exists() {
            return Ok(false);
        }
        let mut file = open_lock(&path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            // Closing the file lets go of it again.
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = self.held_by(&mut file);
                Ok(matches!(holder, StateError::Locked { pid: found, .. } if found == pid))
            }
            Err(errno) => Err(failed("looking at", &path)(errno.into())),
        }
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config
    }

    /// Where an agent's identity files live: `workspace` for the main agent, `workspace-ID` for others.
    #[must_use]
    pub fn workspace(&self, agent: &str) -> PathBuf {
        if agent == instar_protocol::session::MAIN_AGENT {
            self.root.join("workspace")
        } else {
            self.root.join(format!("workspace-{agent}"))
        }
    }

    #[must_use]
    pub fn run_file(&self) -> PathBuf {
        self.root.join("gateway.run.json")
    }

    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.root.join("logs/instar.log")
    }

    fn stamp_file(&self) -> PathBuf {
        self.root.join("format")
    }

    fn read_stamp(&self) -> Result<Option<u32>, StateError> {
        let path = self.stamp_file();
        let bytes = match read_bounded(&path, 64) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("reading", &path)(error)),
        };
        let number = std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        number.map(Some).ok_or(StateError::Stamp { path })
    }

    fn held_by(&self, file: &mut File) -> StateError {
        // The holder writes its pid right after it has the lock; give it that moment.
        for _ in 0..20 {
            let pid = file
                .rewind()
                .and_then(|()| read_open_bounded(file, 64))
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| text.strip_suffix('\n')?.parse().ok());
            if let Some(pid) = pid {
                return StateError::Locked {
                    pid,
                    path: self.root.clone(),
                };
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        StateError::LockedByUnknown {
            path: self.root.clone(),
        }
    }
}

/// Takes the lock. Somebody who only looks holds it for an instant: that is waited out.
fn take(file: &File) -> rustix::io::Result<()> {
    let mut taken = Err(rustix::io::Errno::WOULDBLOCK);
    for _ in 0..3 {
        taken = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        if taken != Err(rustix::io::Errno::WOULDBLOCK) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    taken
}

fn is_profile(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn absolute(text: &str, home: Option<&Path>) -> Result<PathBuf, StateError> {
    let path = match text.strip_prefix("~/") {
        Some(rest) => home.ok_or(StateError::NoHome)?.join(rest),
        None => PathBuf::from(text),
    };
    std::path::absolute(&path).map_err(failed("resolving", &path))
}

fn make_folder(path: &Path) -> Result<(), StateError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed("making", parent))?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed("making", path)(error)),
    }
    let metadata = std::fs::metadata(path).map_err(failed("looking at", path))?;
    if !metadata.is_dir() {
        return Err(StateError::NotFolder {
            path: path.to_owned(),
        });
    }
    refuse_foreign(path, &metadata)?;
    if metadata.mode() & 0o7777 != FOLDER_MODE {
        std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
            .map_err(failed("tightening", path))?;
    }
    Ok(())
}

/// Takes the rights of others off a file of ours; a missing file is fine.
fn tighten(path: &Path) -> Result<(), StateError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at", path)(error)),
    };
    if metadata.is_file() && metadata.uid() == user() && metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
            .map_err(failed("tightening", path))?;
    }
    Ok(())
}

fn open_lock(path: &Path) -> Result<File, StateError> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
        .open(path);
    let linked = || StateError::LinkedLock {
        path: path.to_owned(),
    };
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(linked());
        }
        Err(error) => return Err(failed("opening", path)(error)),
    };
    let metadata = file.metadata().map_err(failed("looking at", path))?;
    refuse_foreign(path, &metadata)?;
    if metadata.is_file() && metadata.nlink() == 1 {
        Ok(file)
    } else {
        Err(linked())
    }
}

pub(crate) fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn refuse_foreign(path: &Path, metadata: &std::fs::Metadata) -> Result<(), StateError> {
    if metadata.uid() == user() {
        return Ok(());
    }
    Err(StateError::Foreign {
        path: path.to_owned(),
        owner: metadata.uid(),
        user: user(),
    })
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io {
        doing,
        path,
        source,
    }
}
