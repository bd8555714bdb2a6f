//! The configured proxy is asked for judged addresses; proxy variables of the environment change nothing.

use crate::outside::{Kind, Outside};
use crate::server::{Server, egress, ok, outgoing};
use instar_egress::{EgressConfig, EgressError, Fetch, Purpose, Rights};
use instar_protocol::Secret;
use std::process::Command;
use url::Url;

const INSIDE: &str = "INSTAR_TEST_PROXY_TARGET";

/// Runs inside a child whose environment names a proxy for everything.
#[tokio::test]
async fn inside_the_child() {
    let Ok(target) = std::env::var(INSIDE) else {
        return;
    };
    let url = Url::parse(&target).unwrap();
    let local = Purpose::Model {
        local: instar_egress::Origin::of(&url),
    };
    let answer = egress().send(outgoing(local, url.clone())).await.unwrap();
    assert_eq!(answer.status, 200);
    let refused = egress()
        .send(outgoing(Purpose::Tool(Rights::default()), url))
        .await;
    assert!(matches!(refused, Err(EgressError::Refused { .. })));
}

#[tokio::test]
async fn the_connection_goes_to_the_judged_address_whatever_the_environment_says() {
    let target = Server::plain(|_| ok("direct")).await;
    let proxy = Server::plain(|_| ok("proxied")).await;
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "proxies::inside_the_child"])
        .env(INSIDE, target.url.as_str());
    for name in [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "ftp_proxy",
        "no_proxy",
        "NO_PROXY",
    ] {
        child.env(
            name,
            if name.to_lowercase() == "no_proxy" {
                ""
            } else {
                proxy.url.as_str()
            },
        );
    }
    let output = tokio::task::spawn_blocking(move || child.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(target.heads().len(), 1);
    assert!(proxy.heads().is_empty(), "the proxy was asked");
}

#[tokio::test]
async fn the_configured_proxy_is_asked_for_the_judged_address() {
    for kind in [Kind::Connect, Kind::Socks5] {
        let outside = Outside::new(kind, |_| ok("through")).await;
        let fetch = |url: &str| Fetch::get(Url::parse(url).unwrap(), Rights::default());
        let egress = outside.egress();
        let answer = egress
            .fetch(fetch("http://0x08080808:8080/a"))
            .await
            .unwrap();
        assert_eq!(&answer.body[..], b"through");
        let v6 = egress
            .fetch(fetch("http://[2606:4700::1111]/b"))
            .await
            .unwrap();
        assert_eq!(v6.status, 200);
        for url in [
            "http://127.0.0.1/",
            "http://localhost/",
            "http://[::ffff:10.0.0.1]/",
        ] {
            let refused = egress.fetch(fetch(url)).await;
            assert!(
                matches!(refused, Err(EgressError::Refused { .. })),
                "{url}: {refused:?}"
            );
        }
        let asked: Vec<String> = outside
            .asked()
            .into_iter()
            .filter(|ask| ask.contains("CONNECT"))
            .map(|ask| ask.split(' ').nth(1).unwrap().to_owned())
            .collect();
        assert_eq!(asked, ["8.8.8.8:8080", "[2606:4700::1111]:80"]);
    }
}

#[tokio::test]
async fn the_owner_s_own_endpoint_is_not_behind_the_proxy() {
    let own = Server::plain(|_| ok("own")).await;
    let outside = Outside::new(Kind::Connect, |_| ok("proxied")).await;
    let answer = outside.egress().send(own.call("/")).await.unwrap();
    let body = answer
        .read(100, std::time::Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(&body[..], b"own");
    assert!(outside.asked().is_empty());
}

#[tokio::test]
async fn the_proxy_s_sign_in_goes_to_the_proxy_only() {
    for (kind, shown) in [
        (Kind::Connect, "proxy-authorization: Basic bWU6Y2FuYXJ5"),
        (Kind::Socks5, "me canary CONNECT"),
    ] {
        let outside = Outside::new(kind, |_| ok("")).await;
        let egress = outside.egress();
        let config = EgressConfig {
            proxy_user: Some("me".to_owned()),
            ..outside.config()
        };
        assert!(
            egress.configure(&config, None).is_err(),
            "without its password"
        );
        egress
            .configure(&config, Some(Secret::new("canary")))
            .unwrap();
        let fetch = Fetch::get(Url::parse("http://8.8.8.8/").unwrap(), Rights::default());
        egress.fetch(fetch).await.unwrap();
        let asked = outside.asked();
        assert!(asked[0].contains(shown), "{asked:?}");
        assert!(!asked[1].contains("canary") && !asked[1].contains("bWU6Y2FuYXJ5"));
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_failed_connection() {
    let proxy = Server::plain(|_| "HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n".to_owned()).await;
    let egress = egress();
    let config = EgressConfig {
        proxy: Some(proxy.url.to_string()),
        ..EgressConfig::default()
    };
    egress.configure(&config, None).unwrap();
    let fetch = Fetch::get(Url::parse("http://8.8.8.8/").unwrap(), Rights::default());
    let error = egress.fetch(fetch).await.unwrap_err();
    assert!(matches!(error, EgressError::Connect { .. }), "{error:?}");
}
