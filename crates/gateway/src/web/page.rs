//! The bare page: for signing in and for refusals.

use maud::{DOCTYPE, Markup, html};

use super::frame::head;
use super::words::Words;

/// A whole page without the bar.
pub(super) fn page(words: &Words, title: &str, script: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(words.tag) {
            (head(title, &[script], None))
            body data-unreachable=(words.unreachable) { (body) }
        }
    }
}
