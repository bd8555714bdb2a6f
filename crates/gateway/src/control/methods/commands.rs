//! `commands.list`: what can be typed as a message beginning with a slash.

use serde::Deserialize;
use serde_json::{Value, json};

use super::key;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

pub(super) const METHODS: &[Method] = &[Method {
    name: "commands.list",
    need: Need::Scope(Scope::Read),
    advertised: true,
    run: |call| Box::pin(list(call)),
}];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Params {
    session_key: Option<String>,
    agent_id: Option<String>,
    include_args: Option<bool>,
}

async fn list(call: Call) -> Result<Value, Refusal> {
    let params: Params = call.read(&["provider", "scope"])?;
    let app = &call.app;
    if let Some(key) = &params.session_key {
        key::parse(app, key, params.agent_id.as_deref())?;
    } else {
        key::agent_or_default(app, params.agent_id.as_deref())?;
    }
    let enabled = app.config.current().value.commands.text;
    let mut commands = if enabled { all() } else { Vec::new() };
    if params.include_args == Some(false) {
        for command in &mut commands {
            if let Value::Object(command) = command {
                command.remove("args");
            }
        }
    }
    Ok(json!({ "commands": commands }))
}

/// The commands of the agent crate, as clients complete them.
pub(crate) fn all() -> Vec<Value> {
    instar_agent::COMMANDS.iter().map(shown).collect()
}

fn shown(command: &instar_agent::CommandHelp) -> Value {
    let mut shown = json!({
        "name": command.name,
        "nativeName": command.name,
        "textAliases": [format!("/{}", command.name)],
        "description": command.about,
        "category": "session",
        "source": "native",
        "scope": "both",
        "acceptsArgs": command.argument.is_some(),
    });
    if let Some((name, about)) = command.argument {
        shown["args"] = json!([{ "name": name, "description": about, "type": "string" }]);
    }
    shown
}
