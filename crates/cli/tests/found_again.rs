//! What was said is found again through the built binary, by numbers that a release changes.

use instar_demo::Script;
use serde_json::{Value, json};

use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

/// Proposes a change, says yes to it and has it served to everybody.
fn serve(instar: &Instar, delta: &Value, class: &str) {
    let made = instar.propose(delta).json();
    assert_eq!(made["class"], class, "{made}");
    crate::rollouts::serve(instar, made["id"].as_str().unwrap());
}

/// Why a change is refused.
fn refusal(instar: &Instar, delta: &Value) -> String {
    let refused = instar.propose(delta);
    assert_ne!(refused.code, 0, "{refused:?}");
    refused.stderr
}

/// The gateway begins nothing by itself.
fn by_hand(script: Script) -> Setup {
    let autonomy = json!({ "a": "nothing", "b": "nothing" });
    Setup::scripted(script).config(json!({ "improve": { "autonomy": autonomy } }))
}

#[test]
fn an_agent_finds_what_was_said_elsewhere_and_a_release_changes_how() {
    let rows = [(
        "remember",
        "sessions_search",
        json!({ "query": "harbour boat" }),
    )];
    let instar = Instar::start(by_hand(calling(&rows)));
    let _heard = instar.ask("agent:main:one", "The boat in the harbour is Ida.");
    let _heard = instar.ask("agent:main:two", "Another boat has no name.");
    let found = said(&instar, "remember");
    let places: Vec<Option<usize>> = ["is Ida", "no name"].map(|text| found.find(text)).into();
    assert!(places[0].is_some() && places[0] < places[1], "{found}");
    assert!(found.contains("agent:main:one"), "{found}");
    let numbers = json!({ "results": 1 });
    let delta = json!({ "set_retrieval": { "agent": "main", "retrieval": numbers } });
    serve(&instar, &delta, "A");
    let found = said(&instar, "remember");
    assert!(
        found.contains("is Ida") && !found.contains("no name"),
        "{found}"
    );
    let far = json!({ "results": 1, "chars": 5 });
    let delta = json!({ "set_retrieval": { "agent": "main", "retrieval": far } });
    assert!(refusal(&instar, &delta).contains("chars is 100 to 2000"));
}

#[test]
fn a_release_sets_how_much_of_a_result_is_shown_and_the_rest_is_asked_for() {
    let rows = [("list", "read", json!({ "path": "long.txt" }))];
    let mut instar = Instar::prepare(by_hand(calling(&rows)));
    let long: String = (0..200).map(|n| format!("line {n}\n")).collect();
    std::fs::write(workspace(&instar).join("long.txt"), long).unwrap();
    instar.launch();
    let whole = said(&instar, "list");
    assert!(whole.contains("line 199"), "{whole}");
    let settings = json!({ "chars": 500, "seconds": 30 });
    let delta = json!({ "set_tool": { "agent": "main", "tool": "read", "settings": settings } });
    serve(&instar, &delta, "C");
    let cut = said(&instar, "list");
    assert!(!cut.contains("line 100"), "{cut}");
    assert!(cut.contains("left out; see them with output_page"), "{cut}");
    let unknown = json!({ "set_tool": { "agent": "main", "tool": "reed", "settings": settings } });
    assert!(refusal(&instar, &unknown).contains("there is no such tool"));
}
