//! Sessions and turns: one owner task per session, a pure step, a driver that does the I/O.

use instar_models::Models;
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::Inbound;
use instar_protocol::{Clock, InboundId, RunId, SessionId, SessionKey};
use instar_release::Releases;
use instar_store::{Store, StoreError};
use instar_tools::Toolbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{broadcast, oneshot};

/// The parts of the configuration that turns and sessions read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionConfig {}

/// What sessions need from the house.
#[derive(Debug, Clone)]
pub struct Parts {
    pub store: Store,
    pub models: Models,
    pub releases: Releases,
    pub tools: Arc<Toolbox>,
    pub clock: Arc<dyn Clock>,
}

/// The conversations of this gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sessions {}

#[derive(Debug)]
pub struct Submitted {
    pub inbound: InboundId,
    pub session: SessionId,
    /// Resolves when the message has been answered (or dropped, or failed).
    pub outcome: oneshot::Receiver<Arc<Outcome>>,
    /// Live events of the session from before the message was queued.
    pub live: broadcast::Receiver<Arc<LiveEvent>>,
    /// Set if the idempotency key had been seen.
    pub duplicate: Option<RunId>,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("too many messages are waiting in this conversation")]
    QueueFull,
    #[error("there is no agent {0}")]
    UnknownAgent(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[expect(clippy::todo, reason = "interface first")]
impl Sessions {
    /// Starts the supervisor. Nothing runs before a message comes or [`Sessions::recover`] is called.
    #[must_use]
    pub fn start(_parts: Parts, _config: SessionConfig) -> Self {
        todo!()
    }
    pub fn reload(&self, _config: SessionConfig) {
        todo!()
    }
    /// Settles what a crash left: resumes, marks interrupted or uncertain. Returns the three counts.
    pub async fn recover(&self) -> Result<(u64, u64, u64), StoreError> {
        todo!()
    }
    /// Stores the message and queues it. Durable when this returns.
    pub async fn submit(&self, _inbound: Inbound) -> Result<Submitted, SubmitError> {
        todo!()
    }
    /// Live events of a session, if it is awake now or wakes later.
    pub async fn watch(
        &self,
        _key: &SessionKey,
    ) -> Result<broadcast::Receiver<Arc<LiveEvent>>, SubmitError> {
        todo!()
    }
    /// Stops the running turn; true if there was one.
    pub async fn stop(&self, _key: &SessionKey) -> bool {
        todo!()
    }
    /// Lets turns reach a safe point within the grace period, then cuts them.
    pub async fn shutdown(&self, _grace: std::time::Duration) {
        todo!()
    }
}
