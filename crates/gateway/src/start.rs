//! The composition root: every subsystem built in order, and ended in the opposite one.

mod build;
mod run;

pub use run::Running;

use instar_config::{ConfigError, SecretError, StateDir, StateError};
use instar_protocol::model::LocalModel;
use instar_protocol::time::SystemClock;
use instar_protocol::{Clock, Secret};
use instar_release::ReleaseError;
use instar_release::rollout::Corrects;
use instar_store::{OpenError, StoreError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::door::TokenError;

/// Starts gateways.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Builds everything, listens, and returns when messages are taken.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        Box::pin(build::build(options)).await
    }
}

/// What a gateway is started with.
#[derive(Debug)]
pub struct Options {
    pub state: StateDir,
    /// Instead of `gateway.port`; zero takes any free port.
    pub port: Option<u16>,
    /// Listen on this machine alone, whatever `gateway.bind` says.
    pub only_here: bool,
    /// Instead of the stored token.
    pub token: Option<Secret>,
    /// Reads variables.
    pub env: fn(&str) -> Option<String>,
    /// Models in this process, by provider name.
    pub local_models: BTreeMap<String, Arc<dyn LocalModel>>,
    /// The model of last resort, when none is configured and none is found.
    pub fallback_model: Option<String>,
    /// Whether to look for models when none is configured.
    pub discover: bool,
    /// Take the lock of the state folder. Not if the caller holds it already.
    pub lock: bool,
    /// Begin logging for this process.
    pub logging: bool,
    /// Gives memory that is free back to the system, if the allocator keeps it otherwise.
    pub give_back: fn(),
    /// Whether somebody says in his own words that an answer was wrong; rollouts count that as a bad answer.
    pub corrects: Corrects,
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// As the command line starts it: port and token from the environment, the lock taken, logging on.
    pub fn new(state: StateDir, env: fn(&str) -> Option<String>) -> Result<Self, StartError> {
        let variable = |name: &str| env(name).filter(|text| !text.is_empty());
        let port = match variable("INSTAR_GATEWAY_PORT") {
            Some(text) => Some(text.parse().map_err(|_| StartError::Port)?),
            None => None,
        };
        Ok(Self {
            state,
            port,
            only_here: false,
            token: variable("INSTAR_GATEWAY_TOKEN").map(Secret::new),
            env,
            local_models: BTreeMap::new(),
            fallback_model: Some("demo/guide".to_owned()),
            discover: true,
            lock: true,
            logging: true,
            give_back: || (),
            corrects: |_| false,
            clock: Arc::new(SystemClock),
        })
    }
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("INSTAR_GATEWAY_PORT is not a port number")]
    Port,
    #[error("INSTAR_STORE_SYNCHRONOUS is neither `full` nor `off`: unset it")]
    Synchronous,
    #[error("INSTAR_GATEWAY_TOKEN is shorter than 16 characters: choose a longer one, or unset it")]
    ShortToken,
    #[error("the secret store cannot be opened")]
    Secrets(#[source] SecretError),
    #[error("authentication cannot be set up: {0}")]
    Auth(String),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the store cannot be opened")]
    Open(#[source] OpenError),
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    #[error("the trials of fixes cannot be read")]
    Healing(#[from] crate::healing::HealingError),
    #[error("the way out cannot be set up: {0}")]
    Egress(String),
    #[error("bind `tailnet` has no address: {0}")]
    Tailnet(String),
    #[error(
        "this version is {days} days old and gateway.maxVersionAgeDays lets none older than {limit} be reached from elsewhere: \
         install a newer one, or set gateway.bind to loopback"
    )]
    TooOld { days: u64, limit: u32 },
    #[error("TLS cannot be set up")]
    Certificate(#[from] crate::certificate::Problem),
    #[error("the models cannot be set up: {0}")]
    Models(String),
    #[error("the tools cannot be set up")]
    Tools(#[from] instar_tools::RegisterError),
    #[error("the workspace cannot be read")]
    Workspace(#[from] instar_agent::workspace::WorkspaceError),
    #[error("the behaviour cannot be read")]
    Behaviour(#[from] crate::behaviour::BehaviourError),
    #[error("releases cannot be signed")]
    Key(#[from] crate::signing::KeyError),
    #[error("the behaviour cannot be served")]
    Release(#[from] ReleaseError),
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    #[error(
        "cannot listen on {address}: choose another port with --port, or end the program that uses it"
    )]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}
