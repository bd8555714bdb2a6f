//! Models: which there are, whether their keys are, and how they answer.

use std::collections::BTreeMap;
use std::time::Duration;

use instar_models::ModelInfo;
use instar_protocol::event::ErrorClass;
use instar_protocol::model::ModelRef;
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

/// How long a probe may take, unless its asker wants it shorter.
const PROBE_MS_MAX: u64 = 60_000;
/// Models of one provider that are probed.
const PROBES_MAX: usize = 8;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "models.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "models.authStatus",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(auth_status(call)),
    },
    Method {
        name: "models.probe",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(probe(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct ListParams {
    agent_id: Option<String>,
    view: Option<View>,
}

#[derive(Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum View {
    Default,
    Configured,
    ProviderConfig,
    All,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    // The catalogue is part of the program: there is nothing to prepare or to fetch anew.
    let params: ListParams = call.read(&[
        "includeDetails",
        "includeProviderCapabilities",
        "preparedOnly",
        "refresh",
    ])?;
    key::agent_or_default(&call.app, params.agent_id.as_deref())?;
    let all = params.view == Some(View::All);
    Ok(json!({ "models": choices(&call.app, all) }))
}

/// The models that can be named: those that are set up, or every one that is known.
pub(crate) fn choices(app: &App, all: bool) -> Vec<Value> {
    app.models
        .list()
        .into_iter()
        .filter(|model| all || model.configured)
        .map(|model| choice(&model))
        .collect()
}

fn choice(model: &ModelInfo) -> Value {
    let name = ModelRef::parse(&model.id);
    let has_key = model.auth != "missing";
    let mut shown = json!({
        "id": name.as_ref().map_or(model.id.as_str(), ModelRef::model),
        "name": if model.name.is_empty() { &model.id } else { &model.name },
        "provider": model.provider,
        "available": has_key,
        "reasoning": model.reasoning,
        "apiKeySupported": model.auth != "none",
    });
    if !has_key {
        shown["unavailableReason"] = json!("missing-auth");
    }
    if model.context_window > 0 {
        shown["contextWindow"] = json!(model.context_window);
    }
    shown
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct AuthParams {
    agent_id: Option<String>,
}

/// Where each provider's key comes from; never the key.
async fn auth_status(call: Call) -> Result<Value, Refusal> {
    let params: AuthParams = call.read(&["refresh"])?;
    key::agent_or_default(&call.app, params.agent_id.as_deref())?;
    let mut providers: BTreeMap<String, String> = BTreeMap::new();
    for model in call.app.models.list() {
        if model.configured {
            providers.insert(model.provider, model.auth);
        }
    }
    let rows: Vec<Value> = providers
        .iter()
        .map(|(name, auth)| auth_row(name, auth))
        .collect();
    let capabilities: Vec<Value> = providers
        .iter()
        .map(|(name, auth)| {
            json!({
                "provider": name, "apiKeySupported": auth != "none", "quickApiKeySetup": false,
            })
        })
        .collect();
    Ok(json!({
        "ts": call.app.clock.now().millis(),
        "providers": rows,
        "providerCapabilities": capabilities,
    }))
}

fn auth_row(provider: &str, auth: &str) -> Value {
    let (status, profiles) = match auth {
        "missing" => ("missing", Vec::new()),
        // A local model needs no key.
        "none" => ("static", Vec::new()),
        from => (
            "static",
            vec![json!({ "profileId": from, "type": "api_key", "status": "static" })],
        ),
    };
    json!({
        "provider": provider, "displayName": provider, "status": status, "profiles": profiles,
    })
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProbeParams {
    provider: String,
    timeout_ms: Option<u64>,
    agent_id: Option<String>,
}

/// Asks the models of one provider for a word each.
async fn probe(call: Call) -> Result<Value, Refusal> {
    let params: ProbeParams = call.read(&["profileId"])?;
    let app = &call.app;
    key::agent_or_default(app, params.agent_id.as_deref())?;
    let wait = Duration::from_millis(params.timeout_ms.unwrap_or(PROBE_MS_MAX).min(PROBE_MS_MAX));
    let models: Vec<ModelRef> = app
        .models
        .list()
        .iter()
        .filter(|model| model.configured && model.provider == params.provider)
        .filter_map(|model| ModelRef::parse(&model.id))
        .take(PROBES_MAX)
        .collect();
    let asked = models.iter().map(|model| probe_one(app, model, wait));
    let results: Vec<Value> = futures_util::future::join_all(asked).await;
    let best = results
        .iter()
        .find(|result| result["status"] == "ok")
        .or_else(|| results.first());
    let mut answer =
        json!({ "provider": params.provider, "status": "no_model", "results": results });
    if let Some(best) = best {
        for name in ["status", "latencyMs", "error"] {
            if !best[name].is_null() {
                answer[name] = best[name].clone();
            }
        }
    }
    Ok(answer)
}

async fn probe_one(app: &App, model: &ModelRef, wait: Duration) -> Value {
    match tokio::time::timeout(wait, app.models.probe(model)).await {
        Err(_) => json!({ "label": model, "status": "timeout", "error": "no answer in time" }),
        Ok(probe) if probe.ok => {
            json!({ "label": model, "status": "ok", "latencyMs": probe.millis })
        }
        Ok(probe) => json!({
            "label": model,
            "status": probe.class.map_or("unknown", status_word),
            "latencyMs": probe.millis,
            "error": probe.message,
        }),
    }
}

fn status_word(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Auth => "auth",
        ErrorClass::Rate => "rate_limit",
        ErrorClass::Quota | ErrorClass::Budget => "billing",
        ErrorClass::Timeout => "timeout",
        ErrorClass::Malformed => "format",
        ErrorClass::Config => "no_model",
        ErrorClass::ContextLength
        | ErrorClass::Refusal
        | ErrorClass::Network
        | ErrorClass::Server
        | ErrorClass::Cancelled
        | ErrorClass::Tool
        | ErrorClass::Storage
        | ErrorClass::Loop
        | ErrorClass::Internal => "unknown",
    }
}
