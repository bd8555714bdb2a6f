//! Who reads a page, and in which language.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header;
use axum::http::request::Parts;
use std::convert::Infallible;

use super::{ENGLISH, Words};

/// The cookie that remembers a choice.
pub(in crate::web) const COOKIE: &str = "instar-language";

impl Words {
    /// The language that a browser's owner chose here, or asks for everywhere, or English.
    pub(in crate::web) fn of(headers: &HeaderMap) -> &'static Self {
        chosen(headers)
            .or_else(|| preferred(headers))
            .unwrap_or(&ENGLISH)
    }
}

fn chosen(headers: &HeaderMap) -> Option<&'static Words> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .and_then(Words::named)
}

/// The first language of the list that is here; weights other than the order are not looked at.
fn preferred(headers: &HeaderMap) -> Option<&'static Words> {
    let asked = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    asked
        .split(',')
        .take(16)
        .filter_map(|one| one.split(';').next())
        .find_map(|tag| Words::named(tag.trim()))
}

/// Whoever looks at a page: the words for them.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Reader(pub(in crate::web) &'static Words);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Words::of(&parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn the_choice_made_here_goes_before_the_browser_s() {
        let mut headers = HeaderMap::new();
        assert_eq!(Words::of(&headers).tag, "en");
        let asks = HeaderValue::from_static("fr, zh-CN;q=0.9, ru;q=0.8");
        headers.insert(header::ACCEPT_LANGUAGE, asks);
        assert_eq!(Words::of(&headers).tag, "zh-Hans");
        let chose = HeaderValue::from_static("a=b; instar-language=ru");
        headers.insert(header::COOKIE, chose);
        assert_eq!(Words::of(&headers).tag, "ru");
        let nonsense = HeaderValue::from_static("instar-language=<b>");
        headers.insert(header::COOKIE, nonsense);
        assert_eq!(Words::of(&headers).tag, "zh-Hans");
    }
}
