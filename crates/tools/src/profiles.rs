//! Which tools there are: profiles, groups and lists of names.

use instar_protocol::{Label, Readers};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A set of tools to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The state of the conversation.
    Minimal,
    /// Files, programs, the web and conversations.
    Coding,
    /// Messages and conversations.
    Messaging,
    /// All there are.
    #[default]
    Full,
}

impl Profile {
    /// What it selects.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minimal => &["session_status"],
            Self::Coding => &[
                "group:fs",
                "group:runtime",
                "group:web",
                "group:sessions",
                "group:memory",
                "group:media",
                "ask_owner",
                "output_page",
                "skill",
            ],
            Self::Messaging => &[
                "group:messaging",
                "group:sessions",
                "ask_owner",
                "output_page",
                "skill",
            ],
            Self::Full => &["*"],
        }
    }
}

/// The groups and the tools in them. A name that no tool has yet does no harm.
const GROUPS: [(&str, &[&str]); 9] = [
    (
        "fs",
        &["read", "write", "edit", "apply_patch", "ls", "glob", "grep"],
    ),
    ("runtime", &["exec", "process", "process_write"]),
    (
        "web",
        &[
            "web_search",
            "web_fetch",
            "http_get",
            "http_send",
            "http_delete",
        ],
    ),
    (
        "sessions",
        &[
            "session_status",
            "sessions_list",
            "sessions_history",
            "sessions_search",
            "sessions_send",
            "sessions_spawn",
        ],
    ),
    ("memory", &["memory_note", "memory_search", "memory_get"]),
    ("ui", &["browser", "browser_*"]),
    ("messaging", &["message", "ask_owner"]),
    ("media", &["image"]),
    ("plugins", &["mcp__*"]),
];

/// The names of the built-in tools, as far as they stand by themselves.
pub fn built_in_names() -> impl Iterator<Item = &'static str> {
    let grouped = GROUPS.iter().flat_map(|(_, tools)| tools.iter().copied());
    grouped
        .filter(|name| !name.contains('*'))
        .chain(["output_page", "skill"])
}

/// The group that a built-in tool is shown in.
#[must_use]
pub fn group_of(tool: &str) -> &'static str {
    let found = GROUPS
        .iter()
        .find(|(_, tools)| tools.iter().any(|name| fits(name, tool)));
    found.map_or("other", |(group, _)| group)
}

/// Whose words a tool's description is. What a server of somebody's says about its tools is read by
/// the model like everything else.
#[must_use]
pub fn description_label(tool: &str) -> Label {
    if tool.starts_with(MCP_PREFIX) {
        Label::stranger(Readers::Public)
    } else {
        Label::system()
    }
}

/// What the names of all tools of MCP servers begin with.
pub const MCP_PREFIX: &str = "mcp__";

pub(crate) fn unknown_group(name: &str) -> bool {
    let group = name.strip_prefix("group:");
    group.is_some_and(|group| {
        let known = |(name, _): &(&str, _)| name.eq_ignore_ascii_case(group);
        !GROUPS.iter().any(known)
    })
}

/// A choice of tools. What is denied stays denied whatever else names it.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    pub profile: Profile,
    /// Instead of the profile.
    pub allow: Option<&'a [String]>,
    pub also_allow: &'a [String],
    pub deny: &'a [String],
}

impl Selection<'_> {
    #[must_use]
    pub fn has(&self, tool: &str) -> bool {
        !self.denies(tool) && self.lists(tool)
    }

    /// True if the list of what is allowed has it, denied or not.
    #[must_use]
    pub fn lists(&self, tool: &str) -> bool {
        let also = || self.also_allow.iter().any(|name| selects(name, tool));
        match self.allow {
            Some(list) => list.iter().any(|name| selects(name, tool)),
            None => self.profile.names().iter().any(|name| selects(name, tool)) || also(),
        }
    }

    #[must_use]
    pub fn denies(&self, tool: &str) -> bool {
        self.deny.iter().any(|name| selects(name, tool))
    }

    /// True if every tool is on the list of what is allowed.
    #[must_use]
    pub fn lists_all(&self) -> bool {
        match self.allow {
            Some(list) => list.iter().any(|name| name == "*"),
            None => self.profile == Profile::Full,
        }
    }
}

/// Those of the known tools that a list of words means.
#[must_use]
pub fn names_of<'a>(words: &[String], known: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    known
        .filter(|tool| words.iter().any(|word| selects(word, tool)))
        .map(str::to_owned)
        .collect()
}

/// True if a word of a list means this tool: its name, a group, or a name with `*` in it.
fn selects(word: &str, tool: &str) -> bool {
    match word.split_once(':') {
        Some(("group", group)) => GROUPS
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(group))
            .any(|(_, tools)| tools.iter().any(|name| fits(name, tool))),
        _ => fits(word, tool),
    }
}

/// Compares without regard to case; `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let pieces: Vec<&str> = rest.split('*').collect();
    let (last, between) = pieces.split_last().unwrap_or((&"", &[]));
    for piece in between {
        let Some(at) = left.find(piece) else {
            return false;
        };
        left = &left[at + piece.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_denied_tool_stays_denied_whatever_names_it() {
        let (allow, deny) = (
            owned(&["*", "exec", "group:runtime"]),
            owned(&["EXEC", "group:Web", "mcp__bad__*"]),
        );
        let selection = Selection {
            profile: Profile::Full,
            allow: Some(&allow),
            also_allow: &allow,
            deny: &deny,
        };
        for tool in ["exec", "web_fetch", "mcp__bad__send"] {
            assert!(!selection.has(tool), "{tool}");
        }
        for tool in ["process", "read", "mcp__good__send"] {
            assert!(selection.has(tool), "{tool}");
        }
    }

    #[test]
    fn profiles_select_what_they_say() {
        let of = |profile| Selection {
            profile,
            allow: None,
            also_allow: &[],
            deny: &[],
        };
        assert!(of(Profile::Minimal).has("session_status") && !of(Profile::Minimal).has("read"));
        assert!(of(Profile::Coding).has("apply_patch") && !of(Profile::Coding).has("message"));
        assert!(of(Profile::Messaging).has("message") && !of(Profile::Messaging).has("write"));
        assert!(of(Profile::Full).has("anything"));
        assert!(unknown_group("group:nothing") && !unknown_group("group:FS"));
    }

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, name, expected) in [
            ("web_*", "web_fetch", true),
            ("*_fetch", "web_fetch", true),
            ("w*_*h", "web_fetch", true),
            ("web_*", "xweb_fetch", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("Read", "read", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
