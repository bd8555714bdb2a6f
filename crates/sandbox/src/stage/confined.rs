//! The job's side of [`crate::confined`]: a second start of the binary that closes itself in before it
//! hears what its work is.
//!
//! Landlock and the filter have to stand, else there is no job. Namespaces come on top where the kernel
//! gives them. There is no way out again: a thread that is started later is behind the same walls.

use super::order::{Doing, Refusal};
use super::outer::leave;
use super::{inside, landlock, narrow, raw};
use crate::confined::{Line, LineError, NAME, Stood, Told};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Resource;
use rustix::thread::UnshareFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Open files: the standard three, the line, and what an executor of futures needs.
const FILES: u64 = 16;
/// The same with a folder, and the largest file in it.
const FILES_OF_SCRATCH: u64 = 256;
const FILE_BYTES: u64 = 256 << 20;
/// What a job hears in all: the caller bounds what it tells.
const HEARD_BYTES: u64 = 1 << 30;
const START_TIME: Duration = Duration::from_secs(20);

/// A job behind its walls: what it is there for, and its line to the caller.
#[derive(Debug)]
pub struct Post {
    role: String,
    line: Line,
    until: Instant,
}

impl Post {
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// What the caller says next.
    pub fn hear<T: DeserializeOwned>(&mut self) -> Result<T, LineError> {
        self.line.receive(self.until)
    }

    pub fn tell(&mut self, words: &impl Serialize) -> Result<(), LineError> {
        self.line.send(words, self.until)
    }
}

/// To be called first thing in `main`: when this process was started as a job, its walls are built and
/// its post comes back, or the exit code. Otherwise nothing happens.
#[must_use]
pub fn enter() -> Option<Result<Post, u8>> {
    let mut words = std::env::args_os();
    if words.next()? != NAME {
        return None;
    }
    let role = words.next().unwrap_or_default();
    let role = role.to_string_lossy().into_owned();
    Some(begin(role).map_err(|_told| 1))
}

fn begin(role: String) -> Result<Post, Refusal> {
    let mut line = line()?;
    let soon = Instant::now() + START_TIME;
    let built = line
        .receive::<Told>(soon)
        .doing("hear the limits")
        .and_then(|told| close_in(&line, &told).map(|()| told.bounds));
    let refused = built.as_ref().err().map(ToString::to_string);
    line.send(&Stood { refused }, soon)
        .doing("tell that the walls stand")?;
    let bounds = built?;
    Ok(Post {
        role,
        line,
        until: Instant::now() + Duration::from_secs(bounds.wall_seconds),
    })
}

/// The line came as standard input, so that nothing else had to be left open.
fn line() -> Result<Line, Refusal> {
    let doing = "take the line";
    raw::close_from(3).doing("close inherited descriptors")?;
    rustix::thread::set_no_new_privs(true).doing("set no_new_privs")?;
    let line = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).doing(doing)?;
    let nothing = File::open("/dev/null").doing(doing)?;
    rustix::stdio::dup2_stdin(&nothing).doing(doing)?;
    Ok(Line::new(UnixStream::from(line), HEARD_BYTES, HEARD_BYTES))
}

fn close_in(line: &Line, told: &Told) -> Result<(), Refusal> {
    let (bounds, scratch) = (&told.bounds, told.scratch.as_deref());
    let apart = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // A third wall where the kernel gives it: a network without a device, and a user who is nobody.
    let _apart = raw::unshare(apart);
    inside::drop_capabilities()?;
    for (resource, bound) in [
        (Resource::Cpu, bounds.cpu_seconds),
        (Resource::Data, bounds.memory_bytes),
        (Resource::Fsize, scratch.map_or(0, |_| FILE_BYTES)),
        (
            Resource::Nofile,
            scratch.map_or(FILES, |_| FILES_OF_SCRATCH),
        ),
        (Resource::Core, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
    ] {
        inside::set_limit(resource, bound)?;
    }
    inside::hide()?;
    watch(line, Duration::from_secs(bounds.wall_seconds))?;
    landlock::close_all_but(scratch)?;
    narrow::close(scratch.is_some())
}

/// Ends the job when its caller is gone or its time is up, also while it computes.
fn watch(line: &Line, patience: Duration) -> Result<(), Refusal> {
    let doing = "watch the line";
    let line = line.stream().try_clone().doing(doing)?;
    let until = Instant::now() + patience + START_TIME;
    let watching = move || {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let limit = Timespec::try_from(left).ok();
            // Nothing but its end: words are for who works.
            let mut fds = [PollFd::new(&line, PollFlags::empty())];
            if poll(&mut fds, limit.as_ref()) != Err(rustix::io::Errno::INTR) {
                leave(137);
            }
        }
    };
    let thread = std::thread::Builder::new().name("line".to_owned());
    thread.spawn(watching).doing(doing).map(drop)
}
