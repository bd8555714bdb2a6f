//! The table of methods: one slice per file.

pub(crate) mod devices;
pub(crate) mod health;
pub(crate) mod heartbeat;

mod agent;
mod chat;
mod history;
mod say;

mod branches;
mod edit;
mod key;
mod sessions;

mod absent;
mod agents;
mod approvals;
mod catalog;
mod commands;
pub(crate) mod config;
mod cron;
mod faults;
mod files;
mod logs;
mod memory;
mod ours;
mod questions;
mod rollouts;
mod tools;
mod usage;

mod refuse;

use super::method::Method;

/// Every method there is.
const TABLE: &[&[Method]] = &[
    absent::METHODS,
    agent::METHODS,
    agents::METHODS,
    approvals::METHODS,
    branches::METHODS,
    catalog::METHODS,
    chat::METHODS,
    commands::METHODS,
    config::METHODS,
    cron::METHODS,
    devices::METHODS,
    edit::METHODS,
    faults::METHODS,
    files::METHODS,
    health::METHODS,
    heartbeat::METHODS,
    history::METHODS,
    logs::METHODS,
    memory::METHODS,
    ours::METHODS,
    questions::METHODS,
    rollouts::METHODS,
    sessions::METHODS,
    tools::METHODS,
    usage::METHODS,
];

/// The events that are sent.
pub(crate) const EVENTS: &[&str] = &[
    "agent",
    "chat",
    "config.changed",
    "connect.challenge",
    "device.pair.requested",
    "device.pair.resolved",
    "exec.approval.requested",
    "exec.approval.resolved",
    "health",
    "heartbeat",
    "presence",
    "question.requested",
    "question.resolved",
    "session.message",
    "sessions.changed",
    "shutdown",
    "tick",
];

/// Abilities of the protocol that exist here.
pub(crate) const CAPABILITIES: &[&str] = &["published-model-catalog"];

pub(crate) fn find(name: &str) -> Option<&'static Method> {
    all().find(|method| method.name == name)
}

/// The names that clients are told.
pub(crate) fn advertised() -> Vec<&'static str> {
    let mut names: Vec<&str> = all()
        .filter(|method| method.advertised)
        .map(|method| method.name)
        .collect();
    names.sort_unstable();
    names
}

fn all() -> impl Iterator<Item = &'static Method> {
    TABLE.iter().copied().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_client_writers_names_every_method_with_its_scope_and_no_other() {
        let page = include_str!("../../../../../docs/methods.md");
        let named: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .collect();
        for method in all() {
            let scope = match method.need {
                super::super::method::Need::Scope(scope) => scope.as_str(),
                super::super::method::Need::Dynamic(_) => "by parameters",
            };
            let scope = scope.trim_start_matches("operator.");
            let row = format!("{}` | {scope} |", method.name);
            assert!(named.iter().any(|line| line.starts_with(&row)), "{row}");
        }
        assert_eq!(named.len(), all().count());
    }

    #[test]
    fn every_method_has_one_row() {
        let mut names: Vec<&str> = all().map(|method| method.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
