//! Who can reach the gateway, how they prove themselves, and what goes out in the clear.

use instar_protocol::api::Severity;
use instar_protocol::security::SecurityFinding;

use super::{Subject, With as _, finding, fine, not_looked};
use crate::config::{AuthMode, Bind, InstarConfig, MdnsMode};
use crate::door::Network;

/// More failed attempts than this before a lock make guessing worth while.
const ATTEMPTS_MAX: u32 = 50;

pub(super) fn look(subject: &Subject) -> Vec<SecurityFinding> {
    let config = match &subject.config {
        Ok(config) => config,
        Err(why) => {
            let cannot = finding(
                "exposure.config",
                Severity::Error,
                format!("the configuration cannot be read: {why}"),
                &["T-PERSIST-003"],
            );
            return vec![cannot.fix("see each problem with `instar config validate`")];
        }
    };
    vec![
        bind(config),
        told(config),
        origins(config),
        proxies(config),
        sign_in(config),
        in_the_clear(config),
        groups(),
    ]
}

fn bind(config: &InstarConfig) -> SecurityFinding {
    let id = "exposure.bind";
    match config.gateway.bind {
        Bind::Loopback => fine(id, "only this machine can reach the gateway"),
        Bind::Tailnet => fine(
            id,
            "only machines of the private overlay can reach the gateway",
        ),
        Bind::Lan | Bind::Custom => finding(
            id,
            Severity::Warning,
            "other machines can reach the gateway",
            &["T-RECON-001"],
        )
        .fix("set gateway.bind to loopback and reach it through a private overlay or a TLS proxy"),
    }
}

fn told(config: &InstarConfig) -> SecurityFinding {
    let id = "exposure.discovery";
    let reached = !matches!(config.gateway.bind, Bind::Loopback | Bind::Tailnet);
    match config.discovery.mdns.mode {
        MdnsMode::Off => fine(id, "the local network is told nothing"),
        MdnsMode::Minimal => fine(
            id,
            "the local network is told where the gateway is, and nothing of the machine",
        ),
        MdnsMode::Full if !reached => fine(
            id,
            "nothing is told, because the local network cannot reach the gateway",
        ),
        MdnsMode::Full => finding(
            id,
            Severity::Warning,
            "the local network is told the machine's name, the path of the program and its port of SSH",
            &["T-RECON-001"],
        )
        .fix("set discovery.mdns.mode to minimal"),
    }
}

fn origins(config: &InstarConfig) -> SecurityFinding {
    let id = "exposure.origins";
    let gateway = &config.gateway;
    let mut seen = Vec::new();
    if let Some(origin) = &gateway.public_origin
        && origin.starts_with("http://")
        && !is_here(origin)
    {
        seen.push(format!(
            "gateway.publicOrigin is {origin}: nothing encrypts the way to it"
        ));
    }
    for origin in &gateway.control_ui.allowed_origins {
        seen.push(format!("gateway.controlUi.allowedOrigins names {origin}"));
    }
    if seen.is_empty() {
        return fine(id, "no other page may call the gateway");
    }
    finding(
        id,
        Severity::Warning,
        "pages of other origins, or plain ways, lead to the gateway",
        &["T-ACCESS-003", "T-RECON-001"],
    )
    .seen(seen)
    .fix("use https, and name no origin whose every page you would give the gateway to")
}

/// True for an address of this machine.
fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["127.", "localhost", "[::1]"]
        .iter()
        .any(|here| host.starts_with(here))
}

fn proxies(config: &InstarConfig) -> SecurityFinding {
    let id = "exposure.proxies";
    let wide = config.gateway.trusted_proxies.iter().filter(|text| {
        // An address that anybody can have proves nothing about who forwarded.
        let bits = text
            .split_once('/')
            .and_then(|(_, bits)| bits.parse::<u8>().ok());
        let is_v6 = text.contains(':');
        bits.is_some_and(|bits| bits < if is_v6 { 48 } else { 16 })
            || Network::parse(text).is_none()
    });
    let seen: Vec<String> = wide
        .map(|text| format!("gateway.trustedProxies: {text}"))
        .collect();
    if seen.is_empty() {
        return fine(id, "forwarded headers are believed of no wide network");
    }
    finding(
        id,
        Severity::Error,
        "forwarded headers of a whole network are believed",
        &["T-ACCESS-003"],
    )
    .seen(seen)
    .fix("name the proxy's own address, for example 127.0.0.1/32")
}

fn sign_in(config: &InstarConfig) -> SecurityFinding {
    let id = "auth.sign-in";
    let auth = &config.gateway.auth;
    let mut seen = Vec::new();
    if auth.mode == AuthMode::TrustedProxy && auth.trusted_proxy.allow_users.is_empty() {
        seen.push(
            "gateway.auth.trustedProxy.allowUsers is empty: whoever passes the proxy is the owner"
                .to_owned(),
        );
    }
    if auth.rate_limit.max_attempts > ATTEMPTS_MAX {
        let attempts = auth.rate_limit.max_attempts;
        seen.push(format!("gateway.auth.rateLimit.maxAttempts is {attempts}"));
    }
    if seen.is_empty() {
        return fine(
            id,
            format!("sign-in by {}, failures are limited", auth.mode.as_str()),
        );
    }
    finding(
        id,
        Severity::Warning,
        "sign-in is weaker than it could be",
        &["T-ACCESS-003"],
    )
    .seen(seen)
    .fix("name the people in allowUsers; leave the limits at their defaults")
}

/// Keys and conversations that go to a model without encryption.
fn in_the_clear(config: &InstarConfig) -> SecurityFinding {
    let id = "models.in-the-clear";
    let plain = config
        .models
        .providers
        .iter()
        .filter_map(|(name, provider)| {
            let url = provider.base_url.as_deref()?;
            (url.starts_with("http://") && !is_here(url))
                .then(|| format!("models.providers.{name}.baseUrl is {url}"))
        });
    let seen: Vec<String> = plain.collect();
    if seen.is_empty() {
        return fine(
            id,
            "no model is spoken to over the network without encryption",
        );
    }
    finding(
        id,
        Severity::Warning,
        "keys and conversations cross the network in the clear",
        &["T-ACCESS-003", "T-EXFIL-004"],
    )
    .seen(seen)
    .fix("use https, or a tunnel that ends on this machine")
}

fn groups() -> SecurityFinding {
    not_looked(
        "groups.open",
        "no channel can be set up in this version: nobody but you writes to the agent",
    )
}
