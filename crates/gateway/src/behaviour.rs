//! The behaviour that configuration and workspace give together.

use instar_agent::config::PostureChoice;
use instar_agent::workspace::{self, WorkspaceError};
use instar_config::StateDir;
use instar_policy::{Authority, Known, Posture};
use instar_release::Behaviour;
use instar_tools::Toolbox;
use std::path::PathBuf;

use crate::config::InstarConfig;

/// Reads every agent's identity files and puts them under the one authority.
pub(crate) fn compose(
    config: &InstarConfig,
    tools: &Toolbox,
    state: &StateDir,
    discovered: Option<&str>,
) -> Result<Behaviour, WorkspaceError> {
    let agents = config.agent_config();
    let authority = Authority {
        posture: posture(agents.policy.posture),
        known: Known {
            own: agents.policy.own.iter().cloned().collect(),
            contacts: agents.policy.contacts.iter().cloned().collect(),
            destinations: agents.policy.destinations.iter().cloned().collect(),
        },
        ..Authority::over(tools.annotations())
    };
    let folder = |agent: &instar_agent::AgentSettings| state.workspace(agent.id.as_str());
    workspace::behaviour(&agents, authority, &folder, discovered)
}

fn posture(choice: PostureChoice) -> Posture {
    match choice {
        PostureChoice::Careful => Posture::Careful,
        PostureChoice::Balanced => Posture::Balanced,
        PostureChoice::Open => Posture::Open,
    }
}

/// Where the agents live.
pub(crate) fn folders(config: &InstarConfig, state: &StateDir) -> Vec<PathBuf> {
    let agents = config.agent_config().agents();
    let folder = |agent: &instar_agent::AgentSettings| match &agent.workspace {
        Some(named) => PathBuf::from(named),
        None => state.workspace(agent.id.as_str()),
    };
    agents.iter().map(folder).collect()
}

/// The files that a behaviour is read from, whether they are there or not.
pub(crate) fn files(config: &InstarConfig, state: &StateDir) -> Vec<PathBuf> {
    let of = |folder: PathBuf| workspace::FILES.map(|name| folder.join(name));
    folders(config, state).into_iter().flat_map(of).collect()
}
