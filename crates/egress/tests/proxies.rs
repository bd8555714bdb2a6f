//! The configured proxy is asked for judged addresses; proxy variables of the environment change nothing.

use crate::outside::{Kind, Outside};
use crate::server::{Server, egress, ok, outgoing};
use instar_egress::{EgressConfig, EgressError, Fetch, Purpose, Rights};
use instar_protocol::Secret;
use std::process::Command;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
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

/// What is fetched through a proxy that says just this, and what it was sent. An HTTP proxy waits for
/// the question first.
async fn through(scheme: &str, login: bool, says: Vec<u8>) -> (Result<String, String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = EgressConfig {
        proxy: Some(format!("{scheme}://{}", listener.local_addr().unwrap())),
        proxy_user: login.then(|| "me".to_owned()),
        timeout_seconds: 10,
        ..EgressConfig::default()
    };
    let waits = scheme == "http";
    let proxy = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut sent = String::new();
        if waits {
            sent += &crate::outside::head(&mut stream).await.unwrap();
        }
        stream.write_all(&says).await.unwrap();
        let mut rest = Vec::new();
        while let Ok(byte) = stream.read_u8().await {
            rest.push(byte);
            if rest.ends_with(b"\r\n\r\n") {
                stream.write_all(ok("through").as_bytes()).await.unwrap();
                break;
            }
        }
        sent + &String::from_utf8_lossy(&rest)
    });
    let egress = egress();
    let password = login.then(|| Secret::new("canary"));
    egress.configure(&config, password).unwrap();
    let fetch = Fetch::get(Url::parse("http://8.8.8.8/").unwrap(), Rights::default());
    let fetched = egress.fetch(fetch).await;
    // What is kept for the next call would keep the proxy waiting.
    drop(egress);
    let answer = fetched
        .map(|answer| String::from_utf8(answer.body.to_vec()).unwrap())
        .map_err(|error| {
            let EgressError::Connect { source, .. } = &error else {
                panic!("{error:?}");
            };
            let inner = source.source().map(ToString::to_string);
            format!("{source} {}", inner.unwrap_or_default())
        });
    (answer, proxy.await.unwrap())
}

#[tokio::test]
async fn what_an_http_proxy_answers_is_understood_and_has_an_end() {
    let answer = |status: &str, more: usize| {
        format!("HTTP/1.1 {status}\r\nx: {}\r\n\r\n", "x".repeat(more)).into_bytes()
    };
    for (says, told) in [
        (answer("200 Connected", 0), Ok("through")),
        (answer("204 Fine", 0), Ok("through")),
        (answer("200 Connected", 8_100), Ok("through")),
        (answer("200 Connected", 8_200), Err("has no end")),
        (
            answer("407 Who", 0),
            Err("wants a user name and a password"),
        ),
        (answer("403 No", 0), Err("does not connect there")),
        (answer("2000 Odd", 0), Err("does not connect there")),
    ] {
        let (got, _) = through("http", false, says).await;
        match (got, told) {
            (Ok(got), Ok(told)) => assert_eq!(got, told),
            (Err(got), Err(told)) => assert!(got.contains(told), "{got}"),
            (got, told) => panic!("{got:?}, not {told:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_socks_proxy_answers_is_understood_whatever_address_it_names() {
    let bound = |kind: u8, address: &[u8]| {
        let mut says = vec![5, 0, 5, 0, 0, kind];
        says.extend(address);
        says.extend([0, 80]);
        says
    };
    for (login, says, told) in [
        (false, bound(1, &[9; 4]), Ok("through")),
        (false, bound(4, &[9; 16]), Ok("through")),
        (false, bound(3, b"\x05there"), Ok("through")),
        (false, bound(2, &[9; 4]), Err("does not speak SOCKS5")),
        (false, vec![5, 0, 5, 1, 0, 1], Err("does not connect there")),
        (false, vec![5, 0, 4, 0, 0, 1], Err("does not connect there")),
        (false, vec![5, 255], Err("another kind of sign-in")),
        (false, vec![5, 2], Err("another kind of sign-in")),
        (false, vec![4, 0], Err("does not speak SOCKS5")),
        (true, bound(1, &[9; 4]), Ok("through")),
        (true, vec![5, 1], Err("another kind of sign-in")),
        (true, vec![5, 2, 1, 1], Err("does not take the user name")),
    ] {
        let shown = format!("{login} {says:?}");
        let (got, sent) = through("socks5", login, says.clone()).await;
        match (got, told) {
            (Ok(got), Ok(told)) => assert_eq!(got, told, "{shown}"),
            (Err(got), Err(told)) => assert!(got.contains(told), "{shown}: {got}"),
            (got, told) => panic!("{shown}: {got:?}, not {told:?}"),
        }
        // A proxy that asks for no password is told none.
        assert_eq!(
            sent.contains("canary"),
            says.starts_with(&[5, 2, 1]),
            "{shown}"
        );
    }
}
