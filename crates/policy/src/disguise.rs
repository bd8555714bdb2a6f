//! Links as people write them who want them read and not found: `hxxps://trap[.]example`, `trap dot com`.

/// What stands for the point of a name.
const POINTS: [&str; 8] = [
    "[.]", "(.)", "{.}", "<.>", "[dot]", "(dot)", "{dot}", "<dot>",
];
/// Signs of a link that were broken up.
const BROKEN: [(&str, &str); 4] = [("hxxp", "http"), ("\\/", "/"), ("[:]", ":"), ("[/]", "/")];
/// With one spoken point alone these endings tell a name of a host from other words.
const ENDINGS: [&str; 24] = [
    "app", "biz", "cn", "co", "com", "de", "dev", "eu", "example", "fr", "info", "io", "me", "net",
    "online", "org", "ru", "shop", "site", "top", "uk", "us", "xyz", "zip",
];

/// The text with such links written out, in small letters; `None` where there is none.
pub(crate) fn undisguised(text: &str) -> Option<String> {
    let small = text.to_lowercase();
    let mut plain = small.clone();
    for point in POINTS {
        if plain.contains(point) {
            plain = plain
                .replace(&format!(" {point} "), ".")
                .replace(point, ".");
        }
    }
    for (broken, whole) in BROKEN {
        if plain.contains(broken) {
            plain = plain.replace(broken, whole);
        }
    }
    if plain.contains("dot") {
        for name in spoken(&plain) {
            plain.push(' ');
            plain.push_str(&name);
        }
    }
    (plain != small).then_some(plain)
}

/// Names of hosts whose points are said: `www dot trap dot example`.
fn spoken(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let mut labels = vec![words[at]];
        while let [point, next, ..] = &words[at + 1..]
            && *point == "dot"
        {
            labels.push(next);
            at += 2;
        }
        at += 1;
        let last = labels[labels.len() - 1];
        let bare = last.split(|c: char| !c.is_alphanumeric()).next();
        let is_name = labels.len() > 2 || bare.is_some_and(|bare| ENDINGS.contains(&bare));
        if labels.len() > 1 && is_name {
            found.push(labels.join("."));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::undisguised;

    #[test]
    fn what_is_broken_up_is_put_together() {
        for (text, holds) in [
            ("see hxxps://Trap[.]example/x", "https://trap.example/x"),
            ("see www[.]trap[.]example.", "www.trap.example."),
            ("trap (dot) example", "trap.example"),
            ("trap [DOT] example/x", "trap.example/x"),
            ("https:\\/\\/trap.example\\/x", "https://trap.example/x"),
            ("https[:]//trap.example", "https://trap.example"),
            ("go to www dot trap dot example now", "www.trap.example"),
            ("it is at trap dot com, today", "trap.com,"),
            ("ask mail dot trap dot lan for it", "mail.trap.lan"),
        ] {
            let plain = undisguised(text).unwrap_or_default();
            assert!(plain.contains(holds), "{text}: {plain}");
        }
    }

    #[test]
    fn other_words_stay_as_they_are() {
        for text in [
            "the dot product of two vectors",
            "A dot. A dash (see below).",
            "polka dot",
            "a polka dot dress",
            "dot com",
            "Minutes [draft] of {May}, 10:30",
        ] {
            assert_eq!(undisguised(text), None, "{text}");
        }
    }
}
