//! The `policy` section: how much is let through unasked, how long is waited for an answer, and whom
//! the owner vouches for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `policy` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyConfig {
    /// `careful`: reading is free and every effect asks. `balanced`: what you asked for and where
    /// values come from decide, and only what they cannot settle asks. `open`: only the hard rules.
    pub posture: PostureChoice,
    /// How long a turn waits for your answer to a question before it goes on without it, in seconds.
    /// The question stays open after that.
    #[schemars(range(min = 0, max = 3_600))]
    pub ask_wait_seconds: u32,
    /// How long a question can be answered, in minutes. No answer means no.
    #[schemars(range(min = 1, max = 10_080))]
    pub ask_expire_minutes: u32,
    /// Your own addresses, numbers and accounts.
    pub own: Vec<String>,
    /// People whom you know: their addresses or numbers.
    pub contacts: Vec<String>,
    /// Places where things may go without a word of yours: addresses, URLs, channels.
    pub destinations: Vec<String>,
}

/// How much is let through without a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostureChoice {
    /// Reading is free, every effect asks.
    #[default]
    Careful,
    /// Plan and provenance decide.
    Balanced,
    /// Only the hard rules.
    Open,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            posture: PostureChoice::default(),
            ask_wait_seconds: 120,
            ask_expire_minutes: 24 * 60,
            own: Vec::new(),
            contacts: Vec::new(),
            destinations: Vec::new(),
        }
    }
}
