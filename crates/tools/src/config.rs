//! The `tools` and `mcp` sections of the configuration.

use instar_protocol::SecretRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::mcp::tool_name;
use crate::profiles::{Profile, Selection, unknown_group};

/// The `tools` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolsConfig {
    /// The set of tools that agents begin with. When absent: `full`.
    pub profile: Option<Profile>,
    /// The only tools there are, instead of a profile: names, `group:web`, or `*` within a name.
    pub allow: Option<Vec<String>>,
    /// Tools besides those of the profile.
    pub also_allow: Vec<String>,
    /// Tools that there are not, whatever else names them.
    pub deny: Vec<String>,
    /// Narrower lists for those who write to the agents: `owner`, `contact`, `stranger`, `automation`, a
    /// person's id, `CHANNEL:*` for a whole channel, or `*`. Every list that fits has to have a tool.
    pub tools_by_sender: BTreeMap<String, ToolChoice>,
    /// The web tools.
    pub web: WebConfig,
}

/// A choice of tools, within what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolChoice {
    /// The set of tools to begin with. When absent: `full`.
    pub profile: Option<Profile>,
    /// The only tools, instead of a profile: names, `group:web`, or `*` within a name.
    pub allow: Option<Vec<String>>,
    /// Tools besides those of the profile.
    pub also_allow: Vec<String>,
    /// Tools that there are not, whatever else names them.
    pub deny: Vec<String>,
}

impl ToolChoice {
    #[must_use]
    pub fn selection(&self) -> Selection<'_> {
        Selection {
            profile: self.profile.unwrap_or_default(),
            allow: self.allow.as_deref(),
            also_allow: &self.also_allow,
            deny: &self.deny,
        }
    }

    /// What types alone cannot refuse: path and message. `at` is where it stands.
    #[must_use]
    pub fn problems(&self, at: &str) -> Vec<(String, String)> {
        problems_of(&self.selection(), at)
    }
}

fn problems_of(selection: &Selection<'_>, at: &str) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    if selection.allow.is_some() && !selection.also_allow.is_empty() {
        let why = "allow is the whole list: add to it instead of alsoAllow".to_owned();
        problems.push((format!("{at}.alsoAllow"), why));
    }
    let lists = [
        ("allow", selection.allow.unwrap_or_default()),
        ("alsoAllow", selection.also_allow),
        ("deny", selection.deny),
    ];
    for (name, list) in lists {
        for group in list.iter().filter(|name| unknown_group(name)) {
            problems.push((
                format!("{at}.{name}"),
                format!("there is no group {group:?}"),
            ));
        }
    }
    problems
}

/// The `tools.web` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct WebConfig {
    /// Searching.
    pub search: SearchConfig,
    /// Reading pages.
    pub fetch: FetchConfig,
}

/// The `tools.web.search` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchConfig {
    /// The search engine. When absent the agent cannot search.
    pub provider: Option<Provider>,
    /// Where the engine's key is kept.
    pub api_key: Option<SecretRef>,
    /// The address of an engine of your own, for example `http://127.0.0.1:8888` for SearXNG.
    pub base_url: Option<String>,
    /// How many results, unless the agent asks for another number.
    #[schemars(range(min = 1, max = 20))]
    pub max_results: Option<u8>,
}

/// A search engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Brave,
    Tavily,
    SerpApi,
    Perplexity,
    SearXng,
}

impl Provider {
    /// Its row in the table of engines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Brave => "brave",
            Self::Tavily => "tavily",
            Self::SerpApi => "serpapi",
            Self::Perplexity => "perplexity",
            Self::SearXng => "searxng",
        }
    }
}

/// The `tools.web.fetch` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct FetchConfig {
    /// What the agent calls itself when it reads pages. When absent: its own name and version.
    pub user_agent: Option<String>,
}

/// The `mcp` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct McpConfig {
    /// Servers that speak the Model Context Protocol, by a name of yours; the agent finds their tools
    /// as `mcp__NAME__TOOL`.
    pub servers: BTreeMap<String, McpServerConfig>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct McpServerConfig {
    /// Its address (streamable HTTP), for example `https://mcp.example.org/mcp`. It may be on your own
    /// network.
    #[serde(default)]
    pub url: Option<String>,
    /// Where the token for it is kept.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// The program that is the server, instead of an address: it is started behind walls and spoken to
    /// over its pipes.
    #[serde(default)]
    pub command: Option<String>,
    /// The program's arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// The program's environment, beside what every program has: a text, or where a secret is kept
    /// that this server alone is given.
    #[serde(default)]
    pub env: BTreeMap<String, EnvValue>,
    /// The one folder that the program sees beside the system's, as `/work`; it begins there. When
    /// absent: an empty one.
    #[serde(default)]
    pub cwd: Option<String>,
    /// What the program may do in that folder.
    #[serde(default)]
    pub access: FolderAccess,
    /// The hosts that the program may reach, `example.org` or `*.example.org`. Without any it has no
    /// network.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Only people whom you let in write there, as in the chat of your own team: then its members count
    /// as known there, and the agent may write to them when you ask for it. Leave it off where anybody
    /// can join.
    #[serde(default)]
    pub closed: bool,
    /// Use it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A value of a program's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvValue {
    /// The value itself.
    Plain(String),
    /// Where a secret is kept.
    Secret(SecretRef),
}

/// What a program may do in the folder that it sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FolderAccess {
    /// Read.
    #[default]
    Ro,
    /// Read and write.
    Rw,
}

impl McpServerConfig {
    /// What is wrong with it: field and message.
    fn problem(&self) -> Option<(&'static str, String)> {
        match (&self.url, &self.command) {
            (Some(_), Some(_)) => {
                return Some(("", "it has an address or a command, not both".to_owned()));
            }
            (None, None) => {
                return Some(("", "it needs a url, or a command to start".to_owned()));
            }
            (Some(url), None) => {
                if !(url.starts_with("https://") || url.starts_with("http://")) {
                    let why = format!("{url:?} is no address like https://mcp.example.org/mcp");
                    return Some((".url", why));
                }
                let of_programs = !self.args.is_empty()
                    || !self.env.is_empty()
                    || self.cwd.is_some()
                    || !self.hosts.is_empty();
                if of_programs {
                    let why = "args, env, cwd and hosts go with a command".to_owned();
                    return Some(("", why));
                }
            }
            (None, Some(command)) => {
                if command.trim().is_empty() {
                    return Some((".command", "name the program".to_owned()));
                }
                if self.token.is_some() {
                    let why = "a token goes with an address; give a program its secret in env";
                    return Some((".token", why.to_owned()));
                }
                if let Some(cwd) = self.cwd.as_deref().filter(|cwd| !cwd.starts_with('/')) {
                    return Some((".cwd", format!("{cwd:?} is no whole path of a folder")));
                }
            }
        }
        None
    }
}

impl McpConfig {
    /// What types alone cannot refuse: path and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, server) in &self.servers {
            if tool_name(name, "tool").is_none() {
                let why = "a name has letters, digits, - and single _, at most 60".to_owned();
                problems.push((format!("mcp.servers.{name}"), why));
            }
            if let Some((field, why)) = server.problem() {
                problems.push((format!("mcp.servers.{name}{field}"), why));
            }
        }
        problems
    }
}

impl ToolsConfig {
    /// Which tools there are.
    #[must_use]
    pub fn selection(&self) -> Selection<'_> {
        Selection {
            profile: self.profile.unwrap_or_default(),
            allow: self.allow.as_deref(),
            also_allow: &self.also_allow,
            deny: &self.deny,
        }
    }

    /// What types alone cannot refuse: path and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = problems_of(&self.selection(), "tools");
        for (sender, choice) in &self.tools_by_sender {
            problems.extend(choice.problems(&format!("tools.toolsBySender.{sender}")));
        }
        let mut wrong = |path: &str, why: String| problems.push((path.to_owned(), why));
        let search = &self.web.search;
        match search.provider {
            Some(Provider::SearXng) if search.base_url.is_none() => wrong(
                "tools.web.search.baseUrl",
                "SearXNG has no address of its own: name yours".to_owned(),
            ),
            Some(Provider::SearXng) | None => {}
            Some(provider) if search.api_key.is_none() => wrong(
                "tools.web.search.apiKey",
                format!(
                    "{} needs a key: run `instar secrets set {}-key` and refer to it here",
                    provider.name(),
                    provider.name()
                ),
            ),
            Some(_) => {}
        }
        if let Some(base) = &search.base_url
            && !(base.starts_with("https://") || base.starts_with("http://"))
        {
            wrong(
                "tools.web.search.baseUrl",
                format!("{base:?} is no address like https://search.example.org"),
            );
        }
        problems
    }
}
