//! Answers that are held against a text by how near they stand, which the owner's embedder says.

use instar_demo::{Answer, Rule, Script, When};
use serde_json::{Value, json};

use crate::rollouts::{shadowed, talk_until};
use crate::support::{Instar, Setup, until};

/// Stands in the identity of a candidate that answers something else.
const ASIDE: &str = "You speak of other things.";

fn script() -> Script {
    let aside = Rule {
        when: When {
            system_contains: Some(ASIDE.to_owned()),
            ..When::default()
        },
        answer: Answer::text("Zzzz, xxxx."),
        ..Rule::default()
    };
    Script {
        rules: vec![aside],
        otherwise: Answer::text("Good day to you."),
        ..Script::default()
    }
}

/// What the embedder was told, one request after the other.
fn placed(instar: &Instar) -> Vec<Value> {
    let requests = instar.model.requests();
    let asked = requests
        .into_iter()
        .filter(|request| request.path.ends_with("/embeddings"));
    asked.map(|request| request.body["input"].clone()).collect()
}

#[test]
fn a_suite_compares_by_the_owners_embedder_and_by_nobody_while_none_is_named() {
    let instar = Instar::start(Setup::scripted(script()));
    let suite = instar.home().join("near.yaml");
    // The same letters are the same place for this embedder.
    let text = "prompts: ['Say {{what}}']\nproviders: [gateway]\ntests:\n  \
                - vars: {what: hello}\n    assert: [{type: similar, value: 'you, to: day good', threshold: 0.99}]\n  \
                - vars: {what: more}\n    assert: [{type: similar, value: 'Qqqq', threshold: 0.1}]\n  \
                - vars: {what: less}\n    assert: [{type: not-similar, value: 'Qqqq', threshold: 0.1}]\n";
    std::fs::write(&suite, text).unwrap();
    let suite = suite.to_str().unwrap();
    let outcomes = |told: &Value| -> Vec<Value> {
        let rows = told["arms"][0]["rows"].as_array().unwrap();
        rows.iter().map(|row| row["outcome"].clone()).collect()
    };
    let run = || -> Value {
        let said = instar.run(["eval", "run", suite, "--json"]);
        serde_json::from_str(&said.stdout).unwrap()
    };
    let nobody = run();
    assert_eq!(outcomes(&nobody), ["unsupported"; 3], "{nobody:#}");
    assert!(
        nobody.to_string().contains("improve.embedder"),
        "{nobody:#}"
    );
    assert!(placed(&instar).is_empty());

    let set = instar.run(["config", "set", "improve.embedder", "scripted/near"]);
    assert_eq!(set.code, 0, "{set:?}");
    // A run that began before it was in force has cases of both kinds.
    let told = until("the key is in force", || {
        Some(run()).filter(|told| !outcomes(told).contains(&json!("unsupported")))
    });
    assert_eq!(outcomes(&told), ["passed", "failed", "passed"], "{told:#}");
    let asked = placed(&instar);
    let both = json!(["Good day to you.", "you, to: day good"]);
    assert!(asked.contains(&both), "{asked:?}");
    let usage = instar.run(["usage", "--json"]).json();
    let rows = usage["rows"].as_array().unwrap();
    let booked = rows.iter().find(|row| row["model"] == "scripted/near");
    let calls = booked.map(|row| row["calls"].as_u64());
    assert_eq!(calls, Some(Some(asked.len() as u64)), "{usage:#}");
}

#[test]
fn answers_of_a_candidate_are_compared_and_the_doctor_says_where_nobody_can() {
    let config = json!({"improve": {
        "embedder": "scripted/near",
        "rollout": {"asserts": [{"type": "similar", "value": "a good day to you", "threshold": 0.8}]},
    }});
    let instar = Instar::start(Setup::scripted(script()).config(config));
    let finding = |instar: &Instar| -> Value {
        let told: Value = serde_json::from_str(&instar.run(["doctor", "--json"]).stdout).unwrap();
        let all = told["findings"].as_array().or(told.as_array()).unwrap();
        let found = all.iter().find(|one| one["check"] == "asserts");
        found.unwrap().clone()
    };
    assert_eq!(finding(&instar)["severity"], "fine");
    shadowed(&instar, ASIDE, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    let asked = placed(&instar);
    assert!(
        asked.contains(&json!(["Zzzz, xxxx.", "a good day to you"])),
        "{asked:?}"
    );

    let unset = instar.run(["config", "unset", "improve.embedder"]);
    assert_eq!(unset.code, 0, "{unset:?}");
    let warned = until("the key is gone", || {
        Some(finding(&instar)).filter(|one| one["severity"] != "fine")
    });
    let why = warned["message"].as_str().unwrap();
    assert!(why.contains("asserts[0] similar"), "{why}");
    assert!(why.contains("improve.embedder"), "{why}");
}
