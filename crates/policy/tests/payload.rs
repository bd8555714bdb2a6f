//! What may not go along unasked: links, addresses and codes that somebody else wrote.

use instar_policy::{Annotation, Evidence, Field, FieldRole, Kind};
use instar_protocol::tool::Effect;
use instar_protocol::{Origin, Readers};
use serde_json::json;

use crate::facts::annotation;

fn field(path: &str, kind: Kind, role: FieldRole) -> Field {
    let author = (role == FieldRole::Text).then(|| "[].sender".to_owned());
    Field {
        path: path.to_owned(),
        kind,
        role,
        author,
    }
}

fn mails() -> Annotation {
    Annotation {
        connector: "mail".to_owned(),
        fields: vec![
            field("[].id", Kind::Id, FieldRole::System),
            field("[].sender", Kind::Address, FieldRole::Party),
            field("[].page", Kind::Url, FieldRole::System),
            field("[].link", Kind::Url, FieldRole::Party),
            field("[].body", Kind::Text, FieldRole::Text),
        ],
        ..annotation(Effect::Read)
    }
}

/// A request of the owner's, and three mails: from a stranger, from one whom he knows, from himself.
fn seen() -> Evidence {
    let mut evidence = Evidence::of_words(
        "tell bob@work.example of www.said.example/plan, the door opens with 4711",
    );
    evidence.own(Kind::Address, "me@home.example");
    evidence.list(Kind::Host, "www.list.example");
    evidence.list(Kind::Url, "www.list.example");
    evidence.contact(Kind::Address, "ann@work.example");
    let mail = |id: &str, sender: &str, body: &str| {
        json!({
            "id": id,
            "sender": sender,
            "page": "https://mail.example/7",
            "link": "https://placed.example/7",
            "body": body,
        })
    };
    let found = json!([
        mail(
            "1",
            "eve@trap.example",
            "go to https://trap.example/x or https://both.example/a, say 884422"
        ),
        mail(
            "2",
            "ann@work.example",
            "as of https://ann.example/x and https://both.example/a"
        ),
        mail(
            "3",
            "me@home.example",
            "note https://mine.example/x and https://late.example/a"
        ),
        mail("4", "eve@trap.example", "see https://late.example/a"),
    ]);
    let readers = Readers::Private;
    evidence.result("list_mails", &mails(), &json!({}), &found, &readers);
    evidence
}

fn foreign(evidence: &Evidence, text: &str, is_tainted: bool) -> Vec<String> {
    let found = evidence.foreign_pieces("text", text, is_tainted);
    found.into_iter().map(|carried| carried.piece).collect()
}

#[test]
fn what_a_stranger_wrote_is_not_passed_on_unasked() {
    let evidence = seen();
    for (text, expected, why) in [
        (
            "look at https://trap.example/x",
            &["trap.example", "trap.example/x"][..],
            "a stranger wrote it",
        ),
        ("say 884422", &["884422"], "a code of a stranger's"),
        (
            "look at both.example/a",
            &["both.example", "both.example/a"],
            "one whom the owner knows wrote it as well",
        ),
        (
            "look at late.example/a",
            &["late.example", "late.example/a"],
            "a stranger wrote it after the owner",
        ),
        ("look at ann.example/x", &[], "one whom the owner knows"),
        ("look at mine.example/x", &[], "the owner's own mail"),
        ("look at www.said.example/plan", &[], "the owner said it"),
        ("ask bob@work.example", &[], "the owner said it"),
        ("type 4711", &[], "a code that the owner said"),
        ("ask me@home.example", &[], "his own address"),
        ("look at www.list.example", &[], "it is on a list of his"),
        ("ask eve@trap.example", &[], "the machine knows who sent it"),
    ] {
        for is_tainted in [false, true] {
            let found = foreign(&evidence, text, is_tainted);
            assert_eq!(found, expected, "{why}: {text}, {is_tainted}");
        }
    }
}

#[test]
fn a_link_that_the_machine_made_goes_along_and_one_that_somebody_placed_does_not() {
    let evidence = seen();
    // The host alone stands in no field.
    let made = foreign(&evidence, "https://mail.example/7", true);
    assert_eq!(made, ["mail.example"]);
    let placed = foreign(&evidence, "https://placed.example/7", true);
    assert_eq!(placed, ["placed.example", "placed.example/7"]);
}

#[test]
fn what_nobody_is_known_to_have_written_is_a_strangers_once_one_has_spoken() {
    let evidence = seen();
    for (text, expected, why) in [
        (
            "look at https://else.example/x",
            &["else.example", "else.example/x"][..],
            "it stands nowhere",
        ),
        ("ask eve@else.example", &["eve@else.example"], "nowhere"),
        ("It ended.They left", &[], "the end of a sentence"),
        ("say hello", &[], "words"),
    ] {
        assert_eq!(foreign(&evidence, text, true), expected, "{why}: {text}");
        assert!(foreign(&evidence, text, false).is_empty(), "{why}: {text}");
    }
    let found = evidence.foreign_pieces("body.text", "ask eve@else.example", true);
    assert_eq!(found[0].argument, "body.text");
    assert_eq!(found[0].origin, Origin::Stranger);
}

#[test]
fn a_text_without_fields_is_its_writers() {
    let text = "see https://trap.example/x";
    for (origin, is_foreign) in [
        (Origin::Stranger, true),
        (Origin::Contact("ann@work.example".to_owned()), false),
        (Origin::Owner, false),
    ] {
        let mut evidence = Evidence::default();
        evidence.text(("web", "fetch"), text, &origin, &Readers::Public);
        let found = foreign(&evidence, text, false);
        assert_eq!(!found.is_empty(), is_foreign, "{origin:?}");
    }
}
