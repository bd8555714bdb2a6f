//! The commands, one module each.

pub(crate) mod acp;
pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod audit;
mod branches;
pub(crate) mod config;
pub(crate) mod dashboard;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod logs;
pub(crate) mod mcp;
mod mend;
pub(crate) mod models;
pub(crate) mod offline;
pub(crate) mod onboard;
pub(crate) mod process;
pub(crate) mod release;
pub(crate) mod secrets;
pub(crate) mod security;
pub(crate) mod service;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod undo;
pub(crate) mod up;
pub(crate) mod usage;
