//! Process 1 inside: closes what is left open, starts the program, and ends everything with it.

use super::mounts::{BROKER, WORK};
use super::order::{Doing, Order, READY, Refusal};
use super::{bubblewrap, filter, landlock, outer, raw, relay};
use crate::bind::SEARCH;
use crate::root::{Inside, Root};
use crate::spec::{Limits, Network};
use crate::wasm;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Access as Mode;
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, setrlimit, wait};
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The same, where bubblewrap has made namespaces and mounts.
pub(super) fn from_bubblewrap() -> Result<u8, Refusal> {
    let (order, lifeline) = bubblewrap::inherited()?;
    run(&order, &lifeline)
}

/// Runs the order to its end. The mounts stand already; this is process 1 of its namespace.
pub(super) fn run(order: &Order, lifeline: &OwnedFd) -> Result<u8, Refusal> {
    // Bubblewrap leaves no right to do it and has named it itself.
    if order.bubblewrap.is_none() {
        name()?;
    }
    let listener = match order.network {
        Network::None => None,
        Network::Broker => Some(listen()?),
    };
    enter_folder(order)?;
    let program = find(order)?;
    drop_capabilities()?;
    landlock::close(order)?;
    hide()?;
    filter::close()?;
    if let Some(listener) = listener
        && raw::fork().doing("start the relay")?.is_none()
    {
        relay::serve(&listener, BROKER);
    }
    let Some(child) = raw::fork().doing("start the program")? else {
        let refusal = become_program(order, &program);
        refusal.tell();
        outer::leave(1)
    };
    end_with(lifeline.try_clone().doing("watch the lifeline")?)?;
    wait_for(child)
}

pub(super) fn name() -> Result<(), Refusal> {
    rustix::system::sethostname(b"walled").doing("name the machine inside")
}

/// Also for a program that runs as the same user: memory and descriptors of this process are not for it.
pub(super) fn hide() -> Result<(), Refusal> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .doing("hide the first process")
}

/// When the other end is gone, so is the caller; leaving as process 1 ends all inside.
pub(super) fn end_with(lifeline: OwnedFd) -> Result<(), Refusal> {
    let thread = std::thread::Builder::new().spawn(move || {
        let mut fds = [PollFd::new(&lifeline, PollFlags::IN)];
        while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        outer::leave(137)
    });
    thread.doing("watch the lifeline").map(drop)
}

/// The same by the kernel, where the outer process itself is the parent: no thread has to be ended first
/// when the program is done.
pub(super) fn end_with_parent(lifeline: &OwnedFd) -> Result<(), Refusal> {
    let doing = "tie the process inside to the one outside";
    let end = Some(rustix::process::Signal::KILL);
    rustix::process::set_parent_process_death_signal(end).doing(doing)?;
    // It may have gone before that.
    let mut fds = [PollFd::new(lifeline, PollFlags::IN)];
    let now = rustix::event::Timespec::default();
    if poll(&mut fds, Some(&now)).doing(doing)? > 0 {
        outer::leave(137);
    }
    Ok(())
}

/// Collects whatever ends inside until it is the program.
pub(super) fn wait_for(program: Pid) -> Result<u8, Refusal> {
    loop {
        match wait(WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(Some((pid, status))) if pid == program => {
                let signalled = status.terminating_signal().map(|signal| signal + 128);
                let code = status.exit_status().or(signalled).unwrap_or(1);
                return Ok(u8::try_from(code & 0xff).unwrap_or(1));
            }
            Ok(_) => {}
            Err(why) => return Err(Refusal::new("wait for the program", why)),
        }
    }
}

fn listen() -> Result<TcpListener, Refusal> {
    let doing = "open the way to the broker";
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        None,
    )
    .doing(doing)?;
    // Bubblewrap has switched it on already; a second time does no harm where it is allowed.
    if raw::loopback_up(socket.as_fd()).is_err() && TcpListener::bind("127.0.0.1:0").is_err() {
        return Err(Refusal::new(
            doing,
            "the loopback inside cannot be switched on",
        ));
    }
    TcpListener::bind(("127.0.0.1", relay::PORT)).doing(doing)
}

pub(super) fn enter_folder(order: &Order) -> Result<(), Refusal> {
    let doing = "enter the folder to start in";
    let work = Root::open(WORK.as_ref()).doing(doing)?;
    if let Some(identity) = order.identity {
        let stat = rustix::fs::fstat(&work).doing(doing)?;
        if (stat.st_dev, stat.st_ino) != identity {
            return Err(Refusal::new(
                doing,
                "the workspace was changed for another meanwhile",
            ));
        }
    }
    let folder = Inside::parse(&order.folder).doing(doing)?;
    let folder = work.sub(&folder).doing(doing)?;
    rustix::process::fchdir(&folder).doing(doing)
}

/// The program as a path. A name without a slash is looked for in fixed folders only.
pub(super) fn find(order: &Order) -> Result<PathBuf, Refusal> {
    let name = order.argv.first().map_or("", String::as_str);
    let candidates: Vec<PathBuf> = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        SEARCH
            .iter()
            .map(|folder| PathBuf::from(folder).join(name))
            .collect()
    };
    // A component is read and not executed.
    let runs = |path: &PathBuf| {
        let executed = || rustix::fs::access(path, Mode::EXEC_OK).is_ok();
        path.is_file() && (order.component.is_some() || executed())
    };
    candidates
        .into_iter()
        .find(runs)
        .ok_or_else(|| Refusal(format!("there is no program `{name}` inside the walls")))
}

pub(super) fn drop_capabilities() -> Result<(), Refusal> {
    let doing = "give up capabilities";
    rustix::thread::clear_ambient_capability_set().doing(doing)?;
    for capability in CapabilitySet::all().iter() {
        // Unknown to this kernel, or not ours to drop: with none permitted below and
        // `no_new_privs` set, the bounding set only doubles the wall.
        let _dropped = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).doing(doing)
}

/// Comes back only when the program could not be started.
pub(super) fn become_program(order: &Order, program: &PathBuf) -> Refusal {
    let mut limits = order.limits;
    if order.component.is_some() {
        // The component's own memory is bounded by the engine.
        limits.memory_bytes = limits.memory_bytes.saturating_add(wasm::ENGINE_BYTES);
    }
    if let Err(refusal) = prepare(&limits) {
        return refusal;
    }
    let mut command = Command::new(program);
    command
        .arg0(order.argv.first().map_or("", String::as_str))
        .args(order.argv.iter().skip(1))
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)));
    if order.network == Network::Broker {
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(name, format!("http://127.0.0.1:{}", relay::PORT));
        }
    }
    if rustix::io::write(std::io::stdout(), &[READY]) != Ok(1) {
        outer::leave(137);
    }
    if let Some(bounds) = order.component {
        outer::leave(wasm::run(program, order, bounds));
    }
    let why = command.exec();
    // The answer is given already, so this is told as shells tell it.
    let text = format!("cannot start {}: {why}\n", program.display());
    let _told = rustix::io::write(std::io::stderr(), text.as_bytes());
    outer::leave(126)
}

fn prepare(limits: &Limits) -> Result<(), Refusal> {
    // Without a terminal to push input into, and apart from the first process.
    rustix::process::setsid().doing("part from the terminal")?;
    for (resource, bound) in [
        (Resource::Cpu, limits.cpu_seconds),
        (Resource::Data, limits.memory_bytes),
        (Resource::Fsize, limits.file_bytes),
        (Resource::Nofile, limits.files),
        (Resource::Nproc, limits.pids),
        (Resource::Core, 0),
        (Resource::Memlock, 64 * 1024),
        (Resource::Msgqueue, 0),
        (Resource::Rtprio, 0),
    ] {
        set_limit(resource, bound)?;
    }
    Ok(())
}

/// At most what the host allows anyway.
pub(super) fn set_limit(resource: Resource, bound: u64) -> Result<(), Refusal> {
    let host = rustix::process::getrlimit(resource).maximum;
    let bound = Some(host.map_or(bound, |host| host.min(bound)));
    let limit = Rlimit {
        current: bound,
        maximum: bound,
    };
    setrlimit(resource, limit).doing("limit what it may use up")
}
