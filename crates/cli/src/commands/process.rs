//! The running gateway as a process: found by the run file, asked to end, started in the background.

use instar_config::StateDir;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

use crate::client::Client;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::progress::waiting;
use crate::service::Plan;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a start may take: opening a large store, and taking up what the last run left.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// A gateway that owns its state folder at this moment.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    #[cfg(target_os = "linux")]
    handle: rustix::fd::OwnedFd,
}

impl Running {
    /// Finds it. The handle is opened before the lock is looked at, so that a signal can never
    /// reach another process that was given the same number.
    pub(crate) fn find(state: &StateDir) -> anyhow::Result<Option<Self>> {
        let Some(last) = Client::last_run(state)? else {
            return Ok(None);
        };
        #[cfg(target_os = "linux")]
        let handle = {
            use rustix::process::{Pid, PidfdFlags, pidfd_open};
            let pid = i32::try_from(last.pid).ok().and_then(Pid::from_raw);
            match pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
                Some(Ok(handle)) => handle,
                Some(Err(rustix::io::Errno::SRCH)) | None => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
            }
        };
        if !state.is_held_by(last.pid)? {
            return Ok(None);
        }
        Ok(Some(Self {
            pid: last.pid,
            #[cfg(target_os = "linux")]
            handle,
        }))
    }

    fn ask_to_end(&self) -> rustix::io::Result<()> {
        use rustix::process::Signal;
        #[cfg(target_os = "linux")]
        let asked = rustix::process::pidfd_send_signal(&self.handle, Signal::TERM);
        #[cfg(not(target_os = "linux"))]
        let asked = match i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            Some(pid) => rustix::process::kill_process(pid, Signal::TERM),
            None => Err(rustix::io::Errno::SRCH),
        };
        match asked {
            // It ended by itself.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other,
        }
    }

    /// Asks it to end and waits until the folder is free.
    pub(crate) async fn end(
        self,
        patience: Duration,
        state: &StateDir,
        run: &Context,
    ) -> anyhow::Result<()> {
        self.ask_to_end().map_err(|error| {
            Failure::new(
                Code::Failed,
                format!("the gateway (pid {}): {error}", self.pid),
            )
            .next("stop it as the user who started it")
        })?;
        let gone = async {
            let begun = Instant::now();
            while state.is_held_by(self.pid)? {
                if begun.elapsed() > patience {
                    let message = format!(
                        "the gateway (pid {}) has not ended after {} s",
                        self.pid,
                        patience.as_secs()
                    );
                    return Err(Failure::new(Code::Failed, message)
                        .next(format!("look at `instar logs`; `kill -9 {}` ends it, and nothing that it accepted is lost", self.pid))
                        .into());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Ok(())
        };
        waiting("stopping: letting turns finish", run, gone).await
    }
}

/// Where a gateway in the background gets its surroundings from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// `None` for this process's own.
    variables: Option<BTreeMap<String, String>>,
    folder: Option<PathBuf>,
    port: Option<u16>,
}

impl Origin {
    pub(crate) fn here() -> Self {
        Self {
            variables: None,
            folder: None,
            port: None,
        }
    }

    /// As the running one was started: keys may be in its environment, and its port on its command
    /// line.
    pub(crate) fn of(running: &Running, state: &StateDir) -> anyhow::Result<Self> {
        let last = Client::last_run(state)?;
        let port = last.and_then(|last| last.url.rsplit(':').next()?.parse().ok());
        let process = PathBuf::from(format!("/proc/{}", running.pid));
        let variables = std::fs::read(process.join("environ")).ok().map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        });
        Ok(Self {
            variables,
            folder: std::fs::read_link(process.join("cwd")).ok(),
            port,
        })
    }
}

/// Starts a gateway that outlives this terminal, and returns when it is ready.
pub(crate) async fn in_background(
    plan: &Plan,
    origin: &Origin,
    state: &StateDir,
    run: &Context,
) -> anyhow::Result<()> {
    let mut command = Command::new(&plan.program);
    if let Some(variables) = &origin.variables {
        command.env_clear().envs(variables);
    }
    if let Some(folder) = &origin.folder {
        command.current_dir(folder);
    }
    command.args(&plan.arguments);
    if let Some(port) = origin.port {
        command.args(["--port", &port.to_string()]);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in this terminal is not meant for it.
        .process_group(0)
        .spawn()?;
    let ready = async {
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Err(
                    Failure::new(Code::Failed, format!("it ended at once, {status}"))
                        .next("see why with `instar gateway run`")
                        .into(),
                );
            }
            if let Some(client) = Client::find(state)?
                && client.run.pid == child.id()
                && client.alive().await
            {
                return Ok(());
            }
            anyhow::ensure!(
                begun.elapsed() < START_PATIENCE,
                "it is not ready yet; see `instar logs`"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    waiting("starting", run, ready).await
}
