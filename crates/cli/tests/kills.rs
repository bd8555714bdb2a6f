//! A gateway that is killed at every step of a candidate's way: it is found where it was, or one step further, and
//! never in between.

use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

use crate::rollouts::{BAD, candidate, episode, script, status};
use crate::support::{Instar, Setup, children, kill9, until};

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

/// What came of it, in words that are the same in every house: the stage, the candidate, and every move of the alias.
fn ended(instar: &Instar) -> Value {
    let last = whole(instar);
    let candidate = last["candidate"].as_str().unwrap();
    let shown = instar
        .run(["candidate", "show", candidate, "--json"])
        .json();
    let log = instar.run(["release", "log", "--json"]).json();
    let rows = log.as_array().unwrap();
    let moves: Vec<Value> = rows
        .iter()
        .map(|row| {
            let name = |id: &Value| match id {
                Value::Null => "nothing",
                id if *id == last["release"] => "candidate",
                id if *id == last["stable"] => "stable",
                _ => "another",
            };
            let (from, to) = (name(&row["from"]), name(&row["to"]));
            let reason = row["reason"]
                .as_str()
                .unwrap()
                .replace(&candidate[..12], "it");
            json!([row["alias"], from, to, reason, row["by"]])
        })
        .collect();
    json!({"stage": last["stage"], "state": shown["state"], "moves": moves})
}

/// A house in which nothing begins by itself.
fn house() -> Instar {
    let config = json!({"improve": {"autonomy": {"b": "nothing"}}});
    Instar::start(Setup::scripted(script()).config(config))
}

/// A sound candidate on its way from its making to everybody, with a kill at every step or with none.
fn to_promotion(is_killed: bool) -> Value {
    let mut instar = house();
    let step = |instar: &mut Instar| {
        if is_killed {
            killed(instar)
        } else {
            whole(instar)
        }
    };
    let made = candidate(&instar, "You are brief.");
    assert_eq!(step(&mut instar), Value::Null);
    if is_killed {
        cut_check(&mut instar, &made);
    }
    let tables = instar.run(["candidate", "check", &made, "--json"]).json();
    let _none = step(&mut instar);
    let again = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(again["state"], "open");
    let kept = instar
        .http
        .get(&format!("/api/v1/candidates/{made}/gates"))
        .json();
    assert_eq!(kept["rows"], tables["rows"], "what the gates said is kept");
    let _yes = instar.run(["candidate", "approve", &made, "--json"]).json();
    let _none = step(&mut instar);
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
        let found = step(&mut instar);
        assert_eq!(place(&found), place(&shown), "{number}: {found:#}");
    }
    assert!(episode(&instar, 9_000).contains("You are brief."));
    ended(&instar)
}

/// A bad one on its way to being taken back, with kills in the middle of whatever is under way or with none.
fn to_rollback(is_killed: bool) -> Value {
    let mut instar = house();
    let before = instar.run(["release", "show", "--json"]).json();
    let made = candidate(&instar, BAD);
    check(&instar, &made);
    begin(&instar, &made, "0");
    for round in 0..4 {
        for number in 0..2 {
            let _sent = episode(&instar, 10 * round + number);
        }
        if is_killed {
            // Episodes may be judged at this very moment.
            let _found = killed(&mut instar);
        }
    }
    let last = talk(&instar, 100, |shown| !shown["ended_at"].is_null());
    assert_eq!(last["stage"]["why"]["reason"], "worse", "{last:#}");
    if is_killed {
        let found = killed(&mut instar);
        assert_eq!(place(&found), place(&last));
    }
    let after = instar.run(["release", "show", "--json"]).json();
    assert_eq!(after["id"], before["id"]);
    assert!(!episode(&instar, 9_000).contains(BAD));
    ended(&instar)
}

/// What came of it with the kills and without, side by side: much of the time is waited.
fn both(way: fn(bool) -> Value) -> (Value, Value) {
    std::thread::scope(|scope| {
        let whole = scope.spawn(|| way(false));
        let broken = way(true);
        (broken, whole.join().unwrap())
    })
}

#[test]
fn a_gateway_that_is_killed_at_every_step_to_a_promotion_ends_as_one_that_was_not() {
    let (broken, whole) = both(to_promotion);
    assert_eq!(broken["stage"]["stage"], "promoted", "{broken:#}");
    // What the files say stands beside it from then on.
    assert_eq!(broken["moves"].as_array().unwrap().len(), 3, "{broken:#}");
    assert_eq!(broken, whole);
}

#[test]
fn a_gateway_that_is_killed_without_a_warning_on_the_way_to_a_rollback_ends_as_one_that_was_not() {
    let (broken, whole) = both(to_rollback);
    assert_eq!(broken["moves"].as_array().unwrap().len(), 1, "{broken:#}");
    assert_eq!(broken, whole);
}

/// A cycle of the lab in a process of its own.
fn cycle_beside(instar: &Instar) -> std::process::Child {
    let args: Vec<String> = ["lab", "run", "--at-any-load"].map(str::to_owned).to_vec();
    instar
        .command(&[], &args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The lab's own job, as soon as it is there; none if the cycle was over before it was seen.
fn jobs_of(instar: &Instar, before: &[u32], cycle: &mut std::process::Child) -> Option<Vec<u32>> {
    until("the lab is at work, or through", || {
        let mut jobs = children(instar.pid());
        jobs.retain(|job| !before.contains(job));
        if jobs.is_empty() {
            return cycle.try_wait().unwrap().map(|_| None);
        }
        Some(Some(jobs))
    })
}

/// Faults of the tool that the lab knows, with how often it has failed, and who has proposed something.
fn known(instar: &Instar) -> (Vec<Value>, Vec<String>) {
    let faults = instar.run(["fault", "list", "--json"]).json();
    let of_tool = |fault: &&Value| fault["place"] == "tool:read";
    let proposed = instar.run(["candidate", "list", "--json"]).json();
    let by = |one: &Value| one["proposer"].as_str().unwrap().to_owned();
    (
        faults
            .as_array()
            .unwrap()
            .iter()
            .filter(of_tool)
            .map(|fault| fault["failures"].clone())
            .collect(),
        proposed.as_array().unwrap().iter().map(by).collect(),
    )
}

/// How often a cycle is cut, and how much later each time.
const KILLS: u32 = 10;
const STEP: Duration = Duration::from_millis(30);

/// A house whose tool has failed three times.
fn failed() -> Instar {
    let instar = crate::healing::failing();
    for _ in 0..3 {
        let answer = crate::tools::said(&instar, "look");
        assert!(answer.contains("must be a whole number"), "{answer}");
    }
    assert_eq!(known(&instar), (Vec::new(), Vec::new()));
    instar
}

fn cycle(instar: &Instar) {
    let told = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(told["outcome"], "done", "{told:#}");
}

#[test]
fn a_lab_or_a_gateway_that_is_killed_in_a_cycle_finds_once_what_it_would_have_found() {
    let mut instar = failed();
    // The lab alone, and then the gateway with it, each later in the cycle than the one before; one that was too
    // quick is no loss.
    let mut cut = 0;
    for wait in 0..KILLS {
        let before = children(instar.pid());
        let mut cycle = cycle_beside(&instar);
        let Some(jobs) = jobs_of(&instar, &before, &mut cycle) else {
            break;
        };
        std::thread::sleep(STEP * wait);
        cut += u32::from(cycle.try_wait().unwrap().is_none());
        if wait % 2 == 0 {
            for job in jobs {
                kill9(job);
            }
        } else {
            let _stopped = instar.kill9();
            instar.launch();
        }
        let _code = cycle.wait();
    }
    assert!(cut > 0, "nothing was killed");
    cycle(&instar);
    let (failures, mut proposers) = known(&instar);
    let whole = failed();
    cycle(&whole);
    let (expected, proposed) = known(&whole);
    assert_eq!((failures.len(), &failures), (1, &expected));
    // One that was cut may have proposed already; then the next has tried another recipe, and none is proposed twice.
    assert!(proposers.contains(&proposed[0]), "{proposers:?}");
    let count = proposers.len();
    proposers.sort();
    proposers.dedup();
    assert_eq!(proposers.len(), count, "{proposers:?}");
}
