//! What a call is, by the values in its arguments: what it does, whom it reaches, what is graded.

use instar_policy::{
    Annotation, Authority, Evidence, Explanation, Grade, Kind, Reach, Slot, SlotRole, explain,
};
use instar_protocol::tool::Effect;
use serde_json::{Value, json};

use crate::facts::{Place, annotation, call, owner};

fn tool(effect: Effect, slots: &[(&str, SlotRole, Kind)]) -> Annotation {
    let slots = slots.iter().map(|(name, role, kind)| {
        let (role, kind) = (*role, *kind);
        ((*name).to_owned(), Slot { role, kind })
    });
    Annotation {
        slots: slots.collect(),
        ..annotation(effect)
    }
}

fn explained(words: &str, tool: Annotation, arguments: Value) -> Explanation {
    let mut place = Place::new();
    place.evidence = Evidence::of_words(words);
    let authority = Authority::over([("tool".to_owned(), tool)].into());
    let (call, owner) = (call("tool", arguments), owner());
    explain(&place.request(&call, &owner), &authority)
}

#[test]
fn a_switch_that_leaves_a_thing_closed_needs_no_evidence() {
    let slots = [
        ("public", SlotRole::Who, Kind::Enum),
        ("is_private", SlotRole::Who, Kind::Enum),
        ("to", SlotRole::Who, Kind::Text),
        ("which", SlotRole::Which, Kind::Enum),
    ];
    for (name, value, is_graded, why) in [
        ("public", json!(false), false, "it stays closed"),
        ("public", json!("0"), false, "it stays closed"),
        ("public", json!("Private"), false, "it stays closed"),
        ("public", json!("none"), false, "for nobody"),
        ("public", json!("restricted"), false, "for few"),
        ("public", json!("unlisted"), false, "nobody finds it"),
        ("public", json!("draft"), false, "nobody sees it yet"),
        ("public", json!("me"), false, "for himself"),
        ("public", json!(true), true, "it opens"),
        ("public", json!(1), true, "it opens"),
        ("public", json!("everyone"), true, "it opens"),
        ("is_private", json!(true), false, "it stays closed"),
        ("is_private", json!("1"), false, "it stays closed"),
        ("is_private", json!(false), true, "it opens"),
        ("is_private", json!("0"), true, "it opens"),
        // What is no such switch names somebody or something.
        ("to", json!("none"), true, "a person may be called so"),
        ("to", json!("private"), true, "a person may be called so"),
        ("which", json!("draft"), true, "a thing may be called so"),
        ("which", json!(false), true, "one of two things"),
    ] {
        let case = format!("{name} {value}: {why}");
        let told = explained("", tool(Effect::Write, &slots), json!({ name: value }));
        assert_eq!(!told.values.is_empty(), is_graded, "{case}");
    }
}

#[test]
fn a_link_that_a_reading_tool_follows_takes_the_question_out() {
    let slots = [
        ("at", SlotRole::Where, Kind::Url),
        ("path", SlotRole::Where, Kind::Path),
        ("to", SlotRole::Who, Kind::Url),
        ("query", SlotRole::Plain, Kind::Text),
    ];
    let link = "https://shop.example/a";
    let out = (Effect::Fetch, Reach::Public);
    for (effect, follows, arguments, expected, why) in [
        (
            Effect::Read,
            true,
            json!({ "at": link }),
            out,
            "it leads out",
        ),
        (
            Effect::Read,
            true,
            json!({ "query": link }),
            out,
            "so does one in a question",
        ),
        (
            Effect::Read,
            true,
            json!({ "query": "see https://shop.example/a" }),
            (Effect::Read, Reach::Own),
            "a link among words is looked for and not followed",
        ),
        (
            Effect::Read,
            true,
            json!({ "path": "a/b" }),
            (Effect::Read, Reach::Own),
            "a path leads nowhere",
        ),
        (
            Effect::Read,
            true,
            json!({ "to": link }),
            (Effect::Read, Reach::Outside),
            "somebody is named, and no place",
        ),
        (
            Effect::Read,
            false,
            json!({ "at": link }),
            (Effect::Read, Reach::Own),
            "it follows none",
        ),
        (
            Effect::Write,
            true,
            json!({ "at": link }),
            (Effect::Write, Reach::Own),
            "what it writes stays what it is",
        ),
    ] {
        let annotation = Annotation {
            follows,
            ..tool(effect, &slots)
        };
        let told = explained("", annotation, arguments);
        let recorded = told.recorded.unwrap();
        assert_eq!((recorded.effect, recorded.reach), expected, "{why}");
        assert_eq!(told.effect, Some(expected.0), "{why}");
    }
}

#[test]
fn the_words_of_a_command_are_said_together_or_not_at_all() {
    let slots = [
        ("command", SlotRole::Which, Kind::Text),
        ("to", SlotRole::Who, Kind::Address),
    ];
    let (none, all) = ([Grade::G0, Grade::G0], [Grade::G3, Grade::G3]);
    for (words, arguments, grades, why) in [
        (
            "run `git status`",
            json!({ "command": ["git", "status"] }),
            &all[..],
            "as it stands",
        ),
        (
            "tell `git` its `status`",
            json!({ "command": ["git", "status"] }),
            &none,
            "each by itself",
        ),
        (
            "run `sudo git push origin` now",
            json!({ "command": ["git", "push"] }),
            &none,
            "a part of what was quoted is another command",
        ),
        (
            "run `git 7`",
            json!({ "command": ["git", 7] }),
            &none,
            "a number is no word of a command",
        ),
        (
            "run `git`",
            json!({ "command": "git" }),
            &all[..1],
            "one text is a text",
        ),
        // A list of people is no command: each of them is said by himself.
        (
            "send it to ann@work.example, and to bob@work.example",
            json!({ "to": ["Bob@work.example", "Ann@work.example"] }),
            &all,
            "in whatever order",
        ),
        (
            "send it to ann@work.example",
            json!({ "to": ["ann@work.example", "eve@trap.example"] }),
            &[Grade::G3, Grade::G0],
            "and one who is not said is none",
        ),
    ] {
        let told = explained(words, tool(Effect::Execute, &slots), arguments.clone());
        let found: Vec<Grade> = told.values.iter().map(|value| value.grade).collect();
        assert_eq!(found, grades, "{words}: {arguments}: {why}");
    }
}
