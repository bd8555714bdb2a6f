//! Calls to language models: one codec per wire format, vendors as table rows, one road for every call.

use instar_egress::Egress;
use instar_protocol::event::ErrorClass;
use instar_protocol::live::UserError;
use instar_protocol::model::{Attempt, LocalModel, ModelEvent, ModelRef, ModelReply, ModelRequest};
use instar_protocol::{AgentId, Clock, ObjectHash, SecretSource, SessionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The `models` part of the configuration. Unknown keys are refused by the reader.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelsConfig {
    pub providers: BTreeMap<String, ProviderConfig>,
}
/// One model provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderConfig {
    pub base_url: Option<String>,
}

/// Reads image bytes for requests that carry them.
pub trait ObjectSource: Send + Sync + std::fmt::Debug {
    fn object<'a>(
        &'a self,
        hash: &'a ObjectHash,
    ) -> futures_util::future::BoxFuture<'a, Result<Vec<u8>, String>>;
}
/// Keeps the running totals of spending; implemented over the store.
pub trait Ledger: Send + Sync + std::fmt::Debug {
    /// Micro-dollars spent today and this month (local time), all agents.
    fn spent(&self) -> (u64, u64);
    fn add(&self, spend: SpendRecord);
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
#[derive(Debug)]
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
}

#[derive(Debug, thiserror::Error)]
#[error("model call failed ({class:?}): {operator}")]
pub struct ModelError {
    pub class: ErrorClass,
    /// For the log: vendor, status, excerpt with secrets removed.
    pub operator: String,
    pub user: UserError,
    pub attempts: Vec<Attempt>,
    /// Text that had arrived before the failure.
    pub partial: String,
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
    pub auth: String,
}
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    pub model: String,
    pub ok: bool,
    pub millis: u64,
    pub class: Option<ErrorClass>,
    pub message: String,
}

/// The models that can be called. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Models {}
#[expect(clippy::todo, reason = "interface first")]
impl Models {
    pub fn new(_config: ModelsConfig, _egress: Egress, _parts: Parts) -> Result<Self, String> {
        todo!()
    }
    /// Puts a new configuration in force for calls that begin after it.
    pub fn reload(&self, _config: ModelsConfig) -> Result<(), String> {
        todo!()
    }
    /// Calls the first model of the chain that answers. `on_event` gets every event as it arrives.
    pub async fn call(
        &self,
        _call: Call<'_>,
        _on_event: &mut (dyn FnMut(&ModelEvent) + Send),
    ) -> Result<ModelReply, ModelError> {
        todo!()
    }
    #[must_use]
    pub fn list(&self) -> Vec<ModelInfo> {
        todo!()
    }
    #[must_use]
    pub fn context_window(&self, _model: &ModelRef) -> u64 {
        todo!()
    }
    pub async fn probe(&self, _model: &ModelRef) -> Probe {
        todo!()
    }
    /// The model to use when the owner named none: environment keys, a local server, or the demo model.
    pub async fn discover(&self) -> Option<ModelRef> {
        todo!()
    }
}
/// What the models need from the house.
#[derive(Debug, Clone)]
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub secrets: Arc<dyn SecretSource>,
    pub objects: Arc<dyn ObjectSource>,
    pub ledger: Arc<dyn Ledger>,
    pub local: BTreeMap<String, Arc<dyn LocalModel>>,
    /// Environment look-up, so that tests need no real environment.
    pub env: fn(&str) -> Option<String>,
}
