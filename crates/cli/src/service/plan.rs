//! What a service of this installation is.

use instar_config::StateDir;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::context::environment;
use crate::failure::{Code, Failure};

/// Beyond the grace period that turns get: requests, tasks and the store's last flush.
const STOP_MARGIN: Duration = Duration::from_secs(25);

/// Everything that the text for a service manager is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// `instar`, or `instar-PROFILE`.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) state: PathBuf,
    /// The service manager waits this long before it kills.
    pub(crate) stop: Duration,
}

/// Variables that say where things are; a service has none of the terminal's.
const CARRIED: [&str; 4] = [
    "INSTAR_STATE_DIR",
    "INSTAR_CONFIG_PATH",
    "INSTAR_PASSPHRASE_FILE",
    "INSTAR_GATEWAY_PORT",
];

impl Plan {
    /// For this program and this state folder. The profile is what was asked for, if anything.
    pub(crate) fn of(
        state: &StateDir,
        profile: Option<&str>,
        grace_seconds: u32,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        if program.to_string_lossy().ends_with(" (deleted)") {
            let message = "this program was replaced while it ran";
            return Err(Failure::new(Code::Failed, message)
                .next("run the same command again")
                .into());
        }
        let profile = profile.filter(|name| !name.is_empty() && *name != "default");
        let mut arguments = Vec::new();
        if let Some(profile) = profile {
            arguments.extend(["--profile".to_owned(), profile.to_owned()]);
        }
        arguments.extend(["gateway".to_owned(), "run".to_owned()]);
        let variables = CARRIED.iter().filter_map(|name| {
            let value = environment(name).filter(|value| !value.is_empty())?;
            Some(((*name).to_owned(), absolute(name, value)))
        });
        Ok(Self {
            name: profile.map_or("instar".to_owned(), |profile| format!("instar-{profile}")),
            program,
            arguments,
            variables: variables.collect(),
            state: state.root().to_owned(),
            stop: Duration::from_secs(grace_seconds.into()) + STOP_MARGIN,
        })
    }
}

/// Paths in the environment may be relative to where this terminal is.
fn absolute(name: &str, value: String) -> String {
    if name == "INSTAR_GATEWAY_PORT" || value.starts_with("~/") {
        return value;
    }
    std::path::absolute(Path::new(&value)).map_or(value, |path| path.display().to_string())
}
