//! The work of setting up: looking around, trying a model, writing what was answered.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_agent::workspace;
use instar_config::{Author, ConfigError, KeyPath, SecretError, SecretStore, StateDir, StateError};
use instar_models::{Ledger, Models, ObjectSource, SpendRecord};
use instar_protocol::model::LocalModel;
use instar_protocol::time::SystemClock;
use instar_protocol::{ObjectHash, Secret, SecretRef, SecretSource};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::candidate::Candidate;
use super::offer::{KeyPlace, Listen, Offer, VendorOffer};
use super::seen::Seen;
use super::step::Refused;
use super::wizard::{Report, Task, Verdict};
use crate::app::AppState;
use crate::config::{AuthMode, Bind, InstarConfig};
use crate::ports;
use crate::problem::chain;

/// Does what a [`super::Wizard`] asks for.
#[derive(Clone, Debug)]
pub struct Setup {
    state: StateDir,
    env: fn(&str) -> Option<String>,
    /// Who stands in the journal of the configuration.
    who: String,
    /// Models with the configuration as it was found; others are derived from them to try one.
    models: Models,
    secrets: Arc<dyn SecretSource>,
    /// This is the gateway's own process.
    running: bool,
}

/// Why setting up cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the secret store cannot be opened")]
    Secrets(#[from] SecretError),
    #[error("the models cannot be set up: {0}")]
    Models(String),
}

impl Setup {
    /// For a state folder, whether a gateway runs on it or not.
    pub fn open(
        state: StateDir,
        env: fn(&str) -> Option<String>,
        who: &str,
        local: BTreeMap<String, Arc<dyn LocalModel>>,
    ) -> Result<Self, SetupError> {
        state.prepare()?;
        let config = read(&state, env)?;
        let store = SecretStore::open(&state, &env)?.with_environment(env);
        let secrets: Arc<dyn SecretSource> = Arc::new(store);
        let parts = instar_models::Parts {
            clock: Arc::new(SystemClock),
            secrets: Arc::clone(&secrets),
            objects: Arc::new(Nothing),
            ledger: Arc::new(Nothing),
            local,
            env,
        };
        let egress = crate::seams::egress(&config.egress, &*secrets).map_err(SetupError::Models)?;
        let models = Models::new(config.models, egress, parts).map_err(SetupError::Models)?;
        Ok(Self {
            state,
            env,
            who: who.to_owned(),
            models,
            secrets,
            running: false,
        })
    }

    /// For a gateway that runs in this process and is asked over one of its own connections.
    #[must_use]
    pub fn within(app: &AppState, who: &str) -> Self {
        Self {
            state: app.state_dir.clone(),
            env: app.env,
            who: who.to_owned(),
            models: app.models.clone(),
            secrets: Arc::clone(&app.secrets),
            running: true,
        }
    }

    /// True if every question was answered once, in whatever face.
    #[must_use]
    pub fn is_finished(state: &StateDir) -> bool {
        Seen::read(state).finished_at.is_some()
    }

    /// True if a person who signs in should be offered to set things up: nothing names a model, and
    /// nobody has answered or put off the questions.
    #[must_use]
    pub fn is_wanted(app: &AppState) -> bool {
        let config = app.config.current();
        let named = config.value.agents.defaults.model.is_some();
        if named || !config.value.models.providers.is_empty() {
            return false;
        }
        let seen = Seen::read(&app.state_dir);
        seen.finished_at.is_none() && seen.put_off_at.is_none()
    }

    /// Puts the questions off: they are not offered again, but can be begun.
    pub async fn put_off(&self) -> Result<(), String> {
        let this = self.clone();
        let noted =
            tokio::task::spawn_blocking(move || this.note(|seen, now| seen.put_off_at = Some(now)));
        let noted = noted.await.map_err(|error| error.to_string())?;
        noted.map(|_none| ())
    }

    /// Looks around before the first question.
    pub async fn look(&self) -> Result<Offer, SetupError> {
        let config = read(&self.state, self.env)?;
        let local = self.models.local_servers().await;
        let agent = config.agent_config().default_agent();
        let workspace = config.agents.defaults.workspace.as_ref();
        let model = config.agents.defaults.model.as_ref();
        let listen = Listen {
            port: config.gateway.port,
            bind: config.gateway.bind,
            may_open: config.gateway.auth.mode == AuthMode::TrustedProxy,
            running: self.running,
        };
        Ok(Offer {
            risk_accepted: Seen::read(&self.state).risk_accepted_at,
            workspace: workspace
                .map_or_else(|| self.state.workspace(agent.as_str()), PathBuf::from),
            home: (self.env)("HOME").map(PathBuf::from),
            model: model.map(|model| model.primary().to_owned()),
            vendors: self.vendors(&local),
            local,
            listen,
            service: None,
        })
    }

    fn vendors(&self, local: &[instar_models::LocalServer]) -> Vec<VendorOffer> {
        let known = self.models.list();
        let offers = instar_models::vendor::VENDORS.iter().map(|vendor| {
            let rows = || known.iter().filter(|row| row.provider == vendor.id);
            let auth = rows().next().map_or("missing", |row| row.auth.as_str());
            let key = match auth.split_once(':') {
                _ if vendor.local => KeyPlace::NotNeeded,
                Some(("env", variable)) => KeyPlace::Environment(variable.to_owned()),
                Some(_) => KeyPlace::Kept,
                None if self.has_key(vendor.id) => KeyPlace::Kept,
                None => vendor
                    .keys
                    .iter()
                    .find(|name| (self.env)(name).is_some_and(|key| !key.is_empty()))
                    .map_or(KeyPlace::Missing, |name| {
                        KeyPlace::Environment((*name).to_owned())
                    }),
            };
            let mut models: Vec<String> =
                vendor.default_model.iter().map(|&id| id.into()).collect();
            let listed = rows()
                .filter_map(|row| row.id.split_once('/'))
                .map(|(_, id)| id);
            let found = local.iter().filter(|server| server.provider == vendor.id);
            let served = found.flat_map(|server| server.models.iter().map(String::as_str));
            for id in listed.chain(served) {
                if !models.iter().any(|known| known == id) {
                    models.push(id.to_owned());
                }
            }
            VendorOffer {
                id: vendor.id.to_owned(),
                name: vendor.name.to_owned(),
                key,
                models,
            }
        });
        let mut offers: Vec<VendorOffer> = offers.collect();
        offers.sort_by_key(|offer| match offer.key {
            KeyPlace::Environment(_) | KeyPlace::Kept => 0,
            KeyPlace::Missing => 1,
            KeyPlace::NotNeeded => 2,
        });
        offers
    }

    fn has_key(&self, vendor: &str) -> bool {
        let reference = SecretRef {
            source: instar_protocol::SecretOrigin::Store,
            id: vendor.to_owned(),
        };
        self.secrets.secret(&reference).is_ok()
    }

    /// Does one task. Cut off in the middle, it leaves a sound state.
    pub async fn perform(&self, task: &Task) -> Report {
        if let Task::Probe(candidate) = task {
            return Report::Probed(self.probe(candidate).await);
        }
        let (this, task) = (self.clone(), task.clone());
        // Files, locks, and a passphrase that is hard to check on purpose.
        let done = tokio::task::spawn_blocking(move || this.write(task)).await;
        match done {
            Ok(Ok(changed)) => Report::Done(changed),
            Ok(Err(Trouble::Refused(why))) => Report::Refused(why),
            Ok(Err(Trouble::Failed(why))) => Report::Failed(why),
            Err(error) => Report::Failed(format!("this step broke off: {error}")),
        }
    }

    /// Makes one tiny real call with the model as it would be.
    pub async fn probe(&self, candidate: &Candidate) -> Verdict {
        let candidate = candidate.clone().resolved(self.env);
        let config = match read(&self.state, self.env) {
            Ok(config) => config.models,
            Err(error) => return failed(chain(&error)),
        };
        let secrets = Arc::new(Tried {
            reference: candidate.reference(),
            key: candidate.key().cloned(),
            others: Arc::clone(&self.secrets),
        });
        match self.models.trial(candidate.laid_over(config), secrets) {
            Ok(models) => {
                let probe = models.probe(candidate.model()).await;
                Verdict {
                    ok: probe.ok,
                    millis: probe.millis,
                    class: probe.class,
                    message: probe.message,
                }
            }
            Err(why) => failed(why),
        }
    }

    fn write(&self, task: Task) -> Result<Vec<String>, Trouble> {
        let changed = match task {
            Task::AcceptRisk => self.note(|seen, now| seen.risk_accepted_at = Some(now)),
            Task::Finish => self.note(|seen, now| seen.finished_at = Some(now)),
            Task::Workspace(folder) => self.use_workspace(&folder),
            Task::UseModel(candidate) => self.use_model(candidate),
            Task::Port(port) => return self.use_port(port),
            Task::Bind(bind) => self.set("gateway.bind", &json!(bind)),
            Task::Probe(_) | Task::Service => {
                return Err(Trouble::Refused(Refused::new(|w| w.service_elsewhere)));
            }
        };
        changed.map_err(Trouble::Failed)
    }

    fn note(&self, settle: impl FnOnce(&mut Seen, String)) -> Result<Vec<String>, String> {
        let mut seen = Seen::read(&self.state);
        settle(&mut seen, jiff::Timestamp::now().to_string());
        seen.write(&self.state)
            .map_err(|error| format!("setup.json cannot be written: {error}"))?;
        Ok(Vec::new())
    }

    fn use_workspace(&self, folder: &Path) -> Result<Vec<String>, String> {
        workspace::seed(folder).map_err(|error| chain(&error))?;
        let config = self.config()?;
        let agent = config.agent_config().default_agent();
        let present = config.agents.defaults.workspace.as_ref();
        let present = present.map_or_else(|| self.state.workspace(agent.as_str()), PathBuf::from);
        if present == folder {
            return Ok(Vec::new());
        }
        let text = folder
            .to_str()
            .ok_or("the name of the folder is not text that the configuration can hold")?;
        self.set("agents.defaults.workspace", &json!(text))
    }

    /// The key first: a configuration that refers to it is never without it.
    fn use_model(&self, candidate: Candidate) -> Result<Vec<String>, String> {
        let candidate = candidate.resolved(self.env);
        let config = self.config()?;
        if let Some(key) = candidate.key() {
            let store = SecretStore::open(&self.state, &self.env).map_err(|error| chain(&error))?;
            store
                .set(&candidate.reference().id, key)
                .map_err(|error| chain(&error))?;
        }
        let chained = matches!(
            config.agents.defaults.model,
            Some(instar_agent::config::ModelChoice::Chain(_))
        );
        let mut changed = Vec::new();
        for (path, value) in candidate.edits(&config.models, chained) {
            changed.extend(self.set(&path.to_string(), &value)?);
        }
        Ok(changed)
    }

    fn use_port(&self, port: u16) -> Result<Vec<String>, Trouble> {
        let config = self.config().map_err(Trouble::Failed)?;
        let ip = match config.gateway.bind {
            Bind::Lan => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Bind::Loopback | Bind::Custom | Bind::Tailnet => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        if !ports::is_free(ip, port) && !ports::is_of_gateway(&self.state, port) {
            let name = ports::holder(port)
                .map_or_else(|| port.to_string(), |holder| format!("{port} ({holder})"));
            return Err(Trouble::Refused(Refused::about(|w| w.port_taken, name)));
        }
        if config.gateway.port == port {
            return Ok(Vec::new());
        }
        let set = self.set("gateway.port", &json!(port));
        set.map_err(Trouble::Failed)
    }

    fn config(&self) -> Result<InstarConfig, String> {
        read(&self.state, self.env).map_err(|error| chain(&error))
    }

    /// One edit by the road that every edit takes: comments kept, checked, backed up, journalled.
    fn set(&self, path: &str, value: &Value) -> Result<Vec<String>, String> {
        let path = KeyPath::parse(path).map_err(|error| error.to_string())?;
        let present = serde_json::to_value(self.config()?).map_err(|error| error.to_string())?;
        if path.find(&present) == Some(value) {
            return Ok(Vec::new());
        }
        let author = Author {
            who: self.who.clone(),
            pid: std::process::id(),
        };
        let rules: instar_config::Rules<'_, InstarConfig> = &InstarConfig::problems;
        let text = path.to_string();
        instar_config::set_with(&self.state, &text, value, &author, &self.env, rules)
            .map_err(|error| chain(&error))
    }
}

fn read(state: &StateDir, env: fn(&str) -> Option<String>) -> Result<InstarConfig, ConfigError> {
    let file = state.config_file();
    let loaded = instar_config::load_with(file, &env, InstarConfig::problems)?;
    Ok(loaded.value)
}

/// Why a task was not done.
enum Trouble {
    /// What was answered does not do.
    Refused(Refused),
    /// In the words of the system.
    Failed(String),
}

fn failed(message: String) -> Verdict {
    Verdict {
        ok: false,
        millis: 0,
        class: None,
        message,
    }
}

/// The secrets as they would be with the key that is tried.
#[derive(Debug)]
struct Tried {
    reference: SecretRef,
    key: Option<Secret>,
    others: Arc<dyn SecretSource>,
}

impl SecretSource for Tried {
    fn secret(&self, reference: &SecretRef) -> Result<Secret, String> {
        match &self.key {
            Some(key) if *reference == self.reference => Ok(key.clone()),
            _ => self.others.secret(reference),
        }
    }
}

/// Outside of a gateway there are no objects to show to a model, and no totals to add the price of
/// one tiny call to.
#[derive(Debug)]
struct Nothing;

impl ObjectSource for Nothing {
    fn object<'a>(&'a self, _: &'a ObjectHash) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        async { Err("there are no objects without a gateway".to_owned()) }.boxed()
    }
}

impl Ledger for Nothing {
    fn spent(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, spend: SpendRecord) {
        tracing::debug!(?spend, "a model was tried outside of a gateway");
    }
}
