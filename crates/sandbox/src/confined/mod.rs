//! Jobs of our own that nobody has to trust: a second start of this very binary that works on what it
//! is told over one socket and can do nothing else.
//!
//! A job has no file, no network, no program, no environment and no signal: Landlock without one rule,
//! and a filter that answers neither `open` nor `socket` nor `execve`. One that asks for it has an empty folder
//! of its own, which goes with it ([`Starter::with_scratch`]), and nothing else of the machine. What it answers over
//! its line is data from a stranger: [`Confined::hear`] checks type and size, the caller what it means.
//!
//! [`Confined`] is the caller's side, [`Post`] that of the job, [`Line`] what both speak over. Begin
//! with [`Starter::start`]; the walls themselves are in `stage::confined`.

mod line;
mod scratch;

pub use crate::stage::confined::{Post, enter};
pub use line::{Line, LineError};

use crate::cgroup::{self, Group};
use crate::spec::Limits;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scratch::Scratch;
pub use scratch::sweep;

/// The name under which the binary is started as a job.
pub(crate) const NAME: &str = "instar-confined";
/// A start takes milliseconds; a machine that is out of breath gets this long.
const START_TIME: Duration = Duration::from_secs(20);
/// What was killed ends; the kernel owes no other answer.
const END_TIME: Duration = Duration::from_secs(60);

/// What a job may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bounds {
    pub cpu_seconds: u64,
    pub memory_bytes: u64,
    pub wall_seconds: u64,
    /// The longest message that it may send.
    pub message_bytes: u64,
    /// The bytes that it may send in all.
    pub told_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            cpu_seconds: 120,
            memory_bytes: 512 << 20,
            wall_seconds: 600,
            message_bytes: 4 << 20,
            told_bytes: 64 << 20,
        }
    }
}

/// Why a job did not start, or what went wrong with one that runs.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A wall is missing; the words say what to do.
    #[error("its walls do not stand, so the job was not begun: {0}")]
    Refused(String),
    #[error("cannot start a job")]
    Start(#[source] std::io::Error),
    #[error("its time of {0} seconds was up")]
    TimedOut(u64),
    /// It is gone without an answer: it failed, or ran into one of its limits.
    #[error("the job ended before it had answered ({0})")]
    Ended(String),
    #[error("what the job says is not to be used: {0}")]
    Untrusted(String),
}

/// What a job is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) bounds: Bounds,
    /// The folder of its own, where it has one.
    pub(crate) scratch: Option<PathBuf>,
}

/// What a job says first: nothing else comes from it before its walls stand.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stood {
    pub(crate) refused: Option<String>,
}

/// A job that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Confined {
    line: Line,
    child: Child,
    held: Arc<OwnedFd>,
    bounds: Bounds,
    began: Instant,
    /// What limits it from outside, where control groups can.
    _group: Option<Group>,
    /// Goes when the job is gone.
    scratch: Option<Scratch>,
}

/// Ends a job from elsewhere.
#[derive(Clone, Debug)]
pub struct Ender(Arc<OwnedFd>);

impl Ender {
    pub fn end(&self) {
        end(&self.0);
    }
}

/// Starts jobs.
#[derive(Clone, Debug)]
pub struct Starter {
    binary: PathBuf,
    scratch: bool,
}

impl Default for Starter {
    /// Of this very binary, also right after an update has replaced the file; it calls [`enter`] first
    /// thing in its `main`.
    fn default() -> Self {
        Self {
            binary: PathBuf::from("/proc/self/exe"),
            scratch: false,
        }
    }
}

impl Starter {
    /// Of another binary that calls [`enter`] first thing in its `main`.
    #[must_use]
    pub fn of(binary: PathBuf) -> Self {
        Self {
            binary,
            scratch: false,
        }
    }

    /// Jobs have an empty folder each, named by `TMPDIR`, that nobody else may enter and that is gone with
    /// them. It is all that they can open.
    #[must_use]
    pub fn with_scratch(mut self) -> Self {
        self.scratch = true;
        self
    }

    /// Starts the job with this role and comes back when its walls stand.
    pub fn start(&self, role: &str, bounds: Bounds) -> Result<Confined, JobError> {
        let group = group(&bounds)?;
        let scratch = self.scratch.then(Scratch::make).transpose();
        let scratch = scratch.map_err(JobError::Start)?;
        let (ours, theirs) = UnixStream::pair().map_err(JobError::Start)?;
        let folder = scratch.as_ref().map(|scratch| ("TMPDIR", scratch.path()));
        let child = Command::new(&self.binary)
            .arg0(NAME)
            .arg(role)
            .env_clear()
            .envs(folder)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(JobError::Start)?;
        let mut job = Confined::hold(child, ours, bounds, (group, scratch))?;
        job.greet()?;
        Ok(job)
    }
}

impl Confined {
    fn hold(
        mut child: Child,
        line: UnixStream,
        bounds: Bounds,
        (group, scratch): (Option<Group>, Option<Scratch>),
    ) -> Result<Self, JobError> {
        // The child is not reaped yet, so the number is still its own.
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let held = pid.ok_or_else(|| std::io::ErrorKind::InvalidInput.into());
        let held = held.and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?));
        let entered = held.and_then(|held| {
            if let Some(group) = &group {
                group.enter(child.id())?;
            }
            Ok(held)
        });
        match entered {
            Ok(held) => Ok(Self {
                line: Line::new(line, bounds.message_bytes, bounds.told_bytes),
                child,
                held: Arc::new(held),
                bounds,
                began: Instant::now(),
                _group: group,
                scratch,
            }),
            Err(why) => {
                let _killed = child.kill();
                let _reaped = child.wait();
                Err(JobError::Start(why))
            }
        }
    }

    /// Tells the job its limits and hears whether its walls stand.
    fn greet(&mut self) -> Result<(), JobError> {
        let deadline = self.began + START_TIME;
        let told = Told {
            bounds: self.bounds,
            scratch: self.scratch.as_ref().map(|one| one.path().to_owned()),
        };
        let told = self.line.send(&told, deadline);
        match told.and_then(|()| self.line.receive::<Stood>(deadline)) {
            Ok(Stood { refused: None }) => {
                // Building is not its own time.
                self.began = Instant::now();
                Ok(())
            }
            Ok(Stood { refused: Some(why) }) => Err(JobError::Refused(why)),
            Err(LineError::Late) => {
                Err(JobError::Refused("they were not built in time".to_owned()))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Tells the job something.
    pub fn tell(&mut self, words: &impl Serialize) -> Result<(), JobError> {
        let deadline = self.deadline();
        self.line
            .send(words, deadline)
            .map_err(|error| self.failed(error))
    }

    /// What the job says next. It has the type that is asked for and keeps to its bounds, nothing more
    /// is known of it.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<T, JobError> {
        let deadline = self.deadline();
        self.line
            .receive(deadline)
            .map_err(|error| self.failed(error))
    }

    /// Something that can end the job while it is heard.
    #[must_use]
    pub fn ender(&self) -> Ender {
        Ender(Arc::clone(&self.held))
    }

    /// The number of its process, for who looks on.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn deadline(&self) -> Instant {
        self.began + Duration::from_secs(self.bounds.wall_seconds)
    }

    /// Whatever it is: the job ends with it.
    fn failed(&mut self, error: LineError) -> JobError {
        let by_itself = matches!(error, LineError::Gone) && self.has_ended(END_TIME);
        end(&self.held);
        let status = self.child.wait();
        match error {
            LineError::Late => JobError::TimedOut(self.bounds.wall_seconds),
            LineError::Gone => JobError::Ended(match status {
                Ok(status) if by_itself => status.to_string(),
                Ok(_) => "it closed its line".to_owned(),
                Err(why) => why.to_string(),
            }),
            other => JobError::Untrusted(other.to_string()),
        }
    }

    fn has_ended(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(self.held.as_ref(), PollFlags::IN)];
            match poll(&mut fds, limit.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other.is_ok_and(|count| count > 0),
            }
        }
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        end(&self.held);
        // Reaped here, so that its number stays its own until then.
        let _reaped = self.child.wait();
    }
}

fn end(held: &OwnedFd) {
    // One that has ended already needs no signal.
    let _sent = pidfd_send_signal(held, Signal::KILL);
}

/// Limits from outside beside the job's own, where this machine gives us control groups.
fn group(bounds: &Bounds) -> Result<Option<Group>, JobError> {
    let Some(groups) = cgroup::claimed() else {
        return Ok(None);
    };
    let limits = Limits {
        memory_bytes: bounds.memory_bytes,
        pids: 32,
        ..Limits::default()
    };
    let made = groups.make().and_then(|group| {
        group.limit(&limits)?;
        Ok(group)
    });
    made.map(Some).map_err(JobError::Start)
}
