//! What is taken out, what stays, and that doing it twice changes nothing.

use instar_protocol::redact::{
    CONTENT_CHARS_MAX, ContentMode, LOG_FIELD_CHARS_MAX, REDACT_BYTES_MAX, content, find_secret,
    log_field, mask_secrets, redact,
};
use proptest::prelude::*;

fn check(input: &str, expected: &str) {
    assert_eq!(redact(input).as_str(), expected, "{input}");
}

/// Every shape once; put together from parts so that no scanner takes this file for a leak.
fn canaries() -> Vec<String> {
    let random = "Zk3nQ8vT1xR7mP4wL9yB2cD6";
    vec![
        format!("sk-{random}"),
        format!("sk-ant-api03-{random}"),
        format!("ghp_{random}{random}"),
        format!("github_pat_{random}"),
        format!("xoxb-{random}"),
        format!("AKIA{}", "Q7RT2MZL4WXC9VBN"),
        format!("AIza{random}{random}"),
        format!("eyJ{random}.{random}.{random}"),
        format!("123456789:{random}{random}"),
        format!("{random}{random}"),
        "0123456789abcdef".repeat(3),
        "4111 1111 1111 1111".to_owned(),
        "4111111111111111".to_owned(),
        "ann.smith+x@mail.example.org".to_owned(),
        "+49 170 1234567".to_owned(),
        "(555) 123-4567".to_owned(),
        format!("-----BEGIN RSA PRIVATE KEY-----\n{random}\n-----END RSA PRIVATE KEY-----"),
    ]
}

#[test]
fn keys_and_tokens_are_taken_out() {
    let random = "Zk3nQ8vT1xR7mP4wL9yB2cD6";
    check(&format!("use sk-{random}, please"), "use [secret], please");
    check(&format!("export X=ghp_{random}"), "export X=[secret]");
    check(&format!("Bearer {random}"), "Bearer [secret]");
    check(
        &format!("curl -H \"Authorization: Bearer {random}\" x"),
        "curl -H \"Authorization: [secret]\" x",
    );
    check(
        &format!("jwt eyJ{random}.{random}.{random}!"),
        "jwt [secret]!",
    );
    check(&format!("bot 123456789:{random}{random}"), "bot [secret]");
    check(
        "a -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY----- b",
        "a [secret] b",
    );
    check("cut -----BEGIN PRIVATE KEY-----\nMHc", "cut [secret]");
}

#[test]
fn values_beside_telling_names_are_taken_out() {
    check("password=hunter2 next", "password=[secret] next");
    check(
        "DB_PASSWORD: 'two words' end",
        "DB_PASSWORD: '[secret]' end",
    );
    check(
        r#"{"clientSecret": "abc", "a": 1}"#,
        r#"{"clientSecret": "[secret]", "a": 1}"#,
    );
    check(
        r#""{\"api_key\":\"abc1\"}""#,
        r#""{\"api_key\":\"[secret]\"}""#,
    );
    check("GET /x?token=abc&page=2", "GET /x?token=[secret]&page=2");
    check("my password is hunter2.", "my password is [secret]");
    check(
        "postgres://bob:pw1@db.local/x",
        "postgres://[secret]@db.local/x",
    );
    check("password=[secret]hunter2", "password=[secret]");
}

#[test]
fn identities_are_taken_out() {
    check("mail ann.smith+x@mail.example.org.", "mail [email].");
    check("<jörg@müller.example>", "<[email]>");
    check("call +49 (170) 123-4567 now", "call [phone] now");
    check(
        "call (555) 123-4567 or 555-123-4567",
        "call [phone] or [phone]",
    );
    check("card 4111 1111 1111 1111, exp", "card [number], exp");
    check("acct 123456789012345", "acct [number]");
    check(&"0123456789abcdef".repeat(2), "[opaque]");
}

#[test]
fn plain_text_stays_as_it_is() {
    for text in [
        "the meeting is on 2026-11-21 02:16:07 at 10.0.0.1:18789",
        "token: a piece of a word; the password is required",
        "src/protocol/redaction_of_long_names/and_paths/mod.rs",
        "getHttpServerConfigurationForEveryTenantOfTheHouse()",
        "@ann and user@localhost, https://example.org/a?b=c#d",
        "ses_01jd7m4x3q9v5t8r2w6y0z1k4n costs 1,234,567.89 for 1.2.3",
        "sk- is a prefix; ghp_short; AKIA too; eyJ.x.y",
        "日本語 — emoji 👩‍👩‍👧 and ünïcode",
        "",
    ] {
        check(text, text);
        assert_eq!(find_secret(text), None, "{text}");
    }
}

#[test]
fn only_certain_secrets_are_found_and_their_line_is_named() {
    let key = format!("one\ntwo\nkey sk-{}\n", "Zk3nQ8vT1xR7mP4wL9yB2cD6");
    let found = find_secret(&key).unwrap();
    assert_eq!((found.what, found.line), ("a vendor key", 3));
    assert_eq!(
        find_secret("api_key = 8f3Kq0zLmT4xWv2n").map(|found| found.line),
        Some(1)
    );
    for harmless in [
        "token=${TOKEN}",
        "password=<yours>",
        "write password=... there",
        "the digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "https://user:password@host is the form",
        "ann@example.org, +49 170 1234567, 4111 1111 1111 1111",
    ] {
        assert_eq!(find_secret(harmless), None, "{harmless}");
    }
}

#[test]
fn content_follows_the_mode_and_is_short() {
    let text = format!(
        "mail ann@example.org {}",
        "word ".repeat(2 * CONTENT_CHARS_MAX)
    );
    assert_eq!(content(ContentMode::None, &text), None);
    let redacted = content(ContentMode::Redacted, &text).unwrap();
    assert_eq!(content(ContentMode::Full, &text).as_ref(), Some(&redacted));
    assert!(redacted.starts_with("mail [email] word"));
    assert!(redacted.ends_with("[cut]") && redacted.chars().count() < CONTENT_CHARS_MAX + 10);
}

#[test]
fn a_secret_across_the_bound_leaves_no_half() {
    let secret = format!("sk-{}", "Zk3nQ8vT1xR7mP4wL9yB2cD6");
    for shift in 0..40 {
        let text = format!(
            "{}{secret} end",
            "a ".repeat((REDACT_BYTES_MAX - shift) / 2)
        );
        assert!(!redact(&text).as_str().contains("Zk3"), "{shift}");
    }
}

#[test]
fn hostile_texts_end() {
    for unit in [
        "eyJ-",
        "a-",
        "a.",
        "1 ",
        "password=\"",
        "-----BEGIN ",
        "://",
        "sk-",
        "a@",
        "(",
        "is ",
        "token:",
        "[secret]",
        "1:a-",
        "AKIA_",
        "\u{301}",
        "bearer ",
    ] {
        let text = unit.repeat(2 * REDACT_BYTES_MAX / unit.len());
        assert!(redact(&text).as_str().len() <= REDACT_BYTES_MAX, "{unit}");
    }
}

#[test]
fn a_log_field_is_one_line_that_shows_everything() {
    assert_eq!(log_field("plain ünï"), "\"plain ünï\"");
    assert_eq!(
        log_field("a\"b\\c\nd\re\tf\u{1b}[31m\u{202e}g\u{2028}h\u{200b}"),
        "\"a\\\"b\\\\c\\nd\\re\\tf\\u{1b}[31m\\u{202e}g\\u{2028}h\\u{200b}\""
    );
    let long = log_field(&"x".repeat(LOG_FIELD_CHARS_MAX + 5));
    assert!(long.ends_with("x\" (+5 characters)"));
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(canaries()),
        prop::sample::select(vec![
            "password=",
            "token: ",
            "Bearer ",
            "://",
            "@",
            ".",
            "-",
            "_",
            "+",
            "(",
            "[secret]",
            "[email]",
            "\"",
            "'",
            " ",
            "\n",
            "is ",
            "sk-",
            "eyJ",
            "-----BEGIN ",
            "-----END ",
            "/",
            "[",
            "]",
            "secret",
            "0",
            "4111 ",
            "a@b.co",
            ":",
            "=",
            "\\",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z0-9]{0,12}",
        "\\PC{0,6}",
    ]
}

proptest! {
    #[test]
    fn twice_is_once(pieces in prop::collection::vec(piece(), 0..24)) {
        let once = redact(&pieces.concat());
        prop_assert_eq!(redact(once.as_str()), once);
    }

    #[test]
    fn no_canary_survives_between_words(
        canary in prop::sample::select(canaries()),
        before in "[a-zäöü ,.;!?\n]{0,40}", after in "[a-zäöü ,.;!?\n]{0,40}",
    ) {
        let text = format!("{before} {canary} {after}");
        prop_assert!(!redact(&text).as_str().contains(&canary), "{}", redact(&text));
    }

    #[test]
    fn a_log_field_is_always_one_printable_line(text in any::<String>()) {
        let field = log_field(&text);
        let hides =
            |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
        prop_assert!(!field.chars().any(hides));
        prop_assert!(field.len() <= 16 * LOG_FIELD_CHARS_MAX);
        // A quote inside is always escaped: the field ends where it seems to end.
        let inner = field.strip_prefix('"').unwrap_or_default();
        let mut escaped = false;
        let end = inner.char_indices().find(|(_, c)| {
            let closes = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let rest = end.map(|(at, _)| &inner[at + 1..]);
        prop_assert!(matches!(rest, Some(rest) if rest.is_empty() || rest.starts_with(" (+")));
    }
}

#[test]
fn keys_are_masked_in_transcripts_and_words_are_left_alone() {
    let random = "Zk3nQ8vT1xR7mP4wL9yB2cD6";
    let body = format!("{random}{random}");
    let begin = concat!("-----BEGIN ", "PRIVATE KEY-----");
    for (text, masked) in [
        (
            format!("use sk-{random}, ok"),
            "use [secret], ok".to_owned(),
        ),
        (format!("K=ghp_{random}"), "K=[secret]".to_owned()),
        (
            format!("\"apiKey\": \"gsk_{random}\""),
            "\"apiKey\": \"[secret]\"".to_owned(),
        ),
        (
            format!("jwt eyJ{random}.{random}.{random}!"),
            "jwt [secret]!".to_owned(),
        ),
        (
            format!("Authorization: Bearer {random}"),
            "Authorization: Bearer [secret]".to_owned(),
        ),
        (format!("bot 123456789:{body}"), "bot [secret]".to_owned()),
        (
            format!("a {begin}\n{body}\n-----END PRIVATE KEY----- b"),
            "a [secret] b".to_owned(),
        ),
        (format!("a {begin}\n{body}"), "a [secret]".to_owned()),
    ] {
        assert_eq!(mask_secrets(&text), masked, "{text}");
        assert!(find_secret(&text).is_some(), "{text}");
        assert_eq!(ContentMode::Redacted.transcript(&text), masked);
        assert_eq!(ContentMode::None.transcript(&text), masked);
        assert_eq!(ContentMode::Full.transcript(&text), text);
    }
    for text in [
        "my password=hunter2correct9 and ann@example.org, +49 170 1234567".to_owned(),
        format!("what does {begin} mean? I see it in every file."),
        "sk- is how such keys begin, Bearer is a scheme".to_owned(),
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----".to_owned(),
        body,
    ] {
        assert_eq!(mask_secrets(&text), text);
    }
}

proptest! {
    #[test]
    fn masking_twice_changes_nothing(pieces in proptest::collection::vec(0_usize..24, 0..12), joints in "[ -=:.\na1]{12}") {
        let canaries = canaries();
        let mut text = String::new();
        for (piece, joint) in pieces.iter().zip(joints.chars()) {
            text.push_str(canaries.get(*piece).map_or("bearer ", String::as_str));
            text.push(joint);
        }
        let once = mask_secrets(&text).into_owned();
        prop_assert_eq!(mask_secrets(&once).into_owned(), once.clone(), "{}", text);
    }
}
