//! Heartbeats through the built binary: configured, woken, proposed as a change, and told of.

use instar_demo::{Answer, Script, Step, When};
use serde_json::json;

use crate::support::{Instar, Setup, until};

fn start(heartbeat: &serde_json::Value) -> Instar {
    let woken = When {
        contains: vec!["You were woken with: the door rang".to_owned()],
        ..When::default()
    };
    let tells = Answer::of([Step::Text("Somebody is at the <b>door</b>.".to_owned())]);
    let quiet = Answer::of([Step::Text("HEARTBEAT_OK".to_owned())]);
    let script = Script::default()
        .rule(woken, tells)
        .rule(When::default(), quiet);
    let defaults = json!({ "heartbeat": heartbeat });
    Instar::start(Setup::scripted(script).config(json!({ "agents": { "defaults": defaults } })))
}

fn last(instar: &Instar) -> serde_json::Value {
    instar.run(["heartbeat", "status", "--json"]).json()["last"].clone()
}

#[test]
fn an_agent_is_woken_and_leaves_what_it_found_in_the_inbox() {
    let instar = start(&json!({ "every": "2h", "offset": "5m", "prompt": "Mind the door." }));
    let shown = instar.run(["heartbeat", "status"]);
    assert!(
        shown
            .stdout
            .contains("main: every 120 minutes, 5 after the even times"),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("Mind the door."), "{shown:?}");
    let woken = instar.run(["heartbeat", "wake", "the door rang"]);
    assert!(woken.code == 0, "{woken:?}");
    let told = until("a beat", || {
        Some(last(&instar)).filter(|last| !last.is_null())
    });
    assert_eq!(told["status"], "told", "{told}");
    let letters = instar.run(["inbox", "list", "--json"]).json();
    assert_eq!(letters["letters"][0]["id"], told["letter"]);
    assert_eq!(
        letters["letters"][0]["text"],
        "Somebody is at the <b>door</b>."
    );
    let again = instar.run(["heartbeat", "wake"]);
    assert!(again.code == 0, "{again:?}");
    let quiet = until("a quiet beat", || {
        Some(last(&instar)).filter(|last| last["status"] == "quiet")
    });
    assert_eq!(quiet["agent"], "main");
    let off = instar.run(["heartbeat", "off", "--json"]).json();
    assert_eq!(off["enabled"], false);
    let nobody = instar.run(["heartbeat", "wake", "--agent", "nobody"]);
    assert!(
        nobody.code != 0 && nobody.stderr.contains("there is no agent nobody"),
        "{nobody:?}"
    );
}

#[test]
fn a_heartbeat_is_a_part_of_the_release_and_changed_as_one() {
    let instar = start(&json!({}));
    let none = instar.run(["heartbeat", "wake", "--later", "look"]);
    assert!(
        none.code != 0 && none.stderr.contains("has no heartbeat"),
        "{none:?}"
    );
    let heartbeat = json!({ "every_minutes": 30, "offset_minutes": 7, "text": "Mind the door." });
    let delta = json!({ "set_heartbeat": { "agent": "main", "heartbeat": heartbeat } });
    let made = instar.propose(&delta).json();
    let candidate = made["id"].as_str().unwrap();
    assert_eq!(made["class"], "C", "{made}");
    let shown = instar.run(["candidate", "diff", candidate]).stdout;
    assert!(
        shown.contains("agents.main.heartbeat") && shown.contains("Mind the door."),
        "{shown}"
    );
    let late = json!({ "every_minutes": 30, "offset_minutes": 30, "text": "x" });
    let delta = json!({ "set_heartbeat": { "agent": "main", "heartbeat": late } });
    let refused = instar.propose(&delta);
    assert!(
        refused.code != 0 && refused.stderr.contains("offset_minutes is below"),
        "{refused:?}"
    );
    let wrong = ["config", "set", "agents.defaults.heartbeat.every", "soon"];
    let wrong = instar.run(wrong);
    assert!(
        wrong.code != 0 && wrong.stderr.contains("30m, 2h or 1d"),
        "{wrong:?}"
    );
    let set = instar.run(["config", "set", "agents.defaults.heartbeat.every", "90m"]);
    assert!(set.code == 0, "{set:?}");
    until("the new rhythm", || {
        let state = instar.run(["heartbeat", "status", "--json"]).json();
        (state["agents"][0]["everyMinutes"] == 90).then_some(())
    });
}
