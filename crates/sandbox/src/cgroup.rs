//! Limits for all processes of a run together: a control group (version 2) for each run, below the one
//! that was handed to this process.
//!
//! Only what was handed over is touched: a group that systemd marks as delegated, or the root of a
//! container's own tree. Where there is none, limits hold for each process and each user, and
//! [`look`] says why. What an owner asked for by name and cannot be had is refused, not left out.

use crate::spec::Limits;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The group that this process puts itself into, as one that has groups below may hold no process.
const OWN: &str = "instar-gateway";
/// How the groups of runs begin.
const RUN: &str = "instar-run-";
/// Without these two there are no groups; with the third, shares of processors can be limited, too.
const NEEDED: [&str; 2] = ["memory", "pids"];
const CPU: &str = "cpu";
/// What builds the walls, watches and relays is in the group as well.
const OVERHEAD_PIDS: u64 = 96;
/// In microseconds, as the kernel has it from the start.
const PERIOD: u64 = 100_000;
/// How long the processes of a run that has ended may take to be gone.
const PATIENCE: u32 = 500;

/// Where groups for runs can be made.
#[derive(Debug)]
pub struct Groups {
    base: PathBuf,
    count: AtomicU64,
}

/// The group of one run. Dropped, it ends what is in it and is removed.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    /// The controllers that it is under.
    has: Vec<String>,
}

static CLAIMED: OnceLock<Result<Groups, String>> = OnceLock::new();

/// Takes what was handed to this process, once: moves the process into a group of its own below and
/// removes what a process before it left. All programs from then on have groups. The error says why not.
pub fn claim() -> Result<&'static Groups, &'static str> {
    let claimed = CLAIMED.get_or_init(|| look(None).and_then(|base| take(&base)));
    claimed.as_ref().map_err(String::as_str)
}

/// What was claimed; nothing is claimed by asking.
pub(crate) fn claimed() -> Option<&'static Groups> {
    CLAIMED.get().and_then(|claimed| claimed.as_ref().ok())
}

/// The group below which a process (this one, if none is named) can have groups made; else why not.
pub fn look(pid: Option<u32>) -> Result<PathBuf, String> {
    let mount = mounted(&read("/proc/self/mountinfo".as_ref()))
        .ok_or("this machine has no control groups of version 2")?;
    let who = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    let groups = read(format!("/proc/{who}/cgroup").as_ref());
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.ok_or("the process is in no control group of version 2")?;
    let folder = mount.join(path);
    let base = match (folder.file_name(), folder.parent()) {
        (Some(name), Some(above)) if name == OWN => above.to_owned(),
        _ => folder,
    };
    judge(&base, path.is_empty()).map(|()| base)
}

/// Where version 2 is mounted as a whole.
fn mounted(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut words = place.split(' ').skip(3);
        let (root, at) = (words.next()?, words.next()?);
        (root == "/" && kind.starts_with("cgroup2 ")).then(|| PathBuf::from(at))
    })
}

fn judge(base: &Path, is_root: bool) -> Result<(), String> {
    let all = read(&base.join("cgroup.controllers"));
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| !has(&all, name)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "control groups of version 2 have no control over {} here",
            missing.join(" and ")
        ));
    }
    let marked = ["user.delegate", "trusted.delegate"]
        .iter()
        .any(|name| marked(base, name));
    // The root of the machine's tree has no events; that of a container has.
    let own_tree = is_root && base.join("cgroup.events").is_file();
    let writable = ["cgroup.procs", "cgroup.subtree_control"]
        .iter()
        .all(|file| rustix::fs::access(base.join(file), rustix::fs::Access::WRITE_OK).is_ok());
    if (marked || own_tree) && writable {
        Ok(())
    } else {
        Err(
            "the gateway's control group was not handed to it: `instar gateway install` makes a service \
             whose group is, in a unit of yours it is `Delegate=memory pids cpu`"
                .to_owned(),
        )
    }
}

fn marked(base: &Path, name: &str) -> bool {
    let mut value = [0; 1];
    rustix::fs::getxattr(base, name, &mut value).is_ok_and(|length| length == 1) && value == *b"1"
}

fn controllers(folder: &Path) -> Vec<String> {
    let list = read(&folder.join("cgroup.controllers"));
    list.split_whitespace().map(str::to_owned).collect()
}

fn has(list: &str, name: &str) -> bool {
    list.split_whitespace().any(|one| one == name)
}

/// What cannot be read is empty: then something is missing, and that is told.
fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn take(base: &Path) -> Result<Groups, String> {
    let told =
        |doing: &str, why: Error| format!("the control groups cannot be used ({doing}): {why}");
    let own = base.join(OWN);
    made(&own).map_err(|why| told("a group for the gateway", why))?;
    put(&own, "cgroup.procs", "0").map_err(|why| told("move the gateway", why))?;
    let groups = Groups::at(base).map_err(|why| told("hand control on", why))?;
    let handed = read(&base.join("cgroup.subtree_control"));
    if let Some(name) = NEEDED.into_iter().find(|name| !has(&handed, name)) {
        return Err(told("hand control on", Error::other(name)));
    }
    groups.clear();
    Ok(groups)
}

fn made(folder: &Path) -> std::io::Result<()> {
    match fs::create_dir(folder) {
        Err(why) if why.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Control files take a value in one write.
fn put(folder: &Path, file: &str, value: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(folder.join(file))?;
    file.write_all(value.as_bytes())
}

impl Groups {
    /// Below a group that has no process in it. Hands on what it has of the controllers that runs need.
    pub fn at(base: &Path) -> std::io::Result<Self> {
        for name in controllers(base) {
            if name == CPU || NEEDED.contains(&name.as_str()) {
                put(base, "cgroup.subtree_control", &format!("+{name}"))?;
            }
        }
        Ok(Self {
            base: base.to_owned(),
            count: AtomicU64::new(0),
        })
    }

    /// Removes the groups of runs of a process that was here before.
    fn clear(&self) {
        for entry in fs::read_dir(&self.base).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(RUN) {
                drop(Group {
                    folder: entry.path(),
                    has: Vec::new(),
                });
            }
        }
    }

    pub(crate) fn make(&self) -> std::io::Result<Group> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{RUN}{}-{number}", std::process::id());
        let folder = self.base.join(name);
        fs::create_dir(&folder)?;
        let has = controllers(&folder);
        Ok(Group { folder, has })
    }

    /// How many groups of runs there are, also of those that stand ready.
    #[must_use]
    pub fn runs(&self) -> usize {
        let entries = fs::read_dir(&self.base).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(RUN))
            .count()
    }
}

impl Group {
    /// Sets the limits of a run.
    pub(crate) fn limit(&self, limits: &Limits) -> std::io::Result<()> {
        if self.is_under("memory") {
            let usual = limits.memory_bytes.saturating_mul(2);
            let total = limits.together_bytes.unwrap_or(usual);
            self.put("memory.max", &total.to_string())?;
            self.put("memory.oom.group", "1")?;
            // A kernel that does not count what is swapped has no such file.
            match self.put("memory.swap.max", "0") {
                Err(why) if why.kind() != ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        }
        if self.is_under("pids") {
            let pids = limits.pids.saturating_add(OVERHEAD_PIDS);
            self.put("pids.max", &pids.to_string())?;
        }
        match limits.cpu_thousandths {
            None => Ok(()),
            Some(cpu) if self.is_under(CPU) => {
                let quota = cpu.saturating_mul(PERIOD / 1_000);
                self.put("cpu.max", &format!("{quota} {PERIOD}"))
            }
            Some(_) => Err(Error::other(
                "a share of processors was asked for, and there is no control over it",
            )),
        }
    }

    fn is_under(&self, name: &str) -> bool {
        self.has.iter().any(|one| one == name)
    }

    fn put(&self, file: &str, value: &str) -> std::io::Result<()> {
        put(&self.folder, file, value)
    }

    /// Puts a process in, and all that come of it.
    pub(crate) fn enter(&self, pid: u32) -> std::io::Result<()> {
        self.put("cgroup.procs", &pid.to_string())
    }

    /// What a process writes `0` into to enter by itself.
    pub(crate) fn door(&self) -> std::io::Result<OwnedFd> {
        let door = fs::OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"))?;
        Ok(door.into())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Older kernels have no such file; what is inside has mostly ended by itself.
        let _killed = self.put("cgroup.kill", "1");
        for _ in 0..PATIENCE {
            match fs::remove_dir(&self.folder) {
                Err(why) if why.raw_os_error() == Some(libc::EBUSY) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // What stays is removed by the next gateway.
                _ => return,
            }
        }
    }
}

/// Puts this very process through a door.
pub(crate) fn go_in(door: OwnedFd) -> std::io::Result<()> {
    File::from(door).write_all(b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_of_version_2_is_found_and_parts_of_it_are_not() {
        let text = "24 1 0:22 / /sys rw - sysfs sysfs rw\n\
                    30 24 0:26 /part /mnt/part rw - cgroup2 cgroup2 rw\n\
                    31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(mounted(text), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(
            mounted("24 1 0:22 / /sys rw - cgroup cgroup rw,pids\n"),
            None
        );
    }

    /// Plain files in the place of control files: what is written, not what the kernel makes of it.
    #[test]
    fn the_limits_of_a_run_are_written_as_they_were_asked_for() {
        let home = tempfile::tempdir().unwrap();
        let files = [
            "memory.max",
            "memory.oom.group",
            "pids.max",
            "cpu.max",
            "memory.swap.max",
        ];
        for file in files {
            fs::write(home.path().join(file), "").unwrap();
        }
        let mut group = Group {
            folder: home.path().to_owned(),
            has: ["cpu", "memory", "pids"].map(str::to_owned).to_vec(),
        };
        let limits = Limits {
            memory_bytes: 1_000,
            pids: 10,
            cpu_thousandths: Some(1_500),
            ..Limits::default()
        };
        group.limit(&limits).unwrap();
        let said = |file: &str| fs::read_to_string(home.path().join(file)).unwrap();
        assert_eq!(
            files.map(said),
            ["2000", "1", "106", "150000 100000", "0"].map(str::to_owned)
        );
        let more = Limits {
            together_bytes: Some(7_777),
            cpu_thousandths: None,
            ..limits
        };
        group.limit(&more).unwrap();
        assert!(said("memory.max").starts_with("7777"));
        group.has.remove(0);
        assert!(group.limit(&limits).is_err());
        fs::remove_file(home.path().join("memory.swap.max")).unwrap();
        group.limit(&more).unwrap();
        fs::remove_file(home.path().join("pids.max")).unwrap();
        assert!(group.limit(&more).is_err());
    }

    #[test]
    fn what_was_not_handed_over_is_not_touched() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path();
        assert!(judge(base, false).unwrap_err().contains("memory and pids"));
        fs::write(base.join("cgroup.controllers"), "cpu pids\n").unwrap();
        assert!(
            judge(base, true)
                .unwrap_err()
                .contains("control over memory here")
        );
        fs::write(base.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        for file in ["cgroup.procs", "cgroup.subtree_control"] {
            fs::write(base.join(file), "").unwrap();
        }
        assert!(judge(base, false).unwrap_err().contains("Delegate="));
        // The machine's own root.
        assert!(judge(base, true).is_err());
        fs::write(base.join("cgroup.events"), "").unwrap();
        assert_eq!(judge(base, true), Ok(()));
        assert!(judge(base, false).is_err());
        if rustix::fs::setxattr(base, "user.delegate", b"1", rustix::fs::XattrFlags::empty())
            .is_ok()
        {
            assert_eq!(judge(base, false), Ok(()));
        }
    }
}
