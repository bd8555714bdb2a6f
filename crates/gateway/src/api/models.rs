//! `GET /models` and `POST /models/probe`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use futures_util::{StreamExt as _, stream};
use instar_models::{ModelInfo, Probe};
use instar_protocol::api::ProbeRequest;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::ModelRef;
use serde::Serialize;

use super::input::Strict;
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// Models that are asked at the same time.
const PROBES_AT_ONCE: usize = 4;
/// The most models of one request.
const PROBES_MAX: usize = 32;

/// A model that can be named.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRow {
    pub id: String,
    pub name: String,
    pub provider: String,
    pub api: String,
    pub base_url: String,
    pub context_window: u64,
    pub max_tokens: u64,
    pub configured: bool,
    /// Where the key comes from; never the key.
    pub auth: String,
    pub priced: bool,
    pub reasoning: bool,
    /// True for the model that answers plain messages.
    pub default: bool,
}

/// How a model answered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeRow {
    pub model: String,
    pub ok: bool,
    pub millis: u64,
    pub class: Option<ErrorClass>,
    pub message: String,
}

impl ModelRow {
    #[must_use]
    pub fn new(model: ModelInfo, default: &str) -> Self {
        Self {
            default: model.id == default,
            id: model.id,
            name: model.name,
            provider: model.provider,
            api: model.api,
            base_url: model.base_url,
            context_window: model.context_window,
            max_tokens: model.max_tokens,
            configured: model.configured,
            auth: model.auth,
            priced: model.priced,
            reasoning: model.reasoning,
        }
    }
}

impl From<Probe> for ProbeRow {
    fn from(probe: Probe) -> Self {
        Self {
            model: probe.model,
            ok: probe.ok,
            millis: probe.millis,
            class: probe.class,
            message: probe.message,
        }
    }
}

pub(super) async fn list(State(app): State<AppState>, _caller: Caller) -> Json<Vec<ModelRow>> {
    Json(models(&app))
}

/// Every model that can be named.
pub(crate) fn models(app: &AppState) -> Vec<ModelRow> {
    let default = app.default_model();
    app.models
        .list()
        .into_iter()
        .map(|model| ModelRow::new(model, &default))
        .collect()
}

/// Asks one model, or the ones that answer for the agents, for a word each.
pub(super) async fn probe(
    State(app): State<AppState>,
    _caller: Caller,
    Strict(request): Strict<ProbeRequest>,
) -> Result<Json<Vec<ProbeRow>>, ApiProblem> {
    let models: Vec<ModelRef> = match request.model {
        Some(name) => vec![
            ModelRef::parse(&name)
                .ok_or_else(|| ApiProblem::invalid("model: write it like openai/gpt-5"))?,
        ],
        None => configured(&app),
    };
    let rows = stream::iter(models)
        .map(|model| {
            let app = app.clone();
            async move { ProbeRow::from(app.models.probe(&model).await) }
        })
        .buffered(PROBES_AT_ONCE)
        .collect()
        .await;
    Ok(Json(rows))
}

/// The models that the release in service names, and those of providers that the owner set up.
fn configured(app: &AppState) -> Vec<ModelRef> {
    let mut names: BTreeSet<String> = BTreeSet::from([app.default_model()]);
    if let Some(release) = app.releases.stable() {
        for agent in release.behaviour.agents.values() {
            names.insert(agent.route.primary.clone());
            names.extend(agent.route.fallbacks.iter().cloned());
        }
    }
    names
        .iter()
        .filter_map(|name| ModelRef::parse(name))
        .take(PROBES_MAX)
        .collect()
}
