//! The token of a page's own forms.
//!
//! A plain form of any page can be sent anywhere, so a form alone proves nothing. Ours carry a text
//! that only a page of ours can know: it is made of the browser's cookie, which scripts and other
//! origins cannot read.

use axum::http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};
use std::sync::OnceLock;

use super::cookie;
use super::digest::Digest;

/// The hidden field, first in each form.
pub(crate) const FORM_FIELD: &str = "form";

/// What the forms of a page for this caller carry; `None` if the system gives no random bytes.
pub(crate) fn form_token(headers: &HeaderMap) -> Option<String> {
    static KEY: OnceLock<Option<[u8; 32]>> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| key)
    });
    // Behind a proxy that signs people in there is no cookie: the key alone is the secret then.
    let cookie = cookie::read(headers).unwrap_or_default();
    let hash = Sha256::new()
        .chain_update(key.as_ref()?)
        .chain_update(cookie);
    Some(hex::encode(hash.finalize()))
}

/// True if a body of this type is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// True if the form begins with the token of its sender.
pub(crate) fn is_ours(headers: &HeaderMap, body: &[u8]) -> bool {
    let first = body.split(|byte| *byte == b'&').next().unwrap_or_default();
    let given = std::str::from_utf8(first)
        .ok()
        .and_then(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == FORM_FIELD);
    match (form_token(headers), given) {
        (Some(token), Some((_, given))) => Digest::of(&token).matches(given),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c8_a_form_is_ours_with_the_token_of_its_own_cookie_in_front() {
        let with = |cookie: &str| {
            let mut headers = HeaderMap::new();
            let cookie = format!("{}={cookie}", cookie::COOKIE);
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            headers
        };
        let (mine, other) = (with("a"), with("b"));
        let token = form_token(&mine).unwrap();
        assert_ne!(form_token(&other).unwrap(), token);
        let ours = |headers: &HeaderMap, body: &str| is_ours(headers, body.as_bytes());
        assert!(ours(&mine, &format!("form={token}")));
        assert!(ours(&mine, &format!("form={token}&path=x")));
        for body in [
            String::new(),
            "form=".to_owned(),
            "form=&x=1".to_owned(),
            format!("path=x&form={token}"),
            format!("form={token}0"),
            format!("from={token}"),
        ] {
            assert!(!ours(&mine, &body), "{body}");
        }
        assert!(!ours(&other, &format!("form={token}")));
    }
    #[test]
    fn a_form_is_known_by_its_type() {
        let is = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            is_form(&headers)
        };
        for kind in [
            "application/x-www-form-urlencoded",
            "Application/X-WWW-Form-Urlencoded ; charset=utf-8",
        ] {
            assert!(is(kind), "{kind}");
        }
        for kind in ["", "text/plain", "application/json", "multipart/form-data"] {
            assert!(!is(kind), "{kind}");
        }
        assert!(!is_form(&HeaderMap::new()));
    }
}
