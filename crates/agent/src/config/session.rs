//! The `session` section: how messages are sorted into conversations, and how long these live.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `session` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionConfig {
    /// Which direct messages share a conversation.
    pub dm_scope: DmScope,
    /// Whether each group has a conversation of its own.
    pub group_scope: GroupScope,
    /// A person's name and the peer ids that are this person: `{"ann": ["telegram:123"]}`.
    pub identity_links: BTreeMap<String, Vec<String>>,
    /// When a conversation starts over by itself.
    pub reset: ResetConfig,
    /// What is removed after a while.
    pub maintenance: MaintenanceConfig,
}

/// Which direct messages share a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DmScope {
    /// All of them, in the agent's main conversation.
    #[default]
    Main,
    /// Those of one person, over all channels.
    PerPeer,
    /// Those of one person in one channel.
    PerChannelPeer,
    /// Those of one person to one account of one channel.
    PerAccountChannelPeer,
}

/// Where group messages go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupScope {
    /// Each group has its own conversation.
    #[default]
    PerGroup,
    /// Into the agent's main conversation.
    Main,
}

/// The `session.reset` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ResetConfig {
    /// What starts a conversation over.
    pub mode: ResetMode,
    /// The hour of a daily reset, in the user's time zone.
    #[schemars(range(min = 0, max = 23))]
    pub at_hour: u8,
    /// How long nothing must have been said for an idle reset, in minutes.
    #[schemars(range(min = 1, max = 525_600))]
    pub idle_minutes: u32,
}

impl Default for ResetConfig {
    fn default() -> Self {
        Self {
            mode: ResetMode::None,
            at_hour: 4,
            idle_minutes: 60,
        }
    }
}

/// What starts a conversation over. The check is made when the next message arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResetMode {
    /// Only `/new` and `/reset`.
    #[default]
    None,
    /// The first message after a certain hour of the day.
    Daily,
    /// The first message after a pause.
    Idle,
}

/// The `session.maintenance` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// Days after which a deleted conversation is removed for good, and after which old events go.
    #[schemars(range(min = 1, max = 3_650))]
    pub prune_after_days: u32,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            prune_after_days: 30,
        }
    }
}
