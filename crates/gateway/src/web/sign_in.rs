//! The sign-in page: with a token or password, or with the single-use code of a link.

use maud::{Markup, html};

use super::page::page;

/// What the page asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Token,
    Password,
    /// Nothing can be typed: the proxy in front signs people in.
    Proxy,
}

/// The form for a token or a password.
#[must_use]
pub(crate) fn form(ask: Ask, problem: Option<&str>) -> Markup {
    let body = html! {
        main class="door" id="main" {
            h1 { "Instar" }
            @if let Some(problem) = problem {
                p class="wrong" role="alert" { (problem) }
            }
            @match ask {
                Ask::Proxy => p { "This gateway lets a proxy in front of it sign people in. Open it through that proxy." },
                Ask::Token | Ask::Password => {
                    form method="post" action="/sign-in" {
                        @if ask == Ask::Password {
                            label for="secret" { "Password" }
                            input id="secret" name="secret" type="password" autocomplete="current-password" required autofocus;
                        } @else {
                            label for="secret" { "API token" }
                            input id="secret" name="secret" type="password" autocomplete="off" spellcheck="false" required autofocus;
                        }
                        button class="primary" { "Sign in" }
                    }
                    p { "Or run " code { "instar up" } " and open the link it prints; it prints one for a running gateway too." }
                    @if ask == Ask::Token {
                        p { "The token was shown once at the first start. Lost it? " code { "instar token rotate" } " makes a new one." }
                    }
                },
            }
        }
    };
    page("Sign in", None, &body)
}

/// The page that a sign-in link opens. Opening it spends nothing, so that link previews do no
/// harm; sending the form does, and the script does that at once.
#[must_use]
pub(crate) fn with_code(code: &str) -> Markup {
    let body = html! {
        main class="door" id="main" {
            h1 { "Instar" }
            p { "Signing in to your gateway." }
            form method="post" action="/sign-in" data-code="" {
                input type="hidden" name="code" value=(code);
                button class="primary" autofocus { "Continue" }
            }
        }
    };
    page("Sign in", Some("/assets/sign-in.js"), &body)
}
