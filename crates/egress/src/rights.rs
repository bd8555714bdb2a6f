//! Which hosts a caller may reach, beyond what every address is judged by.
//!
//! Rights only narrow: there is no operation that gives more than what it was given.

use std::sync::Arc;
use url::{Host, Url};

/// Rules in one list, and the length of one.
const RULES_MAX: usize = 1_000;
const RULE_CHARS_MAX: usize = 300;

/// Services that are no web servers and that a request line can be smuggled into.
const PORTS_REFUSED: [u16; 20] = [
    19, 21, 22, 23, 25, 53, 69, 110, 111, 119, 135, 139, 143, 389, 445, 465, 587, 993, 995, 6379,
];

/// One line of a list: `example.org` is that name alone, `*.example.org` every name below it, either
/// with a port behind a colon; addresses are written as such.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    host: Host<String>,
    below: bool,
    port: Option<u16>,
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no host: write example.org, *.example.org or example.org:8443");
        if text.is_empty() || text.len() > RULE_CHARS_MAX {
            return Err(wrong());
        }
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // The parser of addresses is the one that requests go through, so that a rule and a request
        // mean the same host in every spelling.
        let url = Url::parse(&format!("https://{rest}/")).map_err(|_| wrong())?;
        let plain = !rest.contains(['/', '@', '?', '#', '\\', '*']);
        let host = url.host().filter(|_| plain).ok_or_else(wrong)?.to_owned();
        if below && !matches!(host, Host::Domain(_)) {
            return Err(wrong());
        }
        // `:443` is swallowed as the default of https; it was said all the same.
        let said = rest
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let port = url.port().or(said);
        Ok(Self {
            host: dotless(host),
            below,
            port,
        })
    }

    fn fits(&self, host: &Host<String>, port: u16) -> bool {
        if self.port.is_some_and(|own| own != port) {
            return false;
        }
        match (&self.host, host) {
            (Host::Domain(own), Host::Domain(name)) if self.below => name
                .strip_suffix(own.as_str())
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (own, host) => own == host,
        }
    }
}

/// `example.org.` is the same host as `example.org`.
fn dotless(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.trim_end_matches('.').to_owned()),
        other => other,
    }
}

/// A list of hosts that may be reached, and one of hosts that may not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hosts {
    /// `None`: every host; an empty list: none.
    allow: Option<Vec<Rule>>,
    deny: Vec<Rule>,
}

impl Hosts {
    /// Reads both lists; the error names the line that is wrong.
    pub fn parse(allow: Option<&[String]>, deny: &[String]) -> Result<Self, String> {
        let list = |texts: &[String]| -> Result<Vec<Rule>, String> {
            if texts.len() > RULES_MAX {
                return Err(format!("there are more than {RULES_MAX} hosts"));
            }
            texts.iter().map(|text| Rule::parse(text)).collect()
        };
        Ok(Self {
            allow: allow.map(list).transpose()?,
            deny: list(deny)?,
        })
    }

    /// A list that allows nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            allow: Some(Vec::new()),
            deny: Vec::new(),
        }
    }

    fn judge(&self, host: &Host<String>, port: u16) -> Result<(), &'static str> {
        if self.deny.iter().any(|rule| rule.fits(host, port)) {
            return Err("the owner denied it");
        }
        let listed = |rules: &Vec<Rule>| rules.iter().any(|rule| rule.fits(host, port));
        if self.allow.as_ref().is_some_and(|rules| !listed(rules)) {
            return Err("it is not on the list of hosts that this caller may reach");
        }
        Ok(())
    }
}

/// What one caller may reach: every list has to allow it. The default is every public host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    lists: Vec<Arc<Hosts>>,
}

impl Rights {
    /// No host at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default().narrowed(Hosts::nothing())
    }

    /// These rights as far as `hosts` allows them too.
    #[must_use]
    pub fn narrowed(mut self, hosts: impl Into<Arc<Hosts>>) -> Self {
        let hosts = hosts.into();
        if *hosts != Hosts::default() && !self.lists.contains(&hosts) {
            self.lists.push(hosts);
        }
        self
    }

    /// What both allow: a child's rights under its parent's.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        other.lists.iter().fold(self.clone(), |rights, list| {
            rights.narrowed(Arc::clone(list))
        })
    }

    /// Judges a host and port, with the reason if it is refused.
    pub fn judge(&self, host: &Host<String>, port: u16) -> Result<(), &'static str> {
        if PORTS_REFUSED.contains(&port) {
            return Err("no web server listens on that port");
        }
        let host = dotless(host.clone());
        self.lists
            .iter()
            .try_for_each(|list| list.judge(&host, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(allow: &[&str], deny: &[&str]) -> Hosts {
        let texts = |list: &[&str]| {
            list.iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        Hosts::parse(Some(&texts(allow)), &texts(deny)).unwrap()
    }

    fn may(rights: &Rights, url: &str) -> bool {
        let url = Url::parse(url).unwrap();
        let port = url.port_or_known_default().unwrap();
        rights.judge(&url.host().unwrap().to_owned(), port).is_ok()
    }

    #[test]
    fn names_are_compared_whole() {
        let rights = Rights::default().narrowed(hosts(
            &["api.example.org", "*.docs.example", "8.8.8.8"],
            &[],
        ));
        for url in [
            "https://api.example.org/",
            "https://API.example.org./",
            "http://api%2eexample.org/",
            "https://a.docs.example/",
            "https://a.b.docs.example/",
            "https://8.8.8.8/",
            "https://0x08080808/",
            "https://134744072/",
        ] {
            assert!(may(&rights, url), "{url}");
        }
        for url in [
            "https://api.example.org.evil.example/",
            "https://xapi.example.org/",
            "https://a.api.example.org/",
            "https://example.org/",
            "https://docs.example/",
            "https://evildocs.example/",
            "https://8.8.8.9/",
            "https://[::ffff:8.8.8.8]/",
            "http://api.example.org:25/",
        ] {
            assert!(!may(&rights, url), "{url}");
        }
    }

    #[test]
    fn a_denied_host_is_denied_whoever_allows_it_and_ports_count() {
        let rights = Rights::default().narrowed(hosts(
            &["*.example.org", "example.org:443"],
            &["bad.example.org"],
        ));
        assert!(may(&rights, "https://good.example.org:8443/"));
        assert!(!may(&rights, "https://bad.example.org/"));
        assert!(may(&rights, "https://example.org/"));
        assert!(!may(&rights, "http://example.org/"));
    }

    #[test]
    fn rights_only_narrow() {
        let wide = Rights::default().narrowed(hosts(&["a.example", "b.example"], &[]));
        let other = Rights::default().narrowed(hosts(&["b.example", "c.example"], &[]));
        let both = wide.meet(&other);
        for (url, expected) in [
            ("https://a.example/", false),
            ("https://b.example/", true),
            ("https://c.example/", false),
        ] {
            assert_eq!(may(&both, url), expected, "{url}");
            assert!(!may(&both, url) || (may(&wide, url) && may(&other, url)));
        }
        assert!(!may(
            &Rights::nothing().meet(&Rights::default()),
            "https://b.example/"
        ));
    }

    #[test]
    fn a_line_that_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "https://example.org",
            "example.org/x",
            "user@example.org",
            "a b",
            "*.1.2.3.4",
            "ex*mple.org",
            "example.org:0x",
            "example.org?x",
        ] {
            let deny = [text.to_owned()];
            assert!(Hosts::parse(None, &deny).is_err(), "{text:?}");
        }
    }
}
