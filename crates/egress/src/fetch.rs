//! The one port for tools: a whole answer, within bounds of bytes and time, under the caller's
//! rights.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::fmt;
use std::time::Duration;
use url::Url;

use crate::client::Egress;
use crate::error::EgressError;
use crate::origin::{Credential, Origin, shown};
use crate::rights::Rights;
use crate::send::{Incoming, Outgoing, Purpose, judge};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that belong to the connection: they are ours, whoever asks.
pub(crate) const OF_THE_CONNECTION: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

/// What a tool asks for.
#[derive(Clone)]
pub struct Fetch {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// A secret of the owner's for the exact origin that the owner named.
    pub credential: Option<Credential>,
    pub body: Bytes,
    /// Of the run's principal: [`Egress::rights`].
    pub rights: Rights,
    /// An origin that the owner's configuration names for this tool, such as a search engine of the
    /// owner's own; it alone may be local. Never from a model.
    pub configured: Option<Origin>,
    /// Instead of our own name.
    pub user_agent: Option<String>,
    /// The longest body; what is beyond is cut off. The configuration may say less.
    pub bytes_max: usize,
    /// For all of it, redirects and body included. The configuration may say less.
    pub within: Duration,
}

impl Fetch {
    /// A plain GET under these rights, within the bounds of the configuration.
    #[must_use]
    pub fn get(url: Url, rights: Rights) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            credential: None,
            body: Bytes::new(),
            rights,
            configured: None,
            user_agent: None,
            bytes_max: usize::MAX,
            within: Duration::MAX,
        }
    }
}

impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A whole answer, or as much of it as fits.
#[derive(Clone)]
pub struct Fetched {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects.
    pub url: Url,
    pub body: Bytes,
    /// True if the answer was longer than its bound.
    pub cut: bool,
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("status", &self.status)
            .field("url", &shown(&self.url))
            .field("body", &self.body.len())
            .field("cut", &self.cut)
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// Fetches an address for a tool. Dropping the future closes the connection.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Fetched, EgressError> {
        let settings = self.settings();
        let within = fetch.within.min(settings.within);
        let bytes_max = fetch.bytes_max.min(settings.max_bytes);
        let host = fetch.url.host_str().unwrap_or_default().to_owned();
        let (rights, configured) = (fetch.rights.clone(), fetch.configured.clone());
        let judge_hop = |url: &Url| {
            // What the owner configured is not the model's choice, and the lists are about what
            // models choose. A redirect away from it is.
            let own = configured.is_some() && Origin::of(url) == configured;
            let purpose = if own {
                Purpose::Model {
                    local: configured.clone(),
                }
            } else {
                Purpose::Tool(rights.clone())
            };
            judge(url, &purpose)
        };
        let whole = async {
            let answer = self.follow(outgoing(fetch, within)?, judge_hop).await?;
            read(answer, bytes_max, within).await
        };
        tokio::time::timeout(within, whole)
            .await
            .unwrap_or(Err(EgressError::Timeout {
                host,
                after: within,
            }))
    }
}

fn outgoing(fetch: Fetch, within: Duration) -> Result<Outgoing, EgressError> {
    let mut headers = fetch.headers;
    for name in OF_THE_CONNECTION {
        let _dropped = headers.remove(name);
    }
    if let Some(agent) = &fetch.user_agent {
        let agent = HeaderValue::from_str(agent).map_err(|_| EgressError::Refused {
            host: fetch.url.host_str().unwrap_or_default().to_owned(),
            why: "the user agent has characters that no header can hold",
        })?;
        let _old = headers.insert(header::USER_AGENT, agent);
    }
    Ok(Outgoing {
        purpose: Purpose::Tool(fetch.rights),
        method: fetch.method,
        url: fetch.url,
        headers,
        credential: fetch.credential,
        body: fetch.body,
        connect_timeout: CONNECT_TIMEOUT,
        head_timeout: within,
    })
}

async fn read(
    mut answer: Incoming,
    bytes_max: usize,
    idle: Duration,
) -> Result<Fetched, EgressError> {
    let mut body = BytesMut::new();
    let mut cut = false;
    while let Some(piece) = answer.chunk(idle).await? {
        let room = bytes_max - body.len();
        cut = piece.len() > room;
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if cut {
            break;
        }
    }
    Ok(Fetched {
        status: answer.status,
        headers: std::mem::take(&mut answer.headers),
        url: answer.url.clone(),
        body: body.freeze(),
        cut,
    })
}
