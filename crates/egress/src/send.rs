//! The loop: judge, send, read the head, follow or hand out.

use crate::address::classify;
use crate::client::Egress;
use crate::dial::{DialError, Reach};
use crate::error::EgressError;
use crate::origin::{Credential, Origin, shown};
use crate::redirect;
use crate::rights::Rights;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
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
    /// Anything else: public addresses only, and of those what the caller's rights name.
    Tool(Rights),
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
    body: hyper::body::Incoming,
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
        let purpose = request.purpose.clone();
        self.follow(request, |url| judge(url, &purpose)).await
    }

    /// As [`Egress::send`], but a redirect is an answer like every other.
    pub(crate) async fn send_once(&self, request: Outgoing) -> Result<Incoming, EgressError> {
        let deadline = Instant::now() + request.head_timeout;
        let reach = judge(&request.url, &request.purpose)?;
        let (connect_timeout, head_timeout) = (request.connect_timeout, request.head_timeout);
        let step = Step::of(request);
        let sent = self.hop(&step, reach, connect_timeout, deadline, head_timeout);
        let (status, headers, body) = sent.await?;
        Ok(Incoming {
            status,
            headers,
            url: step.url,
            body,
        })
    }

    /// The redirect loop; `judge` is asked at every hop.
    pub(crate) async fn follow(
        &self,
        request: Outgoing,
        judge: impl Fn(&Url) -> Result<Reach, EgressError>,
    ) -> Result<Incoming, EgressError> {
        let deadline = Instant::now() + request.head_timeout;
        let (connect_timeout, head_timeout) = (request.connect_timeout, request.head_timeout);
        let mut step = Step::of(request);
        for _ in 0..=redirect::REDIRECTS_MAX {
            let reach = judge(&step.url)?;
            let sent = self.hop(&step, reach, connect_timeout, deadline, head_timeout);
            let (status, headers, body) = sent.await?;
            let has_body = !step.body.is_empty();
            match redirect::next(&step.url, &step.method, has_body, status, &headers)? {
                Some(next) => step.follow(next),
                None => {
                    return Ok(Incoming {
                        status,
                        headers,
                        url: step.url,
                        body,
                    });
                }
            }
        }
        Err(EgressError::Redirects)
    }

    async fn hop(
        &self,
        step: &Step,
        reach: Reach,
        connect_timeout: Duration,
        deadline: Instant,
        after: Duration,
    ) -> Result<(StatusCode, HeaderMap, hyper::body::Incoming), EgressError> {
        let host = step.url.host_str().unwrap_or_default().to_owned();
        let secure = step.url.scheme() == "https";
        let client = self.client(reach, secure, connect_timeout).await?;
        let request = step.request(self.user_agent())?;
        let response = timeout_at(deadline, client.request(request))
            .await
            .map_err(|_| EgressError::Timeout {
                host: host.clone(),
                after,
            })?
            .map_err(|error| explain(error, host))?;
        let (head, body) = response.into_parts();
        Ok((head.status, head.headers, body))
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
    fn of(request: Outgoing) -> Self {
        Self {
            method: request.method,
            url: request.url,
            headers: request.headers,
            credential: request.credential,
            body: request.body,
        }
    }

    fn request(&self, user_agent: &str) -> Result<http::Request<Full<Bytes>>, EgressError> {
        let refused = |why| EgressError::Refused {
            host: self.url.host_str().unwrap_or_default().to_owned(),
            why,
        };
        let mut url = self.url.clone();
        url.set_fragment(None);
        let uri: http::Uri = url
            .as_str()
            .parse()
            .map_err(|_| refused("it has characters that no request can hold"))?;
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if !headers.contains_key(header::USER_AGENT)
            && let Ok(agent) = HeaderValue::from_str(user_agent)
        {
            let _none = headers.insert(header::USER_AGENT, agent);
        }
        let _accept = headers
            .entry(header::ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));
        if let Some(credential) = &self.credential {
            if Origin::of(&self.url).as_ref() != Some(&credential.origin) {
                return Err(refused("the credential belongs to another origin"));
            }
            let text = format!("{}{}", credential.prefix, credential.secret.expose());
            let mut value = HeaderValue::from_str(&text)
                .map_err(|_| refused("the credential has characters that no header can hold"))?;
            value.set_sensitive(true);
            let _old = headers.insert(credential.header.clone(), value);
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
pub(crate) fn judge(url: &Url, purpose: &Purpose) -> Result<Reach, EgressError> {
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
        Purpose::Model { .. } | Purpose::Tool(_) => Reach::Public,
    };
    if let Purpose::Tool(rights) = purpose {
        judge_rights(url, rights)?;
    }
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

fn judge_rights(url: &Url, rights: &Rights) -> Result<(), EgressError> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Ok(());
    };
    rights
        .judge(&host.to_owned(), port)
        .map_err(|why| EgressError::Refused {
            host: host.to_string(),
            why,
        })
}

/// Turns a client error into ours. None of them holds the address: its query may hold a secret.
fn explain(error: legacy::Error, host: String) -> EgressError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(dialled) = inner.downcast_ref::<DialError>() {
            return dialled.told();
        }
        cause = inner.source();
    }
    if error.is_connect() {
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
        let host = self.url.host_str().unwrap_or_default().to_owned();
        let reading = async {
            while let Some(frame) = self.body.frame().await {
                // Trailers are not for anybody here.
                if let Ok(data) = frame?.into_data() {
                    return Ok(Some(data));
                }
            }
            Ok::<_, hyper::Error>(None)
        };
        match tokio::time::timeout(idle, reading).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(EgressError::Broken {
                host,
                source: error.into(),
            }),
            Err(_) => Err(EgressError::Timeout { host, after: idle }),
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
