//! What a name from outside may be.

use instar_sandbox::root::{Inside, NameError, Root};
use proptest::prelude::*;

fn refused(name: &str) -> NameError {
    Inside::parse(name).unwrap_err()
}

#[test]
fn names_that_lead_elsewhere_are_refused_with_their_reason() {
    for (name, why) in [
        ("", NameError::Empty),
        ("/etc/passwd", NameError::Absolute),
        ("//server/share", NameError::Absolute),
        ("\\\\server\\share", NameError::Absolute),
        ("C:\\Windows", NameError::Absolute),
        ("c:notes", NameError::Absolute),
        ("./c:notes", NameError::Absolute),
        (".//\\\\server", NameError::Absolute),
        ("./data:text", NameError::Address),
        ("..", NameError::Climbs),
        ("a/../../b", NameError::Climbs),
        ("a/..", NameError::Climbs),
        ("a\\..\\b", NameError::Climbs),
        ("a\0b", NameError::Control),
        ("a\nb", NameError::Control),
        ("\u{9b}2J", NameError::Control),
        ("file:notes", NameError::Address),
        ("https://example.org/a", NameError::Address),
        ("CON", NameError::Device),
        ("a/nul.txt", NameError::Device),
        ("Com1.log", NameError::Device),
        ("lpt9", NameError::Device),
    ] {
        assert_eq!(refused(name), why, "{name:?}");
    }
    assert_eq!(refused(&"a/".repeat(65)), NameError::Deep);
    assert_eq!(refused(&"a".repeat(256)), NameError::LongPart);
    assert_eq!(refused(&"a/".repeat(2_001)), NameError::Long);
}

#[test]
fn a_name_is_as_long_and_as_deep_as_it_says_and_no_more() {
    assert!(Inside::parse(&"a".repeat(255)).is_ok());
    assert!(Inside::parse(&"a/".repeat(64)).is_ok());
    let part = format!("{}/", "a".repeat(249));
    assert!(Inside::parse(&part.repeat(16)).is_ok());
    assert_eq!(refused(&format!("{}.", part.repeat(16))), NameError::Long);
    let deep: Inside = "a/".repeat(63).parse().unwrap();
    let deepest = deep.join("b").unwrap();
    assert_eq!(deepest.name(), Some("b"));
    assert_eq!(deepest.join("c"), Err(NameError::Deep));
    assert_eq!(deep.join("b/c"), Err(NameError::Climbs));
    assert_eq!(deep.join("."), Err(NameError::Climbs));
    assert!(Inside::root().is_root() && Inside::parse(".").unwrap().is_root());
    assert!(!deep.is_root());
}

#[test]
fn ordinary_names_are_taken_as_they_are() {
    for (name, shown) in [
        ("notes.md", "notes.md"),
        ("./a//b/./c", "a/b/c"),
        ("~/x", "~/x"),
        ("com10", "com10"),
        ("com0", "com0"),
        ("LPTX", "LPTX"),
        ("console.log", "console.log"),
        ("a..b", "a..b"),
        ("...", "..."),
        ("-rf", "-rf"),
        ("été/日本", "été/日本"),
        (".", "."),
    ] {
        let inside = Inside::parse(name).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(inside.to_string(), shown);
    }
}

proptest! {
    #[test]
    fn whatever_is_taken_stays_inside(name in "\\PC{0,40}|(\\.\\.|/|\\\\|a|\\.|CON|:){1,12}") {
        if let Ok(inside) = Inside::parse(&name) {
            for part in inside.parts() {
                prop_assert!(!part.is_empty() && part != "." && part != ".." && !part.contains('/'));
            }
            prop_assert_eq!(Inside::parse(&inside.to_string()), Ok(inside));
        }
    }
}

#[test]
fn the_descriptor_goes_on_meaning_the_folder_that_was_opened() {
    let home = tempfile::tempdir().unwrap();
    let (here, there) = (home.path().join("here"), home.path().join("there"));
    std::fs::create_dir(&here).unwrap();
    let root = Root::open(&here).unwrap();
    std::fs::rename(&here, &there).unwrap();
    std::fs::create_dir(&here).unwrap();
    root.create(&"note".parse().unwrap(), b"words").unwrap();
    assert!(there.join("note").exists() && !here.join("note").exists());
}
