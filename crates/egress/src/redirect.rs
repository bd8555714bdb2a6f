//! One step of the redirect loop as a plain function.

use crate::error::EgressError;
use crate::origin::Origin;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use url::Url;

/// The most redirects that are followed.
pub(crate) const REDIRECTS_MAX: usize = 5;

/// The only caller's headers that survive a change of origin: whatever else there is may be a
/// credential under a name that no list knows.
const HARMLESS: [HeaderName; 5] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, RANGE, USER_AGENT];

/// Where a redirect leads and what may be taken along.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) same_origin: bool,
    pub(crate) keep_body: bool,
}

/// The next hop, or `None` if the answer is not a redirect that can be followed.
pub(crate) fn next(
    from: &Url,
    method: &Method,
    has_body: bool,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<Option<Hop>, EgressError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let refused = |why| EgressError::Refused {
        host: from.host_str().unwrap_or_default().to_owned(),
        why,
    };
    let url = from
        .join(location)
        .map_err(|_| refused("it redirects to something that is no address"))?;
    if from.scheme() == "https" && url.scheme() == "http" {
        return Err(EgressError::Downgrade);
    }
    let same_origin = Origin::of(from).is_some() && Origin::of(from) == Origin::of(&url);
    let repeats = matches!(status.as_u16(), 307 | 308);
    if repeats && has_body && !same_origin {
        return Err(refused(
            "it redirects a request with content to another origin",
        ));
    }
    let method = if repeats || matches!(*method, Method::GET | Method::HEAD) {
        method.clone()
    } else {
        Method::GET
    };
    let keep_body = repeats && has_body;
    Ok(Some(Hop {
        url,
        method,
        same_origin,
        keep_body,
    }))
}

/// The headers that may cross to another origin.
pub(crate) fn harmless(headers: &HeaderMap) -> HeaderMap {
    HARMLESS
        .iter()
        .filter_map(|name| Some((name.clone(), headers.get(name)?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(
        from: &str,
        method: &Method,
        body: bool,
        status: u16,
        to: &str,
    ) -> Result<Option<Hop>, EgressError> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, to.parse().unwrap());
        let from = Url::parse(from).unwrap();
        next(
            &from,
            method,
            body,
            StatusCode::from_u16(status).unwrap(),
            &headers,
        )
    }

    #[test]
    fn another_host_port_or_scheme_is_another_origin() {
        for to in [
            "https://b.example/",
            "https://a.example:8443/",
            "https://a.example.evil.example/",
            "https://a.example./",
            "//b.example/x",
        ] {
            let hop = hop("https://a.example/x", &Method::GET, false, 302, to)
                .unwrap()
                .unwrap();
            assert!(!hop.same_origin, "{to}");
        }
        let same = hop(
            "https://a.example/x",
            &Method::GET,
            false,
            302,
            "https://A.example:443/y",
        );
        assert!(same.unwrap().unwrap().same_origin);
    }

    #[test]
    fn https_never_becomes_http() {
        let error = hop(
            "https://a.example/",
            &Method::GET,
            false,
            301,
            "http://a.example/",
        );
        assert!(matches!(error, Err(EgressError::Downgrade)));
    }

    #[test]
    fn content_does_not_cross_origins_and_303_drops_it() {
        let crossing = hop(
            "https://a.example/",
            &Method::POST,
            true,
            307,
            "https://b.example/",
        );
        assert!(matches!(crossing, Err(EgressError::Refused { .. })));
        let same = hop("https://a.example/", &Method::POST, true, 308, "/new")
            .unwrap()
            .unwrap();
        assert!(same.keep_body && same.method == Method::POST);
        let see = hop("https://a.example/", &Method::POST, true, 303, "/new")
            .unwrap()
            .unwrap();
        assert!(!see.keep_body && see.method == Method::GET);
    }

    #[test]
    fn headers_of_unknown_meaning_stay_behind() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "x-house-token",
            "accept",
        ] {
            headers.insert(name, "canary".parse().unwrap());
        }
        let kept = harmless(&headers);
        assert_eq!(
            kept.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["accept"]
        );
    }
}
