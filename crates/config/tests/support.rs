//! A configuration type of every shape that the real one has, and small helpers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use instar_config::{Env, StateDir};
use instar_protocol::{AgentId, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Sample {
    /// How the gateway is reached.
    pub(crate) gateway: Gateway,
    pub(crate) agents: Agents,
    pub(crate) models: Models,
    pub(crate) bindings: Vec<Binding>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Gateway {
    /// The TCP port.
    ///
    /// Ports below 1024 need rights.
    #[schemars(range(min = 1))]
    pub(crate) port: u16,
    pub(crate) bind: Bind,
    pub(crate) public_origin: Option<String>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) auth: Auth,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            port: 18789,
            bind: Bind::Loopback,
            public_origin: None,
            trusted_proxies: Vec::new(),
            auth: Auth::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bind {
    /// This machine alone.
    Loopback,
    Lan,
    Custom,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) token: Option<SecretRef>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Agents {
    pub(crate) defaults: AgentDefaults,
    pub(crate) entries: BTreeMap<String, AgentEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct AgentDefaults {
    pub(crate) model: Option<ModelChoice>,
    pub(crate) temperature: f64,
    pub(crate) bootstrap_max_chars: u32,
}

impl Default for AgentDefaults {
    fn default() -> Self {
        Self {
            model: None,
            temperature: 0.7,
            bootstrap_max_chars: 20_000,
        }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct AgentEntry {
    pub(crate) name: Option<String>,
    pub(crate) model: Option<ModelChoice>,
}

/// A model by name, or with what follows when it fails.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ModelChoice {
    Name(String),
    Chain(ModelChain),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ModelChain {
    pub(crate) primary: String,
    #[serde(default)]
    pub(crate) fallbacks: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Models {
    pub(crate) providers: BTreeMap<String, Provider>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Provider {
    pub(crate) base_url: String,
    #[serde(default)]
    pub(crate) api_key: Option<SecretRef>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Binding {
    #[schemars(with = "String")]
    pub(crate) agent_id: AgentId,
    #[serde(rename = "match")]
    pub(crate) matches: Match,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Match {
    Channel { id: String },
    Everything {},
}

pub(crate) fn no_env(_: &str) -> Option<String> {
    None
}

/// A state folder below a temporary one.
pub(crate) fn state_in(root: &Path) -> StateDir {
    let root = root.join("state").display().to_string();
    let env = move |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
    StateDir::locate(None, &env as Env<'_>).unwrap()
}

/// A prepared state folder with this `instar.json`.
pub(crate) fn state_with(root: &Path, config: &str) -> StateDir {
    let state = state_in(root);
    state.prepare().unwrap();
    write(state.config_file(), config);
    state
}

pub(crate) fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}
