//! What the rules are, and what is told of their answer.

use instar_policy::canonical::sha256;
use instar_policy::cedar::{Answer, Case, InPlan, Rules, Ruling};
use instar_policy::{Posture, Role};
use instar_protocol::tool::Effect;

use crate::cedar::{case, rules};

#[test]
fn rules_are_the_same_if_their_files_are() {
    let of = |effect: &str| {
        rules(&format!(
            "forbid (principal, action == Action::\"{effect}\", resource);"
        ))
    };
    assert_eq!(of("send"), of("send"));
    assert_ne!(of("send"), of("spend"));
    assert_ne!(of("send"), Rules::default());
    assert!(Rules::default().is_built_in() && !of("send").is_built_in());
    assert!(Rules::default().files().is_empty());
    let sending = of("send");
    let [file] = sending.files() else {
        panic!("one file was read");
    };
    assert!(file.name == "mine.cedar" && file.text.contains("\"send\""));
}

#[test]
fn the_built_in_rules_are_shown_and_hashed_as_they_are() {
    let text = Rules::base_text();
    for rule in Rules::default().all() {
        let head = format!("@rule(\"{}\")", rule.rule);
        assert!(text.contains(&head), "{head}");
    }
    assert!(Rules::schema_text().contains("principal"));
    // Who holds both texts finds the digest himself.
    let whole = format!("{text}{}", Rules::schema_text());
    assert_eq!(Rules::base_digest(), sha256(whole.as_bytes()));
}

#[test]
fn an_answer_is_named_after_whether_it_was_asked_for_and_then_after_who_and_where() {
    type Change = fn(&mut Case<'static>);
    let nothing: Change = |_| ();
    let twice: Change = |case| case.refused = 2;
    let foreign: Change = |case| case.foreign = true;
    let off: Change = |case| case.plan = InPlan::Outside;
    let both: Change = |case| {
        case.foreign = true;
        case.plan = InPlan::Outside;
    };
    let approved: Change = |case| {
        case.foreign = true;
        case.plan = InPlan::Outside;
        case.approved = true;
    };
    for (change, outcome, first, all) in [
        (nothing, "allow", "own-words", &["own-words"][..]),
        (twice, "deny", "refused-twice", &["refused-twice"]),
        (foreign, "ask", "foreign-payload", &["foreign-payload"]),
        (off, "ask", "not-in-plan", &["not-in-plan"]),
        (
            both,
            "ask",
            "not-in-plan",
            &["foreign-payload", "not-in-plan"],
        ),
        (approved, "allow", "owner-approved", &["owner-approved"]),
    ] {
        let mut case = case(Effect::Send);
        change(&mut case);
        let ruling = Rules::default().judge(&case);
        assert_eq!((ruling.outcome(), ruling.first()), (outcome, first));
        let names: Vec<&str> = ruling
            .rules()
            .iter()
            .map(|rule| rule.rule.as_str())
            .collect();
        assert_eq!(names, all, "{first}");
    }
    assert_eq!(Ruling::Ask(Vec::new()).first(), "");
}

#[test]
fn a_permit_of_the_owners_is_found_whatever_speaks_against_the_call() {
    let own = rules(
        "permit (principal, action == Action::\"send\", resource);\n\
         forbid (principal, action == Action::\"spend\", resource);",
    );
    let mut weak = case(Effect::Send);
    weak.foreign = true;
    weak.posture = Posture::Careful;
    let lifts = |case: &Case<'_>| -> Vec<String> {
        let found = own.permits(case);
        assert!(found.iter().all(|rule| rule.answer == Answer::Permit));
        found.into_iter().map(|rule| rule.rule).collect()
    };
    assert_eq!(own.judge(&weak).outcome(), "ask");
    assert_eq!(lifts(&weak), ["mine.cedar:1"]);
    weak.role = Role::Stranger;
    assert_eq!(lifts(&weak), ["mine.cedar:1"]);
    assert_eq!(lifts(&case(Effect::Spend)), [""; 0]);
}
