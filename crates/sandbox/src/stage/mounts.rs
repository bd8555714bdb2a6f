//! What is seen inside: the system's programs, the workspace, an empty `/tmp`; nothing else of the
//! host. Every source is taken as a descriptor before anything is laid over it.

use super::order::{Doing, Order, Refusal};
use super::raw;
use crate::spec::{Access, Extra, Network};
use rustix::fs::CWD;
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, mount_remount, move_mount, open_tree, unmount,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Where the new root is put together; on every system, and hidden afterwards.
const BASE: &str = "/tmp";
/// Shown where the host has them. The second kind of entry is a link on most systems.
const SYSTEM: [&str; 8] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
];
const LOADER: [&str; 3] = ["/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"];
const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];
/// What the kernel tells of all keys of a user, whoever asks; nothing is told inside.
const HIDDEN: [&str; 2] = ["/proc/keys", "/proc/key-users"];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("/tmp", "dev/shm"),
];
/// The only people and groups that are known inside.
pub(super) const PEOPLE: [(&str, &str); 4] = [
    ("etc/passwd", "walled:x:1000:1000::/tmp:/bin/sh\n"),
    ("etc/group", "walled:x:1000:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\n",
    ),
];
/// Where the broker's socket is seen.
pub(super) const BROKER: &str = "/run/egress.sock";
/// Where the workspace is seen.
pub(super) const WORK: &str = "/work";

/// The bound of `/tmp` until there is an order.
const EMPTY_BYTES: u64 = 1 << 20;

const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const WRITABLE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
/// A device keeps being one.
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// The folders of the host that an order asks for beside the system's own.
fn extra_paths(extras: &[Extra]) -> impl Iterator<Item = &'static str> {
    let paths = |extra: &Extra| -> &'static [&'static str] {
        match extra {
            Extra::Opt => &["/opt"],
            Extra::Certificates => &[
                "/etc/ssl/certs",
                "/etc/ssl/openssl.cnf",
                "/etc/ca-certificates.conf",
                "/usr/share/ca-certificates",
            ],
            Extra::TimeZone => &["/etc/localtime", "/etc/timezone"],
            Extra::Fonts => &["/etc/fonts", "/var/cache/fontconfig"],
        }
    };
    extras.iter().flat_map(paths).copied()
}

/// Everything of the host that is shown read only.
pub(super) fn shown(extras: &[Extra]) -> Vec<&'static str> {
    let extras = extra_paths(extras);
    SYSTEM.into_iter().chain(LOADER).chain(extras).collect()
}

/// One thing that is shown: held by descriptor, to be put at a place below the new root.
struct Tree {
    fd: OwnedFd,
    at: PathBuf,
    folder: bool,
    /// Lies over what is there already: nothing is made for it.
    over: bool,
}

pub(super) fn build(order: &Order) -> Result<(), Refusal> {
    part()?;
    let mut trees = take_system(&order.extras)?;
    trees.extend(take_workspace(order)?);
    if order.network == Network::Broker {
        let broker = order.broker.as_ref();
        let socket =
            broker.ok_or_else(|| Refusal::new("reach the broker", "no socket was given"))?;
        trees.push(take(socket.path(), BROKER, READ_ONLY)?);
    }
    let no_workspace = order.workspace == Access::None;
    put_together(trees, order.limits.memory_bytes, no_workspace)
}

/// The same before there is an order: with an empty folder where the workspace will be.
pub(super) fn build_empty(extras: &[Extra]) -> Result<(), Refusal> {
    part()?;
    put_together(take_system(extras)?, EMPTY_BYTES, false)
}

/// Furnishes what was built empty, from outside: `home` are the mounts inside, `work` is the workspace
/// as the caller holds it. Comes back inside, with what is to be held until the end.
pub(super) fn furnish(order: &Order, work: &OwnedFd, home: &OwnedFd) -> Result<File, Refusal> {
    let doing = "put the workspace in its place";
    // The folder that is held, not the one that has its name by now: a copy of the host's mounts takes
    // the folder that a process is in along.
    rustix::process::fchdir(work).doing(doing)?;
    raw::unshare(UnshareFlags::NEWNS).doing(doing)?;
    let trees = take_workspace(order)?;
    let copy = File::open("/proc/self/ns/mnt").doing(doing)?;
    move_into_link_name_space(home.as_fd(), Some(LinkNameSpaceType::Mount)).doing(doing)?;
    std::env::set_current_dir("/").doing(doing)?;
    let bound = tmp_options(order.limits.memory_bytes).doing(doing)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/tmp", flags, bound.as_c_str()).doing("bound /tmp")?;
    for tree in trees {
        put(&tree)?;
    }
    Ok(copy)
}

/// Nothing that is mounted from here on is seen outside.
fn part() -> Result<(), Refusal> {
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).doing("part the mounts from the host's")
}

/// A new root out of what was taken, and into it.
fn put_together(trees: Vec<Tree>, tmp_bytes: u64, no_workspace: bool) -> Result<(), Refusal> {
    let links = system_links();
    tmpfs(Path::new(BASE), c"size=1m,mode=755")?;
    std::env::set_current_dir(BASE).doing("enter the new root")?;
    skeleton(&links, tmp_bytes)?;
    if no_workspace {
        make_folder(Path::new("tmp/work"))?;
        symlink("tmp/work", "work").doing("make the folder to work in")?;
    } else {
        make_folder(Path::new("work"))?;
    }
    for tree in trees {
        put(&tree)?;
    }
    enter()
}

fn take_system(extras: &[Extra]) -> Result<Vec<Tree>, Refusal> {
    let mut trees = Vec::new();
    for path in shown(extras) {
        let real = std::fs::symlink_metadata(path).is_ok_and(|about| {
            // A link at the top level is made again as a link; one in /etc is followed.
            !about.is_symlink() || path.starts_with("/etc/")
        });
        if real && Path::new(path).exists() {
            trees.push(take(Path::new(path), path, READ_ONLY)?);
        }
    }
    for path in DEVICES {
        trees.push(take(Path::new(path), path, DEVICE)?);
    }
    for path in hidden() {
        let mut nothing = take(Path::new("/dev/null"), path, DEVICE)?;
        nothing.over = true;
        trees.push(nothing);
    }
    Ok(trees)
}

/// What is hidden of what this kernel has.
pub(super) fn hidden() -> impl Iterator<Item = &'static str> {
    HIDDEN.into_iter().filter(|path| Path::new(path).exists())
}

/// The folder that this process is in: the caller's descriptor, not a path.
fn take_workspace(order: &Order) -> Result<Vec<Tree>, Refusal> {
    let mut trees = Vec::new();
    match order.workspace {
        Access::None => {}
        Access::Read => trees.push(take(Path::new("."), WORK, READ_ONLY)?),
        Access::Write => {
            trees.push(take(Path::new("."), WORK, WRITABLE)?);
            for name in &order.shielded {
                trees.push(shield(name)?);
            }
        }
    }
    Ok(trees)
}

fn take(from: &Path, at: &str, attributes: u64) -> Result<Tree, Refusal> {
    let doing = format!("show {at}");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let fd = open_tree(CWD, from, flags).doing(&doing)?;
    raw::set_mount(fd.as_fd(), attributes).doing(&doing)?;
    let folder = from.is_dir();
    let at = PathBuf::from(at.trim_start_matches('/'));
    Ok(Tree {
        fd,
        at,
        folder,
        over: false,
    })
}

/// A part of the workspace once more, closed for writing, to be laid over itself.
fn shield(name: &str) -> Result<Tree, Refusal> {
    let doing = format!("shield {name}");
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_RECURSIVE;
    let fd = open_tree(CWD, name, flags).doing(&doing)?;
    raw::set_mount(fd.as_fd(), READ_ONLY).doing(&doing)?;
    Ok(Tree {
        fd,
        at: Path::new(WORK.trim_start_matches('/')).join(name),
        folder: false,
        over: true,
    })
}

/// `/bin` and its like, where they are links.
fn system_links() -> Vec<(PathBuf, String)> {
    let link = |path: &&str| {
        Some((
            std::fs::read_link(path).ok()?,
            path.trim_start_matches('/').to_owned(),
        ))
    };
    SYSTEM
        .iter()
        .filter(|path| !path.starts_with("/etc/"))
        .filter_map(link)
        .collect()
}

fn tmp_options(bytes: u64) -> Result<CString, std::ffi::NulError> {
    CString::new(format!("size={bytes},mode=1777,nr_inodes=200000"))
}

fn skeleton(links: &[(PathBuf, String)], tmp_bytes: u64) -> Result<(), Refusal> {
    for folder in ["proc", "dev", "etc", "run", "tmp"] {
        make_folder(Path::new(folder))?;
    }
    let bound = tmp_options(tmp_bytes).doing("make a folder in memory")?;
    tmpfs(Path::new("tmp"), &bound)?;
    for (to, at) in links {
        symlink(to, at).doing("make the links of the system")?;
    }
    for (to, at) in LINKS {
        symlink(to, at).doing("make the links to devices")?;
    }
    for (file, text) in PEOPLE {
        std::fs::write(file, text).doing("write what is known inside")?;
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "proc", "proc", flags, None).map_err(|why| {
        Refusal(format!(
            "cannot show the processes inside: {why}. In a container, start it with `--security-opt \
             systempaths=unconfined`"
        ))
    })
}

fn put(tree: &Tree) -> Result<(), Refusal> {
    let doing = format!("show /{}", tree.at.display());
    if tree.over {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        return move_mount(&tree.fd, "", CWD, &tree.at, flags).doing(&doing);
    }
    if let Some(above) = tree.at.parent() {
        make_folder(above)?;
    }
    if tree.folder {
        make_folder(&tree.at)?;
    } else {
        std::fs::write(&tree.at, "").doing(&doing)?;
    }
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&tree.fd, "", CWD, &tree.at, flags).doing(&doing)
}

/// Leaves the host's root for good.
fn enter() -> Result<(), Refusal> {
    let doing = "leave the host's files";
    // Old and new root lie over each other; what is taken away then is the old one.
    rustix::process::pivot_root(".", ".").doing(doing)?;
    unmount(".", UnmountFlags::DETACH).doing(doing)?;
    std::env::set_current_dir("/").doing(doing)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, "").doing("close the root")
}

fn tmpfs(at: &Path, options: &CStr) -> Result<(), Refusal> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, options).doing("make a folder in memory")
}

fn make_folder(at: &Path) -> Result<(), Refusal> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(at);
    made.doing(&format!("make /{}", at.display()))
}
