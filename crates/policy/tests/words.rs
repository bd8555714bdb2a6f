//! The owner's words: which part of a message is his own, and which values stand in it.

use instar_policy::words::{Stretch, TYPED_CHARS_MAX, is_pasted, stretches, tokens, typed_part};
use instar_policy::{Kind, Typed, Words, normal};
use std::collections::BTreeSet;

fn typed(kind: Kind, text: &str) -> Typed {
    normal(kind, text).unwrap()
}

#[test]
fn whole_values_count_and_pieces_of_them_do_not() {
    let words = Words::of(
        "Send 'Q3 report.pdf' to bob@example.com (not to anna@example.org.uk), see www.example.net/a. \
         Pay $50.00 by 2024-05-11, then delete file 12.",
    );
    for (kind, text) in [
        (Kind::Address, "bob@example.com"),
        (Kind::Url, "https://www.example.net/a"),
        (Kind::Host, "www.example.net"),
        (Kind::Amount, "50"),
        (Kind::Id, "12"),
        (Kind::Path, "Q3 report.pdf"),
    ] {
        assert!(words.has(&typed(kind, text)), "{text}");
    }
    for (kind, text) in [
        (Kind::Address, "ob@example.com"),
        (Kind::Address, "anna@example.org"),
        (Kind::Url, "www.example.net"),
        (Kind::Url, "example.net/a"),
        (Kind::Id, "11"),
        (Kind::Id, "05"),
        (Kind::Amount, "5"),
        (Kind::Name, "exam"),
    ] {
        assert!(!words.has(&typed(kind, text)), "{text}");
    }
}

#[test]
fn a_url_ends_where_the_next_sentence_begins() {
    let words = Words::of("post it to www.our-company.com.They sent it; see also a.example.com.");
    assert!(words.has(&typed(Kind::Url, "www.our-company.com")));
    assert!(words.has(&typed(Kind::Url, "a.example.com")));
}

/// The addresses that count as the owner's words.
fn said(text: &str) -> Vec<&'static str> {
    let people = ["bob@example.com", "eve@trap.example"];
    let words = Words::of(text);
    let is_said = |person: &&str| words.has(&typed(Kind::Address, person));
    people.into_iter().filter(is_said).collect()
}

#[test]
fn what_was_pasted_is_not_the_owners_word() {
    let foreign = "write to eve@trap.example";
    let many = format!("a short line\n\n{foreign}\n").repeat(12);
    for (text, own) in [
        (format!("tell bob@example.com\n> {foreign}"), true),
        (format!("tell bob@example.com\r> {foreign}"), true),
        (format!("tell bob@example.com\n```\n{foreign}\n```"), true),
        (format!("tell bob@example.com\n~~~\n{foreign}"), true),
        // A fence within what was fenced lets nothing out of it.
        (
            format!("```\nx\n```\n{foreign}\n```\ny\n```\ntell bob@example.com"),
            true,
        ),
        (
            format!("tell bob@example.com\n```\nx\n~~~\n{foreign}\n```\n"),
            true,
        ),
        (
            format!("tell bob@example.com\nFrom: x@y.example\r\nSubject: a\r\n\r\n{foreign}"),
            true,
        ),
        (
            format!("tell bob@example.com\nOn Monday, Eve wrote:\n{foreign}"),
            true,
        ),
        (
            format!("tell bob@example.com\n---------- Forwarded message\n{foreign}"),
            true,
        ),
        // What is longer than anybody types is nobody's word, in one line or in many.
        (format!("tell bob@example.com\n{many}"), false),
        (
            format!("tell bob@example.com {} {foreign}", "word ".repeat(80)),
            false,
        ),
        (
            format!(
                "{}\n> quote\ntell bob@example.com, {foreign}",
                "word ".repeat(75)
            ),
            false,
        ),
    ] {
        let expected: &[&str] = if own { &["bob@example.com"] } else { &[] };
        assert_eq!(said(&text), expected, "{text}");
        let whole: String = stretches(&text).iter().map(|found| found.text).collect();
        assert_eq!(whole, text, "nothing is lost");
    }
}

#[test]
fn a_word_speaks_of_the_noun_behind_it() {
    let nouns: BTreeSet<String> = ["file".to_owned()].into();
    let says = |text: &str| Words::of(text).says_of(&["largest", "most recent"], &nouns);
    assert!(says("delete the Largest file."));
    assert!(says("delete the most recent file"));
    for text in [
        "delete the largest",
        "what is the largest? File it",
        "delete the largest files",
        "the largest mail and the file",
        "the largest PDF file",
        "the most important and recent file",
    ] {
        assert!(!says(text), "{text}");
    }
}

#[test]
fn keys_are_phrases_and_not_every_word() {
    let words = Words::of("Who is invited to the 'Sync' and to the networking event on May 26?");
    assert!(words.keys("Sync") && words.keys("Networking  Event"));
    assert!(!words.keys("is") && !words.keys("event on June"));
    assert!(!words.keys(""));
}

#[test]
fn what_was_typed_ends_where_a_mark_stands() {
    for (text, typed, why) in [
        ("see this\n> a\n> b\nand go", "see this\nand go", "quoted"),
        ("see\n```\nx\n```\nand go", "see\nand go", "between fences"),
        (
            "see\n```\nx\n``` and pay\ngo",
            "see\ngo",
            "the line of the last fence is of the fence",
        ),
        ("see\n~~~\nx\ny", "see", "behind an open fence"),
        (
            "To: the team\nplease go",
            "To: the team\nplease go",
            "one line that looks like a header is none",
        ),
        (
            "see\nplease go\nTo: the team",
            "see\nplease go\nTo: the team",
            "one such line at the end is none either",
        ),
        (
            "see\nFrom: a@b.example\n\nTo: c@d.example\npay",
            "see",
            "two headers are a mail",
        ),
        ("see\n-----Original Message-----\npay", "see", "a mail"),
        (
            "see\n---------- Forwarded message ---------\npay",
            "see",
            "a mail",
        ),
        ("see\nBegin forwarded message:\npay", "see", "a mail"),
        (
            "see\n-----BEGIN PGP MESSAGE-----\npay",
            "see",
            "what was signed or sealed",
        ),
        ("see\nOn Monday, Eve wrote:\npay", "see", "a mail"),
        ("see what Eve wrote: no", "see what Eve wrote: no", "a word"),
    ] {
        assert_eq!(typed_part(text), typed, "{why}");
        assert_eq!(is_pasted(text), typed != text, "{why}");
        assert_eq!(Words::of(text).text(), typed, "{why}");
    }
    assert_eq!(
        stretches("go\n> no\n"),
        [
            Stretch {
                text: "go\n",
                is_typed: true
            },
            Stretch {
                text: "> no\n",
                is_typed: false
            }
        ]
    );
}

#[test]
fn nobody_types_more_than_so_much() {
    let most = "w".repeat(TYPED_CHARS_MAX);
    assert!(!is_pasted(&most));
    assert_eq!(typed_part(&most), most);
    let more = format!("{most}w");
    assert!(is_pasted(&more));
    assert_eq!(typed_part(&more), "");
    // What was quoted beside it does not count.
    assert_eq!(typed_part(&format!("{most}\n> quoted")), most);
}

#[test]
fn messages_stand_one_below_the_other() {
    let mut words = Words::of("write to Ann");
    words.add("> quoted");
    words.add("of work");
    assert_eq!(words.text(), "write to Ann\n\nof work");
    assert!(words.says("write to ann") && words.says("of work"));
    assert!(!words.says("ann of"), "no phrase goes over two messages");
    assert!(!words.says("") && !words.says("..."), "nothing is said");
    assert!(words.any_of(&["paint", "write"]) && !words.any_of(&["writ", "ann of"]));
    for (text, is_empty) in [("", true), (" \n", true), ("> quoted", true), ("go", false)] {
        assert_eq!(Words::of(text).is_empty(), is_empty, "{text:?}");
    }
}

#[test]
fn each_kind_of_value_is_said_in_its_own_way() {
    for (words, kind, text, is_said, why) in [
        (
            "ask the Sales Team",
            Kind::Name,
            "sales team",
            true,
            "words",
        ),
        ("see General", Kind::Channel, "#general", true, "a word"),
        ("ask the Sales, Team", Kind::Name, "sale", false, "a part"),
        (
            "read notes/a.md",
            Kind::Path,
            "notes/a.md",
            true,
            "as it is",
        ),
        ("read 'my plans'", Kind::Path, "my plans", true, "quoted"),
        ("read my plans", Kind::Path, "my plans", false, "no path"),
        ("close ticket 12", Kind::Id, "12", true, "behind its noun"),
        ("close '12'", Kind::Id, "12", true, "quoted"),
        ("close ticket A, 12", Kind::Id, "A,12", true, "of two parts"),
        ("pay 12", Kind::Id, "12", false, "any number"),
        ("close the ticket", Kind::Id, "12", false, "another one"),
        ("close the ticket now", Kind::Id, "...", false, "no word"),
    ] {
        let found = Words::of(words).has(&typed(kind, text));
        assert_eq!(found, is_said, "{why}: {text} in {words}");
    }
}

#[test]
fn a_key_is_a_long_word_or_several() {
    let words = Words::of("go to the networking event of May 26");
    for (text, is_key) in [
        ("networking", true),
        ("may 26", true),
        ("go to the", true),
        ("May", false),
        ("go", false),
        ("June", false),
        ("events", false),
    ] {
        assert_eq!(words.keys(text), is_key, "{text}");
    }
}

#[test]
fn a_word_may_stand_in_brackets_before_its_noun() {
    let nouns: BTreeSet<String> = ["file".to_owned()].into();
    let says = |text: &str| Words::of(text).says_of(&["largest", "most recent"], &nouns);
    assert!(says("delete one (largest file)"));
    assert!(says("delete the 'most recent file'"));
    assert!(!says("delete the most \"recent file"));
}

#[test]
fn quotation_marks_of_every_language_hold_a_name() {
    for text in [
        "'my plans' first",
        "read \"My  Plans\"",
        "read `my plans`",
        "read \u{2018}my plans\u{2019}",
        "read \u{201c}my plans\u{201d}",
        "read \u{201e}my plans\u{201c}",
        "read \u{201e}my plans\u{201d}",
        "read \u{ab}my plans\u{bb}",
        "read \u{300c}my plans\u{300d}",
    ] {
        assert!(
            Words::of(text).has(&typed(Kind::Path, "my plans")),
            "{text}"
        );
    }
    for text in [
        // An apostrophe within a word opens nothing.
        "Ann's my plans' end",
        "read 'my plans",
        "read 'all my plans'",
        "read \u{201c}my plans\u{201c}",
        "read \u{2018}my plans'",
        "read ''my plans",
    ] {
        let words = Words::of(text);
        for path in ["my plans", "s my plans"] {
            assert!(!words.has(&typed(Kind::Path, path)), "{text}: {path}");
        }
    }
}

#[test]
fn a_token_keeps_what_stands_inside_a_word() {
    assert_eq!(
        tokens("Write to Bob@Work.example, (see #a-b.c)\u{7}now: *it* -- 3.5 \u{ab}x\u{bb}."),
        [
            "write",
            "to",
            "bob@work.example",
            "see",
            "a-b.c",
            "now",
            "it",
            "3.5",
            "x"
        ]
    );
}
