//! What holds for the keys beyond their types: what is refused, what waits for a restart, what is
//! hidden.

use super::{AuthConfig, AuthMode, Bind, GatewayConfig, LoggingConfig};
use crate::door::Network;
use instar_policy::Writer;

impl GatewayConfig {
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut wrong = |path: &str, why: String| problems.push((path.to_owned(), why));
        if self.is_in_clear() {
            let why = "listening beyond this machine needs TLS: set gateway.tls.enabled, or name a network \
                that encrypts by itself in gateway.privateOverlays, or have a proxy in front that signs \
                people in (gateway.auth.mode trusted-proxy), or keep bind on loopback and use an SSH tunnel";
            wrong("gateway.bind", why.to_owned());
        }
        for (path, why) in self.tls_problems().into_iter().chain(self.auth.problems()) {
            wrong(path, why);
        }
        if self.bind == Bind::Custom {
            match self
                .custom_bind_host
                .as_deref()
                .map(str::parse::<std::net::IpAddr>)
            {
                Some(Ok(_)) => {}
                _ => wrong(
                    "gateway.customBindHost",
                    "bind `custom` needs an IP address here".to_owned(),
                ),
            }
        }
        match self.auth.mode {
            AuthMode::Token => {}
            AuthMode::Password if self.auth.password.is_none() => {
                wrong(
                    "gateway.auth.password",
                    "mode `password` needs one: run `instar secrets set \
                    gateway-password` and refer to it here"
                        .to_owned(),
                );
            }
            AuthMode::Password => {}
            AuthMode::TrustedProxy => {
                let proxy = &self.auth.trusted_proxy;
                if self.trusted_proxies.is_empty() {
                    wrong(
                        "gateway.trustedProxies",
                        "mode `trusted-proxy` needs the proxy's address".to_owned(),
                    );
                }
                if proxy.user_header.is_none() || proxy.allow_users.is_empty() {
                    wrong(
                        "gateway.auth.trustedProxy",
                        "mode `trusted-proxy` needs userHeader and allowUsers".to_owned(),
                    );
                }
            }
        }
        for proxy in &self.trusted_proxies {
            if Network::parse(proxy).is_none() {
                wrong(
                    "gateway.trustedProxies",
                    format!("{proxy:?} is not an address or network"),
                );
            }
        }
        for origin in self
            .control_ui
            .allowed_origins
            .iter()
            .chain(&self.public_origin)
        {
            if !is_origin(origin) {
                wrong(
                    "gateway",
                    format!("{origin:?} is not an origin like https://agent.example.org"),
                );
            }
        }
        problems
    }

    /// True if what is listened on could be listened to on its way.
    fn is_in_clear(&self) -> bool {
        let overlay = || {
            let address: Option<std::net::IpAddr> = self
                .custom_bind_host
                .as_deref()
                .and_then(|host| host.parse().ok());
            address.is_some_and(|address| {
                let networks = self.private_overlays.iter();
                address.is_loopback()
                    || networks
                        .filter_map(|text| Network::parse(text))
                        .any(|network| network.contains(address))
            })
        };
        let private = match self.bind {
            Bind::Loopback | Bind::Tailnet => true,
            Bind::Lan => false,
            Bind::Custom => overlay(),
        };
        !private && !self.tls.enabled && self.auth.mode != AuthMode::TrustedProxy
    }

    fn tls_problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for network in &self.private_overlays {
            // Everything is no network of anybody's own.
            let fits = Network::parse(network).is_some_and(|network| network.bits() >= 8);
            if !fits {
                let why = format!("{network:?} is not a network like 10.8.0.0/24");
                problems.push(("gateway.privateOverlays", why));
            }
        }
        let tls = &self.tls;
        if tls.cert_path.is_some() != tls.key_path.is_some() {
            let why = "a certificate needs its key: set certPath and keyPath, or neither";
            problems.push(("gateway.tls", why.to_owned()));
        } else if tls.enabled && tls.cert_path.is_none() && !tls.auto_generate {
            let why = "there is no certificate: set certPath and keyPath, or autoGenerate";
            problems.push(("gateway.tls", why.to_owned()));
        }
        let plain = |origin: &String| !origin.starts_with("https://");
        if tls.enabled && self.public_origin.as_ref().is_some_and(plain) {
            let why = "with TLS on, people type https://";
            problems.push(("gateway.publicOrigin", why.to_owned()));
        }
        problems
    }
}

impl AuthConfig {
    /// A door that knows several people by name lets each of them write. One name is the owner's.
    pub(super) fn writers(&self) -> Vec<Writer> {
        let mut doors: Vec<(&str, &[String])> = Vec::new();
        if self.mode == AuthMode::TrustedProxy {
            let proxy = &self.trusted_proxy;
            doors.push(("gateway.auth.trustedProxy.allowUsers", &proxy.allow_users));
        }
        if let Some(access) = &self.cloudflare_access {
            let users = &access.allow_users;
            doors.push(("gateway.auth.cloudflareAccess.allowUsers", users));
        }
        if self.allow_tailscale {
            let users = &self.tailscale.allow_users;
            doors.push(("gateway.auth.tailscale.allowUsers", users));
        }
        let several = doors.into_iter().filter(|(_, names)| names.len() > 1);
        several
            .map(|(by, names)| Writer {
                by: by.to_owned(),
                who: format!("{} people", names.len()),
            })
            .collect()
    }

    /// Identity without names would be anybody's.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.allow_tailscale && self.tailscale.allow_users.is_empty() {
            let why = "allowTailscale needs the owner's sign-in names in tailscale.allowUsers";
            problems.push(("gateway.auth.tailscale", why.to_owned()));
        }
        let Some(access) = &self.cloudflare_access else {
            return problems;
        };
        const PATH: &str = "gateway.auth.cloudflareAccess";
        if !is_team(&access.team_domain) {
            let why = "teamDomain is an address like https://team.cloudflareaccess.com";
            problems.push((PATH, why.to_owned()));
        }
        if access.audience.is_empty() || access.allow_users.is_empty() {
            let why = "it needs the application's audience and the owner's addresses in allowUsers";
            problems.push((PATH, why.to_owned()));
        }
        problems
    }
}

/// Keys are fetched over TLS, or from this machine.
fn is_team(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        let here = url.host_str() == Some("127.0.0.1");
        is_origin(text) && (url.scheme() == "https" || here)
    })
}

fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text
    })
}

/// Patterns that are looked for in every line.
const PATTERNS_MAX: usize = 64;
const PATTERN_CHARS_MIN: usize = 4;
const PATTERN_CHARS_MAX: usize = 200;

impl LoggingConfig {
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        const PATH: &str = "logging.redactPatterns";
        let mut problems = Vec::new();
        if self.redact_patterns.len() > PATTERNS_MAX {
            let why = format!("there are more than {PATTERNS_MAX} patterns");
            problems.push((PATH.to_owned(), why));
        }
        for (index, pattern) in self.redact_patterns.iter().enumerate() {
            let fits = (PATTERN_CHARS_MIN..=PATTERN_CHARS_MAX).contains(&pattern.chars().count());
            if !fits || pattern.chars().any(|c| c.is_control() || c.is_whitespace()) {
                let why = format!(
                    "a pattern has {PATTERN_CHARS_MIN} to {PATTERN_CHARS_MAX} characters and no spaces"
                );
                problems.push((format!("{PATH}[{index}]"), why));
            }
        }
        problems
    }
}

/// Sections whose change needs a new start; everything else is taken while running.
const RESTART: &[&str] = &[
    "gateway.port",
    "gateway.bind",
    "gateway.customBindHost",
    "gateway.tls",
    "gateway.auth.mode",
    "gateway.auth.password",
    "gateway.limits.connections",
    "logging.file",
    "logging.maxFileBytes",
    "logging.consoleLevel",
    "logging.consoleStyle",
    "agents.defaults.maxConcurrent",
];

/// True if the key at this path is read only when the gateway starts.
#[must_use]
pub fn needs_restart(path: &str) -> bool {
    RESTART.iter().any(|prefix| {
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || prefix
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// True for texts that are hidden from everybody, beyond those that their key gives away: headers of
/// providers carry keys.
#[must_use]
pub fn is_secret(path: &instar_config::KeyPath) -> bool {
    matches!(
        path.words().as_slice(),
        ["models", "providers", _, "headers", _]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InstarConfig;

    #[test]
    fn keys_are_hot_or_wait_for_a_restart() {
        for path in [
            "gateway.port",
            "gateway.auth.mode",
            "gateway.auth.password.id",
            "gateway",
        ] {
            assert!(needs_restart(path), "{path}");
        }
        for path in [
            "gateway.auth.rateLimit.maxAttempts",
            "models.providers",
            "gateway.portal",
        ] {
            assert!(!needs_restart(path), "{path}");
        }
    }

    #[test]
    fn every_key_of_the_restart_table_exists() {
        let known: Vec<String> = instar_config::keys::<InstarConfig>()
            .into_iter()
            .map(|key| key.path)
            .collect();
        for path in RESTART {
            assert!(known.iter().any(|key| key == path), "{path}");
        }
    }
}
