//! Which hosts this gateway answers to, and which pages may call it.

use axum::http::{HeaderMap, Uri, header};
use std::net::{IpAddr, SocketAddr};

use crate::config::GatewayConfig;

/// The host of a request, if it is there once and is one of ours.
///
/// A page that was led here by a lying name server carries that name in `Host`: refused.
pub(super) fn host<'a>(
    headers: &'a HeaderMap,
    uri: &Uri,
    local: SocketAddr,
    config: &GatewayConfig,
) -> Option<&'a str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    let alone = hosts.next().is_none();
    let same = uri.authority().is_none_or(|named| named.as_str() == host);
    (alone && same && is_ours(host, local, config)).then_some(host)
}

fn is_ours(host: &str, local: SocketAddr, config: &GatewayConfig) -> bool {
    let public = config.public_origin.as_deref().and_then(|origin| {
        let (_, authority) = origin.split_once("://")?;
        Some(authority)
    });
    if public == Some(host) {
        return true;
    }
    let Some(name) = without_port(host) else {
        return false;
    };
    let own = |address: IpAddr| address.is_loopback() || address == local.ip().to_canonical();
    name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(own)
}

/// True for the names that only this machine itself knows it by.
pub(super) fn is_this_machine(host: &str) -> bool {
    without_port(host).is_some_and(|name| {
        let loopback = |address: IpAddr| address.is_loopback();
        name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(loopback)
    })
}

fn address(name: &str) -> Option<IpAddr> {
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse().ok()
}

/// The name before the port; nothing if what follows is no port.
fn without_port(host: &str) -> Option<&str> {
    let (name, port) = if host.starts_with('[') {
        let end = host.find(']')? + 1;
        (
            &host[..end],
            host[end..]
                .strip_prefix(':')
                .or(host[end..].is_empty().then_some("1"))?,
        )
    } else {
        host.split_once(':').unwrap_or((host, "1"))
    };
    port.parse::<u16>().is_ok().then_some(name)
}

/// What a request's `Origin` says about who made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// No browser said anything.
    Unsaid,
    /// A page of ours.
    Ours,
    /// A page that the owner allowed: it may call, and is not ours for that.
    Allowed,
    Foreign,
}

/// Judges the origin of a request that came to `host` by this scheme.
pub(super) fn source(
    headers: &HeaderMap,
    host: &str,
    spoken: &str,
    config: &GatewayConfig,
) -> Source {
    let text = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap_or("?"));
        if values.next().is_some() {
            Some("?")
        } else {
            value
        }
    };
    let site = text("sec-fetch-site");
    match text("origin") {
        // A form of a page that sends no referrer says `null`; the browser's own word on the
        // site cannot be set by a page.
        Some("null") if site == Some("same-origin") => Source::Ours,
        Some(origin) => {
            let own = origin
                .split_once("://")
                .is_some_and(|(scheme, authority)| scheme == spoken && authority == host);
            let public = config.public_origin.as_deref() == Some(origin);
            let allowed = &config.control_ui.allowed_origins;
            if own || public {
                Source::Ours
            } else if allowed.iter().any(|allowed| allowed == origin) {
                Source::Allowed
            } else {
                Source::Foreign
            }
        }
        None => match site {
            Some("same-origin") => Source::Ours,
            // Typing an address or opening a bookmark.
            None | Some("none") => Source::Unsaid,
            Some(_) => Source::Foreign,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(host: &str) -> bool {
        let config = GatewayConfig {
            public_origin: Some("https://agent.example.org".to_owned()),
            ..GatewayConfig::default()
        };
        is_ours(host, "127.0.0.1:18789".parse().unwrap(), &config)
    }

    #[test]
    fn only_our_names_are_ours() {
        for host in [
            "127.0.0.1:18789",
            "localhost:1",
            "localhost",
            "[::1]:80",
            "agent.example.org",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:x",
            "10.0.0.1:18789",
            "agent.example.org.evil",
            "",
            "[::1",
            "localhost@evil.example",
        ] {
            assert!(!ours(host), "{host}");
        }
    }
}
