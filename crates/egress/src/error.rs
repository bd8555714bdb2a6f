//! How a call out fails. No message holds a credential, a query or a body.

use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

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
        source: Source,
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
        source: Source,
    },
    #[error("the answer is longer than {max} bytes")]
    TooLong { max: usize },
    #[error("cannot prepare secure connections: {why}")]
    Tls { why: String },
}
