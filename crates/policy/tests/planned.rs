//! What a plan says beyond tools and counts: what may go along, and which of several things is meant.

use instar_policy::{Pick, Plan, Reach, Step};
use instar_protocol::tool::Effect;
use serde_json::json;

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
