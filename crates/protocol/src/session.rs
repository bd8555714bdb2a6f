//! Agent ids and session keys: the names that conversations are found by.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest session key that is accepted.
pub const KEY_BYTES_MAX: usize = 256;

/// An agent's id: lower-case letters, digits, `-` and `_`, at most 64 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct AgentId(String);

/// The agent that exists on a fresh install.
pub const MAIN_AGENT: &str = "main";

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    #[error("agent id {0:?} is not 1 to 64 lower-case letters, digits, '-' or '_'")]
    Agent(String),
    #[error("session key is longer than {KEY_BYTES_MAX} bytes")]
    TooLong,
    #[error("session key {0:?} has control characters or white space")]
    Characters(String),
    #[error("session key {0:?} has none of the known forms, for example agent:main:main")]
    Form(String),
}

impl AgentId {
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let valid = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError::Agent(text.to_owned()))
        }
    }

    #[must_use]
    pub fn main() -> Self {
        Self(MAIN_AGENT.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The kind of the conversation of a request of the API that names none.
pub const PASSING: &str = "openai";

/// The name that a conversation is found by: `agent:<id>:main`, `agent:<id>:<channel>:group:<id>`,
/// `cron:<job>`, `hook:<uuid>`, `global` and so on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct SessionKey(String);

impl SessionKey {
    /// Reads a key in full form, or the alias `main` for the main agent's main session.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(KeyError::Characters(text.to_owned()));
        }
        if text == "main" {
            return Ok(Self::main(&AgentId::main()));
        }
        let form = || KeyError::Form(text.to_owned());
        match text.split_once(':') {
            None if text == "global" => Ok(Self(text.to_owned())),
            Some(("cron" | "hook", rest)) if !rest.is_empty() => Ok(Self(text.to_owned())),
            Some(("agent", rest)) => {
                let (agent, tail) = rest.split_once(':').ok_or_else(form)?;
                AgentId::parse(agent)?;
                if tail.is_empty() || tail.split(':').any(str::is_empty) {
                    return Err(form());
                }
                Ok(Self(text.to_owned()))
            }
            _ => Err(form()),
        }
    }

    #[must_use]
    pub fn main(agent: &AgentId) -> Self {
        Self(format!("agent:{agent}:main"))
    }

    /// A key below an agent, from parts that the gateway made or checked.
    pub fn under(agent: &AgentId, parts: &[&str]) -> Result<Self, KeyError> {
        Self::parse(&format!("agent:{agent}:{}", parts.join(":")))
    }

    /// The agent that the key names; `None` for `global`, `cron:` and `hook:` keys.
    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        let rest = self.0.strip_prefix("agent:")?;
        AgentId::parse(rest.split(':').next()?).ok()
    }

    /// True for the conversation of one request that named none: nobody comes back to it.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        self.0.starts_with("agent:") && self.0.split(':').nth(2) == Some(PASSING)
    }

    #[must_use]
    pub fn is_main(&self) -> bool {
        self.0.starts_with("agent:")
            && self.0.ends_with(":main")
            && self.0.matches(':').count() == 2
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_strictly() {
        for good in [
            "main",
            "global",
            "agent:main:main",
            "agent:a:telegram:group:-1",
            "cron:x",
        ] {
            assert!(SessionKey::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "agent:",
            "agent:main",
            "agent:main:",
            "agent:A:main",
            "x:y",
            "agent:a:b::c",
            "a b",
        ] {
            assert!(SessionKey::parse(bad).is_err(), "{bad}");
        }
        assert!(SessionKey::parse("main").unwrap().is_main());
        assert!(!SessionKey::parse("agent:main:x:main").unwrap().is_main());
    }
}
