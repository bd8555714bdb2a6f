//! The gateway: one process, one port, one router that refuses by default.
//!
//! Begin with [`Gateway::start`], which builds the subsystems in order. A request then passes `http`
//! (limits, path, host and origin, peer limits), `door` (who is asking: a [`Caller`], computed once)
//! and one of the rooms, `api`, `openai`, `mcp` and `web`, each of which gives its `routes()`. They
//! all see the same [`AppState`].

pub mod config;
mod start;

mod advert;
mod app;
pub mod door;
mod http;
mod problem;

pub mod api;
mod control;
mod mcp;
mod openai;
pub mod web;

mod facts;
mod gates;
mod hands;
mod health;
mod ledger;
pub mod logging;
mod metrics;
mod process;
mod random;

pub mod age;
mod behaviour;
mod certificate;
pub mod policing;
mod reload;
mod reserved;
pub mod rotation;
mod seams;
pub mod security;
mod tend;
mod watch;

pub mod healing;
pub mod lab;
pub mod ports;
pub mod setup;
pub mod signing;
pub mod skills;

/// The name under which the rooms know the door.
mod auth {
    pub(crate) use crate::door::Caller;
}

pub use app::{App, AppState, ConfigHandle, Current};
pub use control::first_frame;
pub use door::Caller;
pub use gates::judge_job;
pub use http::paths;
pub use instar_agent::{COMMANDS, CommandHelp};
pub use problem::ApiProblem;
pub use start::{Gateway, Options, Running, StartError};
