//! Faults: found by the lab in what happened, counted by the gateway, kept by a person.

use serde_json::{Value, json};

use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

/// A house where reading goes wrong in two ways.
fn failing() -> Instar {
    let rows = [
        ("first", "read", json!({"path": "notes/2026-01-02.md"})),
        ("second", "read", json!({"path": "notes/2026-03-04.md"})),
        ("third", "grep", json!({"pattern": "(", "path": "."})),
        ("well", "ls", json!({})),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)));
    workspace(&instar);
    for word in ["first", "second", "third", "well"] {
        said(&instar, word);
    }
    instar
}

fn cycle(instar: &Instar) -> Value {
    instar.run(["lab", "run", "--at-any-load", "--json"]).json()
}

fn faults(instar: &Instar) -> Vec<Value> {
    let list = instar.run(["fault", "list", "--json"]).json();
    list.as_array().unwrap().clone()
}

#[test]
fn what_goes_wrong_is_found_counted_once_and_shown() {
    let instar = failing();
    let done = cycle(&instar);
    assert_eq!(
        (&done["outcome"], &done["refused"]),
        (&json!("done"), &json!(0)),
        "{done}"
    );
    let found = faults(&instar);
    let of = |place: &str| found.iter().find(|fault| fault["place"] == place).unwrap();
    let read = of("tool:read");
    // Two names of files, one fault: twice among two calls.
    assert_eq!(
        (&read["failures"], &read["exposures"]),
        (&json!(2), &json!(2)),
        "{read}"
    );
    assert!(read["template"].as_str().unwrap().contains("<*>"), "{read}");
    assert_eq!(read["examples"].as_array().unwrap().len(), 2);
    assert_eq!(read["by_arm"][0]["name"], "stable");
    assert_eq!(read["by_release"].as_array().unwrap().len(), 1);
    assert!(
        found.iter().all(|fault| fault["place"] != "tool:ls"),
        "{found:?}"
    );

    // The next cycle begins where this one ended.
    let again = cycle(&instar);
    assert_eq!(again["signs"], 0, "{again}");
    assert_eq!(faults(&instar).len(), found.len());
    said(&instar, "first");
    cycle(&instar);
    let now = faults(&instar);
    let read = now
        .iter()
        .find(|fault| fault["place"] == "tool:read")
        .unwrap();
    assert_eq!(read["failures"], 3, "{read}");
    let log = instar.run(["lab", "log", "--json"]).json();
    assert_eq!(log.as_array().unwrap().len(), 3);

    let shown = instar
        .run(["fault", "show", read["id"].as_str().unwrap()])
        .stdout;
    for words in ["tool:read", "3 of 3", "trend", "stable"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
}

#[test]
fn a_person_merges_splits_names_and_mutes_and_all_of_it_can_be_taken_back() {
    let mut instar = failing();
    cycle(&instar);
    let id = |place: &str, faults: &[Value]| -> String {
        let fault = faults.iter().find(|fault| fault["place"] == place).unwrap();
        fault["id"].as_str().unwrap().to_owned()
    };
    let before = faults(&instar);
    let (read, grep) = (id("tool:read", &before), id("tool:grep", &before));

    instar
        .run(["fault", "name", &read, "files that are gone", "--json"])
        .json();
    instar
        .run(["fault", "merge", &grep, &read, "--json"])
        .json();
    let merged = faults(&instar);
    assert_eq!(merged.len(), before.len() - 1);
    let one = instar.run(["fault", "show", &read, "--json"]).json();
    assert_eq!(
        (&one["failures"], &one["title"]),
        (&json!(3), &json!("files that are gone"))
    );
    assert_eq!(one["members"], json!([grep]));
    let wrong = instar.run(["fault", "merge", &read, &grep]);
    assert_ne!(wrong.code, 0, "a circle");

    // It is there without a gateway too, and can be taken back there.
    instar.terminate();
    instar.run(["fault", "split", &grep, "--json"]).json();
    instar.run(["fault", "mute", &grep, "--json"]).json();
    let split = faults(&instar);
    assert_eq!(split.len(), before.len());
    let list = instar.run(["fault", "list"]).stdout;
    assert!(list.contains(&read) && !list.contains(&grep), "{list}");
    let log = instar.run(["fault", "log", "--json"]).json();
    let versions: Vec<u64> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|edit| edit["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions.len(), 4);
    assert!(versions.is_sorted_by(|one, two| one > two), "{log}");
}

/// Runs the lab without a gateway, on any free port.
fn alone(instar: &Instar, load_max: &str, args: &[&str]) -> std::process::Output {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    instar
        .command(&[], &args)
        .env("INSTAR_LAB_DASHBOARD_PORT", "0")
        .env("EVOLVE_LOAD_MAX", load_max)
        .output()
        .unwrap()
}

#[test]
fn without_a_gateway_the_lab_brings_one_for_as_long_as_it_works() {
    let mut instar = failing();
    instar.terminate();
    let done = alone(&instar, "2", &["lab", "run", "--at-any-load", "--json"]);
    let done: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(done["outcome"], "done", "{done}");
    assert!(faults(&instar).len() >= 2);
    // A busy machine is left alone.
    let busy = alone(&instar, "0.000001", &["lab", "run"]);
    let told = String::from_utf8_lossy(&busy.stderr);
    assert!(!busy.status.success() && told.contains("load"), "{busy:?}");
}

#[test]
fn what_is_known_is_written_as_files_that_verify_and_a_changed_one_is_named() {
    let instar = failing();
    cycle(&instar);
    let dir = instar.home().join("exchange");
    let path = dir.to_str().unwrap();
    let written = instar.run(["lab", "export", path, "--json"]).json();
    assert_eq!(written.as_array().unwrap().len(), 8);
    let report = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(report["doubts"], json!([]), "{report}");
    assert_eq!(report["events"], 1);
    let registry = std::fs::read_to_string(dir.join("memory/cluster-registry.json")).unwrap();
    assert!(registry.contains("tool:read"), "{registry}");

    let genes = dir.join("assets/gep/genes.json");
    let text = std::fs::read_to_string(&genes).unwrap();
    std::fs::write(
        &genes,
        text.replacen("\"max_files\": 0", "\"max_files\": 9", 1),
    )
    .unwrap();
    let report = instar.run(["lab", "import", path]);
    assert!(report.stdout.contains("not believed"), "{report:?}");
}
