//! Takes secrets out of what vendors say before it is logged.

use instar_protocol::Secret;

/// Longest excerpt of a vendor's words that is kept.
pub(crate) const EXCERPT_CHARS_MAX: usize = 400;

/// How keys begin, in the wild.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "gsk_",
    "xai-",
    "AIza",
    "pk-",
    "rk-",
    "hf_",
    "r8_",
    "fw_",
    "tgp_",
    "nvapi-",
    "csk-",
    "key-",
    "eyJ",
    "Bearer ",
    "bearer ",
    "Basic ",
    "api_key=",
    "apikey=",
    "key=",
    "token=",
    "access_token=",
    "x-api-key: ",
];

/// The text without the given secrets and without whatever looks like a key, cut to an excerpt.
pub(crate) fn scrub(text: &str, secrets: &[Secret]) -> String {
    let mut clean = text.to_owned();
    for secret in secrets {
        let secret = secret.expose();
        if secret.len() >= 4 {
            clean = clean.replace(secret, "***");
        }
    }
    for prefix in PREFIXES {
        clean = mask_after(&clean, prefix);
    }
    clean = mask_user_info(&clean);
    let mut out: String = clean
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(EXCERPT_CHARS_MAX)
        .collect();
    if clean.chars().count() > EXCERPT_CHARS_MAX {
        out.push('…');
    }
    out
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '/' | '+' | '=' | '%')
}

/// Masks the word that follows a prefix at the beginning of a word.
fn mask_after(text: &str, prefix: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let (before, from) = rest.split_at(at);
        let after = &from[prefix.len()..];
        let len = after.find(|c| !is_key_char(c)).unwrap_or(after.len());
        let begins_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        out.push_str(prefix);
        if begins_word && len >= 6 {
            out.push_str("***");
        } else {
            out.push_str(&after[..len]);
        }
        rest = &after[len..];
    }
    out.push_str(rest);
    out
}

/// Masks `user:password@` in addresses.
fn mask_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .unwrap_or(after.len());
        let authority = &after[..end];
        match authority.rfind('@') {
            Some(sign) => {
                out.push_str("***");
                out.push_str(&authority[sign..]);
            }
            None => out.push_str(authority),
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_shape_are_masked() {
        let secret = [Secret::new("canary-7f3a9")];
        for text in [
            "bad key canary-7f3a9",
            "Incorrect API key provided: sk-proj-canary-7f3a9.",
            "header Authorization: Bearer canary-7f3a9",
            "see https://user:canary-7f3a9@api.example/v1?key=canary-7f3a9&x=1",
        ] {
            assert!(
                !scrub(text, &secret).contains("canary"),
                "{}",
                scrub(text, &secret)
            );
        }
        assert!(!scrub("https://u:p4ssw0rd@h/x", &[]).contains("p4ssw0rd"));
        assert!(!scrub("sk-abcdefgh1234", &[]).contains("abcdefgh"));
        assert_eq!(
            scrub("risk-averse tasks stay", &[]),
            "risk-averse tasks stay"
        );
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        let text = scrub(&"é\n".repeat(1000), &[]);
        assert!(text.chars().count() <= EXCERPT_CHARS_MAX + 1 && !text.contains('\n'));
    }
}
