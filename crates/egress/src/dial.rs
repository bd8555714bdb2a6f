//! Resolve, judge, connect: the one place where an outbound connection is opened.

use crate::address::{Class, classify};
use crate::error::EgressError;
use crate::proxy::Proxy;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use url::Host;

/// Addresses of one name that are tried, and how long one has before the next is tried beside it.
const ADDRESSES_MAX: usize = 8;
const STAGGER: Duration = Duration::from_millis(250);
/// What a proxy is asked for one after the other.
const THROUGH_PROXY_MAX: usize = 2;

/// Which addresses a name may resolve to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reach {
    Public,
    /// Public, and the local classes: only for the exact origin that the owner named.
    Local,
}

impl Reach {
    pub(crate) fn allows(self, class: Class) -> bool {
        class == Class::Public || (self == Self::Local && class.is_local())
    }
}

/// Travels inside the client's error, so that a refusal is told from a failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("{host} is refused: {}", class.why())]
    Refused { host: String, class: Class },
    #[error("cannot find {host}")]
    Lookup {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot connect to {host}")]
    Connect {
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{host} did not answer within {after:?}")]
    Timeout { host: String, after: Duration },
}

impl DialError {
    pub(crate) fn told(&self) -> EgressError {
        // What travels in somebody else's error cannot be moved out of it.
        let copy = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
        match self {
            Self::Refused { host, class } => EgressError::Refused {
                host: host.clone(),
                why: class.why(),
            },
            Self::Lookup { host, source } => EgressError::Resolve {
                host: host.clone(),
                source: copy(source),
            },
            Self::Connect { host, source } => EgressError::Connect {
                host: host.clone(),
                source: copy(source).into(),
            },
            Self::Timeout { host, after } => EgressError::Timeout {
                host: host.clone(),
                after: *after,
            },
        }
    }
}

/// Opens a connection to a host, to an address that `reach` allows and to no other.
pub(crate) async fn dial(
    host: &Host<String>,
    port: u16,
    reach: Reach,
    proxy: Option<&Proxy>,
    within: Duration,
) -> Result<TcpStream, DialError> {
    let name = host.to_string();
    let connecting = async {
        let vetted = resolve(host, port, reach).await?;
        let local = |address: &SocketAddr| classify(address.ip()).is_local();
        let connected = match proxy {
            // What is in the owner's own network is not behind the owner's proxy.
            Some(proxy) if !vetted.iter().any(local) => through(proxy, &vetted).await,
            _ => first_of(&vetted).await,
        };
        let stream = connected.map_err(|source| DialError::Connect {
            host: name.clone(),
            source,
        })?;
        // Requests are written whole: waiting for more would only add time.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone at once");
        }
        Ok(stream)
    };
    tokio::time::timeout(within, connecting)
        .await
        .unwrap_or_else(|_| {
            Err(DialError::Timeout {
                host: name.clone(),
                after: within,
            })
        })
}

/// The addresses of a host that may be connected to.
async fn resolve(
    host: &Host<String>,
    port: u16,
    reach: Reach,
) -> Result<Vec<SocketAddr>, DialError> {
    let found: Vec<SocketAddr> = match host {
        Host::Ipv4(v4) => vec![SocketAddr::new(IpAddr::V4(*v4), port)],
        Host::Ipv6(v6) => vec![SocketAddr::new(IpAddr::V6(*v6), port)],
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), port)).await;
            found
                .map_err(|source| DialError::Lookup {
                    host: name.clone(),
                    source,
                })?
                .collect()
        }
    };
    vet(&host.to_string(), found, reach)
}

fn vet(host: &str, found: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, DialError> {
    let refused = found
        .iter()
        .map(|address| classify(address.ip()))
        .find(|class| !reach.allows(*class));
    let vetted: Vec<SocketAddr> = found
        .into_iter()
        .filter(|address| reach.allows(classify(address.ip())))
        .take(ADDRESSES_MAX)
        .collect();
    match refused {
        _ if !vetted.is_empty() => Ok(vetted),
        Some(class) => Err(DialError::Refused {
            host: host.to_owned(),
            class,
        }),
        None => Err(DialError::Lookup {
            host: host.to_owned(),
            source: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
        }),
    }
}

/// The first address that answers; each has a moment to itself before the next is tried beside it.
async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut failed = None;
    loop {
        if attempts.is_empty() {
            let Some(address) = rest.next() else {
                return Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)));
            };
            let _attempt = attempts.spawn(TcpStream::connect(address));
        }
        tokio::select! {
            Some(done) = attempts.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = Some(error),
                Err(error) => failed = Some(io::Error::other(error)),
            },
            () = tokio::time::sleep(STAGGER), if rest.len() > 0 => {
                if let Some(address) = rest.next() {
                    let _attempt = attempts.spawn(TcpStream::connect(address));
                }
            }
        }
    }
}

async fn through(proxy: &Proxy, vetted: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = None;
    for address in vetted.iter().take(THROUGH_PROXY_MAX) {
        match proxy.connect(*address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 80);
        texts.iter().map(address).collect()
    }

    #[test]
    fn a_name_with_good_and_bad_addresses_is_reached_at_the_good_ones_only() {
        let mixed = addresses(&["127.0.0.1", "8.8.8.8", "10.0.0.1", "::ffff:169.254.169.254"]);
        assert_eq!(
            vet("x", mixed.clone(), Reach::Public).unwrap(),
            addresses(&["8.8.8.8"])
        );
        let local = vet("x", mixed, Reach::Local).unwrap();
        assert_eq!(local, addresses(&["127.0.0.1", "8.8.8.8", "10.0.0.1"]));
        let bad = vet("x", addresses(&["10.0.0.1"]), Reach::Public);
        assert!(matches!(
            bad,
            Err(DialError::Refused {
                class: Class::Private,
                ..
            })
        ));
        assert!(matches!(
            vet("x", vec![], Reach::Public),
            Err(DialError::Lookup { .. })
        ));
    }
}
