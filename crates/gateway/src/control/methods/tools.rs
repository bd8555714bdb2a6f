//! `tools.catalog` and `tools.effective`: what the agents can call.

use instar_policy::Authority;
use instar_protocol::tool::{Effect, ToolSpec};
use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "tools.catalog",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(catalog(call)),
    },
    Method {
        name: "tools.effective",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(effective(call)),
    },
];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct CatalogParams {
    agent_id: Option<String>,
}

/// Every tool there is. There is one profile: what the owner may use.
async fn catalog(call: Call) -> Result<Value, Refusal> {
    let params: CatalogParams = call.read(&["includePlugins"])?;
    let app = &call.app;
    let agent = key::agent_or_default(app, params.agent_id.as_deref())?;
    let tools: Vec<Value> = app
        .toolbox
        .specs()
        .map(|spec| {
            json!({
                "id": spec.name,
                "label": spec.name,
                "description": spec.description,
                "source": "core",
                "risk": risk(app, spec),
                "defaultProfiles": ["full"],
            })
        })
        .collect();
    Ok(json!({
        "agentId": agent,
        "profiles": [{ "id": "full", "label": "Everything that the owner may use" }],
        "groups": [{ "id": "sessions", "label": "Conversations", "source": "core", "tools": tools }],
    }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EffectiveParams {
    agent_id: Option<String>,
    session_key: String,
}

/// What policy would let the owner's turn in this conversation use.
async fn effective(call: Call) -> Result<Value, Refusal> {
    let params: EffectiveParams = call.params()?;
    let app = &call.app;
    let key = key::parse(app, &params.session_key, params.agent_id.as_deref())?;
    let agent = key.agent().unwrap_or_else(|| app.default_agent());
    let authority = app
        .releases
        .stable()
        .map(|release| release.behaviour.authority.clone())
        .unwrap_or_default();
    let tools: Vec<Value> = app
        .toolbox
        .specs()
        .filter(|spec| offered(&authority, &spec.name))
        .map(|spec| {
            json!({
                "id": spec.name,
                "label": spec.name,
                "description": spec.description,
                "rawDescription": spec.description,
                "source": "core",
                "risk": risk(app, spec),
            })
        })
        .collect();
    Ok(json!({
        "agentId": agent,
        "profile": "full",
        "groups": [{ "id": "core", "label": "Built in", "source": "core", "tools": tools }],
    }))
}

fn offered(authority: &Authority, tool: &str) -> bool {
    let named = |set: &std::collections::BTreeSet<String>| set.contains(tool) || set.contains("*");
    authority.annotations.contains_key(tool)
        && authority.allow.as_ref().is_none_or(named)
        && !named(&authority.deny)
}

/// How much harm a call could do, in three steps.
fn risk(app: &App, spec: &ToolSpec) -> &'static str {
    let effect = app
        .toolbox
        .annotations()
        .get(&spec.name)
        .map_or(Effect::Destroy, |annotation| annotation.effect);
    match effect {
        Effect::None | Effect::Read => "low",
        Effect::Fetch | Effect::Write => "medium",
        Effect::Send | Effect::Grant | Effect::Execute | Effect::Spend | Effect::Destroy => "high",
    }
}
