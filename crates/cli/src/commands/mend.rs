//! What the doctor can do about its findings.

use instar_config::StateDir;
use instar_gateway::config::InstarConfig;
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::config::{RULES, author};
use crate::context::environment;
use crate::service::{Manager, Plan, enable_linger, run, said};

/// Entries of the state folder that are looked at.
const ENTRIES_MAX: usize = 200_000;
/// A file that is being written is younger.
const LEFT_AFTER: Duration = Duration::from_secs(3600);

/// One remedy.
pub(super) enum Mend {
    /// Close the folder and everything in it to others.
    Modes(PathBuf),
    /// Remove files that nothing uses.
    Files(Vec<PathBuf>),
    /// Write the service anew.
    Service(Box<Plan>),
    /// Listen elsewhere.
    Port {
        state: StateDir,
        port: u16,
    },
    TimeSync,
    Linger,
}

impl Mend {
    /// What would be done, as a question without its mark.
    pub(super) fn proposal(&self) -> String {
        match self {
            Self::Modes(root) => format!("close {} and what is in it to others", root.display()),
            Self::Files(files) => match &files[..] {
                [one] => format!("remove {}", one.display()),
                many => format!("remove {} files", many.len()),
            },
            Self::Service(plan) => format!("write the service {} anew", plan.name),
            Self::Port { port, .. } => format!("set gateway.port to {port}, which is free"),
            Self::TimeSync => {
                "let the system keep the clock right (timedatectl set-ntp true)".to_owned()
            }
            Self::Linger => {
                "let your services run without anybody logged in (loginctl enable-linger)"
                    .to_owned()
            }
        }
    }

    /// Does it, and says what was done.
    pub(super) fn apply(&self) -> anyhow::Result<String> {
        match self {
            Self::Modes(root) => {
                close(root).map(|count| format!("closed {count} files and folders"))
            }
            Self::Files(files) => {
                for file in files {
                    std::fs::remove_file(file)?;
                }
                Ok(format!("removed {}", files.len()))
            }
            Self::Service(plan) => {
                let manager = Manager::here();
                let file = manager.write(plan)?;
                manager.reread()?;
                Ok(format!(
                    "wrote {}; `instar gateway restart` puts it to use",
                    file.display()
                ))
            }
            Self::Port { state, port } => {
                instar_config::set_with::<InstarConfig>(
                    state,
                    "gateway.port",
                    &json!(port),
                    &author(),
                    &environment,
                    RULES,
                )?;
                Ok(format!("gateway.port is {port}"))
            }
            Self::TimeSync => {
                let mut command = Command::new("timedatectl");
                command.args(["--no-ask-password", "set-ntp", "true"]);
                let output = run(&mut command)?;
                anyhow::ensure!(
                    output.status.success(),
                    "{}; run `timedatectl set-ntp true` as root",
                    said(&output)
                );
                Ok("the system keeps the clock right".to_owned())
            }
            Self::Linger => {
                enable_linger()?;
                Ok("your services run without anybody logged in".to_owned())
            }
        }
    }
}

/// Takes the rights of others off everything below; links are not followed.
pub(super) fn close(root: &Path) -> anyhow::Result<usize> {
    let mut closed = 0;
    for path in instar_config::walk(root, ENTRIES_MAX, |_| false) {
        let mode = path.symlink_metadata()?.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o700))?;
            closed += 1;
        }
    }
    Ok(closed)
}

/// Temporary files that were never given their names: `.NAME.RANDOM.tmp` in the top folder.
pub(super) fn leftovers(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let is_left = |entry: &std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let old = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > LEFT_AFTER));
        name.starts_with('.') && name.ends_with(".tmp") && old
    };
    let left = entries.flatten().filter(is_left);
    left.map(|entry| entry.path()).collect()
}
