//! Schedules through the built binary: configured, run, told of, killed in the middle, and changed as a part
//! of the release.

use instar_demo::{Answer, Script, Step, When};
use instar_store::{HealingRow, Op};
use serde_json::{Value, json};

use crate::rollouts::serve;
use crate::schedules::offline;
use crate::support::{Instar, Setup, until};

const HOUR_MS: u64 = 3_600_000;

/// Says what the text of the schedule says, in words of its own.
fn script() -> Script {
    let told = |text: &str| Answer::of([Step::Text(text.to_owned())]);
    let when = |text: &str| When {
        system_contains: Some(text.to_owned()),
        ..When::default()
    };
    Script::default()
        .rule(when("Tell the weather."), told("It <b>rains</b>."))
        .rule(when("Tell the tide."), told("The tide is low."))
        .rule(when("Take your time."), Answer::of([Step::Pause(600_000)]))
        .rule(When::default(), told("NO_REPLY"))
}

fn start(schedules: &Value) -> Instar {
    let defaults = json!({ "schedules": schedules, "userTimezone": "UTC" });
    Instar::start(Setup::scripted(script()).config(json!({ "agents": { "defaults": defaults } })))
}

fn weather() -> Value {
    json!({ "weather": { "cron": "30 7 * * mon-fri", "tz": "Europe/Berlin", "prompt": "Tell the weather." } })
}

fn runs(instar: &Instar) -> Vec<Value> {
    let found = instar.run(["schedule", "runs", "--json"]).json();
    found["runs"].as_array().unwrap().clone()
}

/// The newest run, once so many are over.
fn over(instar: &Instar, count: usize) -> Value {
    until("a run", || {
        let runs = runs(instar);
        let ended = runs.iter().filter(|run| !run["end"].is_null()).count();
        (ended == count).then(|| runs[0].clone())
    })
}

#[test]
fn a_schedule_is_configured_and_run_and_what_it_says_lies_in_the_inbox() {
    let instar = start(&json!({}));
    let none = instar.run(["schedule", "list"]);
    assert!(none.stderr.contains("no agent has a schedule"), "{none:?}");
    let key = "agents.defaults.schedules";
    let set = instar.run(["config", "set", key, &weather().to_string()]);
    assert!(set.code == 0, "{set:?}");
    let shown = until("the schedule", || {
        let shown = instar.run(["schedule", "show", "weather"]);
        (shown.code == 0).then_some(shown)
    });
    assert!(
        shown
            .stdout
            .contains("weather of main: cron 30 7 * * mon-fri, Europe/Berlin")
            && shown.stdout.contains("Tell the weather."),
        "{shown:?}"
    );
    assert_eq!(shown.stdout.matches("next in").count(), 3, "{shown:?}");
    let diff = instar.run(["release", "diff"]).stdout;
    assert!(
        diff.contains("agents.main.schedules.weather") && diff.contains("cron 30 7 * * mon-fri"),
        "{diff}"
    );
    let begun = instar.run(["schedule", "run", "weather", "--json"]).json();
    let run = over(&instar, 1);
    assert_eq!((&run["id"], &run["byHand"]), (&begun["id"], &json!(true)));
    assert_eq!(run["end"]["status"], "told", "{run}");
    let letters = instar.run(["inbox", "list", "--json"]).json();
    assert_eq!(letters["letters"][0]["text"], "It <b>rains</b>.");
    assert_eq!(letters["letters"][0]["id"], run["end"]["letter"]);
    let listed = instar.run(["schedule", "list"]).stdout;
    assert!(listed.contains("told: It <b>rains</b>."), "{listed}");
    let unknown = instar.run(["schedule", "run", "whether"]);
    assert!(
        unknown.code != 0
            && unknown
                .stderr
                .contains("the agent main has no schedule whether"),
        "{unknown:?}"
    );
    let two = json!({ "cron": "0 7 * * *", "every": "2h", "prompt": "x" });
    for (name, schedule, place, told) in [
        (
            "a",
            json!({ "cron": "61 7 * * *", "prompt": "x" }),
            "a.cron",
            "\"61\" is no minute",
        ),
        ("a", two, "a", "exactly one of cron, every and at"),
        (
            "a",
            json!({ "every": "2h", "tz": "Mars/Base", "prompt": "x" }),
            "a.tz",
            "a time zone",
        ),
        (
            "a",
            json!({ "every": "30s", "prompt": "x" }),
            "a.every",
            "minutes, hours or days",
        ),
        (
            "B",
            json!({ "every": "2h", "prompt": "x" }),
            "B",
            "small letters",
        ),
        (
            "a",
            json!({ "at": "tomorrow", "prompt": "x" }),
            "a.at",
            "a day and a time",
        ),
    ] {
        let key = format!("{key}.{name}");
        let wrong = instar.run(["config", "set", &key, &schedule.to_string()]);
        let place = format!("agents.defaults.schedules.{place}");
        assert!(
            wrong.code != 0 && wrong.stderr.contains(&place) && wrong.stderr.contains(told),
            "{told}: {wrong:?}"
        );
    }
}

/// Moves the mark of a schedule back, as if its times had passed while the gateway did not run.
fn set_back(instar: &Instar, hours: u64) {
    offline(instar, async |store| {
        let rows = store.healing("schedule").await.unwrap();
        let moved = rows.into_iter().map(|row| {
            let mut mark: Value = serde_json::from_str(&row.body).unwrap();
            let seen = mark["seen"].as_u64().unwrap();
            mark["seen"] = json!(seen - hours * HOUR_MS);
            Op::PutHealing(HealingRow {
                body: mark.to_string(),
                ..row
            })
        });
        store.commit(moved.collect()).await.unwrap();
    });
}

#[test]
fn a_run_that_was_killed_is_told_of_and_a_time_that_was_missed_is_made_up_for_once() {
    // Whatever the hour: some time within the last three, at which it is not due again for a day.
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = now
        .checked_sub(jiff::SignedDuration::from_hours(2))
        .unwrap()
        .hour();
    let cron = format!("0 {hour} * * *");
    let mut instar = start(&json!({ "slow": { "cron": cron, "prompt": "Take your time." } }));
    until("the mark", || {
        let list = instar.run(["schedule", "list", "--json"]).json();
        (!list["schedules"][0]["since"].is_null()).then_some(())
    });
    let begun = instar.run(["schedule", "run", "slow"]);
    assert!(begun.code == 0, "{begun:?}");
    until("the call", || {
        (instar.model.requests().len() == 1).then_some(())
    });
    let twice = instar.run(["schedule", "run", "slow"]);
    assert!(
        twice.code != 0 && twice.stderr.contains("under way"),
        "{twice:?}"
    );
    instar.kill9();
    instar.launch_again();
    let cut = over(&instar, 1);
    assert_eq!(
        cut["end"]["reason"],
        "the gateway stopped before it was over"
    );
    assert_eq!(instar.model.requests().len(), 1, "it was begun again");
    // It was off for three hours, in which it was due.
    instar.kill9();
    set_back(&instar, 3);
    instar.launch_again();
    let made_up = until("the run", || {
        let runs = runs(&instar);
        (runs.len() == 2).then(|| runs[0].clone())
    });
    assert_eq!(made_up["byHand"], false, "{made_up}");
    until("the call", || {
        (instar.model.requests().len() == 2).then_some(())
    });
    instar.kill9();
    instar.launch_again();
    let cut = over(&instar, 2);
    assert_eq!(cut["id"], made_up["id"], "it was begun again");
    assert_eq!(instar.model.requests().len(), 2);
}

#[test]
fn a_schedule_is_a_part_of_the_release_and_changed_as_one() {
    let instar = start(&weather());
    let tide = json!({ "when": "cron 30 7 * * mon-fri", "zone": "Europe/Berlin", "text": "Tell the tide." });
    let delta = |schedule: &Value| json!({ "set_schedule": { "agent": "main", "name": "weather", "schedule": schedule } });
    let made = instar.propose(&delta(&tide)).json();
    assert_eq!(made["class"], "C", "{made}");
    let candidate = made["id"].as_str().unwrap();
    let shown = instar.run(["candidate", "diff", candidate]).stdout;
    assert!(
        shown.contains("agents.main.schedules.weather.text") && shown.contains("Tell the tide."),
        "{shown}"
    );
    let mars = json!({ "when": "every 2h", "zone": "Mars/Base", "text": "x" });
    for (schedule, told) in [
        (&mars, "there is no time zone Mars/Base"),
        (
            &json!({ "when": "cron 61 * * * *", "text": "x" }),
            "is no minute",
        ),
        (
            &json!({ "when": "every 2h", "text": " " }),
            "its text has 1 to 4000 characters",
        ),
        (
            &json!({ "when": "every 2h", "text": "x", "shell": "ls" }),
            "shell",
        ),
    ] {
        let refused = instar.propose(&delta(schedule));
        assert!(
            refused.code != 0 && refused.stderr.contains(told),
            "{told}: {refused:?}"
        );
    }
    serve(&instar, candidate);
    instar.run(["schedule", "run", "weather"]);
    assert_eq!(over(&instar, 1)["end"]["text"], "The tide is low.");
    let back = instar.run(["release", "rollback", "--reason", "it rains"]);
    assert!(back.code == 0, "{back:?}");
    instar.run(["schedule", "run", "weather"]);
    assert_eq!(over(&instar, 2)["end"]["text"], "It <b>rains</b>.");
}
