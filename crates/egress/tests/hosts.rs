//! Lists of hosts, and what the configuration may say: what is no host, no proxy or half a sign-in is refused.

use crate::server::{egress, outgoing};
use instar_egress::{EgressConfig, EgressError, Hosts, HostsConfig, PrincipalsConfig};
use instar_egress::{Proxy, Purpose, Rights};
use url::{Host, Url};

fn rights(allow: &str) -> Rights {
    Rights::default().narrowed(Hosts::parse(Some(&[allow.to_owned()]), &[]).unwrap())
}

fn reaches(allow: &str, host: &str, port: u16) -> bool {
    let host = Host::parse(host).unwrap_or_else(|_| Host::Domain(host.to_owned()));
    rights(allow).judge(&host, port).is_ok()
}

#[test]
fn what_is_no_host_is_no_rule() {
    let long = format!("{}.org", "a.".repeat(200));
    for wrong in [
        "",
        "bob@example.org",
        ":pw@example.org",
        "bob:pw@example.org",
        "example.org/path",
        "example.org/",
        "example.org?query",
        "example.org?",
        "example.org#part",
        "example.org#",
        "example.org\\x",
        "*",
        "*.",
        "*.*.org",
        "a.*.org",
        "*.127.0.0.1",
        "*.[::1]",
        "two words",
        "example.org:70000",
        &long,
    ] {
        let told = Hosts::parse(Some(&[wrong.to_owned()]), &[]).unwrap_err();
        assert!(told.contains("is no host"), "{wrong}: {told}");
        assert!(Hosts::parse(None, &[wrong.to_owned()]).is_err(), "{wrong}");
    }
    // Three hundred characters are a rule, one more is none.
    let name = |length: usize| {
        let label = "a".repeat(59);
        let front = format!("{label}.").repeat(4);
        format!("{front}{}:08443", "b".repeat(length - front.len() - 6))
    };
    assert_eq!(name(300).len(), 300);
    assert!(Hosts::parse(Some(&[name(300)]), &[]).is_ok());
    assert!(Hosts::parse(Some(&[name(301)]), &[]).is_err());
}

#[test]
fn a_list_has_a_thousand_hosts_and_no_more() {
    let many = |count: usize| -> Vec<String> {
        (0..count).map(|number| format!("h{number}.org")).collect()
    };
    for count in [1, 999, 1_000] {
        assert!(Hosts::parse(Some(&many(count)), &many(count)).is_ok());
    }
    for count in [1_001, 1_002, 2_000] {
        assert!(Hosts::parse(Some(&many(count)), &[]).is_err());
        assert!(Hosts::parse(None, &many(count)).is_err());
    }
}

#[test]
fn a_rule_is_for_its_host_or_for_every_one_below_it() {
    for (rule, host, port, allowed) in [
        ("example.org", "example.org", 443, true),
        ("example.org", "example.org", 80, true),
        ("example.org", "a.example.org", 443, false),
        ("example.org", "badexample.org", 443, false),
        ("example.org:443", "example.org", 443, true),
        ("example.org:443", "example.org", 80, false),
        ("example.org:8443", "example.org", 8443, true),
        ("example.org:8443", "example.org", 443, false),
        ("*.example.org", "a.example.org", 443, true),
        ("*.example.org", "a.b.example.org", 443, true),
        ("*.example.org", "x.example.org", 80, true),
        ("*.example.org", "example.org", 443, false),
        ("*.example.org", "badexample.org", 443, false),
        // A name with nothing before the dot is nobody's.
        ("*.example.org", ".example.org", 443, false),
        ("*.example.org:8443", "a.example.org", 443, false),
        ("8.8.8.8", "8.8.8.8", 443, true),
        ("8.8.8.8", "8.8.4.4", 443, false),
        ("[2a00::1]", "[2a00::1]", 443, true),
        ("[2a00::1]:8443", "[2a00::1]", 443, false),
    ] {
        assert_eq!(reaches(rule, host, port), allowed, "{rule} {host}:{port}");
    }
}

#[test]
fn lists_are_kept_once_and_everything_is_no_list() {
    let everything = Rights::default();
    assert_eq!(everything.clone().narrowed(Hosts::default()), everything);
    let one = rights("example.org");
    assert_ne!(one, everything);
    assert_eq!(one.meet(&one), one);
    let both = one.meet(&rights("example.com"));
    assert_ne!(both, one);
    for host in ["example.org", "example.com"] {
        assert!(
            both.judge(&Host::parse(host).unwrap(), 443).is_err(),
            "{host}"
        );
    }
    let nothing = Rights::nothing().meet(&everything);
    assert!(
        nothing
            .judge(&Host::parse("example.org").unwrap(), 443)
            .is_err()
    );
}

#[tokio::test]
async fn an_address_with_half_a_sign_in_is_refused_like_a_whole_one() {
    for address in [
        "http://bob@93.184.216.34/",
        "http://:secret@93.184.216.34/",
        "http://bob:secret@93.184.216.34/",
    ] {
        let url = Url::parse(address).unwrap();
        let asked = outgoing(Purpose::Tool(Rights::default()), url);
        let refused = egress().send(asked).await.unwrap_err();
        let EgressError::Refused { why, .. } = &refused else {
            panic!("{address}: {refused:?}");
        };
        assert!(why.contains("user name or a password"), "{address}: {why}");
    }
    for wrong in [
        "http://bob@proxy.example:3128",
        "http://:secret@proxy.example:3128",
    ] {
        let told = Proxy::parse(wrong).unwrap_err();
        assert!(told.contains("never belong into an address"), "{told}");
    }
}

#[tokio::test]
async fn why_an_address_is_not_reached_is_said_in_words() {
    let mut words = Vec::new();
    for address in [
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://224.0.0.1/",
    ] {
        let url = Url::parse(address).unwrap();
        let asked = outgoing(Purpose::Tool(Rights::default()), url);
        let refused = egress().send(asked).await.unwrap_err();
        let EgressError::Refused { why, .. } = &refused else {
            panic!("{address}: {refused:?}");
        };
        assert!(why.contains(' '), "{address}: {why}");
        words.push(*why);
    }
    words.dedup();
    assert_eq!(words.len(), 3, "{words:?}");
}

#[test]
fn the_configuration_names_what_is_wrong_by_its_path() {
    let paths = |config: &EgressConfig| -> Vec<String> {
        let problems = config.problems().into_iter();
        problems
            .map(|(path, why)| {
                assert!(why.len() > 10, "{path}: {why}");
                path
            })
            .collect()
    };
    let plain = EgressConfig::default();
    assert_eq!(paths(&plain), Vec::<String>::new());
    let proxied = EgressConfig {
        proxy: Some("http://proxy.example:3128".to_owned()),
        ..EgressConfig::default()
    };
    assert_eq!(paths(&proxied), Vec::<String>::new());
    let wrong = EgressConfig {
        proxy: Some("ftp://proxy.example".to_owned()),
        proxy_user: Some("bob".to_owned()),
        deny: vec!["two words".to_owned()],
        principals: PrincipalsConfig {
            stranger: HostsConfig {
                allow: Some(vec!["*".to_owned()]),
                ..HostsConfig::default()
            },
            ..PrincipalsConfig::default()
        },
        ..EgressConfig::default()
    };
    let found = paths(&wrong);
    assert_eq!(found[..2], ["egress.proxy", "egress.proxyPassword"]);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(
        found[3].starts_with("egress.principals.stranger"),
        "{found:?}"
    );
}
