//! Tools of servers that speak the Model Context Protocol, as tools of ours: `mcp__SERVER__TOOL`.
//!
//! A server is somebody's program. What it says of its tools is read by the model and believed by
//! nobody: they are judged by their names and arguments through the table of families, which only
//! loosens, whatever their hints say, and their results are a stranger's. Messages go through a wire that the gateway supplies, one exchange at a
//! time.

mod adapter;
mod client;
mod pictures;

use futures_util::future::BoxFuture;
use serde_json::Value;
use std::fmt;

pub use adapter::{adapt, tool_name};
pub use client::{Client, Described};

/// Carries one message there and brings what comes back; supplied by the gateway.
pub trait Wire: Send + Sync + fmt::Debug {
    /// Everything that came in answer to the message, notifications included; nothing for a
    /// notification of ours.
    fn exchange<'a>(&'a self, message: &'a Value) -> BoxFuture<'a, Result<Vec<Value>, McpError>>;

    /// Forgets the session that the server keeps for us; the next exchange begins another.
    fn forget(&self);

    /// What the server said meanwhile without being asked.
    fn heard(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Why a server could not be asked, for the owner and for the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum McpError {
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It does not know our session any more.
    #[error("the server forgot this session")]
    Forgotten,
    #[error("the server answered with status {0}")]
    Status(u16),
    #[error("the server's answer cannot be read: {0}")]
    Malformed(&'static str),
    #[error("the server refused: {0}")]
    Refused(String),
}
