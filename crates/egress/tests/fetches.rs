//! The port of tools: rights, bounds, and what belongs to the connection.

use crate::outside::{Kind, Outside};
use crate::server::{Server, egress, ok, redirect};
use http::{HeaderValue, header};
use instar_egress::{EgressConfig, EgressError, Fetch, HostsConfig, PrincipalsConfig, Rights};
use instar_protocol::Principal;
use instar_protocol::principal::Via;
use std::time::Duration;
use url::Url;

fn get(url: &str) -> Fetch {
    Fetch::get(Url::parse(url).unwrap(), Rights::default())
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn a_long_answer_is_cut_and_says_so() {
    let outside = Outside::new(Kind::Connect, |_| ok(&"x".repeat(5_000))).await;
    let mut config = outside.config();
    let egress = outside.egress();
    let whole = egress.fetch(get("http://8.8.8.8/")).await.unwrap();
    assert!(!whole.cut && whole.body.len() == 5_000 && whole.status == 200);
    let fits = Fetch {
        bytes_max: 5_000,
        ..get("http://8.8.8.8/")
    };
    let whole = egress.fetch(fits).await.unwrap();
    assert!(!whole.cut && whole.body.len() == 5_000);
    let small = Fetch {
        bytes_max: 100,
        ..get("http://8.8.8.8/")
    };
    let cut = egress.fetch(small.clone()).await.unwrap();
    assert!(cut.cut && cut.body.len() == 100);
    // The owner's bound holds whatever a tool asks for.
    config.max_bytes = 1_024;
    egress.configure(&config, None).unwrap();
    let cut = egress.fetch(get("http://8.8.8.8/")).await.unwrap();
    assert!(cut.cut && cut.body.len() == 1_024);
    // So long that it comes in many pieces.
    let outside = Outside::new(Kind::Connect, |_| ok(&"x".repeat(2_000_000))).await;
    let long = Fetch {
        bytes_max: 1_500_000,
        ..get("http://8.8.8.8/")
    };
    let cut = outside.egress().fetch(long).await.unwrap();
    assert!(cut.cut && cut.body.len() == 1_500_000);
}

#[tokio::test]
async fn a_slow_answer_ends_at_its_time_even_if_it_never_stops() {
    let outside = Outside::new(Kind::Connect, |_| {
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!".to_owned()
    })
    .await;
    let slow = Fetch {
        within: Duration::from_millis(100),
        ..get("http://8.8.8.8/")
    };
    let error = outside.egress().fetch(slow).await.unwrap_err();
    assert!(matches!(error, EgressError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn each_principal_reaches_what_its_list_names_redirects_included() {
    let outside = Outside::new(Kind::Connect, |path| match path {
        "/away" => redirect(302, "http://9.9.9.9/"),
        _ => ok("there"),
    })
    .await;
    let egress = outside.egress();
    let config = EgressConfig {
        allow: Some(texts(&["8.8.8.8", "9.9.9.9", "1.1.1.1"])),
        deny: texts(&["1.1.1.1"]),
        principals: PrincipalsConfig {
            stranger: HostsConfig {
                allow: Some(texts(&["8.8.8.8", "7.7.7.7"])),
                ..HostsConfig::default()
            },
            automation: HostsConfig {
                allow: Some(vec![]),
                ..HostsConfig::default()
            },
            ..PrincipalsConfig::default()
        },
        ..outside.config()
    };
    egress.configure(&config, None).unwrap();
    let owner = egress.rights(&Principal::Owner { via: Via::Token });
    let stranger = egress.rights(&Principal::Stranger { id: "x".into() });
    let automation = egress.rights(&Principal::Automation { source: "x".into() });
    for (rights, url, passes) in [
        (&owner, "http://8.8.8.8/", true),
        (&owner, "http://8.8.8.8/away", true),
        (&owner, "http://1.1.1.1/", false),
        (&owner, "http://7.7.7.7/", false),
        (&stranger, "http://8.8.8.8/", true),
        (&stranger, "http://8.8.8.8/away", false),
        (&stranger, "http://0x08.0x08.8.8/", true),
        (&stranger, "http://9.9.9.9/", false),
        (&stranger, "http://7.7.7.7/", false),
        (&automation, "http://8.8.8.8/", false),
        (&owner, "http://8.8.8.8:25/", false),
    ] {
        let fetch = Fetch::get(Url::parse(url).unwrap(), rights.clone());
        let fetched = egress.fetch(fetch).await;
        match fetched {
            Ok(answer) => assert!(passes && answer.status == 200, "{url}"),
            Err(EgressError::Refused { .. }) => assert!(!passes, "{url}"),
            Err(error) => panic!("{url}: {error:?}"),
        }
    }
    let targets: Vec<String> = outside.asked();
    assert!(
        !targets
            .iter()
            .any(|ask| ask.contains("7.7.7.7") || ask.contains("1.1.1.1")),
        "{targets:?}"
    );
}

#[tokio::test]
async fn only_the_origin_that_the_owner_configured_may_be_local() {
    let own = Server::plain(|path| match path {
        "/away" => redirect(302, "http://127.0.0.1:9/"),
        _ => ok("found"),
    })
    .await;
    let egress = egress();
    let configured = |path: &str| Fetch {
        configured: Some(own.origin()),
        ..Fetch::get(own.url.join(path).unwrap(), Rights::nothing())
    };
    assert_eq!(
        &egress.fetch(configured("/")).await.unwrap().body[..],
        b"found"
    );
    let away = egress.fetch(configured("/away")).await;
    assert!(matches!(away, Err(EgressError::Refused { .. })), "{away:?}");
    let plain = egress.fetch(get(own.url.as_str())).await;
    assert!(matches!(plain, Err(EgressError::Refused { .. })));
}

#[tokio::test]
async fn a_redirect_away_from_the_configured_origin_is_within_the_rights() {
    let own = Server::plain(|_| redirect(302, "http://8.8.8.8/")).await;
    let outside = Outside::new(Kind::Connect, |_| ok("outside")).await;
    for (rights, passes) in [(Rights::nothing(), false), (Rights::default(), true)] {
        let fetch = Fetch {
            configured: Some(own.origin()),
            ..Fetch::get(own.url.clone(), rights)
        };
        let fetched = outside.egress().fetch(fetch).await;
        assert_eq!(fetched.is_ok(), passes, "{fetched:?}");
        assert_eq!(outside.asked().is_empty(), !passes);
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_ours_and_the_name_is_honest() {
    let outside = Outside::new(Kind::Connect, |_| ok("")).await;
    let egress = outside.egress();
    let mut fetch = get("http://8.8.8.8/");
    for (name, value) in [
        (header::HOST, "evil.example"),
        (header::CONNECTION, "x-secret"),
        (header::CONTENT_LENGTH, "7"),
        (header::TRANSFER_ENCODING, "chunked"),
        (header::PROXY_AUTHORIZATION, "Basic x"),
    ] {
        fetch.headers.insert(name, HeaderValue::from_static(value));
    }
    egress.fetch(fetch).await.unwrap();
    let named = Fetch {
        user_agent: Some("Reader/1".to_owned()),
        ..get("http://8.8.8.8/")
    };
    egress.fetch(named).await.unwrap();
    let heads: Vec<String> = outside.asked();
    let sent = heads.iter().find(|head| head.starts_with("GET")).unwrap();
    assert!(sent.contains("host: 8.8.8.8\r\n"), "{sent}");
    assert!(sent.contains(&format!("user-agent: {}\r\n", instar_egress::user_agent())));
    for word in ["evil", "x-secret", "content-length", "chunked", "Basic"] {
        assert!(!sent.contains(word), "{word}: {sent}");
    }
    assert!(
        heads
            .iter()
            .any(|head| head.contains("user-agent: Reader/1\r\n"))
    );
}
