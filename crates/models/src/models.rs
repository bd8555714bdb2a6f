//! What the rest of the house sees: the handle, a call, what the models need.

use crate::breaker::Breakers;
use crate::budget::{Reserved, Warnings};
use crate::cache::Cache;
use crate::catalog::Catalog;
use crate::config::{Cost, ModelsConfig};
use futures_util::future::BoxFuture;
use instar_egress::Egress;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::{LocalModel, ModelRef, ModelRequest};
use instar_protocol::{AgentId, Clock, ObjectHash, SecretSource, SessionId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Reads image bytes for requests that carry them.
pub trait ObjectSource: Send + Sync + std::fmt::Debug {
    fn object<'a>(&'a self, hash: &'a ObjectHash) -> BoxFuture<'a, Result<Vec<u8>, String>>;
}

/// Keeps the running totals of spending; implemented over the store.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Micro-dollars spent today and this month (local time), all agents.
    fn spent(&self) -> (u64, u64);
    fn add(&self, spend: SpendRecord);
    /// The day that spending is booked on now. `None` if days are those of UTC.
    fn day(&self) -> Option<String> {
        None
    }
    /// Spending passed the warning mark of a limit: `turn`, `day` or `month`. Called at most once
    /// a day for each.
    fn warn(&self, scope: &'static str, spent_micros: u64, limit_micros: u64) {
        let _ = (scope, spent_micros, limit_micros);
    }
}

#[derive(Clone, Debug)]
pub struct SpendRecord {
    pub agent: AgentId,
    pub session: SessionId,
    pub model: ModelRef,
    pub calls: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost_micros: u64,
}

/// One call and everything that bounds it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub request: &'a ModelRequest,
    /// Tried in order; the first is the primary.
    pub chain: &'a [ModelRef],
    pub agent: &'a AgentId,
    pub session: &'a SessionId,
    /// Micro-dollars this turn has already spent.
    pub turn_spent_micros: u64,
    pub deadline: tokio::time::Instant,
    pub cancel: &'a CancellationToken,
    /// What is done about a fault of the models asked.
    pub mend: Mend,
}

/// What a behaviour does about models that fail, beside what is done anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mend {
    /// A model that failed is asked so many times more before the next one is.
    pub again: u8,
    /// The first pause before that; each next one is twice as long.
    pub pause_ms: u32,
    /// A model that has said nothing by then is given up.
    pub patience: Option<Duration>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ModelInfo {
    pub id: String,
    pub name: String,
    pub provider: String,
    pub api: String,
    pub base_url: String,
    pub context_window: u64,
    pub max_tokens: u64,
    pub configured: bool,
    /// Where the key comes from: `env:NAME`, `store:NAME`, `file:PATH`, `none` or `missing`.
    pub auth: String,
    /// False if no price is known: its calls count as free.
    pub priced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    pub reasoning: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    pub model: String,
    pub ok: bool,
    pub millis: u64,
    pub class: Option<ErrorClass>,
    pub message: String,
}

/// What the models need from the house.
#[derive(Debug, Clone)]
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub secrets: Arc<dyn SecretSource>,
    pub objects: Arc<dyn ObjectSource>,
    pub ledger: Arc<dyn Ledger>,
    /// Models in this process, by provider name.
    pub local: BTreeMap<String, Arc<dyn LocalModel>>,
    /// Environment look-up, so that tests need no real environment.
    pub env: fn(&str) -> Option<String>,
}

/// The models that can be called. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Models {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) egress: Egress,
    pub(crate) parts: Parts,
    catalog: RwLock<Arc<Catalog>>,
    pub(crate) breakers: Mutex<Breakers>,
    pub(crate) cache: Mutex<Cache>,
    pub(crate) warnings: Mutex<Warnings>,
    pub(crate) reserved: Arc<Reserved>,
    /// Ends of answers that are read so that their connections can be used again.
    pub(crate) drains: TaskTracker,
}

impl Models {
    pub fn new(config: ModelsConfig, egress: Egress, parts: Parts) -> Result<Self, String> {
        Self::build(config, egress, parts, Arc::default())
    }

    fn build(
        config: ModelsConfig,
        egress: Egress,
        parts: Parts,
        reserved: Arc<Reserved>,
    ) -> Result<Self, String> {
        let catalog = Catalog::build(config, &parts)?;
        Ok(Self {
            inner: Arc::new(Inner {
                egress,
                parts,
                catalog: RwLock::new(Arc::new(catalog)),
                breakers: Mutex::default(),
                cache: Mutex::default(),
                warnings: Mutex::default(),
                reserved,
                drains: TaskTracker::new(),
            }),
        })
    }

    /// The same house with another configuration and other secrets, to try a model before it is
    /// written anywhere. What it costs is booked as usual.
    pub fn trial(
        &self,
        config: ModelsConfig,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Self, String> {
        let parts = Parts {
            secrets,
            ..self.inner.parts.clone()
        };
        let reserved = Arc::clone(&self.inner.reserved);
        Self::build(config, self.inner.egress.clone(), parts, reserved)
    }

    /// Puts a new configuration in force for calls that begin after it. On an error the old one
    /// stays.
    pub fn reload(&self, config: ModelsConfig) -> Result<(), String> {
        let catalog = Arc::new(Catalog::build(config, &self.inner.parts)?);
        *self
            .inner
            .catalog
            .write()
            .unwrap_or_else(PoisonError::into_inner) = catalog;
        self.inner
            .warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reloaded();
        Ok(())
    }

    /// True if a limit on spending is set that cannot stop calls of this model, because no price is
    /// known for it: its calls count as free.
    #[must_use]
    pub fn escapes_budget(&self, model: &ModelRef) -> bool {
        let is_local = self.inner.parts.local.contains_key(model.provider());
        !is_local && self.catalog().escapes_budget(model)
    }

    /// The models that are known by name: those of local providers, the owner's, the table's.
    #[must_use]
    pub fn list(&self) -> Vec<ModelInfo> {
        let parts = &self.inner.parts;
        let catalog = self.catalog();
        let local = parts.local.iter().flat_map(|(provider, local)| {
            local
                .models()
                .into_iter()
                .map(move |(id, about)| ModelInfo {
                    id: format!("{provider}/{id}"),
                    name: about,
                    provider: provider.clone(),
                    api: "local".into(),
                    base_url: String::new(),
                    context_window: LOCAL_WINDOW,
                    max_tokens: LOCAL_WINDOW,
                    configured: true,
                    auth: "none".into(),
                    priced: true,
                    cost: Some(Cost::default()),
                    reasoning: false,
                })
        });
        let mut all: Vec<ModelInfo> = local.collect();
        all.extend(
            catalog
                .providers
                .values()
                .flat_map(|provider| provider.list(parts)),
        );
        all
    }

    #[must_use]
    pub fn context_window(&self, model: &ModelRef) -> u64 {
        if self.inner.parts.local.contains_key(model.provider()) {
            return LOCAL_WINDOW;
        }
        self.catalog().facts(model).context_window
    }

    /// Whether a model takes pictures; `None` where nothing says so.
    #[must_use]
    pub fn takes_pictures(&self, model: &ModelRef) -> Option<bool> {
        if self.inner.parts.local.contains_key(model.provider()) {
            return Some(false);
        }
        self.catalog().facts(model).pictures
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.inner
            .catalog
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Models in this process have no tokens to speak of; the window keeps compaction in use.
const LOCAL_WINDOW: u64 = 128_000;
