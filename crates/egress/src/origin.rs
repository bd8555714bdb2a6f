//! Origins, what is bound to them, and addresses shown without their secrets.

use instar_protocol::Secret;
use std::fmt;
use url::{Host, Url};

/// Scheme, host and port. Two origins are the same only if all three are.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    scheme: String,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// The origin of an http or https address; `None` for every other scheme.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// A credential and the one origin it may be sent to.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Sent there and nowhere else; a call to another origin is refused.
    pub origin: Origin,
    pub header: http::HeaderName,
    /// Stands before the secret, for example `"Bearer "`.
    pub prefix: &'static str,
    pub secret: Secret,
}

/// An address as it may be logged: without user name, password, query values and fragment.
#[must_use]
pub fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    let query = if url.query().is_some() { "?***" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}
