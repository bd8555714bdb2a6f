//! The identity files of agents: reading them, and putting a new text in the place of one.
//!
//! Behaviour is read from these files when a release is made: a file that is written here is the
//! owner's edit, as if made in an editor, and leads to the next release.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use instar_agent::workspace::{self, FILES};
use instar_protocol::AgentId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::agents::{folder, settings};
use super::key;
use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

/// The longest text that is written. What a prompt takes of it is less.
const TEXT_BYTES_MAX: usize = 512 * 1024;
/// How long a new release may take to be in force, for those who go on from it.
const IN_FORCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "agents.files.list",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(files_list(call)),
    },
    Method {
        name: "agents.files.get",
        need: Need::Scope(Scope::Read),
        advertised: true,
        run: |call| Box::pin(files_get(call)),
    },
    Method {
        name: "agents.files.set",
        need: Need::Scope(Scope::Admin),
        advertised: true,
        run: |call| Box::pin(files_set(call)),
    },
];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AgentParams {
    agent_id: String,
}

async fn files_list(call: Call) -> Result<Value, Refusal> {
    let params: AgentParams = call.params()?;
    let app = &call.app;
    let agent = settings(app, &key::agent(app, &params.agent_id)?)?;
    let folder = folder(app, &agent);
    let files: Vec<Value> = FILES.iter().map(|name| file(&folder, name)).collect();
    Ok(json!({ "agentId": agent.id, "workspace": folder, "files": files }))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileParams {
    agent_id: String,
    name: String,
}

async fn files_get(call: Call) -> Result<Value, Refusal> {
    let params: FileParams = call.params()?;
    let app = &call.app;
    let agent = settings(app, &key::agent(app, &params.agent_id)?)?;
    let name = known(&params.name)?;
    let folder = folder(app, &agent);
    let mut shown = file(&folder, name);
    if shown["missing"] == json!(false) {
        let from = folder.clone();
        let text = tokio::task::spawn_blocking(move || workspace::file(&from, name))
            .await
            .map_err(|_| Refusal::unavailable("the file could not be read"))?
            .map_err(|error| Refusal::unavailable(crate::problem::chain(&error)))?;
        shown["content"] = json!(text.unwrap_or_default());
    }
    Ok(json!({ "agentId": agent.id, "workspace": folder, "file": shown }))
}

/// The one of the identity files that is meant: a name from outside is never part of a path.
fn known(name: &str) -> Result<&'static str, Refusal> {
    let found = FILES.into_iter().find(|known| *known == name);
    found.ok_or_else(|| Refusal::invalid(format!("name: one of {} is expected", FILES.join(", "))))
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetParams {
    agent_id: String,
    name: String,
    content: String,
}

async fn files_set(call: Call) -> Result<Value, Refusal> {
    let SetParams {
        agent_id,
        name,
        content,
    } = call.params()?;
    let app = &call.app;
    let agent = settings(app, &key::agent(app, &agent_id)?)?;
    let name = known(&name)?;
    if content.len() > TEXT_BYTES_MAX {
        return Err(Refusal::invalid(format!(
            "content: at most {TEXT_BYTES_MAX} bytes"
        )));
    }
    let folder = folder(app, &agent);
    let (to, text) = (folder.clone(), content.clone());
    let draft = format!(".{name}.{}", hex::encode(crate::random::ten()));
    tokio::task::spawn_blocking(move || workspace::replace(&to, name, &draft, &text))
        .await
        .map_err(|_| Refusal::unavailable("the file could not be written"))?
        .map_err(|error| Refusal::invalid(format!("name: {}", crate::problem::chain(&error))))?;
    tracing::info!(agent = %agent.id, name, "the owner changed an identity file");
    in_force(app, &agent.id, name, &content).await;
    Ok(json!({
        "ok": true, "agentId": agent.id, "workspace": folder, "file": file(&folder, name),
    }))
}

/// Waits, for a while, until the release that is served says what the file says: whoever goes on
/// from here is answered by it.
async fn in_force(app: &App, agent: &AgentId, name: &str, text: &str) {
    let is_served = || {
        let release = app.releases.stable();
        let agent = release.and_then(|one| one.behaviour.agents.get(agent.as_str()).cloned());
        let file = agent.and_then(|agent| agent.prompt.get(name).cloned());
        // It may have been cut to what a prompt takes.
        file.is_some_and(|file| {
            text.starts_with(&file.text) && (file.cut_chars > 0 || file.text.len() == text.len())
        })
    };
    let begun = tokio::time::Instant::now();
    while !is_served() && begun.elapsed() < IN_FORCE {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is known of an identity file without reading it. A link counts as missing, as it does for
/// the prompt.
fn file(folder: &Path, name: &str) -> Value {
    let path = folder.join(name);
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => json!({
            "name": name, "path": path, "missing": false, "size": meta.len(),
            "updatedAtMs": meta.mtime().max(0) * 1_000,
        }),
        _ => json!({ "name": name, "path": path, "missing": true }),
    }
}
