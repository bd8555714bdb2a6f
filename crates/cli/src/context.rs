//! What every command is given: how to print and where the state is.

use instar_config::StateDir;
use instar_protocol::{Clock, Timestamp};

use crate::args::Global;
use crate::client::Client;
use crate::hide::Exposure;
use crate::out::Out;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) out: Out,
    /// What the process list showed of keys among the arguments.
    pub(crate) exposure: Exposure,
    profile: Option<String>,
}

impl Context {
    pub(crate) fn new(global: &Global, exposure: Exposure) -> Self {
        Self {
            out: Out::new(global),
            exposure,
            profile: global.profile.clone(),
        }
    }

    pub(crate) fn state(&self) -> anyhow::Result<StateDir> {
        Ok(StateDir::locate(self.profile.as_deref(), &environment)?)
    }

    /// The profile that was asked for.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Client::require(&self.state()?)
    }

    pub(crate) fn now(&self) -> Timestamp {
        instar_protocol::time::SystemClock.now()
    }
}

/// The process's environment, as the libraries take it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
