//! What a plan says beyond tools and counts: what may go along, and which of several things is meant.

use instar_policy::{OffPlan, Pick, Plan, Reach, STEPS_MAX, Step, Words};
use instar_protocol::tool::Effect;
use serde_json::{Value, json};

use crate::grades::{decided_by, outward};

fn plan(steps: impl IntoIterator<Item = Step>) -> Plan {
    Plan {
        steps: steps.into_iter().collect(),
    }
}

#[test]
fn only_what_the_plan_reads_or_names_goes_along() {
    let releasing = |tools: &[&str]| Step {
        release: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        ..Step::of("do", 1)
    };
    let read = || Step::of("list_files", 1);
    for (plan, expected) in [
        (plan([read(), Step::of("do", 1)]), "+evidence"),
        // It was read for something else.
        (plan([Step::of("do", 1)]), "?not-cleared"),
        (
            plan([Step::of("list_mails", 1), Step::of("do", 1)]),
            "?not-cleared",
        ),
        (plan([releasing(&["list_files"])]), "+evidence"),
        // What is read to find the person is not what is sent to him.
        (plan([read(), releasing(&["list_mails"])]), "?not-cleared"),
    ] {
        let send = outward(Effect::Send, Reach::Outside);
        let call = json!({ "to": "bob@work.example", "file": "12", "text": "so much" });
        let found = decided_by(&plan, "send file 12 to bob@work.example", send, call);
        assert_eq!(found, expected, "{plan:?}");
    }
}

#[test]
fn what_the_owner_brought_goes_where_his_words_lead_and_nowhere_else() {
    let plan = plan([Step::of("list_files", 1), Step::of("do", 1)]);
    let words = "tell ann@work.example what you think of it";
    let pasted = format!("{words}\n> the rent is 1,200 a month\n");
    for (to, words, expected) in [
        ("ann@work.example", words, "+evidence"),
        ("ann@work.example", pasted.as_str(), "+evidence"),
        // A member of the same closed workspace, whom the model chose.
        ("eve@trap.example", words, "+evidence"),
        ("eve@trap.example", pasted.as_str(), "?not-cleared"),
    ] {
        let send = outward(Effect::Send, Reach::Closed);
        let call = json!({ "to": to, "text": "so much" });
        assert_eq!(
            decided_by(&plan, words, send, call),
            expected,
            "{to}: {words}"
        );
    }
}

#[test]
fn the_thing_that_the_plan_has_picked_is_found_by_code() {
    let words = "throw away what takes the most room";
    let picking = |field: &str, most: bool| {
        let pick = Pick {
            field: field.to_owned(),
            most,
        };
        plan([
            Step::of("list_files", 1),
            Step {
                pick: [("file".to_owned(), pick)].into(),
                ..Step::of("do", 1)
            },
        ])
    };
    let without = plan([Step::of("list_files", 1), Step::of("do", 1)]);
    for (plan, file, expected) in [
        (&picking("size", true), "12", "+evidence"),
        (&picking("size", false), "11", "+evidence"),
        // Neither end of it, a field that does not rank, and no pick at all.
        (&picking("size", true), "13", "?weak-evidence"),
        (&picking("name", true), "12", "?weak-evidence"),
        (&without, "12", "?weak-evidence"),
    ] {
        let destroy = outward(Effect::Destroy, Reach::Own);
        let delete = format!("delete: {words}");
        let found = decided_by(plan, &delete, destroy, json!({ "file": file }));
        assert_eq!(found, expected, "{plan:?} {file}");
    }
}

#[test]
fn a_plan_is_known_by_its_digest_and_keeps_only_what_it_may_say() {
    let one = plan([Step::of("read", 1)]);
    let digest = one.digest();
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(digest, plan([Step::of("read", 1)]).digest());
    assert_ne!(digest, plan([Step::of("read", 2)]).digest());
    let read: Plan = serde_json::from_value(json!({ "steps": [{ "tool": "read" }] })).unwrap();
    assert_eq!(
        read, one,
        "a step is one call where it does not say how many"
    );
    let steps = [("read", 0), ("write", 1), ("send", 100), ("delete", 101)];
    let wild = plan(steps.map(|(tool, times)| Step::of(tool, times)));
    let tidy = wild.tidy(|tool| tool != "write");
    let kept = [("read", 1), ("send", 100), ("delete", 100)];
    assert_eq!(tidy, plan(kept.map(|(tool, times)| Step::of(tool, times))));
}

#[test]
fn a_tool_is_called_as_often_as_all_its_steps_say() {
    let twice = plan([
        Step::of("send", 1),
        Step::of("read", 5),
        Step::of("send", 1),
    ]);
    let endless = plan([Step::of("send", u32::MAX), Step::of("send", 2)]);
    let wide = |steps: usize| plan(vec![Step::of("send", 1); steps]);
    let last = u32::try_from(STEPS_MAX).unwrap();
    for (plan, done, expected) in [
        (&twice, 0, None),
        (&twice, 1, None),
        (&twice, 2, Some(OffPlan::Times)),
        (&twice, 3, Some(OffPlan::Times)),
        (&endless, 7, None),
        (&wide(STEPS_MAX), last - 1, None),
        (&wide(STEPS_MAX), last, Some(OffPlan::Times)),
        (&wide(STEPS_MAX + 1), 0, Some(OffPlan::Wide)),
    ] {
        let found = plan.step("send", &json!({}), done).err();
        assert_eq!(found, expected, "{done} of {plan:?}");
    }
}

#[test]
fn a_value_of_the_plan_is_meant_however_it_is_spelt() {
    let step = |name: &str, value: &str| Step {
        only: [(name.to_owned(), vec!["other".to_owned(), value.to_owned()])].into(),
        ..Step::of("do", 1)
    };
    let fits = |name: &str, value: &str, arguments: &Value| {
        plan([step(name, value)]).step("do", arguments, 0).is_ok()
    };
    for (value, given, is_meant) in [
        ("bob@work.example", "mailto:Bob@Work.example", true),
        ("https://shop.example/a", "shop.example/a", true),
        ("+49 30 1234567", "0049 (30) 123-4567", true),
        ("$1,200", "1200.00 USD", true),
        ("notes/a.md", "./notes//a.md", true),
        ("Ann  Lee", "ann lee", true),
        ("ann lee", "other", true),
        ("bob@work.example", "bob@trap.example", false),
        ("shop.example/a", "shop.example/b", false),
        ("1200", "1201", false),
        ("ann lee", "ann", false),
    ] {
        let arguments = json!({ "a": given });
        assert_eq!(fits("a", value, &arguments), is_meant, "{value}: {given}");
    }
    for (name, arguments, is_meant, why) in [
        (
            "a",
            json!({ "a": ["ann", "other"] }),
            true,
            "each is among them",
        ),
        ("a", json!({ "a": ["ann", "eve"] }), false, "one is not"),
        (
            "a",
            json!({ "b": "eve" }),
            false,
            "what is left out may be anybody",
        ),
        ("a.b", json!({ "a": { "b": "ann" } }), true, "a part"),
        ("a.b", json!({ "a": { "b": "eve" } }), false, "a part"),
        (
            "a.b",
            json!({ "a": [{ "b": "ann" }, { "b": "eve" }] }),
            false,
            "of each in a list",
        ),
        (
            "a.b",
            json!({ "a": [{ "b": "ann" }, { "c": "eve" }] }),
            true,
            "where it has one",
        ),
        (
            "a.b",
            json!({ "a.b": "eve" }),
            false,
            "an argument may be called so",
        ),
        (
            "a.b.c",
            json!({ "a": { "b": { "c": "eve" } } }),
            false,
            "a part of a part",
        ),
    ] {
        assert_eq!(
            fits(name, "ann", &arguments),
            is_meant,
            "{name} of {arguments}: {why}"
        );
    }
    // A command is said as one text.
    let run = json!({ "a": ["cargo", "test"] });
    assert!(fits("a", "cargo test", &run) && !fits("a", "cargo", &run));
    // Of several steps with one tool, one that fits is enough.
    let both = plan([step("a", "ann"), step("a", "bob")]);
    for (name, is_meant) in [("ann", true), ("bob", true), ("eve", false)] {
        let found = both.step("do", &json!({ "a": name }), 0);
        assert_eq!(found.err(), (!is_meant).then_some(OffPlan::Value), "{name}");
    }
}

#[test]
fn a_verb_counts_in_the_forms_that_it_has_and_in_no_other_word() {
    for (words, effect, asks) in [
        ("pay him", Effect::Spend, true),
        ("he pays", Effect::Spend, true),
        ("purchasing it", Effect::Spend, true),
        ("purchased", Effect::Spend, true),
        ("the payer", Effect::Spend, false),
        ("fixes", Effect::Execute, true),
        ("prefix it", Effect::Execute, false),
        ("sharing it", Effect::Grant, true),
        ("a shareholder", Effect::Grant, false),
        ("Bezahle es", Effect::Spend, true),
        ("Überweise es", Effect::Spend, true),
        ("ПОДЕЛИСЬ этим", Effect::Grant, true),
        ("nothing", Effect::Write, true),
        ("nothing", Effect::Send, true),
        ("nothing", Effect::Fetch, true),
    ] {
        assert_eq!(
            Words::of(words).asks_for(effect),
            asks,
            "{words}: {effect:?}"
        );
    }
}
