//! The files that pages load, built into the binary.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// An asset under `/assets/`, or nothing.
#[must_use]
pub(super) fn find(name: &str) -> Option<Response> {
    let (kind, body) = match name {
        "app.css" => ("text/css; charset=utf-8", include_str!("assets/app.css")),
        "chat.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/chat.js"),
        ),
        "composer.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/composer.js"),
        ),
        "dom.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/dom.js"),
        ),
        "log.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/log.js"),
        ),
        "ways.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/ways.js"),
        ),
        "sign-in.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/sign-in.js"),
        ),
        "pages.css" => ("text/css; charset=utf-8", include_str!("assets/pages.css")),
        "ui.js" => (
            "text/javascript; charset=utf-8",
            include_str!("assets/ui.js"),
        ),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return None,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        // They change only with the binary; a reload asks again, which loopback can afford.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Some((headers, body).into_response())
}
