//! A program behind walls while it runs. It is held by descriptor: a number that the system has given
//! to somebody else meanwhile is never signalled.

use super::listen::{Captured, Ear, Heard, Sink, Stream, hear};
use super::warm::{Ready, Started};
use crate::cgroup::Group;
use crate::spec::{Input, Job};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a program came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself. A signal is told as 128 more than its number, as shells do.
    Exit(u8),
    /// Its time was up.
    TimedOut,
    /// It wrote without end.
    Flooded,
    /// The caller ended it.
    Killed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub ended: Ended,
    pub stdout: Captured,
    pub stderr: Captured,
    pub took: Duration,
}

impl Outcome {
    /// Of a program that could not be waited for.
    pub(crate) fn lost() -> Self {
        Self {
            ended: Ended::Killed,
            stdout: Captured::default(),
            stderr: Captured::default(),
            took: Duration::ZERO,
        }
    }
}

/// A program that was started. Dropped, it is ended with all that it has started.
#[derive(Debug)]
pub struct Running {
    outer: Outer,
    held: Arc<Handle>,
    input: Option<ChildStdin>,
    threads: Vec<JoinHandle<()>>,
    stdout: Heard,
    stderr: Heard,
    /// Why it was ended, where it was: the first reason stands.
    reason: Arc<AtomicU8>,
    began: Instant,
    limit: Duration,
    ended: Option<Outcome>,
    in_group: bool,
    /// Its mounts and its network. Taking them down takes the kernel a while, which nobody has to wait for
    /// once everything inside has ended.
    spaces: Vec<OwnedFd>,
    /// What limits it as a whole.
    group: Option<Group>,
}

/// The process that stands for a program outside.
#[derive(Debug)]
enum Outer {
    /// Our own child.
    Child(Child),
    /// The helper's.
    Ready(Ready),
}

const BY_ITSELF: u8 = 0;
const TIMED_OUT: u8 = 1;
const FLOODED: u8 = 2;
const KILLED: u8 = 3;

impl Running {
    /// `group`: the program leads a process group that ends with it; behind walls more than that does.
    pub(super) fn new(
        mut child: Child,
        job: Job,
        sink: Option<Sink>,
        group: bool,
    ) -> std::io::Result<Self> {
        let id = i32::try_from(child.id()).map_err(std::io::Error::other)?;
        let pid = Pid::from_raw(id).ok_or(std::io::ErrorKind::InvalidInput)?;
        // The child is not reaped yet, so the number is still its own.
        let held = Arc::new(Handle {
            fd: pidfd_open(pid, PidfdFlags::empty())?,
            group: Mutex::new(group.then_some(pid)),
        });
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut running = Self::over(Outer::Child(child), held, &job);
        running.in_group = group;
        running.spaces = spaces(id);
        running.connect(streams, job, sink)
    }

    /// In walls that stood ready.
    pub(super) fn in_ready(
        started: Started,
        job: Job,
        sink: Option<Sink>,
    ) -> std::io::Result<Self> {
        let Started {
            mut ready,
            stdin,
            stdout,
            stderr,
        } = started;
        let held = Arc::new(Handle {
            fd: ready.held()?,
            group: Mutex::default(),
        });
        let group = ready.group.take();
        let running = Self::over(Outer::Ready(ready), held, &job).limited_by(group);
        running.connect((Some(stdin), Some(stdout), Some(stderr)), job, sink)
    }

    fn over(outer: Outer, held: Arc<Handle>, job: &Job) -> Self {
        Self {
            outer,
            held,
            input: None,
            threads: Vec::new(),
            stdout: Heard::default(),
            stderr: Heard::default(),
            reason: Arc::default(),
            began: Instant::now(),
            limit: job.wall_time(),
            ended: None,
            in_group: false,
            spaces: Vec::new(),
            group: None,
        }
    }

    /// Holds the control group that it runs in until it has ended.
    pub(super) fn limited_by(mut self, group: Option<Group>) -> Self {
        self.group = group;
        self
    }

    fn connect(
        mut self,
        streams: (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>),
        job: Job,
        sink: Option<Sink>,
    ) -> std::io::Result<Self> {
        let (stdin, stdout, stderr) = streams;
        self.input = stdin;
        let bound = (!job.streamed).then_some(job.walls.limits.output_bytes);
        let ear = |stream, from: OwnedFd, heard: &Heard| Ear {
            stream,
            from: from.into(),
            heard: heard.clone(),
        };
        let out = stdout.map(|from| ear(Stream::Out, from.into(), &self.stdout));
        let error = stderr.map(|from| ear(Stream::Error, from.into(), &self.stderr));
        self.listen(out.into_iter().chain(error).collect(), bound, sink)?;
        self.feed(job.input)?;
        Ok(self)
    }

    fn listen(
        &mut self,
        ears: Vec<Ear>,
        bound: Option<u64>,
        sink: Option<Sink>,
    ) -> std::io::Result<()> {
        let (held, reason) = (Arc::clone(&self.held), Arc::clone(&self.reason));
        let thread = std::thread::Builder::new().name("walls-output".to_owned());
        self.threads.push(thread.spawn(move || {
            let tell = |stream, piece: &[u8]| {
                if let Some(sink) = &sink {
                    sink(stream, piece);
                }
            };
            hear(ears, bound, tell, || end(&held, &reason, FLOODED));
        })?);
        Ok(())
    }

    fn feed(&mut self, input: Input) -> std::io::Result<()> {
        match input {
            Input::Open => {}
            Input::Empty => drop(self.input.take()),
            Input::Bytes(bytes) => {
                let Some(mut to) = self.input.take() else {
                    return Ok(());
                };
                let thread = std::thread::Builder::new().name("walls-input".to_owned());
                // A program that does not read its input is none of our business.
                self.threads
                    .push(thread.spawn(move || drop(to.write_all(&bytes)))?);
            }
        }
        Ok(())
    }

    /// Writes to the program's input, where it was left open.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let input = self.input.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        input.write_all(bytes)?;
        input.flush()
    }

    /// The program's input, where it was left open, for whoever writes to it from elsewhere.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Ends the program's input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// What was written so far.
    #[must_use]
    pub fn output(&self) -> (Captured, Captured) {
        (self.stdout.so_far(), self.stderr.so_far())
    }

    /// Whether its walls stood before it was asked for.
    #[must_use]
    pub fn stood_ready(&self) -> bool {
        matches!(self.outer, Outer::Ready(_))
    }

    /// Ends the program and everything that it has started, now.
    pub fn kill(&self) {
        end(&self.held, &self.reason, KILLED);
    }

    /// Something that can end the program from elsewhere, also while this is waited for.
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer {
            held: Arc::clone(&self.held),
            reason: Arc::clone(&self.reason),
        }
    }

    /// Waits for the end, at the latest until its time is up.
    pub fn wait(&mut self) -> std::io::Result<Outcome> {
        loop {
            let left = self.limit.saturating_sub(self.began.elapsed());
            if let Some(outcome) = self.wait_for(left)? {
                return Ok(outcome);
            }
        }
    }

    /// Waits for the end, at most so long. `None`: it still runs.
    pub fn wait_for(&mut self, patience: Duration) -> std::io::Result<Option<Outcome>> {
        if let Some(outcome) = &self.ended {
            return Ok(Some(outcome.clone()));
        }
        let left = self.limit.saturating_sub(self.began.elapsed());
        let ended = self.poll(patience.min(left))?;
        if !ended && self.began.elapsed() >= self.limit {
            end(&self.held, &self.reason, TIMED_OUT);
            // What was killed ends; the kernel owes no other answer.
            while !self.poll(Duration::from_secs(60))? {}
        } else if !ended {
            return Ok(None);
        }
        self.collect().map(Some)
    }

    fn poll(&self, patience: Duration) -> std::io::Result<bool> {
        let of = match &self.outer {
            Outer::Child(_) => &self.held.fd,
            Outer::Ready(ready) => ready.line(),
        };
        let mut fds = [PollFd::new(of, PollFlags::IN)];
        let limit = Timespec::try_from(patience).map_err(std::io::Error::other)?;
        match poll(&mut fds, Some(&limit)) {
            Ok(count) => Ok(count > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(why) => Err(why.into()),
        }
    }

    fn collect(&mut self) -> std::io::Result<Outcome> {
        self.held.end_group();
        let code = match &mut self.outer {
            Outer::Child(child) => child
                .wait()?
                .code()
                .and_then(|code| u8::try_from(code).ok()),
            Outer::Ready(ready) => ready.code(),
        };
        if let Outer::Ready(ready) = &self.outer {
            ready.make_another();
        }
        take_down(Remains {
            _spaces: std::mem::take(&mut self.spaces),
            _group: self.group.take(),
        });
        self.input = None;
        // What has left its group may hold the streams for ever.
        if self.in_group {
            self.threads.clear();
        }
        for thread in self.threads.drain(..) {
            // A sink that panicked has lost its own output, nothing else.
            let _joined = thread.join();
        }
        let outcome = Outcome {
            ended: match self.reason.load(Ordering::Acquire) {
                TIMED_OUT => Ended::TimedOut,
                FLOODED => Ended::Flooded,
                KILLED => Ended::Killed,
                _ => Ended::Exit(code.unwrap_or(137)),
            },
            stdout: self.stdout.so_far(),
            stderr: self.stderr.so_far(),
            took: self.began.elapsed(),
        };
        self.ended = Some(outcome.clone());
        Ok(outcome)
    }
}

/// The namespaces of a process that was not collected yet. Without them nothing is held up but the end.
fn spaces(id: i32) -> Vec<OwnedFd> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    ["mnt", "net"]
        .iter()
        .filter_map(|name| {
            let path = format!("/proc/{id}/ns/{name}");
            rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()
        })
        .collect()
}

/// What is left of a program that has ended.
struct Remains {
    _spaces: Vec<OwnedFd>,
    _group: Option<Group>,
}

/// Lets go of it on a thread of its own.
fn take_down(remains: Remains) {
    static UNDERTAKER: OnceLock<Option<Sender<Remains>>> = OnceLock::new();
    let to = UNDERTAKER.get_or_init(|| {
        let (to, from) = channel::<Remains>();
        let thread = std::thread::Builder::new().name("walls-spaces".to_owned());
        let begun = thread.spawn(move || from.into_iter().for_each(drop));
        begun.is_ok().then_some(to)
    });
    if let Some(to) = to {
        // What cannot be sent is let go of here.
        drop(to.send(remains));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            // Only so that no zombie stays; there is nobody to tell.
            let _collected = self.collect();
        }
    }
}

/// Writes to a program that may not be reading: gives up when nothing could be written for so long.
pub(crate) fn write_within(
    to: &mut ChildStdin,
    mut bytes: &[u8],
    patience: Duration,
) -> std::io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(&*to)?;
    rustix::fs::fcntl_setfl(&*to, flags | rustix::fs::OFlags::NONBLOCK)?;
    let limit = Timespec::try_from(patience).map_err(std::io::Error::other)?;
    while !bytes.is_empty() {
        let mut fds = [PollFd::new(&*to, PollFlags::OUT)];
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => return Err(std::io::ErrorKind::TimedOut.into()),
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        match to.write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(why) if why.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

/// Ends one program; does nothing once that has ended.
#[derive(Clone, Debug)]
pub struct Killer {
    held: Arc<Handle>,
    reason: Arc<AtomicU8>,
}

/// What a program is held by.
#[derive(Debug)]
struct Handle {
    fd: OwnedFd,
    /// Its process group, as long as the program was not collected: until then the number is its own.
    group: Mutex<Option<Pid>>,
}

impl Handle {
    fn kill(&self) {
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = *group {
            let _sent = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _sent = pidfd_send_signal(&self.fd, Signal::KILL);
    }

    /// Ends what is left of the group of a program that has ended and is about to be collected.
    fn end_group(&self) {
        let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = group.take() {
            let _sent = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Killer {
    pub fn kill(&self) {
        end(&self.held, &self.reason, KILLED);
    }
}

fn end(held: &Handle, reason: &AtomicU8, why: u8) {
    let order = Ordering::AcqRel;
    // It may have ended by itself or for another reason: then that stands.
    let _first = reason.compare_exchange(BY_ITSELF, why, order, Ordering::Acquire);
    held.kill();
}
