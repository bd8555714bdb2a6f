//! Values in their normal forms: one value has one form, and what is none of its kind has none.

use instar_policy::{Kind, normal};

fn form(kind: Kind, text: &str) -> Option<String> {
    normal(kind, text).map(|typed| typed.form)
}

/// Each text in the form that it has as this kind, or none, and why.
fn check(kind: Kind, rows: &[(&str, Option<&str>, &str)]) {
    for (text, expected, why) in rows {
        assert_eq!(form(kind, text).as_deref(), *expected, "{why}: {text:?}");
    }
}

#[test]
fn an_address_is_a_plain_local_part_at_a_domain() {
    let local = "b".repeat(64);
    let full = format!("{local}@example.com");
    let long = format!("b{local}@example.com");
    check(
        Kind::Address,
        &[
            (
                "Bob@Example.COM",
                Some("bob@example.com"),
                "case says nothing",
            ),
            (
                " mailto:b.o+b@example.com ",
                Some("b.o+b@example.com"),
                "signs within",
            ),
            (&full, Some(&full), "as long as a local part gets"),
            (&long, None, "longer than a local part gets"),
            ("@example.com", None, "nobody at a domain"),
            ("b b@example.com", None, "a space"),
            ("b\u{f6}b@example.com", None, "a letter that is not ASCII"),
            (".bob@example.com", None, "a point in front"),
            ("bob.@example.com", None, "a point behind"),
            ("b..b@example.com", None, "two points"),
            ("bob@intranet", None, "no domain"),
            ("bob", None, "no place"),
        ],
    );
}

#[test]
fn a_host_is_a_list_of_labels() {
    let label = "a".repeat(63);
    let long = format!("a{label}.example");
    let most = [label.as_str(), &label, &label, &label[..61]].join(".");
    let more = format!("{most}a");
    assert_eq!(most.len(), 253);
    check(
        Kind::Host,
        &[
            ("A-b.Example.", Some("a-b.example"), "a point at its end"),
            (&label, Some(&label), "as long as a label gets"),
            (&long, None, "longer than a label gets"),
            (&most, Some(&most), "as long as a host gets"),
            (&more, None, "longer than a host gets"),
            ("a..example", None, "a label of nothing"),
            ("a_b.example", None, "a sign that no label has"),
            ("-a.example", None, "a hyphen in front"),
            ("a-.example", None, "a hyphen behind"),
            ("\u{e4}.example", None, "a letter that looks like another"),
        ],
    );
}

#[test]
fn a_url_is_its_host_port_path_and_query() {
    check(
        Kind::Url,
        &[
            ("HTTPS://Example.com", Some("example.com/"), "no path"),
            (
                "example.com/A?b=1#c",
                Some("example.com/A?b=1"),
                "no fragment",
            ),
            ("example.com?b=1", Some("example.com/?b=1"), "a query alone"),
            (
                "http://example.com:80/a",
                Some("example.com/a"),
                "its own port",
            ),
            (
                "https://example.com:443",
                Some("example.com/"),
                "its own port",
            ),
            (
                "https://example.com:80/",
                Some("example.com:80/"),
                "the port of another scheme",
            ),
            (
                "http://example.com:8080/a",
                Some("example.com:8080/a"),
                "another port",
            ),
            (
                "localhost:8080/a",
                Some("localhost:8080/a"),
                "this very machine",
            ),
            ("intranet/a", None, "a word that is no host"),
            ("example.com:x/", None, "a port that is none"),
            ("example.com:70000/", None, "a port that is none"),
            ("ftp://example.com/a", None, "another scheme"),
            ("https://example.com@trap.example/", None, "a user"),
            ("example.com/a b", None, "a space"),
            ("example.com/a\u{7f}b", None, "a sign that nobody sees"),
            ("example.com/a\\b", None, "a slash the other way"),
        ],
    );
}

#[test]
fn a_number_of_a_phone_says_its_country() {
    check(
        Kind::Phone,
        &[
            (
                "+49 (30) 123-4567",
                Some("+49301234567"),
                "as it is written",
            ),
            (
                "0049 30 1234567",
                Some("+49301234567"),
                "zeros for the plus",
            ),
            ("+1234567", Some("+1234567"), "as short as it gets"),
            ("+123456", None, "shorter"),
            (
                "+12345678901234567",
                Some("+12345678901234567"),
                "as long as it gets",
            ),
            ("+123456789012345678", None, "longer"),
            ("030 1234567", None, "no country"),
            ("12345678", None, "any number"),
            ("+49 30 1234567 ext", None, "a word behind it"),
        ],
    );
}

#[test]
fn an_account_is_letters_and_digits() {
    let most = "A".repeat(64);
    let more = "A".repeat(65);
    check(
        Kind::Account,
        &[
            ("gb29 nwbk-6016", Some("GB29NWBK6016"), "in groups"),
            ("ab12", Some("AB12"), "as short as it gets"),
            ("ab1", None, "shorter"),
            (&most, Some(&most), "as long as it gets"),
            (&more, None, "longer"),
            ("gb29_nwbk", None, "another sign"),
        ],
    );
}

#[test]
fn a_sum_has_two_digits_behind_its_point_and_its_currency() {
    check(
        Kind::Amount,
        &[
            ("50", Some("50.00"), "no currency"),
            ("-3.5", Some("-3.50"), "less than nothing"),
            ("$1,200", Some("1200.00USD"), "a sign"),
            ("1'200 usd", Some("1200.00USD"), "three letters"),
            ("\u{20ac}5", Some("5.00EUR"), "a sign"),
            ("5\u{a0}\u{a3}", Some("5.00GBP"), "a sign"),
            ("\u{a5}5", Some("5.00JPY"), "a sign"),
            ("5 euro", None, "a word"),
            ("5 \u{5143}", None, "a sign that is not known"),
            ("999999999999", Some("999999999999.00"), "much"),
            ("1000000000000", None, "more than anybody has"),
            ("1.2.3", None, "no number"),
            ("USD", None, "no number"),
        ],
    );
    let endless = "9".repeat(400);
    assert_eq!(form(Kind::Amount, &endless), None, "more than can be told");
}

#[test]
fn a_path_stays_under_its_root() {
    let most = "a".repeat(2_048);
    let more = "a".repeat(2_049);
    check(
        Kind::Path,
        &[
            ("./notes//x/../a.md", Some("notes/a.md"), "another spelling"),
            ("/notes/a.md", Some("/notes/a.md"), "from the root"),
            ("../secret", None, "out of its root"),
            ("a/../../b", None, "out of its root"),
            ("/", None, "no part"),
            (".", None, "no part"),
            ("a\0b", None, "a sign that ends a text"),
            ("a\\b", None, "a slash the other way"),
            ("file://a/b", None, "a link"),
            (&most, Some(&most), "as long as a value gets"),
            (&more, None, "longer than a value gets"),
        ],
    );
}

#[test]
fn an_id_is_one_word_and_a_name_is_words() {
    let id = "a".repeat(256);
    let long_id = "a".repeat(257);
    check(
        Kind::Id,
        &[
            (" 1-Ab/2 ", Some("1-Ab/2"), "as it is written"),
            ("1 2", None, "two words"),
            ("1\u{7f}2", None, "a sign that nobody sees"),
            (" ", None, "nothing"),
            (&id, Some(&id), "as long as an id gets"),
            (&long_id, None, "longer than an id gets"),
        ],
    );
    // A letter of two bytes is one letter.
    let name = "\u{e4}".repeat(200);
    let long_name = "\u{e4}".repeat(201);
    check(
        Kind::Name,
        &[
            ("  Ann   of Work", Some("ann of work"), "spaces and case"),
            ("@Ann", Some("ann"), "a mark"),
            ("#", None, "a mark of nothing"),
            ("an\u{7f}n", None, "a sign that nobody sees"),
            (&name, Some(&name), "as long as a name gets"),
            (&long_name, None, "longer than a name gets"),
        ],
    );
    check(Kind::Channel, &[("#General", Some("general"), "a mark")]);
}

#[test]
fn what_is_closed_has_no_form_and_carries_nothing() {
    for (kind, is_closed) in [
        (Kind::Date, true),
        (Kind::Number, true),
        (Kind::Bool, true),
        (Kind::Enum, true),
        (Kind::Text, false),
        (Kind::Name, false),
    ] {
        assert_eq!(kind.is_closed(), is_closed, "{kind:?}");
    }
    for kind in [Kind::Date, Kind::Number, Kind::Bool, Kind::Enum, Kind::Text] {
        assert_eq!(form(kind, "1"), None, "{kind:?}");
    }
    let shown = normal(Kind::Host, "Example.com").map(|typed| typed.to_string());
    assert_eq!(shown.as_deref(), Some("example.com"));
}
