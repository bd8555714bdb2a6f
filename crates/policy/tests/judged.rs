//! The facts that rules read of a call: whether a verb asks for it, whether who and where are
//! evidenced, and whether what was read may go where it goes.

use instar_policy::{
    Annotation, Authority, Evidence, FieldRole, Kind, Plan, Planned, Posture, Reach, Recorded,
    SlotRole, Step, explain,
};
use instar_protocol::tool::Effect;
use instar_protocol::{Label, Readers};
use serde_json::{Value, json};

use crate::facts::{Place, annotation, call, owner};
use crate::graded::{field, read, said, search};
use crate::grades::{list, rows, slot};

/// The files of the owner's drive, and a mail of Ann's.
fn seen(words: &str) -> Evidence {
    let mut evidence = drive(words);
    let mails = json!([{
        "id": "1", "from": "ann@work.example", "title": "Lunch", "link": "https://box.example/1",
        "body": "see https://shop.example/a",
    }]);
    read(&mut evidence, "find_mails", &search(), &mails);
    evidence
}

/// The files alone; the third of them is Eve's.
fn drive(words: &str) -> Evidence {
    let mut evidence = said(words);
    let mut files = list();
    files
        .fields
        .push(field("[].page", Kind::Url, FieldRole::System));
    read(&mut evidence, "list_files", &files, &rows());
    evidence
}

/// A tool of the drive with an argument of each kind.
fn tool(effect: Effect, reach: Reach) -> Annotation {
    let slots = [
        ("to", SlotRole::Who, Kind::Address),
        ("at", SlotRole::Where, Kind::Url),
        ("file", SlotRole::Which, Kind::Id),
        ("part", SlotRole::Payload, Kind::Id),
        ("text", SlotRole::Payload, Kind::Text),
        ("query", SlotRole::Plain, Kind::Text),
        ("day", SlotRole::Plain, Kind::Date),
    ];
    Annotation {
        reach,
        connector: "drive".to_owned(),
        slots: slots
            .map(|(name, role, kind)| (name.to_owned(), slot(role, kind)))
            .into(),
        ..annotation(effect)
    }
}

/// A plan with these steps, that somebody asked for something of which no plan could be had, and that
/// nobody asked for anything.
enum Asked {
    For(&'static [&'static str]),
    Something,
    Nothing,
}

const READING: Asked = Asked::For(&["list_files", "find_mails", "do"]);
const DOING: Asked = Asked::For(&["do"]);

fn recorded(
    evidence: Evidence,
    asked: &Asked,
    context: Label,
    tool: Annotation,
    arguments: Value,
) -> Recorded {
    let mut place = Place::new();
    place.evidence = evidence;
    place.context = context;
    let authority = Authority {
        posture: Posture::Balanced,
        ..Authority::over([("do".to_owned(), tool)].into())
    };
    let (call, owner) = (call("do", arguments), owner());
    let mut request = place.request(&call, &owner);
    let steps = match asked {
        Asked::For(tools) => tools.iter().map(|tool| Step::of(*tool, 1)).collect(),
        Asked::Something | Asked::Nothing => Vec::new(),
    };
    let plan = Plan { steps };
    request.plan = match asked {
        Asked::For(_) => Planned::Is(&plan),
        Asked::Something => Planned::Unknown,
        Asked::Nothing => Planned::Nobody,
    };
    *explain(&request, &authority).recorded.unwrap()
}

fn tainted() -> Label {
    Label::stranger(Readers::Private)
}

#[test]
fn what_cannot_be_undone_is_asked_for_by_a_verb_but_for_adding_a_member() {
    use Effect::{Destroy, Grant, Send, Spend};
    for (words, effect, reach, is_asked, why) in [
        ("share it", Grant, Reach::Outside, true, "he says so"),
        (
            "what of it?",
            Grant,
            Reach::Outside,
            false,
            "nobody says so",
        ),
        ("what of it?", Grant, Reach::Own, false, "nobody says so"),
        (
            "what of it?",
            Grant,
            Reach::Closed,
            true,
            "one of the members is there anyway",
        ),
        (
            "what of it?",
            Destroy,
            Reach::Closed,
            false,
            "gone is gone, among members too",
        ),
        ("what of it?", Spend, Reach::Closed, false, "spent is spent"),
        (
            "what of it?",
            Send,
            Reach::Outside,
            true,
            "who it goes to says enough",
        ),
    ] {
        let facts = recorded(
            seen(words),
            &READING,
            tainted(),
            tool(effect, reach),
            json!({}),
        );
        assert_eq!(facts.verb, is_asked, "{words} {effect:?} {reach:?}: {why}");
    }
}

#[test]
fn who_and_where_need_evidence_once_somebody_else_has_spoken() {
    use Effect::{Destroy, Execute, Fetch, Grant, Read, Send, Spend, Write};
    let none = || json!({});
    let file = || json!({ "file": "12" });
    let (eve, bob) = (
        json!({ "to": "eve@trap.example" }),
        json!({ "to": "bob@work.example" }),
    );
    for (context, effect, arguments, is_evidenced, why) in [
        (tainted(), Send, eve.clone(), false, "a member of a list"),
        (
            Label::owner(),
            Send,
            eve.clone(),
            true,
            "nobody but the owner has spoken",
        ),
        (
            Label::owner(),
            Send,
            none(),
            true,
            "nobody but the owner has spoken",
        ),
        (tainted(), Send, bob.clone(), true, "he named him"),
        (
            tainted(),
            Read,
            json!({ "file": "99" }),
            true,
            "what is only read stays here",
        ),
        (
            tainted(),
            Fetch,
            json!({ "at": "https://trap.example" }),
            false,
            "it leads out",
        ),
        // What says nowhere whom it reaches.
        (tainted(), Send, none(), false, "to nobody knows whom"),
        (tainted(), Grant, none(), false, "to nobody knows whom"),
        (tainted(), Execute, none(), false, "nobody knows what"),
        (tainted(), Spend, none(), false, "nobody knows on what"),
        (tainted(), Destroy, none(), false, "nobody knows what"),
        (tainted(), Write, none(), true, "a note needs no place"),
        (tainted(), Fetch, none(), true, "a question needs no place"),
        (tainted(), Send, file(), false, "a thing is no place"),
        (tainted(), Grant, file(), false, "a thing is no place"),
        (
            tainted(),
            Destroy,
            file(),
            true,
            "the thing is what it is about",
        ),
    ] {
        let evidence = seen("file 12 and bob@work.example");
        let case = format!("{effect:?} {arguments}: {why}");
        let reach = match effect {
            Effect::Read => Reach::Own,
            _ => Reach::Outside,
        };
        let tool = tool(effect, reach);
        let facts = recorded(evidence, &READING, context, tool, arguments);
        assert_eq!(facts.evidenced, is_evidenced, "{case}");
    }
}

#[test]
fn the_link_of_a_contact_whom_he_named_is_evidence_for_following_it_alone() {
    let named = "open the link that ann@work.example sent";
    let link = json!({ "at": "https://shop.example/a" });
    let other = json!({ "at": "https://shop.example/b" });
    for (words, effect, arguments, is_evidenced) in [
        (named, Effect::Fetch, &link, true),
        (named, Effect::Send, &link, false),
        (named, Effect::Fetch, &other, false),
        ("open the link", Effect::Fetch, &link, false),
    ] {
        let tool = tool(effect, Reach::Public);
        let facts = recorded(seen(words), &DOING, tainted(), tool, arguments.clone());
        let case = format!("{words}: {effect:?} {arguments}");
        assert_eq!(facts.evidenced, is_evidenced, "{case}");
    }
}

#[test]
fn what_was_read_goes_where_the_owners_words_lead() {
    use Effect::{Fetch, Send};
    use Reach::{Closed, Outside, Own, Public};
    let (bob, ann, eve) = ("bob@work.example", "ann@work.example", "eve@trap.example");
    let named = "send it to bob@work.example";
    let chosen = "send it to the owner of 'Minutes of May'";
    let link = "open the link that ann@work.example sent";
    #[rustfmt::skip]
    let calls = [
        (named, &READING, Send, Outside, json!({ "to": bob, "text": "x" }), true,
         "he named him"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "text": "x" }), false,
         "it was read for something else"),
        (named, &Asked::Something, Send, Outside, json!({ "to": bob, "text": "x" }), true,
         "he named him"),
        (named, &Asked::Nothing, Send, Outside, json!({ "to": bob, "text": "x" }), false,
         "nobody asked for it"),
        (chosen, &READING, Send, Outside, json!({ "to": ann, "text": "x" }), true,
         "his words select her"),
        (chosen, &Asked::Something, Send, Outside, json!({ "to": ann, "text": "x" }), false,
         "without a plan he names her"),
        (named, &READING, Send, Outside, json!({ "to": eve, "text": "x" }), false,
         "the model chose her"),
        (named, &READING, Send, Outside, json!({ "to": [bob, eve], "text": "x" }), false,
         "the model chose one of them"),
        (named, &READING, Send, Outside, json!({ "text": "x" }), false,
         "it leads nowhere"),
        (named, &Asked::Something, Send, Outside, json!({ "text": "x" }), false,
         "it leads nowhere"),
        // Another conversation of the owner's is his own as well.
        (named, &Asked::Nothing, Send, Own, json!({ "text": "x" }), true,
         "it stays with him"),
        (named, &DOING, Send, Closed, json!({ "text": "x" }), false,
         "mail is none of the members'"),
        // What says no more than the owner said takes nothing along.
        (named, &DOING, Send, Outside, json!({ "to": bob }), true,
         "he named him"),
        (named, &DOING, Send, Outside, json!({ "to": eve }), false,
         "the choice tells something"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "file": "11" }), false,
         "the choice tells something"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "day": "2024-01-01" }), true,
         "a day tells nothing"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "query": "x" }), false,
         "words can tell all"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "part": "12" }), true,
         "the id of a thing that was listed"),
        (named, &DOING, Send, Outside, json!({ "to": bob, "part": "99" }), false,
         "an id that nobody gave"),
        // A question.
        (named, &READING, Fetch, Public, json!({ "query": "x" }), true,
         "a step of the plan asks it"),
        (named, &DOING, Fetch, Public, json!({ "query": "x" }), false,
         "it was read for something else"),
        (named, &Asked::Something, Fetch, Public, json!({ "query": "x" }), false,
         "without a plan nothing leads there"),
        (link, &DOING, Fetch, Public, json!({ "at": "https://shop.example/a" }), true,
         "followed as she wrote it"),
        ("open it", &DOING, Fetch, Public, json!({ "at": "https://shop.example/a" }), false,
         "nobody named it"),
        ("open it", &DOING, Fetch, Public, json!({ "at": "https://box.example/1" }), false,
         "the model chose it"),
        (link, &READING, Send, Public, json!({ "at": "https://shop.example/a", "text": "x" }), false,
         "to follow is not to write there"),
        (link, &DOING, Send, Public, json!({ "at": "https://shop.example/a" }), false,
         "to follow is not to write there"),
    ];
    for (words, asked, effect, reach, arguments, is_cleared, why) in calls {
        let case = format!("{words}: {effect:?} {reach:?} {arguments}: {why}");
        let facts = recorded(
            seen(words),
            asked,
            tainted(),
            tool(effect, reach),
            arguments,
        );
        assert_eq!(facts.cleared, is_cleared, "{case}");
    }
}

#[test]
fn what_is_written_where_others_read_reaches_them() {
    let (eves, own) = ("13", "12");
    let words = "write it into the 'Prices'";
    for (evidence, asked, file, is_cleared, why) in [
        (
            seen(words),
            &READING,
            eves,
            true,
            "his words lead there, and the plan reads it",
        ),
        (
            seen(words),
            &DOING,
            eves,
            false,
            "it was read for something else",
        ),
        (
            seen("write it"),
            &READING,
            eves,
            false,
            "the model chose where",
        ),
        (
            seen("write it"),
            &DOING,
            own,
            true,
            "nobody else reads there",
        ),
        (
            drive("write it"),
            &DOING,
            eves,
            true,
            "it stays in the store that it comes from",
        ),
    ] {
        let write = tool(Effect::Write, Reach::Own);
        let arguments = json!({ "file": file, "text": "so much" });
        let facts = recorded(evidence, asked, tainted(), write, arguments);
        assert_eq!(facts.cleared, is_cleared, "{file}: {why}");
    }
}
