//! What one value is graded, with where that comes from: the words, the lists, the rows that were read.

use instar_policy::{
    Annotation, Evidence, Field, FieldRole, Grade, Graded, Kind, OWNER, OWNERS_INBOX, OwnRow, Slot,
    SlotRole, WORKSPACE,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Origin, Readers};
use serde_json::{Value, json};

use crate::facts::annotation;

fn slot(role: SlotRole, kind: Kind) -> Slot {
    Slot { role, kind }
}

pub(crate) fn field(path: &str, kind: Kind, role: FieldRole) -> Field {
    Field {
        path: path.to_owned(),
        kind,
        role,
        author: None,
    }
}

/// A tool of a mail box that finds mails by what they say: one that says whom it is from is his who
/// wrote it, and one that the owner wrote is his own.
pub(crate) fn search() -> Annotation {
    Annotation {
        connector: "mail".to_owned(),
        slots: [("query".to_owned(), slot(SlotRole::Plain, Kind::Text))].into(),
        fields: vec![
            field("[].id", Kind::Id, FieldRole::System),
            field("[].bytes", Kind::Number, FieldRole::System),
            field("[].date", Kind::Date, FieldRole::System),
            field("[].link", Kind::Url, FieldRole::System),
            field("[].room", Kind::Channel, FieldRole::System),
            field("[].from", Kind::Address, FieldRole::Party),
            field("[].title", Kind::Name, FieldRole::Text),
            Field {
                author: Some("[].from".to_owned()),
                ..field("[].body", Kind::Text, FieldRole::Text)
            },
        ],
        own: Some(OwnRow {
            by: Vec::new(),
            path: "from".to_owned(),
            equals: Vec::new(),
        }),
        output: Label::stranger(Readers::Private),
        ..annotation(Effect::Read)
    }
}

/// What the owner said, with himself and Ann known.
pub(crate) fn said(words: &str) -> Evidence {
    let mut evidence = Evidence::of_words(words);
    evidence.own(Kind::Address, "me@home.example");
    evidence.contact(Kind::Address, "ann@work.example");
    evidence
}

pub(crate) fn read(evidence: &mut Evidence, tool: &str, annotation: &Annotation, rows: &Value) {
    evidence.result(tool, annotation, &json!({}), rows, &Readers::Private);
}

/// What was seen after these words and one call that found these mails, as they came.
fn found(words: &str, arguments: &Value, rows: &Value) -> Evidence {
    let mut evidence = said(words);
    evidence.result("find_mails", &search(), arguments, rows, &Readers::Private);
    evidence
}

fn graded(evidence: &Evidence, role: SlotRole, kind: Kind, text: &str) -> Graded {
    evidence.grade("mail", "argument", slot(role, kind), text)
}

fn id(evidence: &Evidence, text: &str) -> Grade {
    graded(evidence, SlotRole::Which, Kind::Id, text).grade
}

#[test]
fn a_grade_is_shown_under_the_name_it_is_stored_under() {
    for (grade, name) in [
        (Grade::G0, "G0"),
        (Grade::G1, "G1"),
        (Grade::G2, "G2"),
        (Grade::G3, "G3"),
    ] {
        assert_eq!(grade.name(), name);
        assert_eq!(serde_json::to_value(grade).unwrap(), json!(name));
    }
}

#[test]
fn the_one_person_of_the_owners_inbox_is_the_owner() {
    let evidence = said("tell me when it is done");
    let at = |connector: &str, role: SlotRole, text: &str| {
        evidence.grade(connector, "to", slot(role, Kind::Text), text)
    };
    let own = at(OWNERS_INBOX, SlotRole::Who, OWNER);
    assert_eq!((own.grade, own.origin), (Grade::G3, Origin::System));
    assert!(own.source.is_some());
    for (connector, role, text, why) in [
        ("mail", SlotRole::Who, OWNER, "anybody can be called that"),
        (OWNERS_INBOX, SlotRole::Where, OWNER, "it is no place"),
        (OWNERS_INBOX, SlotRole::Who, "eve", "nobody else is there"),
    ] {
        let other = at(connector, role, text);
        assert_eq!((other.grade, other.source), (Grade::G0, None), "{why}");
    }
}

#[test]
fn a_switch_of_who_sees_a_thing_takes_a_word_of_the_owners() {
    let open = "make it public";
    for (words, path, role, text, grade) in [
        (open, "visibility", SlotRole::Who, "public", Grade::G3),
        (open, "is_public", SlotRole::Who, "true", Grade::G3),
        (open, "is_public", SlotRole::Who, "1", Grade::G3),
        // The words speak of something else.
        (open, "visibility", SlotRole::Who, "everyone", Grade::G0),
        (open, "is_shared", SlotRole::Who, "true", Grade::G0),
        ("write it", "visibility", SlotRole::Who, "public", Grade::G0),
        ("write it", "is_public", SlotRole::Who, "true", Grade::G0),
        // No switch of who sees it: one word of a fixed set says nothing of which thing is meant.
        (open, "visibility", SlotRole::Which, "public", Grade::G0),
    ] {
        let found = said(words).grade("mail", path, slot(role, Kind::Enum), text);
        assert_eq!(found.grade, grade, "{words}: {path} {text} {role:?}");
    }
}

#[test]
fn what_is_on_a_list_of_the_owners_is_as_good_as_his_word() {
    let mut evidence = said("send it");
    evidence.list(Kind::Address, "office@work.example");
    let who = |text: &str| graded(&evidence, SlotRole::Who, Kind::Address, text);
    for (text, grade, origin) in [
        ("office@work.example", Grade::G3, Origin::Owner),
        ("me@home.example", Grade::G3, Origin::Owner),
        // To know somebody is not to have put him on a list.
        ("ann@work.example", Grade::G0, Origin::Stranger),
        ("eve@trap.example", Grade::G0, Origin::Stranger),
    ] {
        let found = who(text);
        assert_eq!((found.grade, found.origin), (grade, origin), "{text}");
    }
}

#[test]
fn only_a_path_below_the_workspace_is_a_member_of_it() {
    let evidence = said("tidy up");
    for (connector, kind, text, grade) in [
        (WORKSPACE, Kind::Path, "notes/a.md", Grade::G1),
        (WORKSPACE, Kind::Path, "/etc/passwd", Grade::G0),
        (WORKSPACE, Kind::Name, "notes", Grade::G0),
        (WORKSPACE, Kind::Url, "trap.example/a.md", Grade::G0),
        ("drive", Kind::Path, "notes/a.md", Grade::G0),
        ("drive", Kind::Path, "/etc/passwd", Grade::G0),
    ] {
        let found = evidence.grade(connector, "path", slot(SlotRole::Which, kind), text);
        assert_eq!(found.grade, grade, "{connector} {text}");
        assert_eq!(found.source.is_some(), grade == Grade::G1, "{text}");
    }
}

#[test]
fn who_answers_a_mail_writes_to_those_whom_he_knows_if_all_of_them_are_known() {
    let rows = json!([
        { "id": "1", "from": "ann@work.example", "title": "Lunch", "room": "kitchen" },
        { "id": "2", "from": "eve@trap.example", "title": "Offer" },
        { "id": "3", "title": "Notice of nobody" },
        { "id": "4", "from": ["ann@work.example", "someone"], "title": "Minutes" },
    ]);
    let mut tool = search();
    let items = field("[].from[]", Kind::Address, FieldRole::Party);
    tool.fields.push(items);
    for (words, role, kind, text, is_known) in [
        ("answer 'Lunch'", SlotRole::Where, Kind::Id, "1", true),
        // Eve is no friend of his, nobody is in the third, and one in the fourth cannot be told.
        ("answer 'Offer'", SlotRole::Where, Kind::Id, "2", false),
        (
            "answer 'Notice of nobody'",
            SlotRole::Where,
            Kind::Id,
            "3",
            false,
        ),
        ("answer 'Minutes'", SlotRole::Where, Kind::Id, "4", false),
        // The model chose the mail, not the words.
        ("answer a mail", SlotRole::Where, Kind::Id, "1", false),
        // What is moved or deleted goes to nobody, and a room is more than the writer of one mail.
        ("answer 'Lunch'", SlotRole::Which, Kind::Id, "1", false),
        (
            "answer 'Lunch'",
            SlotRole::Where,
            Kind::Channel,
            "kitchen",
            false,
        ),
    ] {
        let mut evidence = said(words);
        read(&mut evidence, "find_mails", &tool, &rows);
        let found = graded(&evidence, role, kind, text);
        assert_eq!(found.is_known, is_known, "{words}: {text} {role:?}");
        assert!(found.grade > Grade::G0, "{words}: {text} was read");
    }
}

#[test]
fn the_best_row_vouches_and_of_equals_the_owners_own() {
    let entered =
        |from: &str, title: &str| json!([{ "room": "plans", "from": from, "title": title }]);
    let (own, eves) = ("me@home.example", "eve@trap.example");
    for (first, second, grade, source, is_own) in [
        // The words select the first; that the owner wrote the second makes it no better.
        (
            entered(eves, "Budget"),
            entered(own, "Trip"),
            Grade::G2,
            "first",
            false,
        ),
        (
            entered(own, "Trip"),
            entered(eves, "Budget"),
            Grade::G2,
            "second",
            false,
        ),
        // As good as each other: his own, and else the one that was found first.
        (
            entered(eves, "Sale"),
            entered(own, "Trip"),
            Grade::G1,
            "second",
            true,
        ),
        (
            entered(own, "Trip"),
            entered(eves, "Sale"),
            Grade::G1,
            "first",
            true,
        ),
        (
            entered(eves, "Sale"),
            entered(eves, "Offer"),
            Grade::G1,
            "first",
            false,
        ),
    ] {
        let mut evidence = said("write to where the 'Budget' is");
        read(&mut evidence, "first", &search(), &first);
        read(&mut evidence, "second", &search(), &second);
        let found = graded(&evidence, SlotRole::Where, Kind::Channel, "plans");
        let case = format!("{first} {second}");
        assert_eq!((found.grade, found.is_own_row), (grade, is_own), "{case}");
        let told = found.source.unwrap();
        assert!(told.ends_with(&format!("of {source}")), "{case}: {told}");
    }
}

#[test]
fn a_link_is_followed_as_a_contact_wrote_it_where_the_owner_named_the_place() {
    let mail = |from: &str| {
        json!([{
            "id": "1", "from": from, "link": "https://box.example/1",
            "body": "see https://shop.example/a for it",
        }])
    };
    let (ann, eve, own) = ("ann@work.example", "eve@trap.example", "me@home.example");
    let named = "open the link that ann@work.example sent";
    let link = "https://shop.example/a";
    for (words, query, from, link, is_from) in [
        (named, "", ann, link, true),
        ("open the link of 'lunch'", "lunch", ann, link, true),
        // What the owner wrote himself.
        ("open what me@home.example sent", "", own, link, true),
        // Nobody said where it is to be found.
        ("open the link", "", ann, link, false),
        // Somebody else said what to look for.
        (named, "prices of eve", ann, link, false),
        // Whom he named he does not know.
        ("open what eve@trap.example sent", "", eve, link, false),
        // Another link, and one that stands in no text of hers.
        (named, "", ann, "https://shop.example/b", false),
        (named, "", ann, "https://box.example/1", false),
    ] {
        let arguments = if query.is_empty() {
            json!({})
        } else {
            json!({ "query": query })
        };
        let evidence = found(words, &arguments, &mail(from));
        let found = graded(&evidence, SlotRole::Where, Kind::Url, link);
        let case = format!("{words}: {query} {from} {link}");
        assert_eq!(found.is_from_named_source, is_from, "{case}");
        let is_told = found.source.is_some_and(|source| source.contains("body"));
        assert_eq!(is_told, is_from, "{case}");
    }
    // Who wrote to it too may have had it first.
    let mut evidence = found(named, &json!({}), &mail(ann));
    read(&mut evidence, "find_mails", &search(), &mail(eve));
    let found = graded(&evidence, SlotRole::Where, Kind::Url, link);
    assert!(!found.is_from_named_source);
}

#[test]
fn what_a_tool_made_is_no_word_of_a_contact() {
    let making = Annotation {
        makes: true,
        ..Annotation {
            effect: Effect::Write,
            ..search()
        }
    };
    let mut evidence = said("note what ann@work.example said about 'lunch'");
    let arguments = json!({ "query": "lunch" });
    let made = json!([{
        "id": "9", "from": "ann@work.example", "body": "see https://shop.example/a",
    }]);
    evidence.result("make_note", &making, &arguments, &made, &Readers::Private);
    let link = "https://shop.example/a";
    let found = graded(&evidence, SlotRole::Where, Kind::Url, link);
    assert!(!found.is_from_named_source, "{found:?}");
}

#[test]
fn the_same_thing_read_twice_is_one_thing_and_another_of_its_name_is_two() {
    let one = |id: &str, bytes: u32, body: &str| json!([{ "id": id, "bytes": bytes, "title": "Budget", "body": body }]);
    let bare = |body: &str| json!([{ "room": "plans", "title": "Budget", "body": body }]);
    let kept = one("1", 10, "so much");
    let room = (Kind::Channel, "plans");
    let (mail, file) = ((Kind::Id, "1"), (Kind::Id, "1"));
    for (other, connector, (kind, text), grade, why) in [
        (&kept, "mail", mail, Grade::G2, "it was read again"),
        (
            &one("1", 12, "so much more"),
            "mail",
            mail,
            Grade::G2,
            "it has changed since, and is the same by its id",
        ),
        (
            &one("2", 10, "so much"),
            "mail",
            mail,
            Grade::G1,
            "another one says the same",
        ),
        (
            &one("2", 10, "so much"),
            "drive",
            file,
            Grade::G2,
            "the thing of another connector is none of the mails",
        ),
    ] {
        let mut evidence = said("delete the 'Budget'");
        read(&mut evidence, "find_mails", &search(), &kept);
        let second = Annotation {
            connector: connector.to_owned(),
            ..search()
        };
        read(&mut evidence, "find_more", &second, other);
        let found = graded(&evidence, SlotRole::Which, kind, text);
        assert_eq!(found.grade, grade, "{why}");
    }
    // Without ids a thing is all that is said of it.
    for (second, grade) in [("so much", Grade::G2), ("so little", Grade::G1)] {
        let mut evidence = said("write to where the 'Budget' is");
        read(&mut evidence, "find_mails", &search(), &bare("so much"));
        read(&mut evidence, "find_mails", &search(), &bare(second));
        let found = graded(&evidence, SlotRole::Where, room.0, room.1);
        assert_eq!(found.grade, grade, "{second}");
    }
}

#[test]
fn a_whole_day_selects_a_row_and_a_number_that_may_be_one_does_not() {
    for (words, date, grade) in [
        ("cancel what is on 2024-05-26", "2024-05-26", Grade::G2),
        (
            "cancel what is on 2024-05-26",
            "2024-05-26T10:00:00Z",
            Grade::G2,
        ),
        (
            "cancel what is on 2024-05-26",
            "2024-05-26 10:00",
            Grade::G2,
        ),
        ("cancel what is on 2024-05-27", "2024-05-26", Grade::G1),
        ("cancel 26 of them", "26 May 2024", Grade::G1),
    ] {
        let rows = json!([{ "id": "1", "date": date }, { "id": "2", "date": "2024-01-01" }]);
        let evidence = found(words, &json!({}), &rows);
        assert_eq!(id(&evidence, "1"), grade, "{words}: {date}");
    }
}

#[test]
fn the_latest_and_the_oldest_are_told_where_times_are_written_alike() {
    let days = ("2024-05-26", "2024-06-01");
    for (word, (own, other), grade) in [
        ("oldest", days, Grade::G2),
        ("latest", days, Grade::G1),
        ("latest", (days.1, days.0), Grade::G2),
        ("oldest", (days.0, days.0), Grade::G1),
        (
            "oldest",
            ("2024-05-26 09:59", "2024-05-26 10:00"),
            Grade::G2,
        ),
        (
            "latest",
            ("2024-05-26T10:00:00.5Z", "2024-05-26T10:00:00.4Z"),
            Grade::G2,
        ),
        (
            "latest",
            ("2024-05-26T10:00+02:00", "2024-05-26T09:00+02:00"),
            Grade::G2,
        ),
        // Which of these is later is not told by comparing their letters.
        (
            "latest",
            ("2024-05-26T10:00+02:00", "2024-05-26T09:00-05:00"),
            Grade::G1,
        ),
        ("latest", ("2024-05-26T10:00Z", "2024-05-26"), Grade::G1),
        ("oldest", ("1 June 2024", "26 May 2024"), Grade::G1),
        ("oldest", ("01/06/2024", "26/05/2024"), Grade::G1),
        ("oldest", ("", "2024-05-26"), Grade::G1),
        ("oldest", ("2024-05-2é", "2024-05-26"), Grade::G1),
    ] {
        let rows = json!([{ "id": "1", "date": own }, { "id": "2", "date": other }]);
        let words = format!("delete the {word} mail");
        let evidence = found(&words, &json!({}), &rows);
        assert_eq!(id(&evidence, "1"), grade, "{word}: {own}, {other}");
    }
}

#[test]
fn of_two_that_are_as_small_or_as_large_neither_is_the_one() {
    let sized = |sizes: [u32; 3]| {
        let row = |(at, bytes): (usize, &u32)| json!({ "id": at.to_string(), "bytes": bytes });
        Value::Array(sizes.iter().enumerate().map(row).collect())
    };
    for (word, sizes, grade) in [
        ("smallest", [1, 2, 3], Grade::G2),
        ("smallest", [1, 1, 3], Grade::G1),
        ("smallest", [2, 1, 3], Grade::G1),
        ("largest", [3, 2, 1], Grade::G2),
        ("largest", [3, 3, 1], Grade::G1),
        ("largest", [2, 3, 1], Grade::G1),
    ] {
        let words = format!("delete the {word} mail");
        let evidence = found(&words, &json!({}), &sized(sizes));
        assert_eq!(id(&evidence, "0"), grade, "{word} of {sizes:?}");
    }
}
