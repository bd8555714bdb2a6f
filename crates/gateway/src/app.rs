//! What every handler sees: the subsystems of one running gateway.

use instar_agent::Sessions;
use instar_browser::Browsers;
use instar_config::{Loaded, StateDir};
use instar_egress::Egress;
use instar_models::{Dollars, Models};
use instar_protocol::api::Health;
use instar_protocol::event::EventKind;
use instar_protocol::{AgentId, Clock, SecretSource, Timestamp};
use instar_release::Releases;
use instar_store::Store;
use instar_tools::Toolbox;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::InstarConfig;
use crate::control::Hub;
use crate::door::Auth;
use crate::facts::Facts;
use crate::hands::{Memory, Programs, WorkspaceFiles};
use crate::health::{self, Conditions};
use crate::http::PeerLimits;
use crate::ledger::DayLedger;
use crate::logging::Logs;
use crate::metrics::Metrics;
use crate::setup::Desk;

/// The state of the router. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<App>);

/// The subsystems of one running gateway.
#[derive(Debug)]
pub struct App {
    pub store: Store,
    pub sessions: Sessions,
    pub models: Models,
    /// The only way out of this process.
    pub egress: Egress,
    pub releases: Releases,
    pub toolbox: Arc<Toolbox>,
    /// The files that tools work on, and what these changed.
    pub(crate) files: WorkspaceFiles,
    /// The programs that tools run.
    pub(crate) programs: Programs,
    /// What agents keep in mind.
    pub(crate) memory: Memory,
    pub(crate) browsers: Browsers,
    pub ledger: Arc<DayLedger>,
    pub config: ConfigHandle,
    /// Secrets by reference.
    pub secrets: Arc<dyn SecretSource>,
    /// True if the token came from outside: a stored one does not count then.
    pub(crate) token_override: bool,
    pub state_dir: StateDir,
    pub clock: Arc<dyn Clock>,
    pub facts: Facts,
    pub metrics: Arc<Metrics>,
    pub logs: Logs,
    pub auth: Auth,
    pub conditions: Conditions,
    /// The listener's side of TLS, if it speaks it.
    pub tls: Option<Arc<instar_tls::Server>>,
    /// The clients of the control plane.
    pub(crate) control: Hub,
    /// Work that outlives its request; waited for at shutdown.
    pub tasks: TaskTracker,
    /// Cancelled when shutdown begins: streams end themselves on it.
    pub closing: CancellationToken,
    pub started_at: Timestamp,
    /// Milliseconds from the call of start to ready.
    pub start_ms: AtomicU64,
    pub url: OnceLock<String>,
    /// The model that answers where the configuration names none.
    pub discovered: Option<String>,
    /// Room for checks of candidates at a time.
    pub(crate) checks: Arc<Semaphore>,
    /// How often gates have answered since the start.
    pub(crate) gates_asked: AtomicU64,
    /// Room for request bodies that are held at once, in KiB.
    pub(crate) bodies: Arc<Semaphore>,
    pub(crate) peers: PeerLimits,
    /// Cycles of the lab, one at a time.
    pub lab: crate::lab::Lab,
    /// The shares of fixes that are on trial.
    pub healing: Arc<crate::healing::Healing>,
    /// Settings-up under way in a browser or over the control plane.
    pub desk: Desk,
    /// Reads variables: the process's, or a test's.
    pub env: fn(&str) -> Option<String>,
}

impl AppState {
    #[must_use]
    pub fn new(app: App) -> Self {
        Self(Arc::new(app))
    }

    /// For who must not keep the gateway alive.
    pub(crate) fn weak(&self) -> Weak<App> {
        Arc::downgrade(&self.0)
    }
}

impl From<Arc<App>> for AppState {
    fn from(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

impl App {
    /// The agents that the configuration in force names.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentId> {
        let config = self.config.current().value.agent_config();
        config.agents().into_iter().map(|agent| agent.id).collect()
    }

    /// Ten random bytes, as ids take them.
    #[must_use]
    pub fn random(&self) -> [u8; 10] {
        crate::random::ten()
    }

    /// Where the gateway is reached, for people: `http://127.0.0.1:18789`.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.get().map_or("", String::as_str)
    }

    /// What the certificate is known by, if this gateway speaks TLS itself.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let tls = self.tls.as_ref()?;
        Some(tls.fingerprint().to_string())
    }

    /// A link that signs one browser in, once, within a minute.
    pub fn sign_in_link(&self) -> Result<(String, Timestamp), getrandom::Error> {
        let (code, ends) = self.auth.codes.make(self.clock.now())?;
        Ok((
            format!("{}/sign-in?code={}", self.url(), code.expose()),
            ends,
        ))
    }

    /// The agent that gets what is addressed to none.
    #[must_use]
    pub fn default_agent(&self) -> AgentId {
        self.config.current().value.agent_config().default_agent()
    }

    /// The model that a plain message to the default agent is answered by.
    #[must_use]
    pub fn default_model(&self) -> String {
        let agent = self.default_agent();
        self.releases
            .stable()
            .and_then(|release| {
                let agent = release.behaviour.agents.get(agent.as_str())?;
                Some(agent.route.primary.clone())
            })
            .unwrap_or_default()
    }

    /// Whether the configuration on disk is the one in force; the banner of the pages shows it.
    #[must_use]
    pub fn config_health(&self) -> Health {
        self.conditions.config()
    }

    /// Whether the store can be written.
    #[must_use]
    pub fn store_health(&self) -> Health {
        match self.store.health() {
            None => Health::sound(),
            Some(problem) => Health::broken(
                format!("the store cannot be written: {}", problem.message),
                problem.next_step,
            ),
        }
    }

    /// Whether plain messages have a model that answers.
    #[must_use]
    pub fn models_health(&self) -> Health {
        let model = self.default_model();
        if model.is_empty() {
            return Health::broken(
                "no model is configured",
                "set one with `instar models set PROVIDER/MODEL`",
            );
        }
        let missing = self
            .models
            .list()
            .into_iter()
            .any(|known| known.id == model && known.auth == "missing");
        if missing {
            return Health::broken(
                format!("the key of {model} is missing"),
                "put it into the environment, or store it with `instar secrets set NAME`",
            );
        }
        Health::sound()
    }

    /// Whether spending stays clear of its limits.
    #[must_use]
    pub fn budget_health(&self) -> Health {
        let budget = &self.config.current().value.models.budget;
        let (today, month) = self.ledger.totals();
        let limits = [
            ("day", today, budget.per_day_usd),
            ("month", month, budget.per_month_usd),
        ];
        let limits = limits.map(|(scope, spent, limit)| (scope, spent, limit.map(Dollars::micros)));
        health::budget(&limits, budget.warn_at)
    }

    /// Records a fact about the gateway itself.
    pub fn note(&self, kind: EventKind) {
        self.facts.note(kind);
    }
}

/// The configuration in force, exchanged as a whole.
#[derive(Clone, Debug)]
pub struct ConfigHandle(Arc<RwLock<Arc<Current>>>);

/// A configuration and where it came from.
pub type Current = Loaded<InstarConfig>;

impl ConfigHandle {
    #[must_use]
    pub fn new(current: Current) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(current))))
    }

    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn replace(&self, current: Current) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
    }
}
