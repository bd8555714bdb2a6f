//! What was said is found again through the built binary, by numbers that a release changes.

use serde_json::json;

use crate::rollouts::start as start_rollout;
use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

#[test]
fn an_agent_finds_what_was_said_elsewhere_and_a_release_changes_how() {
    let rows = [(
        "remember",
        "sessions_search",
        json!({ "query": "harbour boat" }),
    )];
    let instar = Instar::start(Setup::scripted(calling(&rows)));
    let _heard = instar.ask("agent:main:one", "The boat in the harbour is Ida.");
    let _heard = instar.ask("agent:main:two", "Another boat has no name.");
    let found = said(&instar, "remember");
    let places: Vec<Option<usize>> = ["is Ida", "no name"].map(|text| found.find(text)).into();
    assert!(places[0].is_some() && places[0] < places[1], "{found}");
    assert!(found.contains("agent:main:one"), "{found}");
    let numbers = json!({ "results": 1 });
    let delta = json!({ "set_retrieval": { "agent": "main", "retrieval": numbers } });
    let propose = ["candidate", "new", "--delta", "-", "--json"];
    let made = instar.run_with(&propose, &delta.to_string()).json();
    assert_eq!(made["class"], "A", "{made}");
    let _begun = start_rollout(&instar, made["id"].as_str().unwrap(), "0.4");
    let promoted = instar.run(["rollout", "promote"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    let found = said(&instar, "remember");
    assert!(
        found.contains("is Ida") && !found.contains("no name"),
        "{found}"
    );
    let far = json!({ "results": 1, "chars": 5 });
    let delta = json!({ "set_retrieval": { "agent": "main", "retrieval": far } });
    let refused = instar.run_with(&propose, &delta.to_string());
    assert!(
        refused.code != 0 && refused.stderr.contains("chars is 100 to 2000"),
        "{refused:?}"
    );
}

#[test]
fn a_release_sets_how_much_of_a_result_is_shown_and_the_rest_is_asked_for() {
    let rows = [("list", "read", json!({ "path": "long.txt" }))];
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)));
    let long: String = (0..200).map(|n| format!("line {n}\n")).collect();
    std::fs::write(workspace(&instar).join("long.txt"), long).unwrap();
    instar.launch();
    let whole = said(&instar, "list");
    assert!(whole.contains("line 199"), "{whole}");
    let settings = json!({ "chars": 500, "seconds": 30 });
    let delta = json!({ "set_tool": { "agent": "main", "tool": "read", "settings": settings } });
    let propose = ["candidate", "new", "--delta", "-", "--json"];
    let made = instar.run_with(&propose, &delta.to_string()).json();
    assert_eq!(made["class"], "C", "{made}");
    let _begun = start_rollout(&instar, made["id"].as_str().unwrap(), "0.4");
    let promoted = instar.run(["rollout", "promote"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    let cut = said(&instar, "list");
    assert!(cut.contains("line 9") && !cut.contains("line 199"), "{cut}");
    assert!(cut.contains("output_page"), "{cut}");
    let unknown = json!({ "set_tool": { "agent": "main", "tool": "reed", "settings": settings } });
    let refused = instar.run_with(&propose, &unknown.to_string());
    assert!(
        refused.stderr.contains("there is no such tool"),
        "{refused:?}"
    );
}
