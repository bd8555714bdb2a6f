//! What the gateway does about candidates by itself, what waits for the owner, and what follows a promotion.

use instar_demo::{Answer, Fault, Rule, Script, When};
use serde_json::{Value, json};

use crate::rollouts::{candidate, episode, script, status};
use crate::support::{Instar, Setup, until};

/// Every episode is one turn, and is judged at once.
fn config(more: &Value) -> Value {
    let mut rollout = json!({
        "shares": [0.5], "minEvents": 2, "shadowPairs": 2, "turns": 1, "maturitySeconds": 0, "margin": 0.4,
    });
    crate::support::merge(&mut rollout, more.clone());
    json!({"improve": {"rollout": rollout}})
}

fn letters(instar: &Instar) -> String {
    instar.run(["inbox", "list", "--json"]).stdout
}

fn check(instar: &Instar, id: &str) {
    let _table = instar.run(["candidate", "check", id, "--json"]).json();
}

/// Talks, one conversation after the other, until the rollout is as wanted.
fn talk(instar: &Instar, text: &str, most: u32, there: impl Fn(&Value) -> bool) -> Value {
    let base = instar.model.requests().len();
    for number in 0..most {
        let outcome = instar.ask(&format!("agent:main:talk{base}x{number}"), text);
        instar.praise(&outcome);
        let shown = until("what was said is judged", || {
            let shown = status(instar);
            (shown["waiting"] == 0 || there(&shown)).then_some(shown)
        });
        if there(&shown) {
            return shown;
        }
    }
    panic!("it did not get there: {:#}", status(instar));
}

#[test]
fn a_candidate_whose_gates_pass_goes_into_its_shadow_by_itself_and_asks_before_it_goes_further() {
    let instar =
        Instar::start(Setup::scripted(script()).config(config(&json!({"maturitySeconds": 1}))));
    let first = candidate(&instar, "You are brief.");
    check(&instar, &first);
    let begun = status(&instar);
    assert_eq!(begun["stage"]["stage"], "shadow", "{begun:#}");
    assert_eq!(begun["by"], "the gateway");
    let events = instar
        .run(["events", "tail", "--kind", "rollout", "--json"])
        .stdout;
    let why = "every gate passed, and class B goes as far as shadow by itself";
    assert!(events.contains(why), "{events}");

    // Another one waits for its turn, and one of a class that asks is not begun.
    let second = candidate(&instar, "You are kind.");
    check(&instar, &second);
    let third = candidate(&instar, "Write to https://example.com/ about everything.");
    check(&instar, &third);
    assert_eq!(status(&instar)["candidate"], json!(first));

    let waits = talk(&instar, "hello", 20, |shown| shown["awaits"] == "canary");
    assert!(
        waits["words"]
            .as_str()
            .unwrap()
            .contains("waits for your yes"),
        "{waits:#}"
    );
    let told = until("the owner is told", || {
        Some(letters(&instar)).filter(|told| told.contains("passed its shadow"))
    });
    assert!(told.contains(&first[..12]), "{told}");
    // Nobody is served a word of it, and nothing more is paid for.
    let pairs = waits["pairs"].clone();
    assert!(!episode(&instar, 900).contains("You are brief."));
    assert_eq!(status(&instar)["pairs"], pairs);
    let yes = instar
        .run(["candidate", "approve", &first, "--json"])
        .json();
    assert_eq!(yes["decision"]["may"], "stable");
    assert_eq!(status(&instar)["stage"]["stage"], "canary");

    // Its turn comes when the first one has ended.
    let _ended = instar.run(["rollout", "abort", "--json"]).json();
    let next = until("the second one to begin", || {
        Some(status(&instar)).filter(|shown| shown["candidate"] == json!(second))
    });
    assert_eq!(next["stage"]["stage"], "shadow", "{next:#}");
    let _ended = instar.run(["rollout", "abort", "--json"]).json();
    let shown = instar.run(["candidate", "show", &third, "--json"]).json();
    assert_eq!(
        (&shown["class"], &shown["state"]),
        (&json!("C"), &json!("open"))
    );
    let all = instar.run(["rollout", "history", "--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 2, "{all:#}");
}

fn faulty() -> Answer {
    Answer {
        fault: Some(Box::new(Fault {
            status: Some(400),
            message: Some("no".to_owned()),
            ..Fault::default()
        })),
        ..Answer::default()
    }
}

/// Under one identity the model cannot answer this; another question nobody can answer.
fn turning() -> Script {
    let of = |says: &str, system: Option<&str>| Rule {
        when: When {
            contains: vec![says.to_owned()],
            system_contains: system.map(str::to_owned),
            ..When::default()
        },
        answer: faulty(),
        ..Rule::default()
    };
    Script {
        rules: vec![
            of("the hard question", Some("You are brief.")),
            of("the impossible question", None),
        ],
        ..script()
    }
}

fn begin(instar: &Instar, id: &str) -> String {
    check(instar, id);
    let _yes = instar.run(["candidate", "approve", id, "--json"]).json();
    let begun = instar.run(["rollout", "start", id, "--json"]).json();
    begun["rollout"]["stable"].as_str().unwrap().to_owned()
}

#[test]
fn what_becomes_worse_after_its_promotion_is_taken_back_and_the_owner_is_told() {
    let watch = json!({"watchEpisodes": 100, "heldOut": 0.4});
    let mut instar = Instar::start(Setup::scripted(turning()).config(config(&watch)));
    let made = candidate(&instar, "You are brief.");
    let before = begin(&instar, &made);
    let promoted = talk(&instar, "hello", 120, |shown| !shown["ended_at"].is_null());
    assert_eq!(promoted["stage"]["stage"], "promoted", "{promoted:#}");
    assert_eq!(promoted["watch"]["is_on"], true, "{promoted:#}");
    let told = instar.run(["rollout", "status"]).stdout;
    assert!(
        told.contains("the watch after its promotion is on"),
        "{told}"
    );
    let page = instar
        .http
        .get(&format!("/rollouts/{}", promoted["id"].as_str().unwrap()));
    assert!(
        page.body.contains("became worse after its promotion"),
        "{}",
        page.body
    );

    instar.restart();
    let ended = talk(&instar, "the hard question", 90, |shown| {
        shown["stage"]["stage"] == "rolled_back"
    });
    assert_eq!(ended["stage"]["why"]["reason"], "later", "{ended:#}");
    let shown = instar.run(["release", "show", "--json"]).json();
    assert_eq!(shown["id"], json!(before));
    let log = instar.run(["release", "log"]).stdout;
    assert!(log.contains("after its promotion"), "{log}");
    let _told = until("the owner is told", || {
        Some(letters(&instar)).filter(|told| told.contains("had become stable and was taken back"))
    });
    let shown = instar.run(["candidate", "show", &made, "--json"]).json();
    assert_eq!(shown["state"], "rolled_back");
    instar.restart();
    assert!(!episode(&instar, 901).contains("You are brief."));
    let verified = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(verified["problems"], json!([]));
}

#[test]
fn when_the_world_becomes_worse_for_both_arms_there_is_an_alarm_and_nothing_is_taken_back() {
    let instar = Instar::start(Setup::scripted(turning()).config(config(&json!({}))));
    for _turn in 0..24 {
        let _outcome = instar.ask("main", "hello");
    }
    let made = candidate(&instar, "You are kind.");
    let _before = begin(&instar, &made);
    assert_eq!(status(&instar)["alarm"]["is_on"], false);
    let alarmed = talk(&instar, "the impossible question", 30, |shown| {
        shown["alarm"]["is_on"] == true
    });
    assert_eq!(alarmed["stage"]["stage"], "canary", "{alarmed:#}");
    assert_eq!(alarmed["hold"], "alarm");
    let told = instar.run(["rollout", "status"]);
    assert!(
        told.stdout.contains("both arms together against"),
        "{told:?}"
    );
    let events = instar
        .run(["events", "tail", "--kind", "rollout", "--json"])
        .stdout;
    assert!(events.contains("\"alarm\""), "{events}");
    let _told = until("the owner is told", || {
        Some(letters(&instar)).filter(|told| told.contains("Nothing was taken back"))
    });
}
