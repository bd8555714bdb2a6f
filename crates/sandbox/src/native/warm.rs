//! Walls that stand before they are asked for: the caller's side of the helper that makes them.
//!
//! What cannot be had here is not left out: the run takes the direct way, with the same layers, and the
//! next one starts the helper anew.

use super::{Native, StartError, cannot_limit, no_groups, sees_workspace};
use crate::cgroup::{self, Group, Groups};
use crate::spec::{Access, Extra, Job, Network};
use crate::stage::{BUILT, ENDED, HELPER, Order, pass};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Sets of walls that stand ready.
const AHEAD: usize = 2;
/// Then a run does not wait for the helper any longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The helper of one caller, started at the first run.
#[derive(Debug)]
pub(super) struct Warm {
    extras: Vec<Extra>,
    /// What stands longer may show what the system has replaced since.
    fresh: Duration,
    helper: Arc<Mutex<Option<Helper>>>,
}

/// A set of walls that stands, for one order.
#[derive(Debug)]
pub(super) struct Ready {
    /// The caller's end of the only line there is: when it is closed, the walls end.
    line: OwnedFd,
    /// The outer process.
    held: OwnedFd,
    /// The control group that it was made in, until the program is held with it.
    pub(super) group: Option<Group>,
    helper: Arc<Mutex<Option<Helper>>>,
}

/// What a program that was started there is held by.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) ready: Ready,
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Warm {
    pub(super) fn new(extras: &[Extra], fresh: Duration) -> Self {
        Self {
            extras: extras.to_vec(),
            fresh,
            helper: Arc::default(),
        }
    }

    /// Whether an order can be served: its walls differ from those that stand in nothing but the
    /// workspace, `/tmp`'s size and limits.
    fn suits(&self, order: &Order) -> bool {
        order.extras == self.extras
            && order.network == Network::None
            && order.workspace != Access::None
            && order.bubblewrap.is_none()
            && order.docker.is_none()
    }

    /// Starts a job in walls that stand. `None`: it has to take the direct way, and nothing ran.
    pub(super) fn start(
        &self,
        native: &Native,
        job: &Job,
        order: &Order,
    ) -> Result<Option<Started>, StartError> {
        let Some(work) = sees_workspace(job).filter(|_| self.suits(order)) else {
            return Ok(None);
        };
        let message = order.to_message().map_err(StartError::Start)?;
        if message.len() > pass::MESSAGE_BYTES_MAX {
            return Ok(None);
        }
        let Some(ready) = self.take(native) else {
            return Ok(None);
        };
        match &ready.group {
            Some(group) => group
                .limit(&order.limits)
                .map_err(|why| cannot_limit(&why))?,
            None if order.limits.need_groups() => return Err(StartError::Refused(no_groups())),
            None => {}
        }
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|why| StartError::Start(why.into()));
        let ((input, stdin), (stdout, output), (stderr, error)) = (pipe()?, pipe()?, pipe()?);
        let ends = [input.as_fd(), output.as_fd(), error.as_fd(), work.as_fd()];
        if pass::send(&ready.line, &message, &ends).is_err() {
            // They fell before they heard of it.
            return Ok(None);
        }
        Ok(Some(Started {
            ready,
            stdin: stdin.into(),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }))
    }

    fn take(&self, native: &Native) -> Option<Ready> {
        // A helper that has died shows now; the second one is new.
        let ready = self.fetch(native).or_else(|| self.fetch(native))?;
        // Mostly long there.
        if !readable(&ready.line) {
            return None;
        }
        let (answer, _) = pass::receive(&ready.line).ok()?;
        (answer == [BUILT]).then_some(ready)
    }

    fn fetch(&self, native: &Native) -> Option<Ready> {
        let mut slot = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        // What goes wrong drops it.
        let mut helper = match slot.take() {
            Some(helper) => helper,
            None => Helper::start(native, &self.extras).ok()?,
        };
        let set = loop {
            helper.have(1).ok()?;
            let set = helper.next()?;
            // An old one ends with its line.
            if set.asked.elapsed() < self.fresh {
                break set;
            }
        };
        *slot = Some(helper);
        Some(Ready {
            line: set.line,
            held: set.held,
            group: set.group,
            helper: Arc::clone(&self.helper),
        })
    }
}

#[derive(Debug)]
struct Helper {
    child: Child,
    control: Option<OwnedFd>,
    /// As [`Native`] has them.
    groups: Option<Arc<Groups>>,
    /// Sets of walls that were asked for and are not taken: since when, and the group each is made in.
    ahead: VecDeque<(Instant, Option<Group>)>,
}

/// What the helper hands over.
struct Set {
    line: OwnedFd,
    held: OwnedFd,
    group: Option<Group>,
    asked: Instant,
}

impl Helper {
    fn start(native: &Native, extras: &[Extra]) -> std::io::Result<Self> {
        let (control, theirs) = pass::pair()?;
        let child = Command::new(&native.binary)
            .arg0(HELPER)
            .arg("--build-walls")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        pass::send(&control, &serde_json::to_vec(extras)?, &[])?;
        let mut helper = Self {
            child,
            control: Some(control),
            groups: native.groups.clone(),
            ahead: VecDeque::new(),
        };
        helper.have(AHEAD)?;
        Ok(helper)
    }

    /// Asks for as many as are missing.
    fn have(&mut self, ahead: usize) -> std::io::Result<()> {
        let control = self.control.as_ref();
        let control = control.ok_or(std::io::ErrorKind::BrokenPipe)?;
        let groups = self.groups.as_deref().or_else(|| cgroup::claimed());
        while self.ahead.len() < ahead {
            let group = groups.map(Groups::make).transpose()?;
            match &group {
                Some(group) => pass::send(control, b"+", &[group.door()?.as_fd()])?,
                None => pass::send(control, b"+", &[])?,
            }
            self.ahead.push_back((Instant::now(), group));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Set> {
        let control = self.control.as_ref().filter(|control| readable(control))?;
        let (_, descriptors) = pass::receive(control).ok()?;
        let (asked, group) = self.ahead.pop_front()?;
        let mut descriptors = descriptors.into_iter();
        Some(Set {
            line: descriptors.next()?,
            held: descriptors.next()?,
            group,
            asked,
        })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends when nobody is there to ask; what stands ready ends with its line.
        self.control = None;
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Ready {
    pub(super) fn held(&self) -> std::io::Result<OwnedFd> {
        self.held.try_clone()
    }

    /// Has walls made in the place of these: only now, as making them takes what the program needed.
    pub(super) fn make_another(&self) {
        let mut slot = self.helper.lock().unwrap_or_else(PoisonError::into_inner);
        // One that is gone is made anew by who needs it.
        if slot
            .as_mut()
            .is_some_and(|helper| helper.have(AHEAD).is_err())
        {
            *slot = None;
        }
    }

    /// Readable once the program has ended.
    pub(super) fn line(&self) -> &OwnedFd {
        &self.line
    }

    /// The program's exit code, if it came to its end. Everything inside has ended by then.
    pub(super) fn code(&self) -> Option<u8> {
        match pass::receive(&self.line) {
            Ok((answer, _)) => match answer.as_slice() {
                [ENDED, code] => Some(*code),
                _ => None,
            },
            Err(_) => None,
        }
    }
}

fn readable(from: &OwnedFd) -> bool {
    let limit = Timespec::try_from(PATIENCE).ok();
    loop {
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        match poll(&mut fds, limit.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.is_ok_and(|count| count > 0),
        }
    }
}
