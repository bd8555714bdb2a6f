//! What one piece of a text is: an address, a link, a number, a path, or a word.

use instar_policy::Kind;
use instar_policy::links::literals;

#[test]
fn a_piece_of_a_text_is_what_it_looks_like() {
    use Kind::{Account, Address, Host, Path, Phone, Url};
    for (piece, expected, why) in [
        ("hello", &[][..], "a word"),
        ("hello-world", &[], "a long word"),
        ("12345", &[], "a short number"),
        ("ABCDE123", &[], "a word with a number"),
        (
            "hello.there",
            &[(Url, "hello.there/"), (Host, "hello.there")],
            "a host",
        ),
        ("e.g", &[], "letters with points"),
        ("3.14", &[], "a number with a point"),
        (".com", &[], "an ending alone"),
        (".pdf", &[], "an ending alone"),
        (
            "bob@example.com",
            &[(Address, "bob@example.com")],
            "an address",
        ),
        (
            "(bobBrown@example.com),",
            &[(Address, "bobbrown@example.com")],
            "in brackets, with a capital letter",
        ),
        (
            "J.Smith@example.com",
            &[(Address, "j.smith@example.com")],
            "one letter ends no sentence",
        ),
        (
            "a.example.com/x@example.org",
            &[
                (Address, "a.example.com/x@example.org"),
                (Path, "a.example.com/x@example.org"),
            ],
            "an address that looks like a link is no link",
        ),
        ("+4930123", &[(Phone, "+4930123")], "a number"),
        (
            "https://www.example.com/a.Then?b",
            &[(Url, "www.example.com/a.Then?b"), (Host, "www.example.com")],
            "a way may have capital letters",
        ),
        (
            "https://www.example.com.They",
            &[(Url, "www.example.com/"), (Host, "www.example.com")],
            "a sentence ends behind a host",
        ),
        (
            "www.example.com/a/b/c.They",
            &[
                (Url, "www.example.com/a/b/c"),
                (Host, "www.example.com"),
                (Path, "www.example.com/a/b/c"),
            ],
            "a sentence ends behind a way that has no scheme",
        ),
        (
            "http://localhost:80/x",
            &[(Url, "localhost/x"), (Host, "localhost")],
            "a scheme makes it a link",
        ),
        (
            "notes/a2.They",
            &[(Path, "notes/a2")],
            "a sentence ends behind a digit",
        ),
        ("notes/a", &[(Path, "notes/a")], "a path"),
        ("report.pdf", &[(Path, "report.pdf")], "a file and no host"),
        (
            "report.pdf/x",
            &[
                (Url, "report.pdf/x"),
                (Host, "report.pdf"),
                (Path, "report.pdf/x"),
            ],
            "a path, and maybe a host",
        ),
        (
            "www.report.md",
            &[
                (Url, "www.report.md/"),
                (Host, "www.report.md"),
                (Path, "www.report.md"),
            ],
            "a file, and maybe a host",
        ),
        ("abcd1234", &[(Account, "ABCD1234")], "an account"),
        ("12345678", &[(Account, "12345678")], "an account"),
    ] {
        let found = literals(piece);
        let mut found: Vec<(Kind, &str)> = found
            .iter()
            .map(|typed| (typed.kind, typed.form.as_str()))
            .collect();
        found.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{why}: {piece}");
    }
}
