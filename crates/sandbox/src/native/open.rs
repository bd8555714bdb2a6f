//! A program without walls, for an owner who has switched them off. What it may reach is what this
//! process may reach.

use super::StartError;
use crate::spec::Job;
use rustix::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

pub(super) fn spawn(job: &Job) -> Result<Child, StartError> {
    let workspace = job.workspace.as_ref().ok_or(StartError::NoWorkspace)?;
    let folder = workspace
        .sub(&job.folder)
        .map_err(|why| StartError::Refused(format!("cannot enter {}: {why}", job.folder)))?;
    let words = job.argv.words();
    let name = words.first().map_or("", String::as_str);
    Command::new(name)
        .args(words.iter().skip(1))
        .env_clear()
        .envs(job.environment.values())
        // The folder that is held, not the one that has its name by now.
        .current_dir(format!("/proc/self/fd/{}", folder.as_fd().as_raw_fd()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(StartError::Start)
}
