//! Session keys that no caller may name.

/// Kinds of conversations that belong to the gateway's own machinery.
const KINDS: [&str; 8] = [
    "subagent",
    "cron",
    "acp",
    "hook",
    "boot",
    "heartbeat",
    "global",
    "agent",
];

/// The reserved kind of a key, in full form or without its agent, whatever its letters' case.
pub(crate) fn kind(key: &str) -> Option<&'static str> {
    let tail = match key.strip_prefix("agent:") {
        Some(rest) => rest.split_once(':').map_or("", |(_, tail)| tail),
        None => key,
    };
    let first = tail.split(':').next().unwrap_or_default();
    KINDS
        .into_iter()
        .find(|kind| kind.eq_ignore_ascii_case(first))
}

/// The refusal of such a key.
pub(crate) fn refusal(kind: &str) -> String {
    format!("session keys of the kind '{kind}:' are reserved for the gateway")
}
