//! Classification: every special range, every embedding, every spelling.

use crate::server::{Server, egress, ok, outgoing};
use instar_egress::address::classify;
use instar_egress::{Class, Credential, EgressError, Origin, Purpose, Rights, shown};
use instar_protocol::Secret;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Url;

#[test]
fn special_registries() {
    let table: &[(Class, &[&str])] = &[
        (
            Class::Public,
            &[
                "1.1.1.1",
                "8.8.8.8",
                "172.15.255.255",
                "172.32.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "192.0.1.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "126.255.255.255",
                "11.0.0.0",
                "2606:4700::1111",
                "2a00:1450::1",
                "192.31.195.255",
                "192.175.49.0",
                "2620:4f:8001::1",
                "2a00:1450::5efe:808:808",
            ],
        ),
        (Class::Loopback, &["127.0.0.1", "127.255.255.254", "::1"]),
        (
            Class::Private,
            &[
                "10.0.0.1",
                "10.255.255.255",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.0.1",
                "100.64.0.1",
                "100.127.255.255",
                "fc00::1",
                "fdff::1",
                "fec0::1",
            ],
        ),
        (
            Class::LinkLocal,
            &["169.254.169.254", "169.254.0.1", "fe80::1", "febf::1"],
        ),
        (
            Class::Metadata,
            &[
                "100.100.100.200",
                "fd00:ec2::254",
                "fd20:ce::254",
                "168.63.129.16",
                "192.0.0.192",
            ],
        ),
        (Class::Unspecified, &["0.0.0.0", "0.1.2.3", "::"]),
        (
            Class::Multicast,
            &["224.0.0.1", "239.255.255.255", "ff02::1"],
        ),
        (
            Class::Reserved,
            &[
                "192.0.0.1",
                "192.0.2.1",
                "198.51.100.1",
                "203.0.113.1",
                "198.18.0.1",
                "198.19.255.255",
                "192.88.99.1",
                "192.31.196.1",
                "192.52.193.1",
                "192.175.48.6",
                "2620:4f:8000::1",
                "240.0.0.1",
                "255.255.255.255",
                "100::1",
                "2001:2::1",
                "2001:20::1",
                "2001:db8::1",
                "3fff::1",
                "5f00::1",
                "64:ff9b:1::1",
                "4000::1",
                "e000::1",
            ],
        ),
        // What is embedded counts.
        (
            Class::Loopback,
            &[
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "::ffff:0:127.0.0.1",
                "2002:7f00:1::",
                "64:ff9b::127.0.0.1",
                "0:0:0:0:0:ffff:7f00:0001",
                "2a00:1450::5efe:127.0.0.1",
                "2a00:1450::200:5efe:7f00:1",
            ],
        ),
        (
            Class::LinkLocal,
            &[
                "::ffff:169.254.169.254",
                "2002:a9fe:a9fe::1",
                "64:ff9b::a9fe:a9fe",
            ],
        ),
        (
            Class::Private,
            &[
                "::ffff:10.0.0.1",
                "2002:c0a8:101::",
                "64:ff9b::192.168.1.1",
                "2001:0:808:808::f5ff:fffe",
            ],
        ),
        (
            Class::Public,
            &[
                "::ffff:8.8.8.8",
                "64:ff9b::8.8.8.8",
                "2002:808:808::1",
                "2001:0:808:808::f7f7:f7f7",
            ],
        ),
    ];
    for (class, addresses) in table {
        for address in *addresses {
            assert_eq!(classify(address.parse().unwrap()), *class, "{address}");
        }
    }
}

/// Ways to write an IPv4 address that address parsers have been fooled with.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let number = u32::from(address);
    vec![
        format!("{a}.{b}.{c}.{d}"),
        format!("{a}.{b}.{c}.{d}."),
        format!("{number}"),
        format!("0x{number:x}"),
        format!("0{number:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.0x{b:X}.0x{c:02x}.{d}"),
        format!("{a}.{}", number & 0x00ff_ffff),
        format!("{a}.{b}.{}", number & 0xffff),
        format!(
            "%{:02x}{}",
            b'0' + a / 100 % 10,
            &format!("{a:03}.{b}.{c}.{d}")[1..]
        ),
    ]
}

fn host_class(host: &str) -> Class {
    match Url::parse(&format!("http://{host}/"))
        .unwrap()
        .host()
        .unwrap()
    {
        url::Host::Ipv4(v4) => classify(v4.into()),
        url::Host::Ipv6(v6) => classify(v6.into()),
        url::Host::Domain(name) => panic!("{host} stays a name: {name}"),
    }
}

proptest! {
    #[test]
    fn spelling_does_not_matter(bits in any::<u32>()) {
        let address = Ipv4Addr::from(bits);
        let class = classify(address.into());
        // The last spelling writes the first number with three digits; a leading zero is octal.
        let take = if address.octets()[0] >= 100 { 10 } else { 9 };
        for text in spellings(address).into_iter().take(take) {
            prop_assert_eq!(host_class(&text), class, "{}", text);
        }
        let [a, b] = [bits >> 16, bits & 0xffff];
        for text in [
            format!("[::ffff:{address}]"),
            format!("[0:0:0:0:0:FFFF:{a:04x}:{b:04X}]"),
            format!("[2002:{a:x}:{b:x}::1]"),
            format!("[64:ff9b::{a:x}:{b:x}]"),
            format!("[2a00:1450::5efe:{a:x}:{b:x}]"),
            format!("[2a00:1450::200:5efe:{address}]"),
        ] {
            prop_assert_eq!(host_class(&text), class, "{}", text);
        }
    }

    #[test]
    fn only_global_unicast_is_public(bits in any::<u128>()) {
        let address = Ipv6Addr::from(bits);
        if classify(IpAddr::V6(address)) == Class::Public {
            let inner = address.to_ipv4_mapped().is_some() || address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            prop_assert!(inner || address.segments()[0] >> 13 == 1 || address.segments()[..4] == [0; 4], "{}", address);
        }
    }
}

#[tokio::test]
async fn tools_reach_no_local_address_by_any_spelling_or_name() {
    let server = Server::plain(|_| ok("secret")).await;
    let port = server.url.port().unwrap();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "017700000001",
        "2130706433",
        "127.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "%6cocalhost",
        "①②⑦.0.0.1",
        "ｌocalhost",
        "0",
        "0.0.0.0",
        "[::]",
    ] {
        let url = Url::parse(&format!("http://{host}:{port}/")).unwrap();
        for purpose in [
            Purpose::Tool(Rights::default()),
            Purpose::Model { local: None },
        ] {
            let error = egress()
                .send(outgoing(purpose, url.clone()))
                .await
                .unwrap_err();
            assert!(
                matches!(
                    error,
                    EgressError::Refused { .. } | EgressError::Resolve { .. }
                ),
                "{host}: {error:?}"
            );
        }
    }
    assert!(server.heads().is_empty(), "something got through");
}

#[tokio::test]
async fn the_owners_exact_origin_may_be_local_and_no_other() {
    let server = Server::plain(|_| ok("hello")).await;
    let other = Server::plain(|_| ok("other")).await;
    let egress = egress();
    let answer = egress.send(server.call("/a")).await.unwrap();
    assert_eq!(
        &answer
            .read(100, std::time::Duration::from_secs(1))
            .await
            .unwrap()[..],
        b"hello"
    );
    assert!(
        server.heads()[0].contains(&format!("user-agent: Instar/{}", env!("CARGO_PKG_VERSION")))
    );
    let named = Url::parse(&format!("http://localhost:{}/", server.url.port().unwrap())).unwrap();
    let local = Purpose::Model {
        local: Origin::of(&named),
    };
    assert!(
        egress.send(outgoing(local, named.clone())).await.is_ok(),
        "a name that the owner gave"
    );
    for url in [other.url.clone(), named] {
        let purpose = Purpose::Model {
            local: Some(server.origin()),
        };
        assert!(matches!(
            egress.send(outgoing(purpose, url)).await,
            Err(EgressError::Refused { .. })
        ));
    }
    assert!(other.heads().is_empty());
}

#[tokio::test]
async fn even_the_owner_cannot_name_link_local_or_metadata_addresses() {
    for host in [
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "224.0.0.1",
    ] {
        let url = Url::parse(&format!("http://{host}/")).unwrap();
        let purpose = Purpose::Model {
            local: Origin::of(&url),
        };
        let error = egress().send(outgoing(purpose, url)).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused { .. }), "{host}");
    }
}

#[tokio::test]
async fn credentials_go_to_their_exact_origin_only() {
    let server = Server::plain(|_| ok("")).await;
    let bound = |origin: &str| Credential {
        origin: Origin::of(&Url::parse(origin).unwrap()).unwrap(),
        header: http::header::AUTHORIZATION,
        prefix: "Bearer ",
        secret: Secret::new("canary"),
    };
    let port = server.url.port().unwrap();
    for origin in [
        format!("https://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{}", port.wrapping_add(1)),
        format!("http://127.0.0.1.evil.example:{port}"),
        format!("http://evil127.0.0.1.example:{port}"),
        format!("http://localhost:{port}"),
        "http://127.0.0.1".to_owned(),
    ] {
        let mut call = server.call("/");
        call.credential = Some(bound(&origin));
        let error = egress().send(call).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused { .. }), "{origin}");
        assert!(!format!("{error:?}").contains("canary"));
    }
    assert!(server.heads().is_empty());
    let mut call = server.call("/");
    call.credential = Some(bound(server.url.as_str()));
    egress().send(call).await.unwrap();
    assert!(server.heads()[0].contains("authorization: Bearer canary"));
}

#[test]
fn look_alike_hosts_are_other_origins() {
    let home = Origin::of(&Url::parse("https://api.openai.com/v1").unwrap());
    let shown = home.as_ref().map(ToString::to_string);
    assert_eq!(shown.as_deref(), Some("https://api.openai.com:443"));
    for text in [
        "https://api.openai.com.evil.example/",
        "https://evil-api.openai.com/",
        "https://openai.com/",
        "https://api.openai.com./",
        "https://api.openai.com:8443/",
        "http://api.openai.com/",
        "https://api.openai.com@evil.example/",
        "https://evil.example/api.openai.com",
        "https://api.openаi.com/",
        "https://api-openai.com/",
        "https://xapi.openai.com/",
        "https://api.openai.co/",
        "https://API.OPENAI.COM.EVIL.example/",
    ] {
        assert_ne!(Origin::of(&Url::parse(text).unwrap()), home, "{text}");
    }
    for text in [
        "https://API.openai.com:443/x",
        "https://api.openai.com/?q",
        "https://api%2eopenai.com/",
    ] {
        assert_eq!(Origin::of(&Url::parse(text).unwrap()), home, "{text}");
    }
}

#[tokio::test]
async fn addresses_with_credentials_are_refused_and_shown_without_them() {
    let url = Url::parse("https://user:canary@example.com/p?key=canary#canary").unwrap();
    assert_eq!(shown(&url), "https://example.com/p?***");
    let call = outgoing(Purpose::Tool(Rights::default()), url);
    assert!(!format!("{call:?}").contains("canary"));
    let error = egress().send(call).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"));
    for text in ["ftp://example.com/", "file:///etc/passwd", "data:,x"] {
        let error = egress()
            .send(outgoing(
                Purpose::Tool(Rights::default()),
                Url::parse(text).unwrap(),
            ))
            .await;
        assert!(matches!(error, Err(EgressError::Refused { .. })), "{text}");
    }
}
