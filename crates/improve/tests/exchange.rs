//! The files of the exchange: what is written verifies when it is read again, and what does not is named.

use instar_improve::asset::{seal, verify};
use instar_improve::gene::Catalogue;
use instar_improve::gep::{Ledger, read, write};
use instar_protocol::fault::SignalKind;
use serde_json::{Value, json};

fn ledger() -> Ledger {
    Ledger {
        faults: vec![
            json!({"id": "flt_1", "kind": "timeout", "place": "tool:fetch", "template": "no answer from <*>", "members": []}),
        ],
        edits: vec![
            json!({"version": 7, "at": 5, "who": "owner", "what": {"edit": "split", "fault": "flt_1"}}),
        ],
        cycles: vec![
            json!({"at": 9, "outcome": "done"}),
            json!({"at": 4, "outcome": "failed"}),
        ],
        trials: vec![
            json!({"id": "t1", "fault": "flt_1", "gene": "g", "verdict": "proven", "confidence": 0.93, "mitigation": {}}),
        ],
    }
}

#[test]
fn what_is_written_verifies_after_it_was_stored_and_read() {
    let files = write(&ledger(), &Catalogue::built_in().unwrap()).unwrap();
    assert_eq!(files.len(), 8);
    let report = read(|path| files.get(path).cloned());
    assert!(
        report.doubts.is_empty() && report.missing.is_empty(),
        "{report:?}"
    );
    assert!(
        report.genes >= 12 && report.capsules == 1 && report.events == 2,
        "{report:?}"
    );
    assert_eq!(
        report.verified,
        report.genes + report.capsules + report.events
    );
    assert_eq!((report.commands, report.fingerprints), (0, 0));
    assert!(report.signals.contains(&SignalKind::Timeout));
    // The same ledger gives the same bytes, and the tree of events has one root.
    assert_eq!(
        write(&ledger(), &Catalogue::built_in().unwrap()).unwrap(),
        files
    );
    let events: Vec<Value> = files["assets/gep/events.jsonl"]
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&events[0]["parent"], &events[1]["parent"]),
        (&Value::Null, &json!("evt_4"))
    );
    let clusters: Value = serde_json::from_str(&files["memory/cluster-registry.json"]).unwrap();
    assert_eq!(
        (&clusters["version"], &clusters["clusters"][0]["id"]),
        (&json!(7), &json!("flt_1"))
    );
}

#[test]
fn nothing_in_the_files_names_the_machine() {
    let files = write(&ledger(), &Catalogue::built_in().unwrap()).unwrap();
    for (path, text) in files {
        for word in [
            "fingerprint",
            "hostname",
            "device",
            "platform",
            "os_release",
            "cwd",
        ] {
            assert!(!text.contains(word), "{word} in {path}");
        }
    }
}

#[test]
fn a_foreign_folder_is_read_with_a_report_of_what_is_not_to_be_believed() {
    let good = seal(json!({
        "type": "Gene", "id": "theirs", "signals_match": ["timed out|超时", "errsig"], "validation": ["node x.js", "npm test"],
        "env_fingerprint": {"hostname": "h"},
    }))
    .unwrap();
    let mut changed = seal(json!({"type": "Gene", "id": "changed", "signals_match": []})).unwrap();
    changed["epigenetic_marks"] = json!([{"boost": 0.1}]);
    // Hashed with a field that was not stored.
    let hashed = seal(json!({"type": "ValidationReport", "id": "vr_1", "region": null})).unwrap();
    let mut stored = hashed.clone();
    stored.as_object_mut().unwrap().remove("region");
    let report = read(|path| match path {
        "assets/gep/genes.json" => {
            Some(json!({"version": 1, "genes": [good, changed]}).to_string())
        }
        "assets/gep/events.jsonl" => Some(format!("{stored}\nnot json\n")),
        _ => None,
    });
    assert_eq!(
        (report.genes, report.events, report.verified),
        (2, 1, 1),
        "{report:?}"
    );
    let doubted: Vec<&str> = report
        .doubts
        .iter()
        .map(|doubt| doubt.asset.as_str())
        .collect();
    assert_eq!(
        doubted,
        ["changed", "vr_1", "assets/gep/events.jsonl line 2"]
    );
    assert_eq!((report.commands, report.fingerprints), (2, 1));
    assert_eq!(report.missing, ["assets/gep/capsules.json"]);
    assert_eq!(
        report.signals.into_iter().collect::<Vec<_>>(),
        [SignalKind::Timeout]
    );
    assert!(verify(&hashed).is_ok() && verify(&stored).is_err());
}
