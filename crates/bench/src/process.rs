//! The measured processes: started, watched through `/proc`, and ended with the bench.

use anyhow::{Context, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the binaries are that the bench measures.
pub(crate) fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("INSTAR_BENCH_BIN_DIR").map_or_else(
        || std::env::current_exe().map(|path| path.parent().map(PathBuf::from).unwrap_or_default()),
        |folder| Ok(PathBuf::from(folder)),
    )?;
    let path = folder.join(name);
    if !path.exists() {
        bail!(
            "{} is not built; start benches with `cargo xtask bench`",
            path.display()
        );
    }
    Ok(path)
}

/// A child that is killed when the bench is done with it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
}

/// CPU time and bytes that a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu_ms: f64,
    pub(crate) written: f64,
}

impl Used {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms - earlier.cpu_ms,
            written: self.written - earlier.written,
        }
    }
}

impl Running {
    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }

    pub(crate) fn used(&self) -> anyhow::Result<Used> {
        // The process's clock in nanoseconds, all threads, is finer than the ticks of `stat`.
        let cpu_ms = self.cpu_ns()? / 1e6;
        let io = self.proc("io")?;
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "))
            .and_then(|bytes| bytes.trim().parse().ok())
            .unwrap_or(0.0);
        Ok(Used { cpu_ms, written })
    }

    /// Sums `schedstat` over the threads; threads that ended are missing, so pools must be warm.
    fn cpu_ns(&self) -> anyhow::Result<f64> {
        let mut sum = 0.0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between the listing and the look.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            sum += text
                .split(' ')
                .next()
                .and_then(|ns| ns.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Ok(sum)
    }

    /// Resident memory in megabytes.
    pub(crate) fn resident_mb(&self) -> anyhow::Result<f64> {
        let status = self.proc("status")?;
        let kb = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok())
            .context("no VmRSS line")?;
        Ok(kb * 1024.0 / 1e6)
    }

    /// Asks it to stop and waits; kills it after ten seconds.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id())?;
        if let Some(pid) = rustix::process::Pid::from_raw(id) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the gateway did not stop within ten seconds")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone is what we want.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The scripted model as a process of its own; returns it with its address (`host:port`).
pub(crate) fn scripted_model(script: &Path) -> anyhow::Result<(Running, String)> {
    let mut child = Command::new(binary("scripted-model")?)
        .arg("--script")
        .arg(script)
        .args(["--port", "0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child
        .stdout
        .take()
        .context("no output from the scripted model")?;
    let running = Running { child };
    let mut line = String::new();
    let _read = BufReader::new(stdout).read_line(&mut line)?;
    let address = line
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    anyhow::ensure!(!address.is_empty(), "the scripted model printed no address");
    Ok((running, address))
}

/// How a start went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) wall_ms: f64,
    pub(crate) cpu_ms: f64,
}

/// Starts the gateway on a state folder and waits until it says that it is ready.
pub(crate) async fn gateway(state: &Path, port: u16) -> anyhow::Result<(Running, Start)> {
    let begun = Instant::now();
    let child = Command::new(binary("instar")?)
        .args(["gateway", "run", "--port", &port.to_string()])
        .env("INSTAR_STATE_DIR", state)
        .env("INSTAR_GATEWAY_TOKEN", super::load::TOKEN)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut running = Running { child };
    let deadline = begun + Duration::from_secs(20);
    loop {
        if super::load::ready(port).await {
            let wall_ms = begun.elapsed().as_secs_f64() * 1e3;
            let cpu_ms = running.used()?.cpu_ms;
            return Ok((running, Start { wall_ms, cpu_ms }));
        }
        if let Some(status) = running.child.try_wait()? {
            bail!("the gateway ended with {status} instead of starting");
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "the gateway was not ready in 20 seconds"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
