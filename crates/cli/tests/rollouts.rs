//! Rollouts through the binary: a sound candidate becomes stable, a bad one is taken back, and a gateway that is
//! killed goes on where it was.

use instar_demo::{Answer, Fault, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::support::{Instar, Setup, until};

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
    let args = [
        "rollout",
        "start",
        candidate,
        "--shares",
        "0.5",
        "--units-min",
        "2",
        "--margin",
        margin,
        "--watch",
        "0",
        "--turns",
        "1",
        "--maturity",
        "0",
        "--json",
    ];
    instar.run_with(&args, "").json()
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
    let _outcome = instar.ask(&format!("agent:main:talk{number}"), "hello");
    let requests = instar.model.requests();
    requests.last().unwrap().body.to_string()
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
    assert!(arms("canary") > 2 && arms("stable") > 2, "{units:#}");
    let shown = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(shown["state"], "rolled_back");
    let again = instar.run(["rollout", "start", &made]);
    assert_ne!(again.code, 0);
    assert!(again.stderr.contains("rolled back"), "{again:?}");
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
    assert!(refused.stderr.contains("is under way"), "{refused:?}");
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
    assert!(none.stderr.contains("no rollout is under way"), "{none:?}");
}

#[test]
fn a_plan_tells_how_long_it_takes_before_anything_begins() {
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, "You are brief.");
    let told = instar.run(["rollout", "start", &made, "--dry-run"]);
    assert!(told.stdout.contains("nothing was begun"), "{told:?}");
    assert!(told.stderr.contains("to see a doubling"), "{told:?}");
    let none = instar.run(["rollout", "status"]);
    assert!(none.stderr.contains("no rollout is under way"), "{none:?}");
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
fn talk_until(instar: &Instar, there: impl Fn(&Value) -> bool) -> Value {
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

fn shadowed(instar: &Instar, identity: &str, pairs: &str) {
    let made = candidate(instar, identity);
    for gates in ["check", "approve"] {
        let _table = instar.run(["candidate", gates, &made, "--json"]).json();
    }
    let args = [
        "rollout",
        "start",
        &made,
        "--shares",
        "0.5",
        "--turns",
        "1",
        "--maturity",
        "1",
        "--shadow",
        pairs,
        "--json",
    ];
    let begun = instar.run_with(&args, "").json();
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

#[test]
fn a_secret_in_an_answer_of_the_candidate_ends_it_at_once() {
    let instar = Instar::start(Setup::scripted(script()));
    let kept = instar.run_with(
        &["secrets", "set", "elsewhere"],
        "hunter2-hunter2-hunter2\n",
    );
    assert_eq!(kept.code, 0, "{kept:?}");
    let made = candidate(&instar, "You are open about everything.");
    let _begun = start(&instar, &made, "0.05");
    for number in 0..40 {
        if episode(&instar, number).contains("You are open") {
            break;
        }
    }
    let ended = until("it is taken back", || {
        Some(status(&instar)).filter(|shown| !shown["ended_at"].is_null())
    });
    assert_eq!(ended["stage"]["why"]["reason"], "violation", "{ended:#}");
    let what = ended["stage"]["why"]["what"].as_str().unwrap();
    assert!(
        what.contains("the secret elsewhere stood in an answer"),
        "{what}"
    );
    assert!(!what.contains("hunter2"));
}
