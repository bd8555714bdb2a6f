//! The behaviour that configuration and workspace give together.

use instar_agent::config::PostureChoice;
use instar_agent::skills;
use instar_agent::workspace::{self, WorkspaceError};
use instar_config::StateDir;
use instar_policy::cedar::{RULE_FILE_BYTES_MAX, RuleError, RuleFile, Rules};
use instar_policy::{Authority, Known, ListOf, Posture, Profile, Role, ToolList};
use instar_protocol::AgentId;
use instar_release::Behaviour;
use instar_tools::{ToolChoice, Toolbox};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::InstarConfig;

/// Files of rules beyond this number are refused.
const RULE_FILES_MAX: usize = 100;

/// Why the behaviour on the disk cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    #[error("the rules in {folder} are not right: {}", told(.problems))]
    Rules {
        folder: PathBuf,
        problems: Vec<RuleError>,
    },
    #[error("cannot read {path}")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("there are more than {RULE_FILES_MAX} files of rules in {0}")]
    Many(PathBuf),
}

fn told(problems: &[RuleError]) -> String {
    let lines: Vec<String> = problems.iter().take(5).map(ToString::to_string).collect();
    lines.join("; ")
}

/// Reads every agent's identity files and skills and puts them under the one authority.
pub(crate) fn compose(
    config: &InstarConfig,
    tools: &Toolbox,
    state: &StateDir,
    discovered: Option<&str>,
) -> Result<Behaviour, BehaviourError> {
    let agents = config.agent_config();
    let authority = Authority {
        rules: rules(state)?,
        ..configured(config, authority(config, tools))
    };
    let folder = |agent: &instar_agent::AgentSettings| state.workspace(agent.id.as_str());
    let behaviour = workspace::behaviour(&agents, authority, &folder, discovered)?;
    Ok(behaviour)
}

/// An authority with the posture and the people of the configuration.
pub(crate) fn configured(config: &InstarConfig, authority: Authority) -> Authority {
    let policy = &config.policy;
    let walls = |agent: instar_agent::AgentSettings| {
        let settings = serde_json::to_value(&agent.sandbox).unwrap_or_default();
        (agent.id.to_string(), settings)
    };
    let agents = config.agent_config().agents();
    Authority {
        sandbox: agents.into_iter().map(walls).collect(),
        posture: posture(policy.posture),
        known: Known {
            own: policy.own.iter().cloned().collect(),
            contacts: policy.contacts.iter().cloned().collect(),
            destinations: policy.destinations.iter().cloned().collect(),
        },
        ..authority
    }
}

/// What is wrong, a line each.
pub(crate) fn problems(error: BehaviourError) -> Vec<String> {
    match error {
        BehaviourError::Rules { problems, .. } => {
            problems.iter().map(ToString::to_string).collect()
        }
        other => vec![crate::problem::chain(&other)],
    }
}

/// The owner's rules: `policy/*.cedar` in the state folder, by name.
pub(crate) fn rules(state: &StateDir) -> Result<Rules, BehaviourError> {
    let folder = rules_folder(state);
    let mut files = Vec::new();
    let listed = rule_files(&folder).map_err(|source| BehaviourError::Unreadable {
        path: folder.clone(),
        source,
    })?;
    for path in listed {
        let text = read_rules(&path).map_err(|source| BehaviourError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        files.push(RuleFile {
            name: name.into_owned(),
            text,
        });
        if files.len() > RULE_FILES_MAX {
            return Err(BehaviourError::Many(folder));
        }
    }
    Rules::read(files).map_err(|problems| BehaviourError::Rules { folder, problems })
}

/// One byte more than a file may have is enough to have it refused.
fn read_rules(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(RULE_FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) fn rules_folder(state: &StateDir) -> PathBuf {
    state.root().join("policy")
}

/// The files of rules. No folder is no rule; one that cannot be read is an error, or what the owner
/// forbids would be allowed.
fn rule_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(err),
    };
    let mut files = Vec::new();
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "cedar") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn posture(choice: PostureChoice) -> Posture {
    match choice {
        PostureChoice::Careful => Posture::Careful,
        PostureChoice::Balanced => Posture::Balanced,
        PostureChoice::Open => Posture::Open,
    }
}

/// What the tools say of themselves, and which of them the owner's lists have.
fn authority(config: &InstarConfig, tools: &Toolbox) -> Authority {
    let mut authority = Authority::over(tools.annotations());
    let selection = config.tools.selection();
    let names = || authority.annotations.keys();
    let listed = names().filter(|name| selection.lists(name)).cloned();
    authority.allow = (!selection.lists_all()).then(|| listed.collect());
    // A name that no tool has yet stays denied when one comes to have it.
    let named = config
        .tools
        .deny
        .iter()
        .filter(|word| !word.contains(['*', ':']));
    let denied = names().filter(|name| selection.denies(name));
    authority.deny = denied.chain(named).cloned().collect();
    let entries = &config.agents.entries;
    let agents = entries.iter().filter_map(|(id, entry)| {
        let choice = entry.tools.as_ref()?;
        Some((ListOf::Agent(id.clone()), choice))
    });
    let senders = config.tools.tools_by_sender.iter();
    let senders = senders.map(|(who, choice)| (ListOf::Sender(who.clone()), choice));
    authority.lists = agents
        .chain(senders)
        .map(|(of, choice)| list(of, choice, &authority))
        .collect();
    // A heartbeat or a schedule is a run that nobody asked for: it is offered what the owner's runs are, and
    // asks before each effect. Without one nothing is offered to such runs.
    let agents = config.agent_config().agents();
    let runs_alone = |agent: &instar_agent::AgentSettings| {
        agent.heartbeat.is_some() || !agent.schedules.is_empty()
    };
    if agents.iter().any(runs_alone) {
        let tools = BTreeSet::from(["*".to_owned()]);
        authority
            .profiles
            .insert(Role::Automation, Profile { tools });
    }
    authority
}

/// A narrower list, over the tools that there are.
fn list(of: ListOf, choice: &ToolChoice, authority: &Authority) -> ToolList {
    let selection = choice.selection();
    let names = || authority.annotations.keys();
    let listed = names().filter(|name| selection.lists(name)).cloned();
    let named = choice.deny.iter().filter(|word| !word.contains(['*', ':']));
    let denied = names().filter(|name| selection.denies(name));
    ToolList {
        of,
        allow: (!selection.lists_all()).then(|| listed.collect()),
        deny: denied.chain(named).cloned().collect(),
    }
}

/// Where one agent lives.
pub(crate) fn folder(config: &InstarConfig, state: &StateDir, agent: &AgentId) -> PathBuf {
    let agents = config.agent_config().agents();
    let named = agents
        .iter()
        .find(|settings| &settings.id == agent)
        .and_then(|settings| settings.workspace.as_deref());
    named.map_or_else(|| state.workspace(agent.as_str()), PathBuf::from)
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
    let rules = rules_folder(state);
    let own = rule_files(&rules).unwrap_or_default();
    // The folder itself changes when a file comes or goes.
    let folders = folders(config, state);
    let skills: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| skills::paths(folder))
        .collect();
    let identity = folders.into_iter().flat_map(of);
    identity.chain(skills).chain([rules]).chain(own).collect()
}
