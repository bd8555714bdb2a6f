//! Asking the service manager.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::plan::Plan;
use super::{plist, unit};
use crate::context::environment;
use crate::failure::{Code, Failure};

/// The service manager of this system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// The user's own instance.
    Systemd,
    /// The user's own agents.
    Launchd,
}

/// Whether the manager can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Reached,
    /// Why not, and what to do.
    Not {
        why: String,
        next: String,
    },
}

/// How the installed service stands against the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Absent,
    Current,
    /// Made here, with other contents than it would have now.
    Old,
    /// Written by somebody else.
    Foreign,
}

impl Manager {
    pub(crate) fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::Launchd
        } else {
            Self::Systemd
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }

    /// What is written for the manager.
    pub(crate) fn text(self, plan: &Plan) -> String {
        match self {
            Self::Systemd => unit::text(plan),
            Self::Launchd => plist::text(plan),
        }
    }

    /// Where it is written.
    pub(crate) fn file(self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let variable = |name: &str| environment(name).filter(|text| text.starts_with('/'));
        let home = variable("HOME").map(PathBuf::from);
        let folder = match self {
            Self::Systemd => variable("XDG_CONFIG_HOME")
                .map(PathBuf::from)
                .or(home.map(|home| home.join(".config")))
                .map(|folder| folder.join("systemd/user")),
            Self::Launchd => home.map(|home| home.join("Library/LaunchAgents")),
        };
        let folder = folder.ok_or_else(|| {
            Failure::new(Code::Failed, "there is no home folder").next("set HOME")
        })?;
        Ok(folder.join(match self {
            Self::Systemd => format!("{}.service", plan.name),
            Self::Launchd => format!("{}.plist", plist::label(plan)),
        }))
    }

    /// What stands there now.
    pub(crate) fn standing(self, plan: &Plan) -> anyhow::Result<Standing> {
        let text = match std::fs::read_to_string(self.file(plan)?) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Standing::Absent);
            }
            Err(error) => return Err(error.into()),
        };
        let ours = match self {
            Self::Systemd => text.starts_with(unit::MARK),
            Self::Launchd => text.contains("Made by `instar gateway install`"),
        };
        Ok(if text == self.text(plan) {
            Standing::Current
        } else if ours {
            Standing::Old
        } else {
            Standing::Foreign
        })
    }

    /// True if the manager answers this user here.
    pub(crate) fn reach(self) -> Reach {
        let (mut command, next) = match self {
            Self::Systemd => {
                let mut command = systemctl();
                command.arg("show-environment");
                let next = "log in as this user itself (not through su or sudo), or run \
                    `loginctl enable-linger` and set XDG_RUNTIME_DIR=/run/user/$(id -u)";
                (command, next)
            }
            Self::Launchd => {
                let mut command = launchctl();
                command.arg("list");
                (command, "log in at the machine itself, not over SSH")
            }
        };
        match run(&mut command) {
            Ok(output) if output.status.success() => Reach::Reached,
            Ok(output) => Reach::Not {
                why: format!("{} does not answer: {}", self.name(), said(&output)),
                next: next.to_owned(),
            },
            Err(error) => Reach::Not {
                why: format!("{} is not to be had here: {error}", self.name()),
                next: "run `instar gateway run` under the supervisor that this system has"
                    .to_owned(),
            },
        }
    }

    /// Writes the file and starts the service, now and at every log-in.
    pub(crate) fn install(self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let file = self.write(plan)?;
        match self {
            Self::Systemd => {
                must(systemctl().arg("daemon-reload"))?;
                must(systemctl().args(["enable", "--quiet"]).arg(unit_name(plan)))?;
                self.start(plan)?;
            }
            Self::Launchd => self.start(plan)?,
        }
        Ok(file)
    }

    /// Writes the file alone.
    pub(crate) fn write(self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let file = self.file(plan)?;
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        instar_config::write_atomically(&file, self.text(plan).as_bytes())?;
        Ok(file)
    }

    /// Makes the manager read the file again.
    pub(crate) fn reread(self) -> anyhow::Result<()> {
        match self {
            Self::Systemd => must(systemctl().arg("daemon-reload")),
            Self::Launchd => Ok(()),
        }
    }

    /// Stops the service and forgets it.
    pub(crate) fn uninstall(self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let file = self.file(plan)?;
        match self {
            Self::Systemd => {
                let unit = unit_name(plan);
                must(systemctl().args(["disable", "--now", "--quiet"]).arg(unit))?;
                std::fs::remove_file(&file)?;
                must(systemctl().arg("daemon-reload"))?;
            }
            Self::Launchd => {
                self.stop(plan)?;
                std::fs::remove_file(&file)?;
            }
        }
        Ok(file)
    }

    /// Returns when the gateway is ready.
    pub(crate) fn start(self, plan: &Plan) -> anyhow::Result<()> {
        let started = match self {
            Self::Systemd => must(systemctl().arg("restart").arg(unit_name(plan))),
            Self::Launchd => must(launchctl().args(["load", "-w"]).arg(self.file(plan)?)),
        };
        started.map_err(|error| {
            Failure::new(Code::Failed, error.to_string())
                .next(match self {
                    Self::Systemd => format!(
                        "see why with `journalctl --user -u {} -n 20`, or run `instar gateway run`",
                        unit_name(plan)
                    ),
                    Self::Launchd => "see why with `instar gateway run`".to_owned(),
                })
                .into()
        })
    }

    /// Returns when it has ended.
    pub(crate) fn stop(self, plan: &Plan) -> anyhow::Result<()> {
        match self {
            Self::Systemd => must(systemctl().arg("stop").arg(unit_name(plan))),
            Self::Launchd => must(launchctl().arg("unload").arg(self.file(plan)?)),
        }
    }

    /// The process that the manager runs for this service, if it runs one.
    pub(crate) fn main_pid(self, plan: &Plan) -> Option<u32> {
        let mut command = match self {
            Self::Systemd => {
                let mut command = systemctl();
                command.args(["show", "--property=MainPID", "--value"]);
                command.arg(unit_name(plan));
                command
            }
            Self::Launchd => {
                let mut command = launchctl();
                command.args(["list", &plist::label(plan)]);
                command
            }
        };
        let output = run(&mut command)
            .ok()
            .filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = match self {
            Self::Systemd => text.trim(),
            Self::Launchd => {
                let (_, rest) = text.split_once("\"PID\" = ")?;
                rest.split(';').next()?
            }
        };
        number.parse().ok().filter(|pid| *pid > 0)
    }
}

fn unit_name(plan: &Plan) -> String {
    format!("{}.service", plan.name)
}

fn systemctl() -> Command {
    let mut command = Command::new("systemctl");
    command.args(["--user", "--no-pager", "--no-ask-password"]);
    command
}

fn launchctl() -> Command {
    Command::new("launchctl")
}

/// Runs a program with nothing to read, and without what it need not know.
pub(crate) fn run(command: &mut Command) -> std::io::Result<Output> {
    command
        .stdin(Stdio::null())
        .env_remove("CUSTOM_API_KEY")
        .env_remove("INSTAR_GATEWAY_TOKEN")
        .output()
}

fn must(command: &mut Command) -> anyhow::Result<()> {
    let words = shown(command);
    let output = run(command).map_err(|error| anyhow::anyhow!("cannot run `{words}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(anyhow::anyhow!("`{words}` failed: {}", said(&output)))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    let quiet = ["--no-pager", "--no-ask-password", "--quiet"];
    let arguments = command.get_args().map(|word| word.to_string_lossy());
    words.extend(
        arguments
            .filter(|word| !quiet.contains(&word.as_ref()))
            .map(|word| word.into_owned()),
    );
    words.join(" ")
}

/// What a program said, on one line.
pub(crate) fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let words: Vec<&str> = text.split_whitespace().take(60).collect();
    if words.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        crate::out::visible(&words.join(" "))
    }
}

/// True if the user's services go on after the last log-out; `None` if nobody can say.
pub(crate) fn lingers() -> Option<bool> {
    let user = rustix::process::getuid().as_raw().to_string();
    let mut command = Command::new("loginctl");
    command.args(["show-user", &user, "--property=Linger", "--value"]);
    let output = run(&mut command)
        .ok()
        .filter(|output| output.status.success())?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// Lets the user's services go on after the last log-out.
pub(crate) fn enable_linger() -> anyhow::Result<()> {
    must(Command::new("loginctl").arg("enable-linger"))
}

/// True if the file is under a folder that builds empty.
pub(crate) fn is_a_build(program: &Path) -> bool {
    program
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("target" | "debug")))
}
