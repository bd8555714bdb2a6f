//! The loop: judge, send, read the head, follow or hand out.

use crate::address::classify;
use crate::client::{Egress, LookupError, Reach};
use crate::error::EgressError;
use crate::origin::{Credential, Origin, shown};
use crate::redirect;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::{Host, Url};

/// What a call out is for; decides which addresses it may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A model endpoint. Local addresses are allowed for the exact origin that the owner
    /// configured, if one is given; everything else must be public.
    Model { local: Option<Origin> },
    /// Anything else: public addresses only.
    Tool,
}

/// A request on its way out.
pub struct Outgoing {
    pub purpose: Purpose,
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub credential: Option<Credential>,
    pub body: Bytes,
    /// Until the connection stands, name look-up and TLS included.
    pub connect_timeout: Duration,
    /// Until the response head arrives, all redirects included.
    pub head_timeout: Duration,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("purpose", &self.purpose)
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A response whose body is read in bounded pieces.
pub struct Incoming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where the answer came from, after redirects.
    pub url: Url,
    response: reqwest::Response,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("status", &self.status)
            .field("url", &shown(&self.url))
            .finish_non_exhaustive()
    }
}

impl Egress {
    /// Sends a request and returns when the head of the answer is there.
    ///
    /// Every hop is judged anew. Dropping the future closes the connection.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, EgressError> {
        let deadline = Instant::now() + request.head_timeout;
        let mut hop = Step {
            method: request.method,
            url: request.url,
            headers: request.headers,
            credential: request.credential,
            body: request.body,
        };
        for _ in 0..=redirect::REDIRECTS_MAX {
            let host = hop.url.host_str().unwrap_or_default().to_owned();
            let reach = judge(&hop.url, &request.purpose)?;
            let secure = hop.url.scheme() == "https";
            let client = self.client(reach, secure, request.connect_timeout).await?;
            let outgoing = hop.request()?;
            let response = timeout_at(deadline, client.execute(outgoing))
                .await
                .map_err(|_| EgressError::Timeout {
                    host: host.clone(),
                    after: request.head_timeout,
                })?
                .map_err(|error| explain(error, &host, request.connect_timeout))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let has_body = !hop.body.is_empty();
            match redirect::next(&hop.url, &hop.method, has_body, status, &headers)? {
                Some(next) => hop.follow(next),
                None => {
                    return Ok(Incoming {
                        status,
                        headers,
                        url: hop.url,
                        response,
                    });
                }
            }
        }
        Err(EgressError::Redirects)
    }
}

/// What is sent at one hop.
struct Step {
    method: Method,
    url: Url,
    headers: HeaderMap,
    credential: Option<Credential>,
    body: Bytes,
}

impl Step {
    fn request(&self) -> Result<reqwest::Request, EgressError> {
        let refused = |why| EgressError::Refused {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            why,
        };
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = self.headers.clone();
        if let Some(credential) = &self.credential {
            if Origin::of(&self.url).as_ref() != Some(&credential.origin) {
                return Err(refused("the credential belongs to another origin"));
            }
            let text = format!("{}{}", credential.prefix, credential.secret.expose());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| refused("the credential has characters that no header can hold"))?;
            value.set_sensitive(true);
            request
                .headers_mut()
                .insert(credential.header.clone(), value);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.clone().into());
        }
        Ok(request)
    }

    /// Goes to the next hop. What was dropped at a change of origin does not come back.
    fn follow(&mut self, next: redirect::Hop) {
        if !next.same_origin {
            self.credential = None;
            self.headers = redirect::harmless(&self.headers);
        }
        if !next.keep_body {
            self.body = Bytes::new();
            self.headers.remove(http::header::CONTENT_TYPE);
        }
        self.method = next.method;
        self.url = next.url;
    }
}

/// Decides how far a hop may reach; addresses written as numbers are judged here, names when they
/// are resolved.
fn judge(url: &Url, purpose: &Purpose) -> Result<Reach, EgressError> {
    let refused = |why| EgressError::Refused {
        host: url.host_str().unwrap_or_default().to_owned(),
        why,
    };
    let origin = Origin::of(url).ok_or_else(|| refused("only http and https lead out"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it holds a user name or a password"));
    }
    let reach = match purpose {
        Purpose::Model { local: Some(local) } if *local == origin => Reach::Local,
        Purpose::Model { .. } | Purpose::Tool => Reach::Public,
    };
    let literal = match url.host() {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        Some(Host::Domain(_)) => None,
        None => return Err(refused("it names no host")),
    };
    match literal.map(classify) {
        Some(class) if !reach.allows(class) => Err(refused(class.why())),
        _ => Ok(reach),
    }
}

/// Turns a client error into ours. The address is removed: its query may hold a secret.
fn explain(error: reqwest::Error, host: &str, connect_timeout: Duration) -> EgressError {
    let host = host.to_owned();
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        match inner.downcast_ref::<LookupError>() {
            Some(LookupError::Refused { host, class }) => {
                return EgressError::Refused {
                    host: host.clone(),
                    why: class.why(),
                };
            }
            Some(LookupError::Failed { host, kind, text }) => {
                return EgressError::Resolve {
                    host: host.clone(),
                    source: std::io::Error::new(*kind, text.clone()),
                };
            }
            None => cause = inner.source(),
        }
    }
    if error.is_connect() && error.is_timeout() {
        EgressError::Timeout {
            host,
            after: connect_timeout,
        }
    } else if error.is_connect() {
        EgressError::Connect {
            host,
            source: error.into(),
        }
    } else {
        EgressError::Broken {
            host,
            source: error.into(),
        }
    }
}

impl Incoming {
    /// The next piece of the body; `None` at its end. Times out after `idle` without a byte.
    ///
    /// Cancel-safe: a dropped call loses no bytes.
    pub async fn chunk(&mut self, idle: Duration) -> Result<Option<Bytes>, EgressError> {
        let host = || self.url.host_str().unwrap_or_default().to_owned();
        match tokio::time::timeout(idle, self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(EgressError::Broken {
                host: host(),
                source: error.without_url().into(),
            }),
            Err(_) => Err(EgressError::Timeout {
                host: host(),
                after: idle,
            }),
        }
    }

    /// The whole body, refused beyond `max` bytes.
    pub async fn read(mut self, max: usize, idle: Duration) -> Result<Bytes, EgressError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.chunk(idle).await? {
            if body.len() + piece.len() > max {
                return Err(EgressError::TooLong { max });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}
