//! The only way out: resolve, classify, pin, redirect loop, credentials bound to origins.
//! Start at [`Egress::send`].

use bytes::Bytes;
use instar_protocol::Secret;
use std::time::Duration;

/// What a call out is for; decides which addresses it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A model endpoint that the owner configured: may be local.
    Model,
    /// Anything else: public addresses only.
    Tool,
}

/// A credential and the one origin it may be sent to.
#[derive(Clone, Debug)]
pub struct Credential {
    pub header: http::HeaderName,
    pub prefix: &'static str,
    pub secret: Secret,
}

#[derive(Debug)]
pub struct Outgoing {
    pub purpose: Purpose,
    pub method: http::Method,
    pub url: url::Url,
    pub headers: http::HeaderMap,
    pub credential: Option<Credential>,
    pub body: Bytes,
    pub connect_timeout: Duration,
    /// Until the response head arrives.
    pub head_timeout: Duration,
}

/// A response whose body is read in bounded pieces.
#[derive(Debug)]
pub struct Incoming {
    pub status: http::StatusCode,
    pub headers: http::HeaderMap,
    pub url: url::Url,
    body: Body,
}
#[derive(Debug)]
struct Body;

#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    #[error("{host} is not an address this call may reach: {why}")]
    Refused { host: String, why: &'static str },
    #[error("cannot find {host}")]
    Resolve {
        host: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot connect to {host}")]
    Connect {
        host: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{host} did not answer within {after:?}")]
    Timeout { host: String, after: Duration },
    #[error("too many redirects")]
    Redirects,
    #[error("the redirect from https to http was refused")]
    Downgrade,
    #[error("the connection to {host} broke")]
    Broken {
        host: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the answer is longer than {max} bytes")]
    TooLong { max: usize },
}

/// The gate. Cheap to clone; keeps connection pools.
#[derive(Debug, Clone)]
pub struct Egress {}

#[expect(clippy::todo, reason = "interface first")]
impl Egress {
    /// No client is built and no certificate read before the first call that needs it.
    #[must_use]
    pub fn new(_user_agent: &str) -> Self {
        todo!()
    }
    pub async fn send(&self, _request: Outgoing) -> Result<Incoming, EgressError> {
        todo!()
    }
}
#[expect(clippy::todo, reason = "interface first")]
impl Incoming {
    /// The next piece of the body; `None` at its end. Times out after `idle` without a byte.
    pub async fn chunk(&mut self, _idle: Duration) -> Result<Option<Bytes>, EgressError> {
        let _ = &self.body;
        todo!()
    }
    /// The whole body, refused beyond `max` bytes.
    pub async fn read(self, _max: usize, _idle: Duration) -> Result<Bytes, EgressError> {
        todo!()
    }
}
