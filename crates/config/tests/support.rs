//! A configuration type of every shape that the real one has, and small helpers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use instar_config::{Env, StateDir};
use instar_protocol::{AgentId, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sample {
    /// How the gateway is reached.
    pub gateway: Gateway,
    pub agents: Agents,
    pub models: Models,
    pub bindings: Vec<Binding>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Gateway {
    /// The TCP port.
    ///
    /// Ports below 1024 need rights.
    #[schemars(range(min = 1))]
    pub port: u16,
    pub bind: Bind,
    pub public_origin: Option<String>,
    pub trusted_proxies: Vec<String>,
    pub auth: Auth,
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
pub enum Bind {
    /// This machine alone.
    Loopback,
    Lan,
    Custom,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Auth {
    pub token: Option<SecretRef>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Agents {
    pub defaults: AgentDefaults,
    pub entries: BTreeMap<String, AgentEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct AgentDefaults {
    pub model: Option<ModelChoice>,
    pub temperature: f64,
    pub bootstrap_max_chars: u32,
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
pub struct AgentEntry {
    pub name: Option<String>,
    pub model: Option<ModelChoice>,
}

/// A model by name, or with what follows when it fails.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ModelChoice {
    Name(String),
    Chain(ModelChain),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelChain {
    pub primary: String,
    #[serde(default)]
    pub fallbacks: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Models {
    pub providers: BTreeMap<String, Provider>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    pub base_url: String,
    #[serde(default)]
    pub api_key: Option<SecretRef>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    #[schemars(with = "String")]
    pub agent_id: AgentId,
    #[serde(rename = "match")]
    pub matches: Match,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Match {
    Channel { id: String },
    Everything {},
}

pub fn no_env(_: &str) -> Option<String> {
    None
}

/// A state folder below a temporary one.
pub fn state_in(root: &Path) -> StateDir {
    let root = root.join("state").display().to_string();
    let env = move |name: &str| (name == "INSTAR_STATE_DIR").then(|| root.clone());
    StateDir::locate(None, &env as Env<'_>).unwrap()
}

/// A prepared state folder with this `instar.json`.
pub fn state_with(root: &Path, config: &str) -> StateDir {
    let state = state_in(root);
    state.prepare().unwrap();
    write(state.config_file(), config);
    state
}

pub fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}
