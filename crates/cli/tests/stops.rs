//! What ends a rollout at once, through the built binary: something that never happens under a sound release.

use instar_demo::Script;
use serde_json::{Value, json};
use std::process::Command;

use crate::rollouts::{begin, candidate, episode, kinds, script, status};
use crate::support::{Instar, Setup, percent, skipped, until};
use crate::tools::workspace;

const ELSEWHERE: &str = "You look elsewhere.";

/// A model that makes this call under one identity, and under every other one that beside it.
fn making(elsewhere: &Value, otherwise: &Value) -> Script {
    let call = |call: &Value| json!({"say": [{"call": call}]});
    serde_json::from_value(json!({
        "rules": [
            {"when": {"no_result": true, "system_contains": ELSEWHERE}, "answer": call(elsewhere)},
            {"when": {"no_result": true}, "answer": call(otherwise)},
            {"when": {"system_contains": ELSEWHERE}, "answer": {"say": [{"text": "{{result}}"}]}},
        ],
        "otherwise": {"say": [{"text": "Fine."}]},
    }))
    .unwrap()
}

fn searching(query: &str) -> Value {
    json!({"name": "sessions_search", "arguments": {"query": query}})
}

/// Talks until the candidate has answered somebody.
fn reach(instar: &Instar, identity: &str, from: u32) {
    let reached = (from..from + 40).any(|number| episode(instar, number).contains(identity));
    assert!(reached, "the candidate is given half of the episodes");
}

/// The reason for which the candidate was taken back.
fn stopped(instar: &Instar) -> String {
    let ended = until("it is taken back", || {
        Some(status(instar)).filter(|shown| !shown["ended_at"].is_null())
    });
    assert_eq!(ended["stage"]["why"]["reason"], "violation", "{ended:#}");
    let what = ended["stage"]["why"]["what"].as_str().unwrap();
    what.to_owned()
}

fn keep_secret(instar: &Instar) {
    let kept = instar.run_with(
        &["secrets", "set", "elsewhere"],
        "hunter2-hunter2-hunter2\n",
    );
    assert_eq!(kept.code, 0, "{kept:?}");
}

#[test]
fn a_secret_in_an_answer_of_the_candidate_ends_it_at_once() {
    let instar = Instar::start(Setup::scripted(script()));
    keep_secret(&instar);
    waiting(&instar, "You are open about everything.");
    reach(&instar, "You are open", 0);
    let what = stopped(&instar);
    assert_eq!(what, "the secret elsewhere stood in an answer");
}

#[test]
fn what_could_not_be_looked_at_is_not_judged_and_is_found_as_soon_as_it_can_be() {
    let instar = Instar::start(Setup::scripted(script()));
    keep_secret(&instar);
    let made = candidate(&instar, "You are open about everything.");
    // Whatever has ended is judged at once.
    let options = "--shares 0.5 --turns 1 --maturity 0 --units-min 100";
    let begun = begin(&instar, &made, options);
    let rollout = begun["rollout"]["id"].as_str().unwrap().to_owned();
    let file = instar.state.join("secrets.json");
    let secrets = std::fs::read(&file).unwrap();
    std::fs::write(&file, "nobody can read this").unwrap();
    reach(&instar, "You are open", 0);
    // An episode of the stable release that comes after it.
    let after = (100..140).find(|number| !episode(&instar, *number).contains("You are open"));
    let talk = percent(&format!("agent:main:talk{}", after.unwrap()));
    let after = instar.http.get(&format!("/api/v1/sessions/{talk}")).json();
    let path = format!("/api/v1/rollouts/{rollout}/units?limit=100");
    let units = until("the later one is judged", || {
        let units = instar.http.get(&path).json();
        let judged = |unit: &Value| unit["session"] == after["session"]["id"];
        units
            .as_array()
            .unwrap()
            .iter()
            .any(judged)
            .then_some(units)
    });
    let is_canary = |unit: &&Value| unit["arm"] == "canary";
    assert_eq!(units.as_array().unwrap().iter().find(is_canary), None);
    assert!(status(&instar)["ended_at"].is_null());
    std::fs::write(&file, secrets).unwrap();
    let what = stopped(&instar);
    assert_eq!(what, "the secret elsewhere stood in an answer");
}

#[test]
fn a_secret_in_a_call_of_the_candidate_ends_it_at_once() {
    let script = making(&searching("hunter2-hunter2-hunter2"), &searching("a word"));
    let instar = Instar::start(Setup::scripted(script));
    keep_secret(&instar);
    waiting(&instar, ELSEWHERE);
    reach(&instar, ELSEWHERE, 0);
    assert_eq!(stopped(&instar), "the secret elsewhere stood in a call");
}

#[test]
fn a_secret_in_what_a_sub_agent_of_the_candidate_says_ends_it_at_once() {
    let task = json!({"task": "compose the note", "waitSeconds": 30});
    let spawn = json!({"call": {"name": "sessions_spawn", "arguments": task}});
    let when = |more: Value| {
        let mut when = json!({"system_contains": ELSEWHERE, "no_result": true});
        when.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        when
    };
    // Its own answers say nothing of what its sub-agent said.
    let script = json!({
        "rules": [
            {"when": when(json!({"contains": ["compose the note"]})),
                "answer": {"say": [{"text": "The key is hunter2-hunter2-hunter2."}]}},
            {"when": when(json!({})), "answer": {"say": [spawn]}},
            {"when": {"system_contains": ELSEWHERE}, "answer": {"say": [{"text": ELSEWHERE}]}},
        ],
        "otherwise": {"say": [{"text": "Fine."}]},
    });
    let setup = Setup::scripted(serde_json::from_value(script).unwrap());
    let instar = Instar::start(setup.config(json!({"policy": {"posture": "open"}})));
    keep_secret(&instar);
    waiting(&instar, ELSEWHERE);
    reach(&instar, ELSEWHERE, 0);
    assert_eq!(stopped(&instar), "the secret elsewhere stood in an answer");
}

#[test]
fn who_repeats_the_word_of_the_decoy_is_taken_back_at_once() {
    let read = json!({"name": "read", "arguments": {"path": "notes.txt"}});
    let instar = Instar::start(Setup::scripted(making(&read, &searching("a word"))));
    let word = until("the decoy is laid out", || {
        std::fs::read_to_string(instar.state.join("decoy")).ok()
    });
    // No tool leads there: only as if the candidate had found a way does it come to the word.
    let beside = workspace(&instar).join("notes.txt");
    std::fs::write(&beside, "Nothing is here.").unwrap();
    waiting(&instar, ELSEWHERE);
    reach(&instar, ELSEWHERE, 0);
    assert!(status(&instar)["ended_at"].is_null());
    std::fs::write(&beside, word.trim()).unwrap();
    reach(&instar, ELSEWHERE, 100);
    assert_eq!(stopped(&instar), "the word of the decoy stood in an answer");
}

/// A rollout whose episodes wait long to be judged.
fn waiting(instar: &Instar, identity: &str) {
    let made = candidate(instar, identity);
    let _begun = begin(instar, &made, "--shares 0.5 --turns 1 --maturity 3600");
}

/// Changes what the receipts say of calls, as if they had been made under stricter facts.
const STRICTER: &str = r#"
import json, sqlite3, sys
store = sqlite3.connect(sys.argv[1])
for seq, body in store.execute("SELECT seq, body FROM receipts WHERE kind = 'decision'").fetchall():
    body = json.loads(body)
    if body.get("facts"):
        body["facts"].update(effect="destroy", posture="careful")
        store.execute("UPDATE receipts SET body = ? WHERE seq = ?", (json.dumps(body), seq))
store.commit()
"#;

#[test]
fn a_call_that_ran_though_no_rule_lets_it_through_ends_the_rollout_at_once() {
    let python = "/usr/bin/python3";
    if !std::path::Path::new(python).exists() {
        return skipped("needs /usr/bin/python3");
    }
    let calls = searching("a word");
    let mut instar = Instar::start(Setup::scripted(making(&calls, &calls)));
    waiting(&instar, "You are brief.");
    reach(&instar, "You are brief.", 0);
    let made = kinds(&instar, "tool_call").len();
    assert!(made > 0);
    // What the rules let through is let through again, also after a restart.
    let _stopped = instar.kill9();
    instar.launch();
    let _sent = episode(&instar, 900);
    assert!(status(&instar)["ended_at"].is_null());

    let _stopped = instar.kill9();
    let store = instar.state.join("instar.sqlite");
    let changed = Command::new(python)
        .args(["-c", STRICTER])
        .arg(&store)
        .output()
        .unwrap();
    assert!(changed.status.success(), "{changed:?}");
    instar.launch();
    assert_eq!(
        stopped(&instar),
        "sessions_search was called, and no rule lets that through"
    );
}
