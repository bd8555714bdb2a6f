//! What can be asked for. Plain values; what would widen the walls has no way to be written down.
//!
//! There is no field for a host path, a mount, an address, a network mode, a user or a capability.
//! The workspace comes as a [`Root`] that the caller holds open, extra folders from a closed list.

use crate::root::{Inside, Root};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most words of a command, and most bytes of all of them.
const WORDS_MAX: usize = 4_096;
const WORDS_BYTES_MAX: usize = 524_288;
/// The longest value that a program is given in its environment.
const VALUE_BYTES_MAX: usize = 16_384;

/// What the program may do with the workspace, which it sees as `/work`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// It sees an empty folder of its own, which is gone when it ends.
    #[default]
    None,
    #[serde(rename = "ro")]
    Read,
    #[serde(rename = "rw")]
    Write,
}

/// Folders of the host that can be shown beside the system's programs, all read only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// `/opt`: programs that were installed by hand.
    Opt,
    /// The certificates that the system trusts.
    Certificates,
    /// The local time zone.
    TimeZone,
    /// What the system says of its fonts; the fonts themselves lie in `/usr`.
    Fonts,
}

/// The only two networks there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    #[default]
    None,
    /// A proxy on the loopback of the walls that leads to the egress broker and nowhere else.
    Broker,
}

/// What the program may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    pub cpu_seconds: u64,
    /// Private memory of one process; `/tmp` and the like have the same bound together.
    pub memory_bytes: u64,
    /// Processes and threads together.
    pub pids: u64,
    /// Open files of one process.
    pub files: u64,
    /// The largest file it may write.
    pub file_bytes: u64,
    /// Output that is kept of each stream; the program is ended when it writes sixteen times that.
    pub output_bytes: u64,
    pub wall_seconds: u64,
    /// Memory of all processes of a run together, where control groups can limit it: without a word of
    /// the owner's twice that of one process. With one, nothing runs where they cannot.
    #[serde(default)]
    pub together_bytes: Option<u64>,
    /// Processors of all its processes together, in thousandths. As before, but as installed all.
    #[serde(default)]
    pub cpu_thousandths: Option<u64>,
}

impl Limits {
    /// What was asked for and only control groups can hold.
    pub(crate) fn need_groups(&self) -> bool {
        self.together_bytes.is_some() || self.cpu_thousandths.is_some()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_seconds: 120,
            memory_bytes: 2 << 30,
            pids: 256,
            files: 1_024,
            file_bytes: 1 << 30,
            output_bytes: 1 << 20,
            wall_seconds: 300,
            together_bytes: None,
            cpu_thousandths: None,
        }
    }
}

/// The settings of one sandbox. Two programs share a sandbox only under equal walls.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Walls {
    #[serde(default)]
    pub workspace: Access,
    /// In the order in which they are mounted.
    #[serde(default)]
    pub extras: Vec<Extra>,
    #[serde(default)]
    pub network: Network,
    #[serde(default)]
    pub limits: Limits,
}

impl Walls {
    /// The name of these settings: SHA-256 over their canonical form. Any change is another name.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        // Each field under its name, with its length in front: no two values share a form.
        for (name, value) in self.fields() {
            for part in [name.as_bytes(), value.as_bytes()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        // Taken apart without `..`: a field that is added has to be added here.
        let Self {
            workspace,
            extras,
            network,
            limits,
        } = self;
        let Limits {
            cpu_seconds,
            memory_bytes,
            pids,
            files,
            file_bytes,
            output_bytes,
            wall_seconds,
            together_bytes,
            cpu_thousandths,
        } = limits;
        vec![
            ("walls", "1".to_owned()),
            ("workspace", format!("{workspace:?}")),
            ("extras", format!("{extras:?}")),
            ("network", format!("{network:?}")),
            ("cpu", cpu_seconds.to_string()),
            ("memory", memory_bytes.to_string()),
            ("pids", pids.to_string()),
            ("files", files.to_string()),
            ("file-bytes", file_bytes.to_string()),
            ("output", output_bytes.to_string()),
            ("wall", wall_seconds.to_string()),
            ("together", format!("{together_bytes:?}")),
            ("cpus", format!("{cpu_thousandths:?}")),
        ]
    }
}

/// A command as the program gets it: words, never a line for a shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Argv(Vec<String>);

#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ArgvError {
    #[error("the command is empty: give the program and its arguments as a list of words")]
    Empty,
    #[error("a word of the command holds a NUL byte")]
    Nul,
    #[error("the command is longer than {WORDS_BYTES_MAX} bytes or {WORDS_MAX} words")]
    Long,
}

impl Argv {
    pub fn new(words: Vec<String>) -> Result<Self, ArgvError> {
        let bytes: usize = words.iter().map(String::len).sum();
        if words.first().is_none_or(String::is_empty) {
            return Err(ArgvError::Empty);
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err(ArgvError::Nul);
        }
        if words.len() > WORDS_MAX || bytes > WORDS_BYTES_MAX {
            return Err(ArgvError::Long);
        }
        Ok(Self(words))
    }

    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

/// The environment of a program: what is listed here with a value of the right form, and nothing
/// else. Search path, home and folder for temporary files are fixed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Environment(BTreeMap<String, String>);

/// Whether a value has the right form.
type Form = fn(&str) -> bool;

/// Names that can be asked for, and what a value may be.
const ALLOWED: [(&str, Form); 10] = [
    ("CI", plain),
    ("COLUMNS", number),
    ("LANG", plain),
    ("LC_ALL", plain),
    ("LINES", number),
    ("NO_COLOR", plain),
    ("RUST_BACKTRACE", plain),
    ("SOURCE_DATE_EPOCH", number),
    ("TERM", plain),
    ("TZ", zone),
];

/// The same for every program.
const FIXED: [(&str, &str); 6] = [
    ("HOME", "/tmp"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("TMPDIR", "/tmp"),
    ("LANG", "C.UTF-8"),
    ("USER", "walled"),
    ("TERM", "dumb"),
];

impl Environment {
    /// Keeps what is allowed of what was asked for; the rest is told by name, in order.
    #[must_use]
    pub fn project(asked: &BTreeMap<String, String>) -> (Self, BTreeSet<String>) {
        let mut kept: BTreeMap<String, String> = FIXED
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut left_out = BTreeSet::new();
        for (name, value) in asked {
            let fits = ALLOWED
                .iter()
                .any(|(allowed, form)| allowed == name && form(value));
            if fits {
                kept.insert(name.clone(), value.clone());
            } else {
                left_out.insert(name.clone());
            }
        }
        (Self(kept), left_out)
    }

    /// The same with one value more that the owner gives to this program alone. What leads the start
    /// of a program, and what is fixed, cannot be given.
    pub fn with(mut self, name: &str, value: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(fits)
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let leads = ["LD_", "GLIBC_", "MALLOC_"]
            .iter()
            .any(|start| name.starts_with(start))
            || FIXED.iter().any(|(fixed, _)| fixed == &name);
        if !is_name || leads {
            return Err(format!("a program is not given the variable {name:?}"));
        }
        if value.contains('\0') || value.len() > VALUE_BYTES_MAX {
            return Err(format!(
                "the value of {name} has a NUL byte, or is too long"
            ));
        }
        let _old = self.0.insert(name.to_owned(), value.to_owned());
        Ok(self)
    }

    #[must_use]
    pub fn values(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

fn plain(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    value.len() <= 64 && value.bytes().all(fits)
}

fn number(value: &str) -> bool {
    !value.is_empty() && value.len() <= 12 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of a zone, not a file of one.
fn zone(value: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && !part.starts_with('.') && plain(part);
    value.len() <= 64 && value.split('/').all(fits)
}

/// The program is a WebAssembly component and no program of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Component {
    /// Steps that it may take; about one for each instruction.
    pub fuel: u64,
}

/// One program to run.
#[derive(Debug)]
pub struct Job {
    pub walls: Walls,
    pub argv: Argv,
    pub environment: Environment,
    /// Set for a component; it is named by its path.
    pub component: Option<Component>,
    /// Held open by the caller; not looked at when the walls show none.
    pub workspace: Option<Root>,
    /// Where it starts, below the workspace.
    pub folder: Inside,
    /// What is read only in a workspace that can be written. Each is there, and is no link.
    pub shielded: Vec<Inside>,
    /// The broker's socket, where the walls have that network.
    pub broker: Option<BrokerSocket>,
    pub input: Input,
    /// Output goes to the sink alone: none of it is kept, and there may be any amount. For a program
    /// that is talked to for hours.
    pub streamed: bool,
}

impl Job {
    /// A job without workspace, network and input.
    #[must_use]
    pub fn new(walls: Walls, argv: Argv) -> Self {
        Self {
            walls,
            argv,
            environment: Environment::project(&BTreeMap::new()).0,
            component: None,
            workspace: None,
            folder: Inside::root(),
            shielded: Vec::new(),
            broker: None,
            input: Input::Empty,
            streamed: false,
        }
    }

    pub(crate) fn wall_time(&self) -> Duration {
        Duration::from_secs(self.walls.limits.wall_seconds)
    }
}

/// What the program reads from its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Empty,
    Bytes(Vec<u8>),
    /// What the caller writes, through [`crate::native::Running::write`].
    Open,
}

/// The socket of an egress broker, made by the gateway for one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerSocket(std::path::PathBuf);

impl BrokerSocket {
    /// Takes the path of a Unix socket; anything else is refused, so it can stand for no folder.
    pub fn new(path: &std::path::Path) -> std::io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        let path = path.canonicalize()?;
        if std::fs::symlink_metadata(&path)?.file_type().is_socket() {
            Ok(Self(path))
        } else {
            Err(std::io::Error::other("it is not a socket"))
        }
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_needed_for_each_limit_of_all_processes_that_was_asked_for() {
        for (together_bytes, cpu_thousandths, needed) in [
            (None, None, false),
            (Some(1), None, true),
            (None, Some(1), true),
            (Some(1), Some(1), true),
        ] {
            let limits = Limits {
                together_bytes,
                cpu_thousandths,
                ..Limits::default()
            };
            assert_eq!(limits.need_groups(), needed, "{limits:?}");
        }
    }

    #[test]
    fn a_job_ends_when_its_walls_say_and_a_socket_is_the_one_that_was_named() {
        let argv = Argv::new(vec!["true".to_owned()]).unwrap();
        let mut walls = Walls::default();
        walls.limits.wall_seconds = 7;
        assert_eq!(Job::new(walls, argv).wall_time(), Duration::from_secs(7));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let socket = BrokerSocket::new(&path).unwrap();
        assert_eq!(socket.path(), path.canonicalize().unwrap());
    }
}
