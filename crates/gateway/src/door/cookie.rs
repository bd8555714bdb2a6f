//! The cookie of a browser session.

use axum::http::{HeaderMap, header};

/// The cookie's name.
pub const COOKIE: &str = "instar_session";

/// The value of our cookie, if the request has exactly one.
pub(super) fn read(headers: &HeaderMap) -> Option<&str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// The header that sets the cookie, or clears it when there is no value.
#[must_use]
pub fn session_cookie(value: Option<&str>, seconds: u64, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    let (value, seconds) = value.map_or(("", 0), |value| (value, seconds));
    format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
