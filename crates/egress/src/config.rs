//! The `egress` section: the proxy, and who may reach what.

use instar_protocol::{Principal, Secret, SecretRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use crate::proxy::Proxy;
use crate::rights::{Hosts, Rights};

/// The `egress` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressConfig {
    /// The proxy that every connection to a public address goes through, `http://host:port` or
    /// `socks5://host:port`. It is asked for addresses that were judged here, never for names. The
    /// environment's proxy variables are ignored.
    pub proxy: Option<String>,
    /// The user name for the proxy.
    pub proxy_user: Option<String>,
    /// Where the password for the proxy is kept.
    pub proxy_password: Option<SecretRef>,
    /// The hosts that tools and programs may reach, for example `example.org`, `*.example.org` or
    /// `example.org:8443`. When absent: every public host. Model endpoints are not concerned.
    pub allow: Option<Vec<String>>,
    /// The hosts that they may not reach, whatever is allowed.
    pub deny: Vec<String>,
    /// Narrower lists for those on whose behalf a tool runs.
    pub principals: PrincipalsConfig,
    /// The longest answer that a tool may fetch, in bytes.
    #[schemars(range(min = 1_024, max = 1_073_741_824))]
    pub max_bytes: u32,
    /// How long one fetch of a tool may take, all redirects included, in seconds.
    #[schemars(range(min = 1, max = 3_600))]
    pub timeout_seconds: u32,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            proxy: None,
            proxy_user: None,
            proxy_password: None,
            allow: None,
            deny: Vec::new(),
            principals: PrincipalsConfig::default(),
            max_bytes: 20 << 20,
            timeout_seconds: 60,
        }
    }
}

/// The `egress.principals` section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalsConfig {
    /// Runs that the owner asked for.
    pub owner: HostsConfig,
    /// Runs that a person asked for whom the owner knows.
    pub contact: HostsConfig,
    /// Runs that anybody else asked for.
    pub stranger: HostsConfig,
    /// Runs that nobody asked for: schedules and hooks.
    pub automation: HostsConfig,
}

/// A list of hosts that may be reached, and one of hosts that may not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HostsConfig {
    /// When absent: whatever `egress.allow` says. An empty list allows nothing.
    pub allow: Option<Vec<String>>,
    /// Denied whatever is allowed.
    pub deny: Vec<String>,
}

impl HostsConfig {
    fn read(&self) -> Result<Arc<Hosts>, String> {
        Hosts::parse(self.allow.as_deref(), &self.deny).map(Arc::new)
    }
}

impl EgressConfig {
    /// What types alone cannot refuse: path and message.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |path: &str, why: String| problems.push((format!("egress{path}"), why));
        if let Some(proxy) = &self.proxy
            && let Err(why) = Proxy::parse(proxy)
        {
            wrong(".proxy", why.to_owned());
        }
        if self.proxy_user.is_some() != self.proxy_password.is_some() {
            wrong(
                ".proxyPassword",
                "a sign-in at the proxy needs proxyUser and proxyPassword".to_owned(),
            );
        }
        let who = &self.principals;
        let general = Hosts::parse(self.allow.as_deref(), &self.deny).map(Arc::new);
        for (path, read) in [
            ("", general),
            (".principals.owner", who.owner.read()),
            (".principals.contact", who.contact.read()),
            (".principals.stranger", who.stranger.read()),
            (".principals.automation", who.automation.read()),
        ] {
            if let Err(why) = read {
                wrong(path, why);
            }
        }
        problems
    }
}

/// The section, made ready.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) proxy: Option<Arc<Proxy>>,
    pub(crate) max_bytes: usize,
    pub(crate) within: Duration,
    general: Arc<Hosts>,
    owner: Arc<Hosts>,
    contact: Arc<Hosts>,
    stranger: Arc<Hosts>,
    automation: Arc<Hosts>,
}

impl Default for Settings {
    fn default() -> Self {
        let config = EgressConfig::default();
        let open = Arc::new(Hosts::default());
        Self {
            proxy: None,
            max_bytes: usize::try_from(config.max_bytes).unwrap_or(usize::MAX),
            within: Duration::from_secs(config.timeout_seconds.into()),
            general: Arc::clone(&open),
            owner: Arc::clone(&open),
            contact: Arc::clone(&open),
            stranger: Arc::clone(&open),
            automation: open,
        }
    }
}

impl Settings {
    pub(crate) fn read(config: &EgressConfig, password: Option<Secret>) -> Result<Self, String> {
        let proxy = match &config.proxy {
            Some(text) => {
                let proxy = Proxy::parse(text).map_err(|why| format!("egress.proxy: {why}"))?;
                Some(Arc::new(match (&config.proxy_user, password) {
                    (Some(user), Some(password)) => proxy.with_login(user.clone(), password),
                    (None, None) => proxy,
                    // Without its password the proxy is not silently asked as somebody else.
                    _ => return Err("egress.proxyPassword: the password is not to be had".into()),
                }))
            }
            None => None,
        };
        let who = &config.principals;
        Ok(Self {
            proxy,
            max_bytes: usize::try_from(config.max_bytes).unwrap_or(usize::MAX),
            within: Duration::from_secs(config.timeout_seconds.into()),
            general: Arc::new(Hosts::parse(config.allow.as_deref(), &config.deny)?),
            owner: who.owner.read()?,
            contact: who.contact.read()?,
            stranger: who.stranger.read()?,
            automation: who.automation.read()?,
        })
    }

    pub(crate) fn rights(&self, principal: &Principal) -> Rights {
        let own = match principal {
            Principal::Owner { .. } => &self.owner,
            Principal::Contact { .. } => &self.contact,
            Principal::Stranger { .. } => &self.stranger,
            Principal::Automation { .. } => &self.automation,
        };
        Rights::default()
            .narrowed(Arc::clone(&self.general))
            .narrowed(Arc::clone(own))
    }
}
