//! The redirect loop over real connections.

use crate::server::{Server, egress, ok, redirect};
use bytes::Bytes;
use http::Method;
use instar_egress::{Credential, EgressError};
use instar_protocol::Secret;
use std::time::Duration;

#[tokio::test]
async fn redirects_to_every_class_are_judged_anew() {
    let inner = Server::plain(|_| ok("secret")).await;
    let port = inner.url.port().unwrap();
    for to in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("//127.1:{port}/"),
        "http://10.0.0.1/".into(),
        "http://192.168.1.1/".into(),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://100.100.100.200/".into(),
        "http://0.0.0.0/".into(),
        "http://224.0.0.1/".into(),
        "http://192.0.2.1/".into(),
        "http://[fe80::1]/".into(),
        "http://[fc00::1]/".into(),
        "http://[2002:7f00:1::]/".into(),
        "http://user:pass@example.com/".into(),
        "file:///etc/passwd".into(),
    ] {
        let location = to.clone();
        let outer = Server::plain(move |_| redirect(302, &location)).await;
        let error = egress().send(outer.call("/")).await.unwrap_err();
        assert!(
            matches!(error, EgressError::Refused { .. }),
            "{to}: {error:?}"
        );
    }
    assert!(inner.heads().is_empty());
}

#[tokio::test]
async fn within_an_origin_redirects_keep_the_credential() {
    let server = Server::plain(|path| {
        if path == "/a" {
            redirect(307, "/b")
        } else {
            ok("there")
        }
    })
    .await;
    let mut call = server.call("/a");
    call.method = Method::POST;
    call.body = Bytes::from_static(b"body");
    call.credential = Some(Credential {
        origin: server.origin(),
        header: http::header::AUTHORIZATION,
        prefix: "Bearer ",
        secret: Secret::new("canary"),
    });
    let answer = egress().send(call).await.unwrap();
    assert_eq!(answer.url.path(), "/b");
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    assert!(
        heads[1].starts_with("POST /b")
            && heads[1].contains("Bearer canary")
            && heads[1].ends_with("body")
    );
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_sixth() {
    let server = Server::plain(|path| {
        let left: u32 = path.trim_start_matches('/').parse().unwrap();
        if left == 0 {
            ok("end")
        } else {
            redirect(302, &format!("/{}", left - 1))
        }
    })
    .await;
    assert!(egress().send(server.call("/5")).await.is_ok());
    assert!(matches!(
        egress().send(server.call("/6")).await,
        Err(EgressError::Redirects)
    ));
    assert_eq!(server.heads().len(), 12);
}

#[tokio::test]
async fn https_works_and_never_becomes_http() {
    let plain = Server::plain(|_| ok("plain")).await;
    let to = plain.url.to_string();
    let secure = Server::secure(move |path| {
        if path == "/down" {
            redirect(302, &to)
        } else {
            ok("safe")
        }
    })
    .await;
    let answer = egress().send(secure.call("/")).await.unwrap();
    assert_eq!(
        &answer.read(10, Duration::from_secs(1)).await.unwrap()[..],
        b"safe"
    );
    assert!(matches!(
        egress().send(secure.call("/down")).await,
        Err(EgressError::Downgrade)
    ));
    assert!(plain.heads().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let secure = Server::secure(|_| ok("safe")).await;
    let mut call = secure.call("/");
    // The certificate is for 127.0.0.1 and localhost.
    call.url.set_host(Some("127.0.0.2")).unwrap();
    call.purpose = instar_egress::Purpose::Model {
        local: instar_egress::Origin::of(&call.url),
    };
    assert!(matches!(
        egress().send(call).await,
        Err(EgressError::Connect { .. })
    ));
    assert!(secure.heads().is_empty());
}

#[tokio::test]
async fn what_carries_nothing_may_be_repeated_elsewhere_and_what_is_not_repeated_carries_nothing() {
    for (status, method, body, reached) in [
        (307, Method::GET, false, true),
        (308, Method::GET, false, true),
        (302, Method::POST, true, true),
        (303, Method::POST, true, true),
        (307, Method::POST, true, false),
        (308, Method::POST, true, false),
    ] {
        // A place that is refused as well, and later, so that nobody has to be reached.
        let outer = Server::plain(move |_| redirect(status, "http://10.0.0.1/")).await;
        let mut call = outer.call("/");
        call.method = method;
        if body {
            call.body = Bytes::from_static(b"content");
        }
        let error = egress().send(call).await.unwrap_err();
        let told = error.to_string();
        let repeated = "redirects a request with content to another origin";
        assert_eq!(!told.contains(repeated), reached, "{status}: {told}");
    }
}
