//! The built binary from outside: processes, signals, system calls, disks and files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod stops;
mod support;

mod acp;
mod answers;
mod approvals;
mod asserted;
mod branches;
mod browser;
mod browser_approvals;
mod browser_branches;
mod browser_chat;
mod browser_evidence;
mod browser_faults;
mod browser_forms;
mod browser_pages;
mod browser_policy;
mod browser_rollout;
mod browser_setup;
mod browsing;
mod canary;
mod candidates;
mod chat;
mod clients;
mod closed;
mod commands;
mod crash;
mod dashboard;
mod demo;
mod devices;
mod discovery;
mod disk;
mod egress;
mod endings;
mod evals;
mod faults;
mod faults_told;
mod flush;
mod found_again;
mod gates;
mod grounds;
mod hands;
mod healing;
mod heartbeats;
mod identity;
mod inbox;
mod keeping;
mod kills;
mod lineage;
mod look;
mod mcp;
mod one_way;
mod own;
mod peers;
mod pictures;
mod policy;
mod programs;
mod proven;
mod ready;
mod rehearsals;
mod remembered;
mod rollouts;
mod schedules;
mod scripts;
mod secure;
mod security;
mod serve;
mod service;
mod setup;
mod signed;
mod skills;
mod sources;
mod state;
mod terminal;
mod threats;
mod together;
mod tools;
mod ways_out;
mod words;
