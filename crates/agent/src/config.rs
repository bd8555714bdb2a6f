//! The keys of `instar.json` that agents, sessions and turns read: a type for each section.
//!
//! The types hold what was written; [`Config::agent`] says what it means for one agent, defaults
//! filled in. [`Config::problems`] finds what types alone cannot refuse.

use instar_protocol::AgentId;
use instar_protocol::redact::ContentMode;
use instar_protocol::session::MAIN_AGENT;
use instar_release::{Heartbeat, Limits, Schedules};
use instar_tools::ToolChoice;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod container;
mod heartbeat;
mod policy;
mod problems;
mod sandbox;
mod schedule;
mod session;

pub use container::{DockerConfig, user};
pub use heartbeat::{ActiveHours, HeartbeatConfig};
pub use policy::{PolicyConfig, PostureChoice};
pub use sandbox::{
    SandboxBackend, SandboxConfig, SandboxLimits, SandboxMode, SandboxScope, SandboxSettings,
    WasmConfig, WorkspaceAccess,
};
pub use schedule::{CronConfig, ScheduleConfig, ScheduleConfigs};
pub use session::{DmScope, GroupScope, MaintenanceConfig, ResetConfig, ResetMode, SessionConfig};

/// Everything of the configuration that this crate reads, by section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Who answers, with which model and within which bounds.
    pub agents: AgentsConfig,
    /// How messages are sorted into conversations and how long these live.
    pub session: SessionConfig,
    /// What happens to messages that arrive while a turn is running.
    pub messages: MessagesConfig,
    /// Commands that are typed as messages.
    pub commands: CommandsConfig,
    /// What the event log keeps of message contents.
    pub learning: LearningConfig,
    /// How much is let through without a question.
    pub policy: PolicyConfig,
    /// How schedules are kept.
    pub cron: CronConfig,
}

/// The `agents` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentsConfig {
    /// What holds for every agent that does not say otherwise.
    pub defaults: AgentDefaults,
    /// The agents by id. Without any there is one, `main`.
    pub entries: BTreeMap<String, AgentEntry>,
}

/// The `agents.defaults` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentDefaults {
    /// The model to use, `provider/model`, or an object with `primary` and `fallbacks`. When absent
    /// the gateway picks one that it finds.
    pub model: Option<ModelChoice>,
    /// The model that the tool `image` asks about pictures, in either form of `model`. When absent: the
    /// agent's own, where that takes pictures.
    pub image_model: Option<ModelChoice>,
    /// The folder with the main agent's identity files. When absent: `workspace` in the state folder.
    pub workspace: Option<String>,
    /// How many characters of one identity file go into the prompt.
    #[schemars(range(min = 100, max = 20_000))]
    pub bootstrap_max_chars: u32,
    /// How many characters of all identity files together go into the prompt.
    #[schemars(range(min = 100, max = 60_000))]
    pub bootstrap_total_max_chars: u32,
    /// The longest that one turn may take, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub timeout_seconds: u32,
    /// How many turns may run at once, over all conversations. When absent: 8, or four per
    /// processor if that is more.
    #[schemars(range(min = 1, max = 1_024))]
    pub max_concurrent: Option<u32>,
    /// How a conversation that no longer fits the model's window is shortened.
    pub compaction: CompactionConfig,
    /// The time zone of dates shown to the model and of daily limits, for example `Europe/Berlin`.
    /// When absent: the machine's.
    pub user_timezone: Option<String>,
    /// The most model calls in one turn.
    #[schemars(range(min = 1, max = 200))]
    pub max_model_calls: u32,
    /// The most tool calls in one turn.
    #[schemars(range(min = 0, max = 1_000))]
    pub max_tool_calls: u32,
    /// The most tokens in one answer of the model.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_output_tokens: u32,
    /// Conversations that an agent opens for parts of its work.
    pub subagents: SubagentsConfig,
    /// Walls around the programs that agents start.
    pub sandbox: SandboxConfig,
    /// When agents look after things by themselves, and after what.
    pub heartbeat: HeartbeatConfig,
    /// What agents do by themselves at times that are said beforehand, by name.
    pub schedules: ScheduleConfigs,
    /// The names of the skills that count. When absent: all in the folder `skills` of the workspace.
    pub skills: Option<Vec<String>>,
}

impl Default for AgentDefaults {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            model: None,
            image_model: None,
            workspace: None,
            bootstrap_max_chars: 20_000,
            bootstrap_total_max_chars: 60_000,
            timeout_seconds: limits.timeout_seconds,
            max_concurrent: None,
            compaction: CompactionConfig::default(),
            user_timezone: None,
            max_model_calls: limits.model_calls_max,
            max_tool_calls: limits.tool_calls_max,
            max_output_tokens: limits.output_tokens_max,
            sandbox: SandboxConfig::default(),
            heartbeat: HeartbeatConfig::default(),
            schedules: ScheduleConfigs::new(),
            subagents: SubagentsConfig::default(),
            skills: None,
        }
    }
}

/// The `agents.defaults.subagents` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SubagentsConfig {
    /// How many conversations may lie between one and the owner's. 0 switches sub-agents off, and
    /// messages between conversations with them.
    #[schemars(range(min = 0, max = 5))]
    pub max_spawn_depth: u8,
    /// How many may work for one conversation at the same time.
    #[schemars(range(min = 1, max = 20))]
    pub max_children_per_agent: u32,
    /// How many turns of sub-agents may run at once, over all conversations. It changes with the
    /// next start.
    #[schemars(range(min = 1, max = 64))]
    pub max_concurrent: u32,
    /// The model of sub-agents, `provider/model`. When absent: the agent's own.
    pub model: Option<String>,
}

impl Default for SubagentsConfig {
    fn default() -> Self {
        Self {
            max_spawn_depth: 2,
            max_children_per_agent: 5,
            max_concurrent: 8,
            model: None,
        }
    }
}

/// One agent below `agents.entries`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentEntry {
    /// The name shown to people. When absent: the id.
    pub name: Option<String>,
    /// The folder with this agent's identity files. When absent: `workspace-ID` in the state folder.
    pub workspace: Option<String>,
    /// The model of this agent, in either form of `agents.defaults.model`.
    pub model: Option<ModelChoice>,
    /// True for the agent that gets what is addressed to none. At most one.
    pub default: bool,
    /// How the agent presents itself in the web pages.
    pub identity: IdentityConfig,
    /// Walls around the programs that it starts.
    pub sandbox: SandboxConfig,
    /// When it looks after things by itself. What is left out is as in the defaults.
    pub heartbeat: HeartbeatConfig,
    /// What it does at times that are said beforehand: those of the defaults, and these in the place of
    /// any of the same name.
    pub schedules: ScheduleConfigs,
    /// The tools of this agent, within those of `tools`.
    pub tools: Option<ToolChoice>,
    /// The names of its skills that count. When absent: as in the defaults.
    pub skills: Option<Vec<String>>,
}

/// How an agent presents itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityConfig {
    /// The name beside its messages. When absent: the agent's name.
    pub name: Option<String>,
    /// A picture character beside its messages.
    pub emoji: Option<String>,
}

/// A model by name, or with fallbacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelChoice {
    /// `provider/model`.
    Name(String),
    /// A model and those that stand in for it.
    Chain(ModelChain),
}

/// A model and those that stand in for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelChain {
    /// The model that is asked first, `provider/model`.
    pub primary: String,
    /// Models that are asked, in this order, when the one before cannot answer.
    #[serde(default)]
    pub fallbacks: Vec<String>,
}

impl ModelChoice {
    #[must_use]
    pub fn primary(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Chain(chain) => &chain.primary,
        }
    }

    #[must_use]
    pub fn fallbacks(&self) -> &[String] {
        match self {
            Self::Name(_) => &[],
            Self::Chain(chain) => &chain.fallbacks,
        }
    }
}

/// The `agents.defaults.compaction` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CompactionConfig {
    /// Whether the older part of a full conversation is replaced by a summary. When false it is
    /// left out with a note.
    pub enabled: bool,
    /// About how many tokens of the newest messages stay word for word.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub keep_recent_tokens: u32,
    /// Tokens of the model's window that are kept free for its answer; never more than a quarter
    /// of the window.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub reserve_tokens: u32,
    /// The silent turn before a summary.
    pub memory_flush: MemoryFlushConfig,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            keep_recent_tokens: 20_000,
            reserve_tokens: 20_000,
            memory_flush: MemoryFlushConfig::default(),
        }
    }
}

/// The `agents.defaults.compaction.memoryFlush` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryFlushConfig {
    /// Whether the agent is asked, before older messages are summarised, to note what matters.
    pub enabled: bool,
}

impl Default for MemoryFlushConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// The `messages` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MessagesConfig {
    /// Messages that arrive while a turn is running.
    pub queue: QueueConfig,
}

/// The `messages.queue` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueConfig {
    /// What such a message does.
    pub mode: QueueMode,
    /// How many messages may wait in one conversation.
    #[schemars(range(min = 1, max = 200))]
    pub cap: u32,
    /// How long `collect` waits for more messages, in milliseconds.
    #[schemars(range(min = 0, max = 60_000))]
    pub debounce_ms: u32,
    /// What goes when more than `cap` are waiting.
    pub drop: DropPolicy,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            mode: QueueMode::Steer,
            cap: 20,
            debounce_ms: 500,
            drop: DropPolicy::Summarize,
        }
    }
}

/// What a message does that arrives while a turn is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMode {
    /// It joins the running turn before its next model call; if there is none, it gets the next turn.
    #[default]
    Steer,
    /// It gets a turn of its own afterwards.
    Followup,
    /// It waits for a pause; all that waited get one turn together.
    Collect,
    /// It stops the running turn and gets the next one.
    Interrupt,
}

/// What goes when too many messages are waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropPolicy {
    /// The oldest goes.
    Old,
    /// The new one is refused.
    New,
    /// The oldest goes, and the next turn is told its first words.
    #[default]
    Summarize,
}

/// The `commands` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CommandsConfig {
    /// Whether messages such as `/new` or `/status` are commands when the owner writes them.
    pub text: bool,
}

impl Default for CommandsConfig {
    fn default() -> Self {
        Self { text: true }
    }
}

/// The `learning` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct LearningConfig {
    /// What is kept of message contents. With `none` and `redacted`, keys and tokens that are
    /// certain by their shape (vendor keys, PEM private keys, signed, bearer and bot tokens) are
    /// masked as `[secret]` in messages, in what an API caller sends along, and in tool results,
    /// before they are stored and before a model sees them. `full` keeps them. Not covered:
    /// passwords and other secrets without such a shape, images, the bytes of attached files, what
    /// a model itself writes, arguments of tool calls, identity files, and what was stored before.
    pub content: ContentMode,
}

/// One agent, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSettings {
    pub id: AgentId,
    pub name: String,
    pub emoji: Option<String>,
    pub model: Option<ModelChoice>,
    pub image_model: Option<ModelChoice>,
    /// `None`: the folder that the state folder gives this agent.
    pub workspace: Option<String>,
    pub default: bool,
    pub sandbox: SandboxSettings,
    pub heartbeat: Option<Heartbeat>,
    pub schedules: Schedules,
    /// The names of the skills that count; all, if there is no list.
    pub skills: Option<Vec<String>>,
}

impl Config {
    /// The agents, `main` alone if none is configured. Ids that are not well formed are left out;
    /// [`Config::problems`] names them.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentSettings> {
        if self.agents.entries.is_empty() {
            return vec![self.settings(AgentId::main(), &AgentEntry::default())];
        }
        self.agents
            .entries
            .iter()
            .filter_map(|(id, entry)| Some(self.settings(AgentId::parse(id).ok()?, entry)))
            .collect()
    }

    /// One agent, or `None` if there is none of that id.
    #[must_use]
    pub fn agent(&self, id: &AgentId) -> Option<AgentSettings> {
        match self.agents.entries.get(id.as_str()) {
            Some(entry) => Some(self.settings(id.clone(), entry)),
            None if self.agents.entries.is_empty() && id.as_str() == MAIN_AGENT => {
                Some(self.settings(id.clone(), &AgentEntry::default()))
            }
            None => None,
        }
    }

    /// True if there is an agent of that id. Cheaper than [`Config::agent`].
    #[must_use]
    pub fn has_agent(&self, id: &AgentId) -> bool {
        if self.agents.entries.is_empty() {
            id.as_str() == MAIN_AGENT
        } else {
            self.agents.entries.contains_key(id.as_str())
        }
    }

    /// The agent that gets what is addressed to none: the one marked `default`, else `main`, else
    /// the first.
    #[must_use]
    pub fn default_agent(&self) -> AgentId {
        let entries = &self.agents.entries;
        let marked = entries.iter().find(|(_, entry)| entry.default);
        let main = entries.get_key_value(MAIN_AGENT);
        marked
            .or(main)
            .or_else(|| entries.first_key_value())
            .and_then(|(id, _)| AgentId::parse(id).ok())
            .unwrap_or_else(AgentId::main)
    }

    fn settings(&self, id: AgentId, entry: &AgentEntry) -> AgentSettings {
        let defaults = &self.agents.defaults;
        let shared = (id.as_str() == MAIN_AGENT).then(|| defaults.workspace.clone());
        AgentSettings {
            name: entry
                .identity
                .name
                .clone()
                .or_else(|| entry.name.clone())
                .unwrap_or_else(|| id.to_string()),
            emoji: entry.identity.emoji.clone(),
            model: entry.model.clone().or_else(|| defaults.model.clone()),
            image_model: defaults.image_model.clone(),
            workspace: entry.workspace.clone().or_else(|| shared.flatten()),
            default: id == self.default_agent(),
            sandbox: sandbox::settings(&entry.sandbox, &defaults.sandbox),
            heartbeat: entry.heartbeat.over(&defaults.heartbeat),
            schedules: schedule::over(&entry.schedules, &defaults.schedules),
            skills: entry.skills.clone().or_else(|| defaults.skills.clone()),
            id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_of_an_empty_configuration_are_main() {
        let config = Config::default();
        assert_eq!(config.default_agent(), AgentId::main());
        assert!(config.has_agent(&AgentId::main()));
        assert!(!config.has_agent(&AgentId::parse("other").unwrap()));
        assert_eq!(config.agents().len(), 1);
        assert!(config.problems().is_empty());
    }

    #[test]
    fn entries_override_defaults() {
        let config: Config = serde_json::from_str(
            r#"{"agents": {"defaults": {"model": {"primary": "a/b", "fallbacks": ["c/d"]}, "workspace": "/w"},
                "entries": {"main": {}, "work": {"model": "e/f", "default": true, "identity": {"name": "W"}}}}}"#,
        )
        .unwrap();
        let work = config.agent(&AgentId::parse("work").unwrap()).unwrap();
        assert_eq!(work.model.as_ref().unwrap().primary(), "e/f");
        assert_eq!(
            (work.name.as_str(), work.workspace, work.default),
            ("W", None, true)
        );
        let main = config.agent(&AgentId::main()).unwrap();
        assert_eq!(main.model.unwrap().fallbacks(), ["c/d"]);
        assert_eq!(main.workspace.as_deref(), Some("/w"));
    }

    #[test]
    fn values_out_of_range_are_named_by_path() {
        let config: Config = serde_json::from_str(
            r#"{"agents": {"defaults": {"timeoutSeconds": 0, "model": "nonsense", "userTimezone": "Mars/Base"}},
                "messages": {"queue": {"cap": 1000}}}"#,
        )
        .unwrap();
        let paths: Vec<String> = config
            .problems()
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(
            paths,
            [
                "agents.defaults.timeoutSeconds",
                "agents.defaults.model",
                "agents.defaults.userTimezone",
                "messages.queue.cap",
            ]
        );
        assert!(serde_json::from_str::<Config>(r#"{"agnets": {}}"#).is_err());
    }
}
