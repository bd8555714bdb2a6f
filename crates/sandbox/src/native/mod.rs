//! The caller's side: start a job behind walls, hold it, hear it, end it.
//!
//! [`Native::start`] comes back when the walls stand and the program is about to run, or with the reason why
//! nothing ran. What came of it is in a [`Running`], which ends the program when it is dropped.

mod listen;
mod open;
mod running;
mod warm;

pub use listen::{Captured, Sink, Stream};
pub(crate) use running::write_within;
pub use running::{Ended, Killer, Outcome, Running};

use crate::cgroup::{self, Group, Groups};
use crate::docker::Docker;
use crate::root::Root;
use crate::spec::{Access, Extra, Job, Network};
use crate::stage::{Order, READY, REFUSED, STAGE_NAME};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use warm::Warm;

/// Building walls takes milliseconds; a machine that is out of breath gets this long.
const BUILD_TIME: Duration = Duration::from_secs(20);
/// Where bubblewrap may be. Never looked for along a search path.
const BUBBLEWRAP: [&str; 2] = ["/usr/bin/bwrap", "/usr/local/bin/bwrap"];

/// Why nothing ran.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A layer is missing or the order cannot be carried out; the words say what to do.
    #[error("the walls do not stand, so nothing was run: {0}")]
    Refused(String),
    #[error("the walls show a workspace, and none was given")]
    NoWorkspace,
    #[error("the walls have the broker's network, and no socket was given")]
    NoBroker,
    #[error("cannot start the walls")]
    Start(#[source] std::io::Error),
}

/// Who makes the namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Our own set-up without privilege.
    Own,
    /// Bubblewrap at this place.
    Bubblewrap(PathBuf),
    /// A container engine of this machine.
    Docker(Docker),
    /// Nobody: there are no walls, and a program has the rights of this process. Only environment,
    /// limits of time and output, and the end of its process group are as behind walls.
    Nobody,
}

/// How walls are built on this machine. Made once by the gateway.
#[derive(Clone, Debug)]
pub struct Native {
    binary: PathBuf,
    maker: Maker,
    warm: Option<Arc<Warm>>,
    /// Else those that this process has claimed.
    groups: Option<Arc<Groups>>,
}

impl Native {
    /// Walls built by this very binary, which calls [`crate::stage()`] first thing in its `main`; with
    /// bubblewrap where it is installed.
    #[must_use]
    pub fn of_this_binary() -> Self {
        let found = BUBBLEWRAP
            .iter()
            .map(PathBuf::from)
            .find(|path| path.is_file());
        Self {
            // Also right after an update has replaced the file.
            binary: PathBuf::from("/proc/self/exe"),
            maker: found.map_or(Maker::Own, Maker::Bubblewrap),
            warm: None,
            groups: None,
        }
    }

    /// The same by another binary that calls [`crate::stage()`] first thing in its `main`.
    #[must_use]
    pub fn with_binary(mut self, binary: PathBuf) -> Self {
        self.binary = binary;
        self
    }

    #[must_use]
    pub fn with_maker(mut self, maker: Maker) -> Self {
        self.maker = maker;
        self
    }

    /// Keeps walls of our own ready from the first run on, for jobs that are shown these folders and have
    /// no network; none is used that has stood for longer than this. All others are built when they are
    /// asked for.
    #[must_use]
    pub fn keeping_ready(mut self, extras: &[Extra], fresh: Duration) -> Self {
        self.warm = Some(Arc::new(Warm::new(extras, fresh)));
        self
    }

    /// With groups from here, in the place of those that this process has claimed.
    #[must_use]
    pub fn with_groups(mut self, groups: Arc<Groups>) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Where a run's control group is made. None: this machine has none for us.
    fn groups(&self) -> Option<&Groups> {
        self.groups.as_deref().or_else(|| cgroup::claimed())
    }

    /// The control group of a run that is built when it is asked for.
    fn group(&self, job: &Job) -> Result<Option<Group>, StartError> {
        let limits = &job.walls.limits;
        let Some(groups) = self.groups() else {
            return if limits.need_groups() {
                Err(StartError::Refused(no_groups()))
            } else {
                Ok(None)
            };
        };
        let made = groups.make().and_then(|group| {
            group.limit(limits)?;
            Ok(group)
        });
        made.map(Some).map_err(|why| cannot_limit(&why))
    }

    #[must_use]
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// Starts a job. Output goes to `sink` as it comes, from threads of this crate.
    pub fn start(&self, job: Job, sink: Option<Sink>) -> Result<Running, StartError> {
        if self.maker == Maker::Nobody {
            let child = open::spawn(&job)?;
            return Running::new(child, job, sink, true).map_err(StartError::Start);
        }
        let order = self.order(&job)?;
        if let Some(warm) = &self.warm
            && let Some(mut started) = warm.start(self, &job, &order)?
        {
            greet(&mut started.stdout, Some(&mut started.stderr))?;
            return Running::in_ready(started, job, sink).map_err(StartError::Start);
        }
        // An engine has groups of its own.
        let group = match order.docker {
            Some(_) => None,
            None => self.group(&job)?,
        };
        let order = order.to_bytes().map_err(StartError::Start)?;
        let mut child = spawn(&self.binary, &job)?;
        let entered = group.as_ref().map_or(Ok(()), |group| {
            // It waits for its order and has started nothing yet.
            group.enter(child.id()).map_err(|why| cannot_limit(&why))
        });
        match entered.and_then(|()| give(&mut child, &order)) {
            Ok(()) => Running::new(child, job, sink, false)
                .map(|running| running.limited_by(group))
                .map_err(StartError::Start),
            Err(error) => {
                // It has said why, or will say nothing more.
                let _gone = child.kill();
                let _reaped = child.wait();
                Err(error)
            }
        }
    }

    /// Starts a job and waits for its end.
    pub fn run(&self, job: Job) -> Result<Outcome, StartError> {
        let mut running = self.start(job, None)?;
        running.wait().map_err(StartError::Start)
    }

    fn order(&self, job: &Job) -> Result<Order, StartError> {
        let walls = &job.walls;
        let identity = match (&job.workspace, walls.workspace) {
            (_, Access::None) => None,
            (None, Access::Read | Access::Write) => return Err(StartError::NoWorkspace),
            (Some(root), Access::Read | Access::Write) => {
                let stat = rustix::fs::fstat(root).map_err(|why| StartError::Start(why.into()))?;
                Some((stat.st_dev, stat.st_ino))
            }
        };
        let broker = match walls.network {
            Network::None => None,
            Network::Broker => Some(job.broker.clone().ok_or(StartError::NoBroker)?),
        };
        let environment = job.environment.values();
        Ok(Order {
            argv: job.argv.words().to_vec(),
            environment: environment
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            component: job.component,
            workspace: walls.workspace,
            folder: job.folder.to_string(),
            shielded: job.shielded.iter().map(ToString::to_string).collect(),
            extras: walls.extras.clone(),
            network: walls.network,
            broker,
            limits: walls.limits,
            identity,
            bubblewrap: match &self.maker {
                Maker::Own | Maker::Nobody | Maker::Docker(_) => None,
                Maker::Bubblewrap(path) => Some(path.clone()),
            },
            docker: match &self.maker {
                Maker::Docker(_) if walls.network == Network::Broker => {
                    let why = "a container has no way to the egress broker: leave sandbox.network empty, \
                               or set sandbox.backend to native";
                    return Err(StartError::Refused(why.to_owned()));
                }
                Maker::Docker(docker) => Some(docker.clone()),
                Maker::Own | Maker::Nobody | Maker::Bubblewrap(_) => None,
            },
        })
    }
}

fn cannot_limit(why: &std::io::Error) -> StartError {
    StartError::Refused(format!("cannot limit the run as a whole: {why}"))
}

fn no_groups() -> String {
    let why = cgroup::look(None).err();
    let why = why.unwrap_or_else(|| "they were not claimed when the gateway started".to_owned());
    format!(
        "limits for all processes of a run together (runMemoryMb, cpus) need control groups: {why}. Or leave          these limits out"
    )
}

/// The workspace, where the walls show it.
fn sees_workspace(job: &Job) -> Option<&Root> {
    let shown = job.walls.workspace != Access::None;
    job.workspace.as_ref().filter(|_| shown)
}

fn spawn(binary: &Path, job: &Job) -> Result<Child, StartError> {
    // The folder that is held, not the one that has its name by now.
    let folder = sees_workspace(job).map_or_else(
        || "/".to_owned(),
        |root| format!("/proc/self/fd/{}", root.as_fd().as_raw_fd()),
    );
    Command::new(binary)
        .arg0(STAGE_NAME)
        // For a binary that knows nothing of walls, as a test is: it stops at a word it does not know
        // instead of starting all over.
        .arg("--build-walls")
        .env_clear()
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Signals from the gateway's terminal are not for it.
        .process_group(0)
        .spawn()
        .map_err(StartError::Start)
}

/// Sends the order and hears whether the walls stand.
fn give(child: &mut Child, order: &[u8]) -> Result<(), StartError> {
    let missing = || StartError::Start(std::io::ErrorKind::BrokenPipe.into());
    let input = child.stdin.as_mut().ok_or_else(missing)?;
    // An order that is not read to its end shows in the answer.
    let _sent = input.write_all(order);
    let output = child.stdout.as_mut().ok_or_else(missing)?;
    greet(output, child.stderr.as_mut())
}

fn greet(output: &mut ChildStdout, error: Option<&mut ChildStderr>) -> Result<(), StartError> {
    let mut first = [0];
    wait_readable(output)?;
    match output.read(&mut first) {
        Ok(1) if first[0] == READY => Ok(()),
        Ok(1) if first[0] == REFUSED => {
            let mut words = String::new();
            let _read = output.take(4_000).read_to_string(&mut words);
            Err(StartError::Refused(words))
        }
        _ => {
            let mut words = String::new();
            if let Some(stderr) = error {
                let _read = stderr.take(4_000).read_to_string(&mut words);
            }
            Err(StartError::Refused(format!(
                "they fell while they were built: {}",
                words.trim()
            )))
        }
    }
}

fn wait_readable(output: &ChildStdout) -> Result<(), StartError> {
    let mut fds = [PollFd::new(output, PollFlags::IN)];
    let limit = Timespec::try_from(BUILD_TIME).ok();
    match poll(&mut fds, limit.as_ref()) {
        Ok(0) => Err(StartError::Refused(
            "they were not built in time".to_owned(),
        )),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(why) => Err(StartError::Start(why.into())),
    }
}
