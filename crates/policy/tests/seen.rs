//! What a run has seen: which fields of a result count, whose they are, and where things were read.

use instar_policy::{
    Annotation, Authority, Evidence, Field, FieldRole, Grade, Kind, OWNERS_INBOX, Plan, Planned,
    Posture, Reach, Slot, SlotRole, Step, decide,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Origin, Readers};
use serde_json::{Value, json};

use crate::facts::{Place, annotation, call, outcome, owner};
use crate::grades::outward;

const PRIVATE: Readers = Readers::Private;

fn field(path: &str, kind: Kind, role: FieldRole) -> Field {
    Field {
        path: path.to_owned(),
        kind,
        role,
        author: None,
    }
}

fn id_of(path: &str) -> Field {
    field(path, Kind::Id, FieldRole::System)
}

fn name_of(path: &str) -> Field {
    field(path, Kind::Name, FieldRole::Text)
}

fn tool(effect: Effect, fields: Vec<Field>) -> Annotation {
    Annotation {
        connector: "drive".to_owned(),
        fields,
        ..annotation(effect)
    }
}

/// The grade of an id of this connector.
fn id(evidence: &Evidence, text: &str) -> Grade {
    let slot = Slot {
        role: SlotRole::Which,
        kind: Kind::Id,
    };
    evidence.grade("drive", "file", slot, text).grade
}

#[test]
fn a_result_is_one_whatever_is_in_it() {
    let mut evidence = Evidence::of_words("go on");
    assert_eq!(evidence.words().text(), "go on");
    assert!(!evidence.has_results(), "words are no result");
    let mut told = evidence.clone();
    told.text(("web", "fetch"), "", &Origin::Stranger, &PRIVATE);
    assert!(told.has_results(), "a text");
    let list = tool(Effect::Read, Vec::new());
    evidence.result("list", &list, &json!({}), &json!([]), &PRIVATE);
    assert!(evidence.has_results(), "an empty list");
}

#[test]
fn only_what_makes_something_new_vouches_for_the_one_thing_that_it_made() {
    let one = json!({ "id": "77" });
    let two = json!([{ "id": "77" }, { "id": "78" }]);
    let nothing = json!({});
    for (makes, effect, given, result, grade, why) in [
        (true, Effect::Write, &nothing, &one, Grade::G2, "it made it"),
        (
            true,
            Effect::Write,
            &json!({ "id": "77" }),
            &one,
            Grade::G1,
            "it was given that",
        ),
        (true, Effect::Write, &nothing, &two, Grade::G1, "a list"),
        (true, Effect::Read, &nothing, &one, Grade::G1, "it reads"),
        (true, Effect::Fetch, &nothing, &one, Grade::G1, "it reads"),
        (
            false,
            Effect::Write,
            &nothing,
            &one,
            Grade::G1,
            "it is not known to make anything",
        ),
        (false, Effect::Read, &nothing, &one, Grade::G1, "neither"),
    ] {
        let making = Annotation {
            makes,
            ..tool(effect, vec![id_of("id"), id_of("[].id")])
        };
        let mut evidence = Evidence::of_words("make a note");
        evidence.result("make", &making, given, result, &PRIVATE);
        assert_eq!(id(&evidence, "77"), grade, "{why}");
    }
}

/// True if this link may be followed as somebody wrote it in a place that the owner named.
fn is_named(evidence: &Evidence, link: &str) -> bool {
    let slot = Slot {
        role: SlotRole::Where,
        kind: Kind::Url,
    };
    let graded = evidence.grade("web", "url", slot, link);
    graded.is_from_named_source
}

fn by(path: &str, author: &str) -> Field {
    Field {
        author: Some(author.to_owned()),
        ..field(path, Kind::Text, FieldRole::Text)
    }
}

#[test]
fn what_a_run_wrote_itself_is_nobody_elses_word() {
    for (makes, effect, expected) in [(false, Effect::Read, true), (true, Effect::Write, false)] {
        let notes = Annotation {
            makes,
            ..tool(
                effect,
                vec![
                    field("for", Kind::Address, FieldRole::Party),
                    by("text", "for"),
                ],
            )
        };
        let mut evidence = Evidence::of_words("the note for ann@work.example");
        evidence.contact(Kind::Address, "ann@work.example");
        let row = json!({ "for": "ann@work.example", "text": "see https://www.trap.example/x" });
        evidence.result("note", &notes, &json!({}), &row, &PRIVATE);
        let found = is_named(&evidence, "www.trap.example/x");
        assert_eq!(found, expected, "makes: {makes}");
    }
}

#[test]
fn a_place_is_named_where_the_owners_words_alone_say_what_is_read() {
    let slot = |role, kind| Slot { role, kind };
    let mails = Annotation {
        slots: [
            ("query".to_owned(), slot(SlotRole::Plain, Kind::Text)),
            ("folder".to_owned(), slot(SlotRole::Where, Kind::Channel)),
            ("signature".to_owned(), slot(SlotRole::Payload, Kind::Name)),
            ("limit".to_owned(), slot(SlotRole::Plain, Kind::Number)),
        ]
        .into(),
        ..tool(
            Effect::Read,
            vec![
                field("[].sender", Kind::Address, FieldRole::Party),
                by("[].body", "[].sender"),
            ],
        )
    };
    for (arguments, expected, why) in [
        (json!({}), false, "no place"),
        (json!({ "query": "" }), false, "no place"),
        (json!({ "query": "summer lunch" }), true, "he said it"),
        (json!({ "folder": "Friends" }), true, "he said it"),
        (json!({ "about": "summer lunch" }), true, "not declared"),
        (
            json!({ "signature": "Friends" }),
            false,
            "it says nothing of where",
        ),
        (json!({ "limit": 5 }), false, "a number names nothing"),
        (
            json!({ "query": "summer lunch", "limit": 5 }),
            true,
            "a number chooses nobody's text",
        ),
        (
            json!({ "query": "summer lunch", "folder": "others" }),
            false,
            "the model chose the folder",
        ),
    ] {
        let mut evidence = Evidence::of_words("open the link of 'summer lunch' in Friends");
        evidence.contact(Kind::Address, "ann@work.example");
        let rows = json!([{ "sender": "ann@work.example", "body": "https://www.ann.example/x" }]);
        evidence.result("search", &mails, &arguments, &rows, &PRIVATE);
        let found = is_named(&evidence, "www.ann.example/x");
        assert_eq!(found, expected, "{why}: {arguments}");
    }
}

#[test]
fn a_list_in_a_frame_that_says_nothing_is_a_list() {
    let rows = json!([
        { "id": "11", "name": "Minutes of May" },
        { "id": "12", "name": "Minutes of June" },
    ]);
    let plain = || vec![id_of("[].id"), name_of("[].name")];
    let framed = || vec![id_of("files[].id"), name_of("files[].name")];
    let saying = || vec![id_of("[].id"), name_of("[].name"), name_of("folder")];
    let both = (Grade::G2, Grade::G1);
    let none = (Grade::G0, Grade::G0);
    for (fields, result, expected, why) in [
        (plain(), rows.clone(), both, "no frame"),
        (plain(), json!({ "files": rows }), both, "a frame"),
        (framed(), json!({ "files": rows }), both, "a declared frame"),
        (plain(), json!({ "files": rows, "total": 2 }), both, "a sum"),
        (
            plain(),
            json!({ "files": rows, "tags": ["a"] }),
            both,
            "a list of words beside it",
        ),
        (
            plain(),
            json!({ "files": rows, "folders": [{ "id": "1" }] }),
            none,
            "two lists",
        ),
        (
            plain(),
            json!({ "files": rows, "next": { "id": "1" } }),
            none,
            "a thing beside it",
        ),
        (
            saying(),
            json!({ "files": rows, "folder": "Minutes" }),
            none,
            "the frame says something itself",
        ),
    ] {
        let mut evidence = Evidence::of_words("delete the 'Minutes of June'");
        let list = tool(Effect::Read, fields);
        evidence.result("list_files", &list, &json!({}), &result, &PRIVATE);
        let found = (id(&evidence, "12"), id(&evidence, "11"));
        assert_eq!(found, expected, "{why}");
    }
}

#[test]
fn nothing_is_looked_for_without_end() {
    // The item is the first, what it holds the second, each layer below one more.
    let deep = |layers: usize, layer: fn(Value) -> Value| {
        let mut value = json!("77");
        for _ in 0..layers {
            value = layer(value);
        }
        json!([{ "a": value }])
    };
    let object = |value: Value| json!({ "a": value });
    let list = |value: Value| json!([value]);
    let many = |count: usize| {
        let mut ids = vec![json!("1"); count - 1];
        ids.push(json!("77"));
        json!([{ "a": ids }])
    };
    for (result, path, grade, why) in [
        (
            deep(10, object),
            format!("[].a{}", ".a".repeat(10)),
            Grade::G1,
            "twelve deep",
        ),
        (
            deep(11, object),
            format!("[].a{}", ".a".repeat(11)),
            Grade::G0,
            "thirteen deep",
        ),
        (
            deep(10, list),
            format!("[].a{}", "[]".repeat(10)),
            Grade::G1,
            "twelve deep in lists",
        ),
        (
            deep(11, list),
            format!("[].a{}", "[]".repeat(11)),
            Grade::G0,
            "thirteen deep in lists",
        ),
        (many(256), "[].a[]".to_owned(), Grade::G1, "so many cells"),
        (many(257), "[].a[]".to_owned(), Grade::G0, "one more"),
    ] {
        let mut evidence = Evidence::default();
        let list = tool(Effect::Read, vec![id_of(&path)]);
        evidence.result("list", &list, &json!({}), &result, &PRIVATE);
        assert_eq!(id(&evidence, "77"), grade, "{why}");
    }
    let rows: Vec<Value> = (1..=4_097)
        .map(|id| json!({ "id": id.to_string() }))
        .collect();
    let mut evidence = Evidence::default();
    let list = tool(Effect::Read, vec![id_of("[].id")]);
    evidence.result("list", &list, &json!({}), &json!(rows), &PRIVATE);
    assert_eq!(id(&evidence, "4096"), Grade::G1);
    assert_eq!(id(&evidence, "4097"), Grade::G0);
}

/// What becomes of a message to somebody whom the owner named, with a plan that releases nothing.
fn sent(evidence: Evidence) -> String {
    let mut place = Place::new();
    place.evidence = evidence;
    place.context = Label::stranger(Readers::Private);
    let send = outward(Effect::Send, Reach::Outside);
    let mut authority = Authority::over([("do".to_owned(), send)].into());
    authority.posture = Posture::Balanced;
    let plan = Plan {
        steps: vec![Step::of("do", 1)],
    };
    let arguments = json!({ "to": "bob@work.example", "text": "so much" });
    let (call, owner) = (call("do", arguments), owner());
    let mut request = place.request(&call, &owner);
    request.plan = Planned::Is(&plan);
    outcome(&decide(&request, &authority))
}

#[test]
fn what_everybody_may_see_and_what_the_owner_answers_is_no_private_source() {
    for (connector, readers, expected) in [
        ("drive", Readers::Private, "?not-cleared"),
        ("drive", Readers::Public, "+evidence"),
        (OWNERS_INBOX, Readers::Private, "+evidence"),
        (OWNERS_INBOX, Readers::Public, "+evidence"),
    ] {
        let words = || Evidence::of_words("send it to bob@work.example");
        let mut told = words();
        told.text((connector, "read"), "so much", &Origin::Stranger, &readers);
        assert_eq!(sent(told), expected, "a text of {connector}, {readers:?}");
        let mut listed = words();
        let list = Annotation {
            connector: connector.to_owned(),
            ..tool(Effect::Read, Vec::new())
        };
        let result = json!({ "text": "so much" });
        listed.result("read", &list, &json!({}), &result, &readers);
        assert_eq!(sent(listed), expected, "{connector}, {readers:?}");
    }
}

#[test]
fn a_list_of_the_owners_is_as_good_as_his_word() {
    let mut evidence = Evidence::default();
    evidence.list(Kind::Address, "bob@work.example");
    let slot = Slot {
        role: SlotRole::Who,
        kind: Kind::Address,
    };
    let grade = |text: &str| evidence.grade("mail", "to", slot, text).grade;
    assert_eq!(grade("Bob@work.example"), Grade::G3);
    assert_eq!(grade("eve@trap.example"), Grade::G0);
}
