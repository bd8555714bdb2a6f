//! Walls that stand before anybody has asked for them, so that a program does not wait for them.
//!
//! A *helper* is started once, with no environment and none of the caller's descriptors. It is told only what
//! all these walls have alike and forks once for each set of walls; it never hears of an order, so that
//! nothing of one run can be in what the next one comes from. Each set has namespaces, files, filter
//! and processes of its own, serves one run and ends with it. When the caller is gone, so are helper and
//! walls: each holds one end of a socket whose other end the caller alone has.
//!
//! As in [`super::outer`], three processes come of it. What is left for the moment of the order is done by
//! two of them: the outer one puts the workspace in its place, the program-to-be closes itself with
//! Landlock, takes its limits and starts.

use super::order::{BUILT, Doing, ENDED, Order, Refusal};
use super::{filter, inside, landlock, mounts, outer, pass, raw};
use crate::cgroup;
use crate::spec::Extra;
use ::landlock::RulesetCreated;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, WaitOptions, pidfd_open, wait};
use rustix::thread::UnshareFlags;
use seccompiler::BpfProgram;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

/// The name under which the binary is started as the helper.
pub(crate) const HELPER: &str = "instar-walls-ready";

/// Makes a set of walls for each message, until the caller is gone.
pub(super) fn help() -> Result<u8, Refusal> {
    raw::close_from(3).doing("close inherited descriptors")?;
    rustix::thread::set_no_new_privs(true).doing("set no_new_privs")?;
    let doing = "hear what walls are wanted";
    let caller = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).doing(doing)?;
    let nothing = File::open("/dev/null").doing(doing)?;
    rustix::stdio::dup2_stdin(&nothing).doing(doing)?;
    let (bytes, _) = pass::receive(&caller).doing(doing)?;
    let extras: Vec<Extra> = serde_json::from_slice(&bytes).doing(doing)?;
    let filter = filter::compile().doing("filter the calls of the kernel")?;
    loop {
        let (asked, mut door) = pass::receive(&caller).doing(doing)?;
        if asked.is_empty() {
            return Ok(0);
        }
        // Those that have ended since.
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        let (theirs, line) = pass::pair().doing(doing)?;
        let Some(child) = raw::fork().doing("start walls")? else {
            drop((caller, theirs));
            outer::leave(build(line, door.pop(), &extras, &filter));
        };
        // Not collected yet, so the number is still its own.
        let held = pidfd_open(child, PidfdFlags::empty()).doing("hold the walls")?;
        pass::send(&caller, &[BUILT], &[theirs.as_fd(), held.as_fd()]).doing("hand walls over")?;
    }
}

/// The outer process. What goes wrong before there is an order is told to the caller's side.
fn build(line: OwnedFd, door: Option<OwnedFd>, extras: &[Extra], filter: &BpfProgram) -> u8 {
    let mut line = Some(line);
    // Before anything comes of this process.
    let entered = door.map_or(Ok(()), cgroup::go_in);
    let entered = entered.doing("enter the run's control group");
    let done = entered.and_then(|()| stand(&mut line, extras, filter));
    done.unwrap_or_else(|refusal| {
        if let Some(line) = line {
            // The end of the line tells as much.
            let _told = pass::send(line, &refusal.to_bytes(), &[]);
        }
        1
    })
}

fn stand(mine: &mut Option<OwnedFd>, extras: &[Extra], filter: &BpfProgram) -> Result<u8, Refusal> {
    let doing = "build walls";
    let (lifeline, held) = pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    let (inside, up) = pass::pair().doing(doing)?;
    outer::namespaces(UnshareFlags::empty())?;
    let Some(init) = raw::fork().doing("start a process inside")? else {
        // Line and lifeline are held by the outer process alone.
        drop((held, inside, mine.take()));
        outer::leave(first(up, extras, filter, lifeline));
    };
    drop((lifeline, up));
    let line = mine
        .as_ref()
        .ok_or_else(|| Refusal::new(doing, "there is no line"))?;
    let init = pidfd_open(init, PidfdFlags::empty()).doing("hold the process inside")?;
    let (answer, mut home) = pass::receive(&inside).doing(doing)?;
    let Some(home) = home.pop() else {
        return Err(Refusal::from_bytes(&answer));
    };
    pass::send(line, &[BUILT], &[]).doing(doing)?;
    let (bytes, descriptors) = pass::receive(line).doing("wait for an order")?;
    if bytes.is_empty() {
        return Ok(0);
    }
    // Let go of at the end, when nobody waits for it.
    let copy = furnish(&bytes, descriptors, &inside, &home);
    drop(inside);
    let code = outer::watch(&init, line)?;
    // A caller that is gone needs no answer.
    let _told = pass::send(line, &[ENDED, code], &[]);
    drop((held, copy));
    Ok(code)
}

/// Puts the workspace in its place and hands the order on. Without that, what waits inside ends.
fn furnish(
    bytes: &[u8],
    descriptors: Vec<OwnedFd>,
    inside: &OwnedFd,
    home: &OwnedFd,
) -> Option<File> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next();
    let (input, output, error, work) = (next()?, next()?, next()?, next()?);
    let done = Order::parse(bytes)
        .doing("read the order")
        .and_then(|order| mounts::furnish(&order, &work, home))
        .and_then(|copy| {
            let streams = [input.as_fd(), output.as_fd(), error.as_fd()];
            pass::send(inside, bytes, &streams).doing("hand the order on")?;
            Ok(copy)
        });
    match done {
        Ok(copy) => Some(copy),
        Err(refusal) => {
            // What goes wrong here shows as an answer that is missing.
            let _told = rustix::io::write(&output, &refusal.to_bytes());
            None
        }
    }
}

/// Process 1 inside: all that does not depend on the order, then the wait for the program's end.
fn first(up: OwnedFd, extras: &[Extra], filter: &BpfProgram, lifeline: OwnedFd) -> u8 {
    let mut up = Some(up);
    close_in(&mut up, extras, filter, lifeline).unwrap_or_else(|refusal| {
        if let Some(up) = up {
            let _told = pass::send(up, &refusal.to_bytes(), &[]);
        }
        1
    })
}

fn close_in(
    mine: &mut Option<OwnedFd>,
    extras: &[Extra],
    filter: &BpfProgram,
    lifeline: OwnedFd,
) -> Result<u8, Refusal> {
    raw::unshare(UnshareFlags::NEWNS).doing("part the mounts from the host's")?;
    let home = File::open("/proc/self/ns/mnt").doing("name the mounts inside")?;
    mounts::build_empty(extras)?;
    inside::name()?;
    let rules = landlock::fixed(extras)?;
    inside::drop_capabilities()?;
    inside::hide()?;
    filter::apply(filter)?;
    let Some(child) = raw::fork().doing("start the program")? else {
        drop((lifeline, home));
        if let Some(up) = mine.take() {
            program(up, rules).tell();
        }
        outer::leave(1)
    };
    landlock::enforce(rules)?;
    if let Some(up) = mine.take() {
        pass::send(&up, &[BUILT], &[home.as_fd()]).doing("tell that the walls stand")?;
    }
    drop(home);
    inside::end_with_parent(&lifeline)?;
    inside::wait_for(child)
}

/// What waits to become the program. Comes back only when it could not.
fn program(up: OwnedFd, rules: RulesetCreated) -> Refusal {
    become_program(up, rules).unwrap_or_else(|refusal| refusal)
}

fn become_program(up: OwnedFd, rules: RulesetCreated) -> Result<Refusal, Refusal> {
    let doing = "take the order";
    let (bytes, streams) = pass::receive(&up).doing(doing)?;
    let [input, output, error] = streams.as_slice() else {
        // It was refused before, or the caller is gone.
        outer::leave(137);
    };
    rustix::stdio::dup2_stdin(input).doing(doing)?;
    rustix::stdio::dup2_stdout(output).doing(doing)?;
    rustix::stdio::dup2_stderr(error).doing(doing)?;
    drop((up, streams));
    let order = Order::parse(&bytes).doing(doing)?;
    inside::enter_folder(&order)?;
    let program = inside::find(&order)?;
    landlock::enforce(landlock::for_order(rules, &order)?)?;
    Ok(inside::become_program(&order, &program))
}
