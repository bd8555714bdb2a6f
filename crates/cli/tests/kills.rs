//! A gateway that is killed at every step of a candidate's way: it is found where it was, or one step further, and
//! never in between.

use serde_json::{Value, json};
use std::process::Stdio;

use crate::rollouts::{BAD, candidate, episode, script, status};
use crate::support::{Instar, Setup, until};

/// Kills the gateway and starts it again; what is found then fits together.
fn killed(instar: &mut Instar) -> Value {
    let _stopped = instar.kill9();
    instar.launch();
    whole(instar)
}

fn whole(instar: &Instar) -> Value {
    let verified = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(verified["problems"], json!([]));
    let history = instar.run(["rollout", "history", "--json"]).json();
    let Some(last) = history.as_array().unwrap().first().cloned() else {
        return Value::Null;
    };
    let stable = instar.run(["release", "show", "--json"]).json()["id"].clone();
    let id = last["candidate"].as_str().unwrap();
    let state = instar.run(["candidate", "show", id, "--json"]).json()["state"].clone();
    let expected = match last["stage"]["stage"].as_str().unwrap() {
        "promoted" => (&last["release"], "promoted"),
        "rolled_back" => (&last["stable"], "rolled_back"),
        _ => (&last["stable"], "open"),
    };
    assert_eq!(
        (&stable, state),
        (expected.0, json!(expected.1)),
        "{last:#}"
    );
    last
}

/// Whether a rollout is where it is waited for.
type There = Box<dyn Fn(&Value) -> bool>;

/// The parts that say how far a rollout is.
fn place(shown: &Value) -> Vec<Value> {
    [
        "id",
        "stage",
        "settled",
        "pairs",
        "evidence_worse",
        "evidence_sound",
        "evidence_paired",
    ]
    .map(|name| shown[name].clone())
    .to_vec()
}

/// Talks until the rollout is as wanted, and everything that was said is judged.
fn talk(instar: &Instar, from: u32, there: impl Fn(&Value) -> bool) -> Value {
    for number in from..from + 90 {
        let _sent = episode(instar, number);
        let shown = until("what was said is judged", || {
            let shown = status(instar);
            (shown["waiting"] == 0 || !shown["ended_at"].is_null()).then_some(shown)
        });
        if there(&shown) {
            return shown;
        }
    }
    panic!("it did not get there: {:#}", status(instar));
}

fn begin(instar: &Instar, id: &str, shadow: &str) {
    // The shadow answers after the turn.
    let maturity = if shadow == "0" { "0" } else { "1" };
    let args = [
        "rollout",
        "start",
        id,
        "--shares",
        "0.3,0.5",
        "--units-min",
        "3",
        "--margin",
        "0.4",
        "--turns",
        "1",
        "--maturity",
        maturity,
        "--watch",
        "0",
        "--shadow",
        shadow,
        "--json",
    ];
    let _begun = instar.run_with(&args, "").json();
}

fn at(stage: &str, step: u64) -> impl Fn(&Value) -> bool {
    move |shown| shown["stage"] == json!({"stage": stage, "step": step})
}

/// A check that is cut in the middle: some gates have answered, and the judge may be at work.
fn cut_check(instar: &mut Instar, id: &str) {
    let args: Vec<String> = ["candidate", "check", id].map(str::to_owned).to_vec();
    let mut asking = instar
        .command(&[], &args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answered = |table: &Value| {
        let rows = table["rows"].as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().filter(|row| !row["at"].is_null()).count()
    };
    until("a gate has answered", || {
        let path = format!("/api/v1/candidates/{id}/gates");
        (answered(&instar.http.get(&path).json()) > 0).then_some(())
    });
    let _nothing = killed(instar);
    let _code = asking.wait();
}

fn check(instar: &Instar, id: &str) {
    let _table = instar.run(["candidate", "check", id, "--json"]).json();
    let yes = instar.run(["candidate", "approve", id, "--json"]).json();
    assert_eq!(yes["decision"]["may"], "stable", "{yes:#}");
}

#[test]
fn a_gateway_that_is_killed_at_every_step_to_a_promotion_goes_on_where_it_was() {
    let config = json!({"improve": {"autonomy": {"b": "nothing"}}});
    let mut instar = Instar::start(Setup::scripted(script()).config(config));
    let made = candidate(&instar, "You are brief.");
    assert_eq!(killed(&mut instar), Value::Null);
    cut_check(&mut instar, &made);
    let tables = instar.run(["candidate", "check", &made, "--json"]).json();
    let _none = killed(&mut instar);
    let again = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(again["state"], "open");
    let kept = instar
        .http
        .get(&format!("/api/v1/candidates/{made}/gates"))
        .json();
    assert_eq!(kept["rows"], tables["rows"], "what the gates said is kept");
    let _yes = instar.run(["candidate", "approve", &made, "--json"]).json();
    let _none = killed(&mut instar);
    begin(&instar, &made, "2");
    let mut from = 0;
    let steps: [There; 5] = [
        Box::new(|shown| shown["stage"]["stage"] == "shadow"),
        Box::new(|shown| shown["pairs"] == 1 || shown["stage"]["stage"] != "shadow"),
        Box::new(at("canary", 0)),
        Box::new(at("canary", 1)),
        Box::new(|shown| shown["stage"]["stage"] == "promoted"),
    ];
    for (number, there) in steps.iter().enumerate() {
        let shown = match number {
            0 => status(&instar),
            _ => talk(&instar, from, there),
        };
        from += 100;
        let found = killed(&mut instar);
        assert_eq!(place(&found), place(&shown), "{number}: {found:#}");
    }
    assert!(episode(&instar, 9_000).contains("You are brief."));
}

#[test]
fn a_gateway_that_is_killed_without_a_warning_on_the_way_to_a_rollback_never_shows_a_mixture() {
    let config = json!({"improve": {"autonomy": {"b": "nothing"}}});
    let mut instar = Instar::start(Setup::scripted(script()).config(config));
    let before = instar.run(["release", "show", "--json"]).json();
    let made = candidate(&instar, BAD);
    check(&instar, &made);
    begin(&instar, &made, "0");
    // In the middle of whatever is under way: episodes that are judged at this very moment.
    for round in 0..4 {
        for number in 0..2 {
            let _sent = episode(&instar, 10 * round + number);
        }
        let _found = killed(&mut instar);
    }
    let ended = talk(&instar, 100, |shown| !shown["ended_at"].is_null());
    assert_eq!(ended["stage"]["why"]["reason"], "worse", "{ended:#}");
    let found = killed(&mut instar);
    assert_eq!(place(&found), place(&ended));
    let after = instar.run(["release", "show", "--json"]).json();
    assert_eq!(after["id"], before["id"]);
    assert!(!episode(&instar, 9_000).contains(BAD));
}
