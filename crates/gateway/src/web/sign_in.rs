//! The sign-in page: with a token or password, or with the single-use code of a link.

use maud::{Markup, html};

use super::frame::coded;
use super::page::page;
use super::words::Words;
use axum::http::HeaderMap;

/// What the page asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Token,
    Password,
    /// Nothing can be typed: the proxy in front signs people in.
    Proxy,
}

/// What a page says to somebody whose session is over.
#[must_use]
pub(crate) fn not_any_more(headers: &HeaderMap) -> &'static str {
    Words::of(headers).not_any_more
}

/// The form for a token or a password.
#[must_use]
pub(crate) fn form(headers: &HeaderMap, ask: Ask, problem: Option<&str>) -> Markup {
    let words = Words::of(headers);
    let body = html! {
        main class="door" id="main" {
            h1 { "Instar" }
            @if let Some(problem) = problem {
                p class="wrong" role="alert" { (problem) }
            }
            @match ask {
                Ask::Proxy => p { (words.proxy_signs_in) },
                Ask::Token | Ask::Password => {
                    form method="post" action="/sign-in" {
                        @if ask == Ask::Password {
                            label for="secret" { (words.password) }
                            input id="secret" name="secret" type="password" autocomplete="current-password" required autofocus;
                        } @else {
                            label for="secret" { (words.token) }
                            input id="secret" name="secret" type="password" autocomplete="off" spellcheck="false" required autofocus;
                        }
                        button class="primary" { (words.sign_in) }
                    }
                    p { (coded(words.or_link)) }
                    @if ask == Ask::Token {
                        p { (coded(words.token_lost)) }
                    }
                },
            }
        }
    };
    page(words, words.sign_in, "/assets/ui.js", &body)
}

/// The page that a sign-in link opens. Opening it spends nothing, so that link previews do no
/// harm; sending the form does, and the script does that at once.
#[must_use]
pub(crate) fn with_code(headers: &HeaderMap, code: &str) -> Markup {
    let words = Words::of(headers);
    let body = html! {
        main class="door" id="main" {
            h1 { "Instar" }
            p { (words.signing_in) }
            form method="post" action="/sign-in" data-code="" {
                input type="hidden" name="code" value=(code);
                button class="primary" autofocus { (words.go_on) }
            }
        }
    };
    page(words, words.sign_in, "/assets/sign-in.js", &body)
}
