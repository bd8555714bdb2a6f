//! A real browser for each agent: Chromium behind walls, worked over the debugging protocol.
//!
//! The process runs inside the walls of `sandbox` with the egress broker as its only network, and is
//! spoken to over a pipe, never over a port. Its profile is a folder of the agent's own below the state
//! folder and is its workspace inside the walls; nobody but the owner's own runs uses it.
//!
//! Reading order: [`Browsers`] (who has which browser, and for how long), `engine` (one process and its
//! pages), `page` (what is done on a page, by `page.js`), `wire` (the protocol), `program` (the command).

mod house;

mod deed;
mod engine;
mod page;
mod tabs;

mod config;
mod program;
mod wire;

pub use config::BrowserConfig;
pub use house::{Browsers, Noted, Parts};
pub use program::find;
