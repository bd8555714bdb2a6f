//! What a command is made of before it runs: its program by place and content, and the files of the
//! workspace that it would run as code.
//!
//! It is worked out when a call is judged and once more right before it runs; a difference means that
//! something else would run than what was judged.

use crate::root::{Inside, Root, RootError};
use crate::spec::{Access, Argv, Extra, Walls};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folders in which programs are found; the same as in the fixed search path inside.
pub(crate) const SEARCH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// Where programs of the system are seen inside.
const SHOWN: [&str; 7] = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];
/// Where the workspace is seen inside.
const WORK: &str = "/work";
/// A longer program is run, but not by a rule that is to hold for its content.
const PROGRAM_BYTES_MAX: u64 = 1 << 30;
/// The longest file that is read as a script, and how many of them.
const SCRIPT_BYTES_MAX: u64 = 8 << 20;
const SCRIPTS_MAX: usize = 32;
/// Digests of programs that were read already.
const KNOWN_MAX: usize = 256;
/// A file that has not changed for longer than this is not read again.
const SETTLED_SECONDS: i64 = 5;

/// Programs whose first word that is no option is code.
const INTERPRETERS: [&str; 33] = [
    "sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "yash", "zsh", "csh", "tcsh", "python",
    "pypy", "perl", "ruby", "node", "nodejs", "deno", "bun", "lua", "luajit", "php", "tclsh",
    "wish", "Rscript", "R", "guile", "java", "julia", "expect", "osh", "elixir", "escript",
];
/// Programs that start others, named by their words or their input.
const WRAPPERS: [&str; 41] = [
    "env",
    "nice",
    "nohup",
    "timeout",
    "setsid",
    "stdbuf",
    "time",
    "watch",
    "xargs",
    "parallel",
    "find",
    "fd",
    "sudo",
    "doas",
    "su",
    "runuser",
    "busybox",
    "toybox",
    "script",
    "strace",
    "ltrace",
    "gdb",
    "ionice",
    "chrt",
    "taskset",
    "unshare",
    "nsenter",
    "chroot",
    "flock",
    "entr",
    "ld.so",
    "ld-linux-x",
    "awk",
    "gawk",
    "mawk",
    "sed",
    "ed",
    "vi",
    "vim",
    "emacs",
    "tar",
];

/// A command with what it is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Bound {
    /// Where the program is, with links on the way followed.
    pub executable: String,
    /// None where it could not be read by its descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Files of the workspace that it runs as code, by name, each with its SHA-256.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// Why this does not pin down what would run; none where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<&'static str>,
}

impl Bound {
    /// Nothing but the words: what would run comes out of an image that is not looked into.
    #[must_use]
    pub fn of_words(argv: &Argv) -> Self {
        Self {
            executable: argv.words().first().cloned().unwrap_or_default(),
            identity: None,
            scripts: BTreeMap::new(),
            open: Some("what runs comes out of an image"),
        }
    }
}

/// One file, this content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    pub sha256: String,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "there is no program `{0}`: programs are found in /usr/local/bin, /usr/bin and /bin, and in the \
         workspace as ./name"
    )]
    NoProgram(String),
    #[error("`{0}` cannot be run: it is no plain file that may be executed")]
    NotExecutable(String),
    #[error("`{0}` is not seen by programs: they have the system's programs and the workspace")]
    NotShown(String),
}

/// Works out what a command is made of. Reads files of the host, so it blocks.
pub fn bind(
    walls: &Walls,
    argv: &Argv,
    folder: &Inside,
    workspace: Option<&Root>,
) -> Result<Bound, BindError> {
    let workspace = workspace.filter(|_| walls.workspace != Access::None);
    let name = argv.words().first().map_or("", String::as_str);
    let mut bound = match place(name, folder) {
        Place::System(path) => of_system(name, &path?, walls)?,
        Place::Work(inside) => of_workspace(name, &inside, workspace)?,
        Place::Elsewhere => Bound {
            executable: name.to_owned(),
            identity: None,
            scripts: BTreeMap::new(),
            open: Some("its path cannot be followed"),
        },
    };
    let kind = kind_of(&bound.executable);
    if kind != Kind::Plain {
        bound.scripts = scripts(argv, folder, workspace);
    }
    bound.open = bound.open.or(match kind {
        Kind::Plain => None,
        Kind::Wrapper => Some("it starts what its words or its input name"),
        Kind::Interpreter if runs_a_known_script(argv, folder, &bound) => None,
        Kind::Interpreter => Some("it runs code from its words or its input"),
    });
    Ok(bound)
}

enum Place {
    System(Result<PathBuf, BindError>),
    Work(Inside),
    Elsewhere,
}

fn place(name: &str, folder: &Inside) -> Place {
    if !name.contains('/') {
        let found = SEARCH
            .iter()
            .map(|place| Path::new(place).join(name))
            .find(|path| is_program(path));
        return Place::System(found.ok_or_else(|| BindError::NoProgram(name.to_owned())));
    }
    match inside(name, folder) {
        Some(Ok(inside)) => Place::Work(inside),
        Some(Err(())) => Place::Elsewhere,
        None => Place::System(Ok(PathBuf::from(name))),
    }
}

/// A word as a name in the workspace; `None` for what is elsewhere.
fn inside(word: &str, folder: &Inside) -> Option<Result<Inside, ()>> {
    let relative = match word.strip_prefix(WORK).map(|rest| rest.strip_prefix('/')) {
        Some(Some(rest)) => rest.to_owned(),
        _ if word.starts_with('/') => return None,
        _ => format!("{folder}/{word}"),
    };
    Some(Inside::parse(&relative).map_err(|_| ()))
}

fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

fn of_system(name: &str, path: &Path, walls: &Walls) -> Result<Bound, BindError> {
    let real = path
        .canonicalize()
        .map_err(|_| BindError::NoProgram(name.to_owned()))?;
    let opt = walls.extras.contains(&Extra::Opt).then_some("/opt");
    if !SHOWN
        .into_iter()
        .chain(opt)
        .any(|top| real.starts_with(top))
    {
        return Err(BindError::NotShown(name.to_owned()));
    }
    if !is_program(&real) {
        return Err(BindError::NotExecutable(name.to_owned()));
    }
    let identity = File::open(&real)
        .ok()
        .and_then(|file| identify(file, PROGRAM_BYTES_MAX));
    Ok(Bound {
        executable: real.to_string_lossy().into_owned(),
        open: identity.is_none().then_some("its program cannot be read"),
        identity,
        scripts: BTreeMap::new(),
    })
}

fn of_workspace(name: &str, inside: &Inside, workspace: Option<&Root>) -> Result<Bound, BindError> {
    let Some(root) = workspace else {
        return Err(BindError::NotShown(name.to_owned()));
    };
    let identity = match root.open_file(inside) {
        Ok(file) => identify(file, PROGRAM_BYTES_MAX),
        // A link is followed inside, where it leads nowhere else; what it leads to is not pinned down.
        Err(RootError::Link) => None,
        Err(RootError::Missing) => return Err(BindError::NoProgram(name.to_owned())),
        Err(_) => return Err(BindError::NotExecutable(name.to_owned())),
    };
    Ok(Bound {
        executable: format!("{WORK}/{inside}"),
        open: identity
            .is_none()
            .then_some("its program is reached through a link"),
        identity,
        scripts: BTreeMap::new(),
    })
}

/// The files of the workspace that its words name.
fn scripts(argv: &Argv, folder: &Inside, workspace: Option<&Root>) -> BTreeMap<String, String> {
    let Some(root) = workspace else {
        return BTreeMap::new();
    };
    let words = argv.words().iter().skip(1).take(SCRIPTS_MAX);
    words
        .filter_map(|word| inside(word, folder)?.ok())
        .filter_map(|name| {
            let file = root.open_file(&name).ok()?;
            Some((name.to_string(), identify(file, SCRIPT_BYTES_MAX)?.sha256))
        })
        .collect()
}

fn runs_a_known_script(argv: &Argv, folder: &Inside, bound: &Bound) -> bool {
    // An option in front may hold code, or change what the next word is.
    let first = argv.words().get(1).filter(|word| !word.starts_with('-'));
    let name = first.and_then(|word| inside(word, folder)?.ok());
    name.is_some_and(|name| bound.scripts.contains_key(&name.to_string()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Interpreter,
    Wrapper,
}

/// By the name of the file that is run; versions at its end do not count.
fn kind_of(executable: &str) -> Kind {
    let name = executable.rsplit('/').next().unwrap_or(executable);
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let is = |list: &[&str]| list.contains(&stem) || list.contains(&name);
    if is(&WRAPPERS) || name.starts_with("ld-linux") || name.starts_with("vim.") {
        Kind::Wrapper
    } else if is(&INTERPRETERS) {
        Kind::Interpreter
    } else {
        Kind::Plain
    }
}

/// Which file it was when its digest was taken: device, inode, length, last change in seconds and nanoseconds.
type Version = (u64, u64, u64, i64, i64);

/// Digests of files that did not change since: a program of a hundred megabytes is not read for each
/// of its starts. The time of the last change cannot be set by whoever changes a file.
static KNOWN: Mutex<Digests> = Mutex::new(Digests(BTreeMap::new()));

struct Digests(BTreeMap<Version, String>);

impl Digests {
    fn keep(&mut self, version: Version, digest: String) {
        if self.0.len() >= KNOWN_MAX {
            self.0.clear();
        }
        let _before = self.0.insert(version, digest);
    }
}

/// What changed just now can change again within one tick of the clock.
fn is_settled(changed: i64, now: i64) -> bool {
    now.saturating_sub(changed) > SETTLED_SECONDS
}

fn identify(mut file: File, bytes_max: u64) -> Option<Identity> {
    let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let (changed, nanos) = (about.ctime(), about.ctime_nsec());
    let version = (about.dev(), about.ino(), about.len(), changed, nanos);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let now = since.and_then(|since| i64::try_from(since.as_secs()).ok());
    let is_settled = now.is_some_and(|now| is_settled(changed, now));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let hit = if is_settled {
        known().0.get(&version).cloned()
    } else {
        None
    };
    let sha256 = match hit {
        Some(digest) => digest,
        None => digest(&mut file, bytes_max)?,
    };
    if is_settled {
        known().keep(version, sha256.clone());
    }
    Some(Identity {
        device: about.dev(),
        inode: about.ino(),
        sha256,
    })
}

fn digest(file: &mut File, bytes_max: u64) -> Option<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut left = bytes_max;
    loop {
        let count = file.read(&mut buffer).ok()?;
        if count == 0 {
            return Some(hex::encode(hash.finalize()));
        }
        left = left.checked_sub(count as u64)?;
        hash.update(buffer.get(..count)?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_starts_others_and_who_runs_code_is_told_by_the_name_of_the_file() {
        for (executable, kind) in [
            ("/usr/lib64/ld-linux-x86-64.so.2", Kind::Wrapper),
            ("/usr/lib/ld-linux-aarch64.so.1", Kind::Wrapper),
            ("/usr/bin/vim.basic", Kind::Wrapper),
            ("/usr/bin/find", Kind::Wrapper),
            ("/usr/bin/python3.11", Kind::Interpreter),
            ("/work/lua5.4", Kind::Interpreter),
            ("bash", Kind::Interpreter),
            ("/usr/bin/true", Kind::Plain),
            ("/work/vimium", Kind::Plain),
        ] {
            assert!(kind_of(executable) == kind, "{executable}");
        }
    }

    #[test]
    fn what_changed_a_moment_ago_is_read_again() {
        let told = [94, 99, 100, 105, 106, 1_000].map(|now| is_settled(100, now));
        assert_eq!(told, [false, false, false, false, true, true]);
    }

    #[test]
    fn digests_are_kept_up_to_a_number() {
        let mut known = Digests(BTreeMap::new());
        let version = |inode: usize| (1, inode as u64, 1, 1, 1);
        for inode in 0..KNOWN_MAX {
            known.keep(version(inode), inode.to_string());
        }
        assert_eq!(known.0.len(), KNOWN_MAX);
        assert_eq!(known.0.get(&version(0)).map(String::as_str), Some("0"));
        known.keep(version(KNOWN_MAX), "last".to_owned());
        assert_eq!(known.0.len(), 1);
    }
}
