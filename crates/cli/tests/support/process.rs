//! A gateway process: started, watched until it is ready, killed when the test ends.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Http;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running gateway. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// How a gateway ended.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Looks again and again until there is something, and fails the test when it takes too long.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Running {
    /// Starts the command; what it prints goes to files in `folder`.
    pub(crate) fn spawn(mut command: Command, folder: &Path, name: &str) -> Self {
        let stdout = folder.join(format!("{name}.stdout"));
        let stderr = folder.join(format!("{name}.stderr"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Waits until it answers this path well, or has ended.
    pub(crate) fn until_answers(mut self, http: &Http, path: &str) -> Result<Self, Stopped> {
        let ended = until("the gateway is ready", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(Some(status));
            }
            let ready = http.try_get(path).is_ok_and(|answer| answer.status == 200);
            ready.then_some(None)
        });
        match ended {
            None => Ok(self),
            Some(status) => Err(self.stopped(status)),
        }
    }

    /// The gateway itself: in a line of only children the first that is the binary. Programs that it has
    /// started come after it.
    pub(crate) fn gateway_pid(&self) -> u32 {
        let binary = Path::new(env!("CARGO_BIN_EXE_instar"));
        let is_gateway = |pid: u32| {
            std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary)
        };
        let mut pid = self.child.id();
        while !is_gateway(pid)
            && let Some(&child) = children(pid).first()
        {
            pid = child;
        }
        pid
    }

    pub(crate) fn ask_to_stop(&self) {
        signal(self.gateway_pid(), Signal::TERM);
    }

    pub(crate) fn kill9(self) -> Stopped {
        signal(self.gateway_pid(), Signal::KILL);
        self.wait()
    }

    pub(crate) fn wait(mut self) -> Stopped {
        let status = until("the gateway ends", || self.child.try_wait().unwrap());
        self.stopped(status)
    }

    fn stopped(&mut self, status: ExitStatus) -> Stopped {
        Stopped {
            code: status.code(),
            signal: status.signal(),
            stdout: std::fs::read_to_string(&self.stdout).unwrap(),
            stderr: std::fs::read_to_string(&self.stderr).unwrap(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        signal(self.gateway_pid(), Signal::KILL);
        // A program around it may have ended with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Child processes, whichever thread started them.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Ends a process that a test has seen beneath its own, at once.
pub(crate) fn kill9(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    // It may have ended a moment ago.
    let _gone = kill_process(pid, signal);
}
