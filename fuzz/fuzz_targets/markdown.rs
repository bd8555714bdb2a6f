//! Whatever the text, the rendered page holds only elements from the closed set.
#![no_main]

use libfuzzer_sys::fuzz_target;

const TAGS: &[&str] = &[
    "p", "br", "hr", "a", "em", "strong", "del", "code", "pre", "ul", "ol", "li", "div",
    "blockquote", "table", "thead", "tr", "th", "td", "h2", "h3", "h4", "h5", "h6",
];

fuzz_target!(|text: &str| {
    let html = instar_gateway::web::markdown::render(text).into_string();
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or(tag);
        let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
        assert!(TAGS.contains(&name), "<{tag}> from {text:?}");
        if let Some((_, target)) = tag.split_once(" href=\"") {
            let safe = ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme));
            assert!(safe, "{target} from {text:?}");
        }
    }
});
