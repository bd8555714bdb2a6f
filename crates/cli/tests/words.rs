//! What people say and do about answers while a rollout is under way: corrections in words, two good answers that
//! stand beside each other, and an open conversation whose release is taken from under it.

use instar_demo::{Answer, Rule, Script, When};
use serde_json::{Value, json};

use crate::rollouts::{begin, candidate, script, shadowed, start, status};
use crate::support::{Instar, Setup, percent, until};

const VERSE: &str = "You answer in verse.";

fn judged(instar: &Instar) -> Value {
    until("every episode is judged", || {
        Some(status(instar)).filter(|shown| shown["waiting"] == 0 || !shown["ended_at"].is_null())
    })
}

/// The name of the release that answered last in a conversation.
fn answered_by(instar: &Instar) -> Value {
    let events = instar.run(["events", "tail", "--kind", "turn", "-n", "1", "--json"]);
    let last = events.stdout.lines().last().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["release"].clone()
}

/// Talks in episodes of two turns until a candidate is taken back. What follows the first answer is told the conversation, and
/// whether the candidate gave it.
fn talked_down(instar: &Instar, then: impl Fn(&str, bool)) {
    let made = candidate(instar, "You are brief.");
    let options = "--shares 0.5 --watch 0 --turns 2 --maturity 0";
    let begun = begin(instar, &made, options);
    let release = begun["rollout"]["release"].clone();
    let mut ended = Value::Null;
    for number in 0..80 {
        let session = format!("agent:main:talk{number}");
        let _first = instar.ask(&session, "What is the capital of France?");
        then(&session, answered_by(instar) == release);
        ended = judged(instar);
        if !ended["ended_at"].is_null() {
            break;
        }
    }
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    let metrics = ended["metrics"].as_array().unwrap();
    let task = metrics.iter().find(|one| one["name"] == "task").unwrap();
    assert_eq!(task["canary"]["rate"], json!(1.0), "{task:#}");
    assert_eq!(task["stable"]["rate"], json!(0.0), "{task:#}");
}

#[test]
fn who_says_in_his_own_words_that_an_answer_is_wrong_takes_a_candidate_back() {
    let instar = Instar::start(Setup::scripted(script()));
    talked_down(&instar, |session, is_candidates| {
        let next = if is_candidates {
            "No, that is wrong."
        } else {
            "Thank you, that is right."
        };
        let _second = instar.ask(session, next);
    });
}

#[test]
fn who_goes_back_to_before_a_turn_has_abandoned_it_and_takes_a_candidate_back() {
    let instar = Instar::start(Setup::scripted(script()));
    talked_down(&instar, |session, is_candidates| {
        if is_candidates {
            let path = format!("/api/v1/sessions/{}/rewind", percent(session));
            let back = instar.http.post(&path, &json!({"entry": null}));
            assert_eq!(back.expect(200)["changed"], true);
        }
        let _second = instar.ask(session, "Thank you, that is right.");
    });
}

#[test]
fn who_is_failed_three_times_in_a_row_goes_on_with_the_stable_release() {
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, crate::rollouts::BAD);
    let options = "--shares 0.5 --watch 0 --turns 5 --maturity 0";
    let _begun = begin(&instar, &made, options);
    let failed = |talk: &str| !instar.ask(talk, "hello")["error"].is_null();
    let mut talks = (0..40).map(|number| format!("agent:main:talk{number}"));
    let talk = talks.find(|talk| failed(talk)).unwrap();
    let then: Vec<bool> = (0..4).map(|_| failed(&talk)).collect();
    assert_eq!(then, [true, true, false, false]);
    let told = instar.run(["events", "tail", "--kind", "rollout", "-n", "50", "--json"]);
    assert!(told.stdout.contains("\"rescued\""), "{told:?}");
    // What was rescued is bad all the same.
    let shown = until("its episode is judged", || {
        let shown = status(&instar);
        let metrics = shown["metrics"].as_array().unwrap().iter();
        let task = metrics
            .clone()
            .find(|one| one["name"] == "task")
            .unwrap()
            .clone();
        (task["canary"]["units"] == 1).then_some(task)
    });
    assert_eq!(shown["canary"]["bad"], json!(1.0), "{shown:#}");
}

#[test]
fn two_answers_beside_each_other_have_no_winner_unless_a_secret_is_told() {
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, crate::rollouts::BAD);
    let options = "--ab --shares 0.5 --units-min 2 --turns 1 --maturity 0 --horizon 30";
    let begun = begin(&instar, &made, options);
    assert_eq!(begun["rollout"]["plan"]["is_ab"], true, "{begun:#}");
    let mut passed = false;
    let mut ended = Value::Null;
    for number in 0..40 {
        let _sent = crate::rollouts::episode(&instar, number);
        ended = judged(&instar);
        let evidence = ended["evidence_worse"].as_f64().unwrap_or(f64::INFINITY);
        passed |= evidence >= ended["worse_at"].as_f64().unwrap();
        if !ended["ended_at"].is_null() {
            break;
        }
    }
    assert!(passed, "the evidence was there: {ended:#}");
    assert_eq!(ended["stage"]["stage"], "undecided", "{ended:#}");
    assert_eq!(ended["settled"], json!(30), "{ended:#}");
    let shown = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(shown["state"], "open", "{shown:#}");
}

#[test]
fn of_two_answers_beside_each_other_the_clearly_better_one_is_told_and_never_promoted() {
    let instar = Instar::start(Setup::scripted(script()));
    let before = instar.run(["release", "show", "--json"]).json()["id"].clone();
    // What is stable fails from here on; what stands beside it does not.
    let soul = crate::tools::workspace(&instar).join("SOUL.md");
    std::fs::write(soul, crate::rollouts::BAD).unwrap();
    let failing = until("the edit is the stable release", || {
        let now = instar.run(["release", "show", "--json"]).json()["id"].clone();
        (now != before).then_some(now)
    });
    let made = candidate(&instar, "You are brief.");
    let options = "--ab --shares 0.5 --turns 1 --maturity 0 --horizon 60";
    let _begun = begin(&instar, &made, options);
    let mut told = false;
    let mut ended = Value::Null;
    for number in 0..70 {
        let _sent = crate::rollouts::episode(&instar, number);
        ended = judged(&instar);
        if ended["leads"] == "canary" && ended["ended_at"].is_null() {
            told = true;
            let status = instar.run(["rollout", "status"]).stdout;
            assert!(
                status.contains("the candidate is clearly better"),
                "{status}"
            );
        }
        if !ended["ended_at"].is_null() {
            break;
        }
    }
    assert!(told, "{ended:#}");
    assert_eq!(ended["stage"]["stage"], "undecided", "{ended:#}");
    assert_eq!(ended["settled"], json!(60), "{ended:#}");
    let words = ended["words"].as_str().unwrap();
    assert!(words.contains("the candidate is clearly better"), "{words}");
    let now = instar.run(["release", "show", "--json"]).json()["id"].clone();
    assert_eq!(now, failing, "nothing follows from it by itself");
}

#[test]
fn going_back_reaches_the_next_turn_of_an_open_conversation_and_leaves_its_transcript_whole() {
    let in_verse = Rule {
        when: When {
            system_contains: Some(VERSE.to_owned()),
            ..When::default()
        },
        answer: Answer::text("O verse."),
        ..Rule::default()
    };
    let script = Script {
        rules: vec![in_verse],
        otherwise: Answer::text("Prose."),
        ..Script::default()
    };
    let instar = Instar::start(Setup::scripted(script));
    let talks: Vec<String> = (0..6).map(|n| format!("agent:main:talk{n}")).collect();
    let made = candidate(&instar, VERSE);
    let _begun = start(&instar, &made, "0.4");
    let ended = instar.run(["rollout", "promote", "--json"]).json();
    assert_eq!(ended["stage"]["stage"], "promoted", "{ended:#}");
    for talk in &talks {
        assert_eq!(instar.ask(talk, "one")["text"], "O verse.");
    }
    let before: Vec<Vec<Value>> = talks.iter().map(|talk| instar.entries(talk)).collect();
    let back = instar.run(["release", "rollback", "--reason", "too much verse"]);
    assert_eq!(back.code, 0, "{back:?}");
    for (talk, before) in talks.iter().zip(&before) {
        assert_eq!(instar.ask(talk, "two")["text"], "Prose.", "{talk}");
        // The model was shown what was said under the other release.
        let sent = instar.model.requests().pop().unwrap().body.to_string();
        assert!(sent.contains("O verse.") && !sent.contains(VERSE), "{sent}");
        let after = instar.entries(talk);
        assert_eq!(after[..before.len()], before[..], "{talk}");
        assert_eq!(after.len(), before.len() + 2, "{after:#?}");
    }
}

#[test]
fn the_event_of_a_pair_names_the_assertion_that_failed_and_no_word_of_the_answer() {
    let asserts = json!([
        {"type": "icontains", "value": "fine"},
        {"type": "not-icontains", "value": "as an AI"},
    ]);
    let servile = Rule {
        when: When {
            system_contains: Some("You are servile.".to_owned()),
            ..When::default()
        },
        answer: Answer::text("As an AI model I say: fine."),
        ..Rule::default()
    };
    let script = Script {
        rules: vec![servile],
        otherwise: Answer::text("Fine."),
        ..Script::default()
    };
    let config = json!({"improve": {"rollout": {"asserts": asserts}}});
    let instar = Instar::start(Setup::scripted(script).config(config));
    shadowed(&instar, "You are servile.", "40");
    let _shown = crate::rollouts::talk_until(&instar, |shown| shown["pairs"].as_u64() > Some(0));
    let pairs = crate::rollouts::kinds(&instar, "shadow");
    assert!(!pairs.is_empty());
    for pair in pairs {
        assert_eq!(pair["canary_why"], "asserts[1] not-icontains", "{pair:#}");
        assert_eq!(pair["stable_why"], Value::Null, "{pair:#}");
        assert!(!pair.to_string().contains("model I say"), "{pair:#}");
    }
}

#[test]
fn assertions_that_nobody_can_decide_are_told_by_the_doctor_and_refused_where_they_are_none() {
    let asserts = json!([
        {"type": "icontains", "value": "fine"},
        {"type": "llm-rubric", "value": "is polite"},
        {"type": "no-such-thing", "value": "x"},
    ]);
    let config = json!({"improve": {"rollout": {"asserts": asserts}}});
    let mut instar = Instar::start(Setup::scripted(script()).config(config));
    let told = |instar: &Instar| -> Value {
        let found: Value = serde_json::from_str(&instar.run(["doctor", "--json"]).stdout).unwrap();
        let mut all = found.as_array().unwrap().iter();
        all.find(|one| one["check"] == "asserts").unwrap().clone()
    };
    let warned = |found: &Value| {
        assert_eq!(found["severity"], "warning", "{found:#}");
        let message = found["message"].as_str().unwrap();
        assert!(message.contains("asserts[2] no-such-thing"), "{message}");
    };
    warned(&told(&instar));
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    warned(&told(&instar));

    let file = instar.state.join("instar.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    let with = |asserts: Value, grader: &str| {
        let mut changed = good.clone();
        changed["improve"]["rollout"] = json!({"asserts": asserts, "grader": grader});
        crate::support::write_private(&file, &changed.to_string());
    };
    with(json!([{"value": "x"}]), "scripted");
    let refused = instar.run(["config", "validate"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    for place in ["improve.rollout.asserts[0]", "improve.rollout.grader"] {
        assert!(refused.stderr.contains(place), "{place}: {refused:?}");
    }
    with(json!([{"type": "icontains", "value": "x"}]), "scripted/x");
    assert_eq!(instar.run(["config", "validate"]).code, 0);
    assert_eq!(told(&instar)["severity"], "fine");
}
