//! The outer process: makes namespaces, starts what is inside, waits, and ends it in time.

use super::order::{Doing, Order, Refusal};
use super::{bubblewrap, inside, mounts, raw};
use crate::docker::Docker;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitIdOptions, pidfd_open, waitid};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsFd, OwnedFd};

/// User and group inside, whoever it is outside.
const INSIDE_ID: u32 = 1_000;

pub(super) fn run() -> Result<u8, Refusal> {
    // First of all, so that nothing that the caller had open is seen by anything that follows.
    raw::close_from(3).doing("close inherited descriptors")?;
    rustix::thread::set_no_new_privs(true).doing("set no_new_privs")?;
    let order = Order::read(Unbuffered).doing("read the order")?;
    // What is inside ends when the last writer of this pipe is gone, and that is this process.
    let (lifeline, held) = pipe_with(PipeFlags::CLOEXEC).doing("make a pipe")?;
    let mut held = Some(held);
    let child = match (&order.docker, &order.bubblewrap) {
        (Some(docker), _) => guard(&order, docker, &lifeline, &mut held)?,
        (None, Some(program)) => bubblewrap::start(program, &order, &lifeline)?,
        (None, None) => start(&order, &lifeline, &mut held)?,
    };
    drop(lifeline);
    let child = pidfd_open(child, PidfdFlags::empty()).doing("hold the process inside")?;
    // Standard output reports an error once nobody reads it any more.
    let code = watch(&child, std::io::stdout())?;
    drop(held);
    Ok(code)
}

/// Standard input byte for byte: a buffer would swallow the start of the program's input.
pub(super) struct Unbuffered;

impl std::io::Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(std::io::stdin(), buffer)?)
    }
}

/// The process that speaks to the engine. It outlives this one by as long as it takes to end the
/// container.
fn guard(
    order: &Order,
    docker: &Docker,
    lifeline: &OwnedFd,
    held: &mut Option<OwnedFd>,
) -> Result<Pid, Refusal> {
    if let Some(child) = raw::fork().doing("start the guardian")? {
        return Ok(child);
    }
    drop(held.take());
    let done = lifeline
        .try_clone()
        .doing("watch the lifeline")
        .and_then(|lifeline| {
            crate::docker::run(order, docker, move || {
                let mut fds = [PollFd::new(&lifeline, PollFlags::IN)];
                while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
            })
        });
    leave(done.unwrap_or_else(|refusal| {
        refusal.tell();
        1
    }))
}

/// Leaves the host's namespaces, with no privilege but user namespaces; that of mounts where it is
/// among `more`.
pub(super) fn namespaces(more: UnshareFlags) -> Result<(), Refusal> {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    raw::unshare(
        more | UnshareFlags::NEWUSER
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS
            | UnshareFlags::NEWCGROUP,
    )
    .map_err(|why| no_namespaces(&why))?;
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        (
            "/proc/self/uid_map",
            format!("{INSIDE_ID} {} 1", user.as_raw()),
        ),
        (
            "/proc/self/gid_map",
            format!("{INSIDE_ID} {} 1", group.as_raw()),
        ),
    ] {
        std::fs::write(file, text).map_err(|why| no_namespaces(&why))?;
    }
    Ok(())
}

/// The set-up of our own.
fn start(order: &Order, lifeline: &OwnedFd, held: &mut Option<OwnedFd>) -> Result<Pid, Refusal> {
    namespaces(UnshareFlags::NEWNS)?;
    if let Some(child) = raw::fork().doing("start a process inside")? {
        return Ok(child);
    }
    // Only the outer process may hold the writing end.
    drop(held.take());
    let done = mounts::build(order).and_then(|()| inside::run(order, lifeline));
    leave(done.unwrap_or_else(|refusal| {
        refusal.tell();
        1
    }))
}

#[expect(clippy::exit, reason = "a forked process leaves from where it is")]
pub(super) fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

fn no_namespaces(why: &std::io::Error) -> Refusal {
    Refusal(format!(
        "cannot make namespaces: {why}. Allow them with `sysctl -w kernel.unprivileged_userns_clone=1 \
         user.max_user_namespaces=15000` (on Ubuntu also `sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0`), or install bubblewrap: `apt-get install \
         bubblewrap`"
    ))
}

/// Waits for the child or for the caller to go away, whichever comes first. The caller is gone when
/// its end of `line` is, which then reports an error.
pub(super) fn watch(held: &OwnedFd, line: impl AsFd) -> Result<u8, Refusal> {
    loop {
        let mut fds = [
            PollFd::new(held, PollFlags::IN),
            PollFd::new(&line, PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing("wait")?,
        };
        if !fds[1].revents().is_empty() {
            // Leaving closes the lifeline.
            return Ok(137);
        }
        if !fds[0].revents().is_empty() {
            return reap(held);
        }
    }
}

/// The exit code; what is inside tells a signal as 128 more than its number, as shells do.
fn reap(held: &OwnedFd) -> Result<u8, Refusal> {
    let of = rustix::process::WaitId::PidFd(held.as_fd());
    let status = waitid(of, WaitIdOptions::EXITED).doing("wait for the process inside")?;
    let code = status
        .and_then(|status| status.exit_status())
        .unwrap_or(137);
    Ok(u8::try_from(code & 0xff).unwrap_or(1))
}
