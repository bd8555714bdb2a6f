//! Namespaces and mounts through bubblewrap, which some systems allow where they refuse ours.
//!
//! It is started with an empty environment: what it is started with stays readable inside as the
//! environment of process 1. Everything behind the mounts is the same as without it.

use super::mounts::{self, BROKER, WORK};
use super::order::{Doing, Order, Refusal};
use crate::spec::{Access, Network};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Where the stage sees itself.
pub(super) const STAGE: &str = "/run/stage";

pub(super) fn start(program: &Path, order: &Order, lifeline: &OwnedFd) -> Result<Pid, Refusal> {
    let doing = "start bubblewrap";
    let mut file = File::from(memfd_create("order", MemfdFlags::empty()).doing(doing)?);
    file.write_all(&order.to_bytes().doing(doing)?)
        .doing(doing)?;
    file.rewind().doing(doing)?;
    // Both are inherited; a copy made without the flag stays open across the start.
    let lifeline = rustix::io::dup(lifeline).doing(doing)?;
    let mut command = Command::new(program);
    command.args(arguments(order)?);
    command.arg(STAGE).arg(file.as_raw_fd().to_string());
    command.arg(lifeline.as_raw_fd().to_string());
    // Standard streams are the caller's; the order is read already.
    let child = command.env_clear().arg0("bwrap").spawn().doing(doing)?;
    let id = i32::try_from(child.id()).doing(doing)?;
    Pid::from_raw(id).ok_or_else(|| Refusal::new(doing, "it has no number"))
}

fn arguments(order: &Order) -> Result<Vec<String>, Refusal> {
    let stage = host_path("/proc/self/exe")?;
    let mut words: Vec<String> = [
        "--unshare-all",
        "--die-with-parent",
        "--as-pid-1",
        "--cap-drop",
        "ALL",
        "--uid",
        "1000",
        "--gid",
        "1000",
        "--hostname",
        "walled",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--dir",
        "/run",
        "--clearenv",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut mount = |how: &str, from: &str, to: &str| {
        words.extend([how, from, to].map(str::to_owned));
    };
    for path in mounts::shown(&order.extras) {
        match std::fs::read_link(path) {
            Ok(to) if !path.starts_with("/etc/") => {
                mount("--symlink", &to.to_string_lossy(), path);
            }
            _ => mount("--ro-bind-try", path, path),
        }
    }
    for path in mounts::hidden() {
        mount("--dev-bind", "/dev/null", path);
    }
    mount("--ro-bind", &stage, STAGE);
    match order.workspace {
        Access::None => mount("--symlink", "tmp/work", WORK),
        Access::Read => mount("--ro-bind", &host_path("/proc/self/cwd")?, WORK),
        Access::Write => {
            let work = host_path("/proc/self/cwd")?;
            mount("--bind", &work, WORK);
            for name in &order.shielded {
                mount(
                    "--ro-bind",
                    &format!("{work}/{name}"),
                    &format!("{WORK}/{name}"),
                );
            }
        }
    }
    if let (Network::Broker, Some(socket)) = (order.network, &order.broker) {
        mount("--ro-bind", &socket.path().to_string_lossy(), BROKER);
    }
    let memory = order.limits.memory_bytes.to_string();
    words.extend(["--size", &memory, "--tmpfs", "/tmp"].map(str::to_owned));
    words.extend(["--dir", "/tmp/work", "--chdir", "/"].map(str::to_owned));
    Ok(words)
}

fn host_path(link: &str) -> Result<String, Refusal> {
    let path = std::fs::read_link(link).doing("find where the host has it")?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Refusal::new("name it to bubblewrap", "its path is no text"))
}

/// What the outer process handed through bubblewrap.
pub(super) fn inherited() -> Result<(Order, OwnedFd), Refusal> {
    let doing = "read what bubblewrap handed on";
    let mut words = std::env::args().skip(1);
    let mut open = || -> Result<File, Refusal> {
        let number: u32 = words.next().unwrap_or_default().parse().doing(doing)?;
        File::open(format!("/proc/self/fd/{number}")).doing(doing)
    };
    let (mut file, lifeline) = (open()?, open()?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).doing(doing)?;
    drop(file);
    super::raw::close_all_but(lifeline.as_fd()).doing(doing)?;
    Ok((Order::read(&bytes[..]).doing(doing)?, lifeline.into()))
}
