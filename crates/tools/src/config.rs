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
    /// The web tools.
    pub web: WebConfig,
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
    pub url: String,
    /// Where the token for it is kept.
    #[serde(default)]
    pub token: Option<SecretRef>,
    /// Use it.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
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
            let is_web = server.url.starts_with("https://") || server.url.starts_with("http://");
            if !is_web {
                let why = format!(
                    "{:?} is no address like https://mcp.example.org/mcp",
                    server.url
                );
                problems.push((format!("mcp.servers.{name}.url"), why));
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
        let mut problems = Vec::new();
        let mut wrong = |path: &str, why: String| problems.push((path.to_owned(), why));
        if self.allow.is_some() && !self.also_allow.is_empty() {
            let why = "allow is the whole list: add to it instead of alsoAllow".to_owned();
            wrong("tools.alsoAllow", why);
        }
        let lists = [
            ("tools.allow", self.allow.as_deref().unwrap_or_default()),
            ("tools.alsoAllow", &self.also_allow),
            ("tools.deny", &self.deny),
        ];
        for (path, list) in lists {
            for name in list.iter().filter(|name| unknown_group(name)) {
                wrong(path, format!("there is no group {name:?}"));
            }
        }
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
