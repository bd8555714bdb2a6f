//! `tools.catalog` and `tools.effective`: what the agents can call.

use instar_policy::{Annotation, offered};
use instar_protocol::Principal;
use instar_protocol::principal::Via;
use instar_protocol::tool::Effect;
use instar_tools::{Profile, Selection, group_of};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

use super::key;
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

/// Every tool there is, by group, with the profiles that have it.
async fn catalog(call: Call) -> Result<Value, Refusal> {
    let params: CatalogParams = call.read(&["includePlugins"])?;
    let app = &call.app;
    let agent = key::agent_or_default(app, params.agent_id.as_deref())?;
    let annotations = app.toolbox.annotations();
    let mut groups: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for spec in app.toolbox.specs() {
        let tool = json!({
            "id": spec.name,
            "label": spec.name,
            "description": spec.description,
            "source": source(&spec.name),
            "risk": risk(&annotations, &spec.name),
            "defaultProfiles": profiles_with(&spec.name),
        });
        groups.entry(group_of(&spec.name)).or_default().push(tool);
    }
    let groups: Vec<Value> = groups
        .into_iter()
        .map(|(id, tools)| json!({ "id": id, "label": id, "source": "core", "tools": tools }))
        .collect();
    let profile = |(id, _)| json!({ "id": id, "label": id });
    Ok(json!({
        "agentId": agent,
        "profiles": PROFILES.map(profile),
        "groups": groups,
    }))
}

const PROFILES: [(&str, Profile); 4] = [
    ("minimal", Profile::Minimal),
    ("coding", Profile::Coding),
    ("messaging", Profile::Messaging),
    ("full", Profile::Full),
];

fn profiles_with(tool: &str) -> Vec<&'static str> {
    let has = |profile| {
        Selection {
            profile,
            allow: None,
            also_allow: &[],
            deny: &[],
        }
        .has(tool)
    };
    let with = PROFILES.iter().filter(|(_, profile)| has(*profile));
    with.map(|(id, _)| *id).collect()
}

fn source(tool: &str) -> &'static str {
    if group_of(tool) == "plugins" {
        "mcp"
    } else {
        "core"
    }
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
    let annotations = app.toolbox.annotations();
    let owner = Principal::Owner { via: Via::Local };
    let tools: Vec<Value> = app
        .toolbox
        .specs()
        .into_iter()
        .filter(|spec| offered(&authority, &owner, &agent, &spec.name).is_ok())
        .map(|spec| {
            json!({
                "id": spec.name,
                "label": spec.name,
                "description": spec.description,
                "rawDescription": spec.description,
                "source": source(&spec.name),
                "risk": risk(&annotations, &spec.name),
            })
        })
        .collect();
    let config = app.config.current();
    let entry = config.value.agents.entries.get(agent.as_str());
    let own = entry.and_then(|entry| entry.tools.as_ref()?.profile);
    let profile = own.or(config.value.tools.profile).unwrap_or_default();
    let named = PROFILES.iter().find(|(_, known)| *known == profile);
    Ok(json!({
        "agentId": agent,
        "profile": named.map(|(id, _)| *id),
        "groups": [{ "id": "core", "label": "Built in", "source": "core", "tools": tools }],
    }))
}

/// How much harm a call could do, in three steps.
fn risk(annotations: &BTreeMap<String, Annotation>, tool: &str) -> &'static str {
    let effect = annotations
        .get(tool)
        .map_or(Effect::Destroy, |annotation| annotation.effect);
    match effect {
        Effect::None | Effect::Read => "low",
        Effect::Fetch | Effect::Write => "medium",
        Effect::Send | Effect::Grant | Effect::Execute | Effect::Spend | Effect::Destroy => "high",
    }
}
