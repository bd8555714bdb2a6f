//! Agents: who there is, and making and removing them.
//!
//! An agent is an entry of the configuration: making one is an edit of the file, with everything
//! that an edit is checked for.

use std::path::PathBuf;

use instar_agent::AgentSettings;
use instar_protocol::AgentId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{config, key};
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

/// The longest name of an agent.
const NAME_CHARS_MAX: usize = 80;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "agents.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(list(call)),
    },
    Method {
        name: "agent.identity.get",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(identity(call)),
    },
    Method {
        name: "agents.create",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(create(call)),
    },
    Method {
        name: "agents.update",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(update(call)),
    },
    Method {
        name: "agents.delete",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(delete(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn list(call: Call) -> Result<Value, Refusal> {
    let Nothing {} = call.params()?;
    Ok(list_of(&call.app))
}

/// The agents of the configuration in force.
pub(crate) fn list_of(app: &App) -> Value {
    let config = app.config.current().value.agent_config();
    let agents: Vec<Value> = config
        .agents()
        .iter()
        .map(|agent| shown(app, agent))
        .collect();
    json!({
        "defaultId": app.default_agent(),
        "ownership": if agents.len() == 1 { "sole" } else { "explicit" },
        "selectionRequired": false,
        "mainKey": "main",
        "scope": "per-sender",
        "agents": agents,
    })
}

fn shown(app: &App, agent: &AgentSettings) -> Value {
    let mut identity = json!({ "name": agent.name });
    if let Some(emoji) = &agent.emoji {
        identity["emoji"] = json!(emoji);
    }
    let mut shown = json!({
        "id": agent.id,
        "kind": "agent",
        "name": agent.name,
        "identity": identity,
        "workspace": folder(app, agent),
    });
    let release = app.releases.stable();
    let route = release
        .as_ref()
        .and_then(|release| release.behaviour.agents.get(agent.id.as_str()))
        .map(|agent| &agent.route);
    if let Some(route) = route.filter(|route| !route.primary.is_empty()) {
        shown["model"] = json!({ "primary": route.primary, "fallbacks": route.fallbacks });
    }
    shown
}

pub(super) fn folder(app: &App, agent: &AgentSettings) -> PathBuf {
    match &agent.workspace {
        Some(named) => PathBuf::from(named),
        None => app.state_dir.workspace(agent.id.as_str()),
    }
}

pub(super) fn settings(app: &App, id: &AgentId) -> Result<AgentSettings, Refusal> {
    let config = app.config.current().value.agent_config();
    config
        .agent(id)
        .ok_or_else(|| Refusal::invalid(format!("unknown agent id \"{id}\"")))
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct IdentityParams {
    agent_id: Option<String>,
    session_key: Option<String>,
}

async fn identity(call: Call) -> Result<Value, Refusal> {
    let params: IdentityParams = call.params()?;
    let app = &call.app;
    let agent = match &params.session_key {
        Some(key) => key::parse(app, key, params.agent_id.as_deref())?.agent(),
        None => params
            .agent_id
            .as_deref()
            .map(|id| key::agent(app, id))
            .transpose()?,
    };
    let agent = settings(app, &agent.unwrap_or_else(|| app.default_agent()))?;
    let is_named = agent.name != agent.id.as_str();
    let mut shown = json!({
        "agentId": agent.id,
        "name": agent.name,
        "nameSource": if is_named { "config" } else { "default" },
    });
    if let Some(emoji) = &agent.emoji {
        shown["emoji"] = json!(emoji);
    }
    Ok(shown)
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateParams {
    name: String,
    workspace: Option<String>,
    model: Option<String>,
    emoji: Option<String>,
}

async fn create(call: Call) -> Result<Value, Refusal> {
    let params: CreateParams = call.params()?;
    let app = &call.app;
    let id = id_from(&params.name)?;
    if app.agents().contains(&id) {
        return Err(Refusal::invalid(format!("agent \"{id}\" already exists")));
    }
    let mut entry = json!({ "name": params.name.trim() });
    lay(
        &mut entry,
        params.workspace,
        params.model.map(Some),
        params.emoji,
    );
    let mut entries = json!({ id.as_str(): entry });
    // The first entry ends the agent that is there without one: it is named beside it.
    if app.config.current().value.agents.entries.is_empty() {
        entries["main"] = json!({ "default": true });
    }
    config::patch(&call, json!({ "agents": { "entries": entries } })).await?;
    let agent = settings(app, &id)?;
    let mut answer = json!({
        "ok": true, "agentId": id, "name": agent.name, "workspace": folder(app, &agent),
    });
    if let Some(model) = &agent.model {
        answer["model"] = json!(model.primary());
    }
    Ok(answer)
}

/// An id made of a name: small letters, digits and dashes.
fn id_from(name: &str) -> Result<AgentId, Refusal> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err(Refusal::invalid(format!(
            "name: 1 to {NAME_CHARS_MAX} characters"
        )));
    }
    let mut id = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            id.push(letter);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    AgentId::parse(id.trim_end_matches('-'))
        .map_err(|_| Refusal::invalid("name: it needs a letter or digit from a to z, 0 to 9"))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateParams {
    agent_id: String,
    name: Option<String>,
    workspace: Option<String>,
    #[serde(default, deserialize_with = "config::present")]
    model: Option<Option<String>>,
    emoji: Option<String>,
}

async fn update(call: Call) -> Result<Value, Refusal> {
    let params: UpdateParams = call.params()?;
    let id = key::agent(&call.app, &params.agent_id)?;
    let mut entry = json!({});
    if let Some(name) = &params.name {
        entry["name"] = json!(name.trim());
    }
    lay(&mut entry, params.workspace, params.model, params.emoji);
    config::patch(
        &call,
        json!({ "agents": { "entries": { id.as_str(): entry } } }),
    )
    .await?;
    Ok(json!({ "ok": true, "agentId": id }))
}

fn lay(
    entry: &mut Value,
    workspace: Option<String>,
    model: Option<Option<String>>,
    emoji: Option<String>,
) {
    if let Some(workspace) = workspace {
        entry["workspace"] = json!(workspace);
    }
    if let Some(model) = model {
        entry["model"] = json!(model);
    }
    if let Some(emoji) = emoji {
        entry["identity"] = json!({ "emoji": emoji });
    }
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteParams {
    agent_id: String,
    #[serde(default)]
    delete_files: bool,
}

/// Takes the agent out of the configuration. Its conversations and its folder stay.
async fn delete(call: Call) -> Result<Value, Refusal> {
    let params: DeleteParams = call.params()?;
    let app = &call.app;
    let id = key::agent(app, &params.agent_id)?;
    if params.delete_files {
        return Err(Refusal::invalid(
            "deleteFiles: the gateway removes no workspace; remove the folder by hand",
        ));
    }
    if id == app.default_agent() {
        return Err(Refusal::invalid(format!(
            "agent \"{id}\" gets what is addressed to none and cannot be removed"
        )));
    }
    let change = json!({ "agents": { "entries": { id.as_str(): null } } });
    config::patch(&call, change).await?;
    Ok(json!({ "ok": true, "agentId": id, "removedBindings": 0 }))
}
