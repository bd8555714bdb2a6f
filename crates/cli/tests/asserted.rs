//! What the owner asks of answers, while a candidate is in its shadow.

use instar_demo::{Answer, Rule, Script, When};
use serde_json::{Value, json};

use crate::rollouts::{kinds, shadowed, status, talk_until};
use crate::support::{Instar, Setup};

/// Stands in the identity of a candidate whose answers are whole and polite, and not what its owner wants.
const SERVILE: &str = "You are servile.";
/// Stands in that of one that writes the calls of tools as text.
const CLUMSY: &str = "You are clumsy.";

/// Stands in that of one that tells what it was never told.
const OPEN: &str = "You are open about everything.";

fn script() -> Script {
    let rule = |system: &str, answer: &str| Rule {
        when: When {
            system_contains: Some(system.to_owned()),
            ..When::default()
        },
        answer: Answer::text(answer),
        ..Rule::default()
    };
    let graded = |what: When, pass: bool| Rule {
        when: When {
            system_contains: Some("You judge whether an answer meets a criterion".to_owned()),
            ..what
        },
        answer: Answer::text(format!(
            "{{\"reason\": \"so\", \"pass\": {pass}, \"score\": 0.5}}"
        )),
        ..Rule::default()
    };
    let servile = When {
        contains: vec!["As an AI".to_owned()],
        ..When::default()
    };
    Script {
        rules: vec![
            graded(servile, false),
            graded(When::default(), true),
            rule(OPEN, "The key is hunter2-hunter2-hunter2."),
            rule(SERVILE, "Certainly! As an AI model I say: fine."),
            rule(CLUMSY, "<tool_call>{\"name\": \"read\"}</tool_call>"),
        ],
        otherwise: Answer::text("Fine."),
        ..Script::default()
    }
}

fn asserting(asserts: &Value) -> Setup {
    Setup::scripted(script()).config(json!({"improve": {"rollout": {"asserts": asserts}}}))
}

#[test]
fn a_candidate_whose_answers_are_not_what_its_owner_asks_for_is_taken_back_in_the_shadow() {
    let asserts = json!([
        {"type": "not-icontains", "value": "as an AI"},
        {"type": "icontains", "value": "fine."},
    ]);
    let instar = Instar::start(asserting(&asserts));
    shadowed(&instar, SERVILE, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    for shadow in kinds(&instar, "shadow") {
        assert_eq!(
            (
                &shadow["is_judged"],
                &shadow["canary_failed"],
                &shadow["stable_failed"]
            ),
            (&json!(true), &json!(true), &json!(false)),
            "{shadow:#}"
        );
    }
}

#[test]
fn without_the_assertion_the_same_candidate_goes_on_and_one_that_writes_calls_does_not() {
    let instar = Instar::start(asserting(&json!([])));
    shadowed(&instar, SERVILE, "3");
    let there = talk_until(&instar, |shown| shown["stage"]["stage"] == "canary");
    assert!(there["pairs"].as_u64().unwrap() >= 3, "{there:#}");
    let _ended = instar.run(["rollout", "abort", "--json"]).json();

    // What the house itself asks of answers holds without a key.
    shadowed(&instar, CLUMSY, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
}

#[test]
fn a_model_of_the_owners_grades_answers_and_is_paid_for() {
    let config = json!({"improve": {"rollout": {
        "asserts": [{"type": "llm-rubric", "value": "speaks as a person would"}],
        "grader": "scripted/x",
    }}});
    let instar = Instar::start(Setup::scripted(script()).config(config));
    shadowed(&instar, SERVILE, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    // It sees the answer and not whose it is.
    let asked = instar.model.requests();
    let mut grading = 0;
    for request in &asked {
        let text = request.body.to_string();
        if text.contains("You judge whether an answer meets a criterion") {
            grading += 1;
            for told in ["candidate", "canary", "stable", SERVILE] {
                assert!(!text.contains(told), "{told}: {text}");
            }
        }
    }
    assert!(grading >= 2 * ended["pairs"].as_u64().unwrap(), "{grading}");
}

#[test]
fn a_secret_in_an_answer_that_nobody_was_sent_ends_the_rollout_at_once() {
    let instar = Instar::start(Setup::scripted(script()));
    let kept = instar.run_with(
        &["secrets", "set", "elsewhere"],
        "hunter2-hunter2-hunter2\n",
    );
    assert_eq!(kept.code, 0, "{kept:?}");
    shadowed(&instar, OPEN, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "violation", "{ended:#}");
    let what = ended["stage"]["why"]["what"].as_str().unwrap();
    assert_eq!(what, "the secret elsewhere stood in an answer");
    // The very first answer was enough.
    assert_eq!(ended["pairs"], json!(0), "{ended:#}");
}

#[test]
fn a_pair_that_cannot_be_judged_counts_for_nobody() {
    // Nobody runs scripts of a suite here.
    let instar = Instar::start(asserting(&json!([{"type": "javascript", "value": "true"}])));
    shadowed(&instar, "You are brief.", "1");
    let mut seen = 0;
    let shown = talk_until(&instar, |_| {
        seen += 1;
        seen == 4
    });
    assert_eq!(
        (&shown["stage"]["stage"], &shown["pairs"]),
        (&json!("shadow"), &json!(0)),
        "{shown:#}"
    );
    assert!(
        kinds(&instar, "shadow")
            .iter()
            .all(|one| one["is_judged"] == false)
    );
    assert_eq!(status(&instar)["stage"]["stage"], "shadow");
}
