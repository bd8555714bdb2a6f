//! Rollouts through the binary: a sound candidate becomes stable, a bad one is taken back, and a gateway that is
//! killed goes on where it was.

use instar_demo::{Answer, Fault, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::support::{Instar, Output, Setup, until};

/// Stands in the identity of the candidate that fails.
pub(crate) const BAD: &str = "You are a failure.";

/// A model that cannot answer under the failing identity.
pub(crate) fn script() -> Script {
    let fails = Rule {
        when: When {
            system_contains: Some(BAD.to_owned()),
            ..When::default()
        },
        answer: Answer {
            fault: Some(Box::new(Fault {
                status: Some(400),
                message: Some("no".to_owned()),
                ..Fault::default()
            })),
            ..Answer::default()
        },
        ..Rule::default()
    };
    let tells = Rule {
        when: When {
            system_contains: Some("You are open about everything.".to_owned()),
            ..When::default()
        },
        answer: Answer::text("The key is hunter2-hunter2-hunter2."),
        ..Rule::default()
    };
    Script {
        rules: vec![fails, tells],
        otherwise: Answer {
            say: vec![Step::Text("Fine.".to_owned())],
            ..Answer::default()
        },
        ..Script::default()
    }
}

pub(crate) fn candidate(instar: &Instar, identity: &str) -> String {
    let delta = json!({"set_prompt": {"agent": "main", "file": "SOUL.md", "text": identity}});
    instar.candidate(&delta)
}

/// Episodes of one turn, judged as soon as they ended. The gates have spoken and the owner has said yes.
pub(crate) fn start(instar: &Instar, candidate: &str, margin: &str) -> Value {
    allowed(instar, candidate);
    begun(instar, candidate, &["--margin", margin, "--maturity", "0"]).json()
}

/// What has to come before: each is asked for by name.
fn allowed(instar: &Instar, candidate: &str) {
    let early = instar.run(["rollout", "start", candidate]);
    assert!(early.stderr.contains("instar candidate check"), "{early:?}");
    let _table = instar
        .run(["candidate", "check", candidate, "--json"])
        .json();
    let early = instar.run(["rollout", "start", candidate]);
    assert!(
        early.stderr.contains("instar candidate approve"),
        "{early:?}"
    );
    let _table = instar
        .run(["candidate", "approve", candidate, "--json"])
        .json();
}

fn begun(instar: &Instar, candidate: &str, more: &[&str]) -> Output {
    let mut args = vec!["rollout", "start", candidate, "--shares", "0.5"];
    args.extend(["--units-min", "2", "--watch", "0", "--turns", "1", "--json"]);
    args.extend(more);
    instar.run_with(&args, "")
}

pub(crate) fn status(instar: &Instar) -> Value {
    instar.run(["rollout", "status", "--json"]).json()
}

fn stable(instar: &Instar) -> String {
    let shown = instar.run(["release", "show", "--json"]).json();
    shown["id"].as_str().unwrap().to_owned()
}

/// One conversation of one turn; the identity that the model was given.
pub(crate) fn episode(instar: &Instar, number: u32) -> String {
    let outcome = instar.ask(&format!("agent:main:talk{number}"), "hello");
    instar.praise(&outcome);
    let requests = instar.model.requests();
    requests.last().unwrap().body.to_string()
}

fn all(output: &Output) -> String {
    format!("{}{}", output.stdout, output.stderr)
}

/// Talks until the rollout has ended.
fn talk_to_the_end(instar: &Instar, from: u32) -> Value {
    for number in from..from + 80 {
        let _sent = episode(instar, number);
        if number % 8 == 7 {
            let judged = |shown: &Value| shown["waiting"] == 0 || !shown["ended_at"].is_null();
            let shown = until("the episodes are judged", || {
                Some(status(instar)).filter(judged)
            });
            if !shown["ended_at"].is_null() {
                return shown;
            }
        }
    }
    panic!("it has not ended: {:#}", status(instar));
}

#[test]
fn a_sound_candidate_becomes_stable_and_stays_so() {
    let mut instar = Instar::start(Setup::scripted(script()));
    let before = stable(&instar);
    let made = candidate(&instar, "You are brief.");
    let begun = start(&instar, &made, "0.4");
    assert!(!begun["lines"].as_array().unwrap().is_empty(), "{begun:#}");
    let ended = talk_to_the_end(&instar, 0);
    assert_eq!(ended["stage"]["stage"], "promoted", "{ended:#}");
    let after = stable(&instar);
    assert_eq!(ended["release"], json!(after));
    assert!(episode(&instar, 900).contains("You are brief."));

    // Neither the files on the disk nor a restart undo it.
    instar.restart();
    assert_eq!(stable(&instar), after);
    let shown = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(shown["state"], "promoted");
    let verified = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(verified["problems"], json!([]));
    assert_ne!(before, after);
}

/// Asks with no conversation named, as an evaluation does.
fn in_passing(instar: &Instar) {
    let body = json!({"model": "instar", "messages": [{"role": "user", "content": "hello"}]});
    let answer = instar.http.post("/v1/chat/completions", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn where_nobody_says_a_word_a_candidate_is_held_and_what_runs_in_passing_is_no_episode() {
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, "You are brief.");
    let _begun = start(&instar, &made, "0.4");
    for _request in 0..12 {
        in_passing(&instar);
        assert!(
            !instar
                .model
                .requests()
                .last()
                .unwrap()
                .body
                .to_string()
                .contains("You are brief."),
            "what is no episode is served what is stable"
        );
    }
    let shown = status(&instar);
    assert_eq!(
        (&shown["waiting"], &shown["settled"]),
        (&json!(0), &json!(0))
    );

    let judged = |most: u32| {
        let mut number = 0;
        until("the silent episodes are judged", || {
            if number < most {
                let _outcome = instar.ask(&format!("agent:main:silent{number}"), "hello");
                number += 1;
            }
            let shown = status(&instar);
            let is_sound = shown["evidence_sound"].as_f64() >= shown["sound_at"].as_f64();
            (shown["waiting"] == 0 && is_sound && number >= 30).then_some(shown)
        })
    };
    let held = judged(90);
    assert_eq!(held["stage"]["stage"], "canary", "{held:#}");
    assert_eq!(
        (&held["hold"], &held["heard"]),
        (&json!("silence"), &json!([0, 0]))
    );
    let told = instar.run(["rollout", "status"]);
    assert!(
        all(&told).contains("too little was heard of an arm"),
        "{told:?}"
    );
    assert_eq!(instar.http.get("/rollouts/nobody").status, 404);
    let path = format!("/rollouts/{}", held["id"].as_str().unwrap());
    let page = instar.http.get(&path).body;
    assert!(page.contains("too little was heard of an arm"), "{page}");
    // Words about both arms let it go on.
    let ended = talk_to_the_end(&instar, 100);
    assert_eq!(ended["stage"]["stage"], "promoted", "{ended:#}");
}

#[test]
fn a_bad_candidate_is_taken_back_by_itself_with_its_reason() {
    let instar = Instar::start(Setup::scripted(script()));
    let before = stable(&instar);
    let made = candidate(&instar, BAD);
    let _begun = start(&instar, &made, "0.05");
    let ended = talk_to_the_end(&instar, 0);
    assert_eq!(ended["stage"]["stage"], "rolled_back", "{ended:#}");
    assert_eq!(ended["stage"]["why"]["reason"], "worse");
    assert_eq!(stable(&instar), before);
    for number in 900..906 {
        assert!(!episode(&instar, number).contains(BAD));
    }
    let told = instar.run(["rollout", "status"]).stdout;
    assert!(
        told.contains("taken back: the evidence that it is worse"),
        "{told}"
    );
    let events = instar.run(["events", "tail", "--kind", "rollout", "--json"]);
    assert!(events.stdout.contains("rolled_back"), "{events:?}");
    // Both arms were recorded before their first turn, and both were judged.
    let units = instar
        .http
        .get(&format!(
            "/api/v1/rollouts/{}/units?limit=100",
            ended["id"].as_str().unwrap()
        ))
        .json();
    let arms = |arm: &str| {
        let of = |unit: &&Value| unit["arm"] == arm;
        units.as_array().unwrap().iter().filter(of).count()
    };
    // The coins decide how many there are of each.
    assert!(arms("canary") > 2 && arms("stable") > 0, "{units:#}");
    let shown = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(shown["state"], "rolled_back");
    let again = instar.run(["rollout", "start", &made]);
    assert_ne!(again.code, 0);
    assert!(again.stderr.contains("rolled back"), "{again:?}");
}

/// Under one identity each turn wants something that has to be asked for.
fn asking() -> Script {
    serde_json::from_value(json!({
        "rules": [{
            "when": {"system_contains": "You ask for everything.", "no_result": true},
            "answer": {"say": [{"call": {"name": "write", "arguments": {"path": "a.md", "content": "x"}}}]},
        }],
        "otherwise": {"say": [{"text": "Fine."}]},
    }))
    .unwrap()
}

#[test]
fn what_needs_nobody_s_word_takes_a_candidate_back_before_anything_else_is_ripe() {
    let config = json!({"policy": {"askWaitSeconds": 0}});
    let instar = Instar::start(Setup::scripted(asking()).config(config));
    let made = candidate(&instar, "You ask for everything.");
    allowed(&instar, &made);
    let hour = ["--maturity", "3600"];
    let late = begun(
        &instar,
        &made,
        &[&hour[..], &["--fast-maturity", "3601"]].concat(),
    );
    assert_ne!(late.code, 0, "{late:?}");
    assert!(late.stderr.contains("are judged earlier"), "{late:?}");
    let plan = begun(
        &instar,
        &made,
        &[&hour[..], &["--fast-maturity", "0"]].concat(),
    );
    assert_eq!(plan.code, 0, "{plan:?}");
    for number in 0..80 {
        let _outcome = instar.ask(&format!("agent:main:ask{number}"), "hello");
        if number % 8 == 7 && !status(&instar)["ended_at"].is_null() {
            break;
        }
    }
    let ended = status(&instar);
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    assert_eq!(ended["settled"], 0, "no task was judged: {ended:#}");
}

#[test]
fn a_gateway_that_is_killed_goes_on_with_the_same_arms_and_the_owner_ends_it() {
    let mut instar = Instar::start(Setup::scripted(script()));
    let before = stable(&instar);
    let made = candidate(&instar, "You are brief.");
    let _begun = start(&instar, &made, "0.05");
    for number in 0..6 {
        let _sent = episode(&instar, number);
    }
    let shown = until("they are judged", || {
        Some(status(&instar)).filter(|shown| shown["settled"] == 6)
    });
    let _stopped = instar.kill9();
    instar.launch();
    let again = status(&instar);
    for same in [
        "id",
        "stage",
        "settled",
        "evidence_worse",
        "evidence_sound",
        "metrics",
    ] {
        assert_eq!(again[same], shown[same], "{same}");
    }
    let refused = instar.run(["rollout", "start", &made]);
    assert!(
        refused.code == 5 && refused.stderr.contains("is under way"),
        "{refused:?}"
    );
    let unknown = instar.run(["rollout", "status", "nobody"]);
    assert!(
        unknown.code == 6 && unknown.stderr.contains("instar rollout history"),
        "{unknown:?}"
    );
    let paused = instar.run(["rollout", "pause", "--json"]).json();
    assert_eq!(paused["is_paused"], true);
    for number in 20..28 {
        assert!(!episode(&instar, number).contains("You are brief."));
    }
    let resumed = instar.run(["rollout", "resume", "--json"]).json();
    assert_eq!(resumed["is_paused"], false);
    // With no gateway the owner still has the last word.
    let _stopped = instar.terminate();
    let ended = instar.run(["rollout", "abort", "--json"]).json();
    assert_eq!(ended["stage"]["why"]["reason"], "owner");
    instar.launch();
    assert_eq!(stable(&instar), before);
    for number in 30..38 {
        assert!(!episode(&instar, number).contains("You are brief."));
    }
    let none = instar.run(["rollout", "abort"]);
    assert!(
        none.code == 6 && none.stderr.contains("no rollout is under way"),
        "{none:?}"
    );
}

#[test]
fn a_plan_tells_how_long_it_takes_before_anything_begins() {
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, "You are brief.");
    let told = instar.run(["rollout", "start", &made, "--dry-run"]);
    assert!(told.stdout.contains("nothing was begun"), "{told:?}");
    assert!(told.stderr.contains("to see a doubling"), "{told:?}");
    let none = instar.run(["rollout", "status"]);
    assert!(
        none.code == 6 && none.stderr.contains("no rollout is under way"),
        "{none:?}"
    );
    let wide = instar.candidate(&json!({"widen_policy": {"posture": "open"}}));
    let refused = instar.run(["rollout", "start", &wide]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("may not go as far as stable"),
        "{refused:?}"
    );
    let bad = instar.run(["rollout", "start", &made, "--shares", "0.5,0.2"]);
    assert!(
        bad.stderr.contains("smaller than the one before"),
        "{bad:?}"
    );
    let played = instar.run([
        "rollout", "simulate", "--runs", "50", "--effect", "10", "--json",
    ]);
    assert_eq!(played.json()["rolled_back"], 50);
}

/// Talks, one conversation after the other, until the rollout is there.
pub(crate) fn talk_until(instar: &Instar, mut there: impl FnMut(&Value) -> bool) -> Value {
    for number in 0..60 {
        assert!(!episode(instar, number).is_empty());
        let shown = until("both arms have answered", || {
            let shown = status(instar);
            let waits = shown["waiting"].as_u64().unwrap_or(0);
            (waits == 0 || !shown["ended_at"].is_null()).then_some(shown)
        });
        if there(&shown) {
            return shown;
        }
    }
    panic!("it did not get there: {:#}", status(instar));
}

/// Lets the gates speak, says yes, and begins a rollout with these options.
pub(crate) fn begin(instar: &Instar, candidate: &str, options: &str) -> Value {
    for gates in ["check", "approve"] {
        let _table = instar.run(["candidate", gates, candidate, "--json"]).json();
    }
    let mut args = vec!["rollout", "start", candidate, "--json"];
    args.extend(options.split_whitespace());
    instar.run_with(&args, "").json()
}

/// Lets a candidate through its gates, and makes it what everybody is served.
pub(crate) fn serve(instar: &Instar, candidate: &str) {
    let _begun = begin(instar, candidate, "");
    let ended = instar.run(["rollout", "promote", "--json"]).json();
    assert_eq!(ended["stage"]["stage"], "promoted", "{ended:#}");
}

pub(crate) fn shadowed(instar: &Instar, identity: &str, pairs: &str) {
    let made = candidate(instar, identity);
    let options = format!("--shares 0.5 --turns 1 --maturity 1 --shadow {pairs}");
    let begun = begin(instar, &made, &options);
    assert_eq!(begun["rollout"]["stage"]["stage"], "shadow", "{begun:#}");
}

#[test]
fn a_candidate_that_fails_is_taken_back_in_the_shadow_and_nobody_saw_it() {
    let instar = Instar::start(Setup::scripted(script()));
    shadowed(&instar, BAD, "40");
    let ended = talk_until(&instar, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    assert!(ended["pairs"].as_u64().unwrap() >= 5, "{ended:#}");
    // Every answer that was sent is the stable release's.
    let turns = instar.run(["events", "tail", "--kind", "turn", "-n", "100", "--json"]);
    assert!(turns.stdout.contains("replied"), "{turns:?}");
    assert!(!turns.stdout.contains("failed"), "{turns:?}");
    let shadows = instar.run(["events", "tail", "--kind", "shadow", "-n", "100", "--json"]);
    assert!(
        shadows.stdout.contains("\"canary_failed\":true"),
        "{shadows:?}"
    );
}

#[test]
fn a_sound_candidate_comes_out_of_the_shadow_to_a_share() {
    let instar = Instar::start(Setup::scripted(script()));
    shadowed(&instar, "You are brief.", "2");
    let there = talk_until(&instar, |shown| shown["stage"]["stage"] == "canary");
    assert!(there["pairs"].as_u64().unwrap() >= 2, "{there:#}");
    assert!(there["evidence_paired"].as_f64().unwrap() <= 1.0 + 1e-9);
    let candidates = |sent: &str| sent.contains("You are brief.");
    let mut served = 0;
    for number in 500..520 {
        served += u32::from(candidates(&episode(&instar, number)));
    }
    assert!((2..=18).contains(&served), "{served}");
}

/// Every turn looks something up. Under one identity it is something else, or something that leaves traces.
fn looking() -> Script {
    let call = |name: &str, arguments: Value| json!({"say": [{"call": {"name": name, "arguments": arguments}}]});
    let elsewhere = |says: &str| json!({"says": [says], "no_result": true, "system_contains": "You look elsewhere."});
    serde_json::from_value(json!({
        "rules": [
            {"when": elsewhere("astray"), "answer": call("sessions_search", json!({"query": "something else"}))},
            {"when": elsewhere("tell"), "answer": call("message", json!({"text": "I was here."}))},
            {"when": {"no_result": true}, "answer": call("sessions_search", json!({"query": "a word"}))},
        ],
        "otherwise": {"say": [{"text": "Fine."}]},
    }))
    .unwrap()
}

pub(crate) fn kinds(instar: &Instar, kind: &str) -> Vec<Value> {
    let told = instar.run(["events", "tail", "--kind", kind, "-n", "100", "--json"]);
    told.stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn in_the_shadow_a_call_gets_what_the_turn_got_and_one_that_leaves_traces_is_counted_and_not_made()
{
    let instar = Instar::start(Setup::scripted(looking()));
    shadowed(&instar, "You look elsewhere.", "40");
    let mut number = 0;
    let mut say = |text: &str| {
        number += 1;
        let outcome = instar.ask(&format!("agent:main:look{number}"), text);
        assert_eq!(outcome["text"], "Fine.", "{outcome:#}");
        until("both arms have answered and were judged", || {
            let shown = status(&instar);
            let is_over = shown["waiting"] == 0 || !shown["ended_at"].is_null();
            (is_over && kinds(&instar, "shadow").len() == number).then_some(shown)
        })
    };
    let shadow = || kinds(&instar, "shadow").pop().unwrap();
    // The same call: its result is the turn's, and it was made once.
    assert_eq!(say("hello")["pairs"], 1);
    let told = shadow();
    assert_eq!(
        (&told["is_judged"], &told["canary_failed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(kinds(&instar, "tool_call").len(), 1);
    let asked = instar.model.requests();
    let of_candidate: Vec<String> = asked
        .iter()
        .map(|request| request.body.to_string())
        .filter(|body| body.contains("You look elsewhere."))
        .collect();
    assert_eq!(of_candidate.len(), 2, "it goes on with the result");
    // Another call: nothing is known of it, so nothing is said.
    assert_eq!(say("go astray")["pairs"], 1);
    let told = shadow();
    assert_eq!(
        (&told["is_judged"], &told["canary_effect"]),
        (&json!(false), &json!(false))
    );
    // One that leaves traces is not made; that it was asked for is counted by itself.
    let shown = say("tell me");
    assert_eq!(shown["pairs"], 1);
    let told = shadow();
    assert_eq!(
        (&told["canary_effect"], &told["stable_effect"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        kinds(&instar, "tool_call").len(),
        3,
        "those of the turns alone"
    );
    let mut shown = shown;
    for _episode in 0..15 {
        if !shown["ended_at"].is_null() {
            break;
        }
        shown = say("tell me");
    }
    assert_eq!(shown["stage"]["why"]["reason"], "worse", "{shown:#}");
    assert_eq!(shown["pairs"], 1, "{shown:#}");
}
