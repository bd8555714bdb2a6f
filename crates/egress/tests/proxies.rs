//! Proxy variables of the environment change nothing.

use crate::server::{Server, egress, ok, outgoing};
use instar_egress::{EgressError, Purpose};
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
    let refused = egress().send(outgoing(Purpose::Tool, url)).await;
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
