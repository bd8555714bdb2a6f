//! Faults: found by the lab in what happened, counted by the gateway, kept by a person.

use serde_json::{Value, json};

use crate::support::{Instar, Setup};
use crate::tools::{calling, said, workspace};

/// A house where reading goes wrong in two ways.
pub(crate) fn failing() -> Instar {
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
fn what_a_fault_reached_is_told_in_people_conversations_and_money() {
    let config = json!({ "models": { "providers": { "scripted": { "models": [{
        "id": "x", "name": "Scripted", "contextWindow": 32_000, "maxTokens": 1_000,
        "cost": { "input": 100.0, "output": 100.0 },
    }]}}}});
    let gone = |name: &str| json!({ "path": format!("notes/{name}.md") });
    let rows = [("gone", "read", gone("a")), ("well", "ls", json!({}))];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    workspace(&instar);
    for (session, word) in [
        ("main", "gone"),
        ("agent:main:web:two", "gone"),
        ("main", "well"),
    ] {
        instar.ask(session, word);
    }
    cycle(&instar);
    let fault = faults(&instar)
        .into_iter()
        .find(|one| one["place"] == "tool:read");
    let fault = fault.unwrap();
    let blast = &fault["blast"];
    assert_eq!(blast["people"], json!(["owner"]), "{blast:#}");
    assert_eq!(blast["sessions"].as_array().unwrap().len(), 2, "{blast:#}");
    // What the two turns cost that met it, and not what the third one did.
    let events = instar
        .http
        .get("/api/v1/events?kind=turn&limit=10")
        .expect(200);
    let mut costs: Vec<u64> = Vec::new();
    for event in events.as_array().unwrap() {
        assert_eq!(event["kind"], "turn");
        costs.push(event["cost_micros"].as_u64().unwrap());
    }
    // The newest comes first.
    let [third, second, first] = costs.as_slice() else {
        panic!("{events:#}");
    };
    assert!(*first > 0 && *second > 0 && *third > 0, "{costs:?}");
    assert_eq!(
        (&blast["turns"], &blast["cost_micros"]),
        (&json!(2), &json!(first + second)),
        "{costs:?}"
    );
    let shown = instar.run(["fault", "show", fault["id"].as_str().unwrap()]);
    let told = "1 people in 2 conversations; 2 turns met it, which cost $";
    assert!(shown.stdout.contains(told), "{shown:?}");
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
    assert_eq!(written.as_array().unwrap().len(), 9);
    let report = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(report["doubts"], json!([]), "{report}");
    // What is here already is not taken in a second time.
    assert_eq!((&report["events"], &report["kept"]), (&json!(1), &json!(0)));
    let registry = std::fs::read_to_string(dir.join("memory/cluster-registry.json")).unwrap();
    assert!(registry.contains("tool:read"), "{registry}");

    let genes = dir.join("assets/gep/genes.json");
    let text = std::fs::read_to_string(&genes).unwrap();
    // What each is for.
    let all: Value = serde_json::from_str(&text).unwrap();
    for (id, of) in [
        ("reshape-argument", "repair"),
        ("keep-the-pace", "optimize"),
        ("use-other-tool", "innovate"),
    ] {
        let mut genes = all["genes"].as_array().unwrap().iter();
        let gene = genes.find(|gene| gene["id"] == id).unwrap();
        assert_eq!(gene["category"], of, "{gene:#}");
    }
    std::fs::write(
        &genes,
        text.replacen("\"max_files\": 0", "\"max_files\": 9", 1),
    )
    .unwrap();
    let report = instar.run(["lab", "import", path]);
    assert!(report.stdout.contains("not believed"), "{report:?}");
}

/// The canonical form: for these it is their text with sorted names.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let names: std::collections::BTreeSet<&String> = fields.keys().collect();
            let text = |name| format!("{}:{}", json!(name), sorted(&fields[name]));
            let all: Vec<String> = names.into_iter().map(text).collect();
            format!("{{{}}}", all.join(","))
        }
        Value::Array(list) => {
            format!(
                "[{}]",
                list.iter().map(sorted).collect::<Vec<_>>().join(",")
            )
        }
        plain => plain.to_string(),
    }
}

/// The address that an asset has.
fn sealed(mut asset: Value) -> Value {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(sorted(&asset).as_bytes());
    asset["asset_id"] = json!(format!("sha256:{}", hex::encode(digest)));
    asset
}

#[test]
fn of_a_foreign_folder_only_what_verifies_is_kept_and_nothing_acts_before_it_is_allowed() {
    let mut instar = failing();
    let dir = instar.home().join("theirs");
    std::fs::create_dir_all(dir.join("assets/gep")).unwrap();
    let gene = |id: &str, instar: Value| {
        let mut gene = json!({
            "type": "Gene", "id": id, "summary": format!("about {id}"), "signals_match": ["timed out"],
            "strategy": ["Do it."], "validation": ["npm test"], "env_fingerprint": {"hostname": "h"},
        });
        if instar.is_object() {
            gene["instar"] = instar;
        }
        sealed(gene)
    };
    let recipe = json!({
        "id": "wait-a-little", "version": 1, "title": "Waits a little", "family": "transient",
        "fits": {"place": "tool", "kinds": ["timeout"]}, "writes": {"retry": {"again": 1, "pause_ms": 50}},
    });
    let mut changed = gene("gene_changed", Value::Null);
    changed["summary"] = json!("something else");
    let genes = json!({"version": 1, "genes": [
        gene("gene_theirs", Value::Null), gene("gene_x", recipe), changed,
    ]});
    let capsule = sealed(json!({
        "type": "Capsule", "id": "capsule_7", "gene": "keep-the-pace", "trigger": ["rate_limit"], "summary": "it helped",
        "confidence": 0.9, "outcome": {"status": "success", "score": 0.9}, "instar": {"evidence": 31.5, "verdict": "proven"},
    }));
    let capsules = json!({"version": 1, "capsules": [capsule]});
    std::fs::write(dir.join("assets/gep/genes.json"), genes.to_string()).unwrap();
    std::fs::write(dir.join("assets/gep/capsules.json"), capsules.to_string()).unwrap();
    std::fs::write(dir.join("assets/gep/events.jsonl"), "").unwrap();
    let path = dir.to_str().unwrap();

    let dry = instar.run(["lab", "import", path, "--dry-run"]);
    for words in [
        "not believed: gene_changed",
        "proposed, not in use: wait-a-little",
        "1 genes are prose",
        "1 capsules name their evidence",
    ] {
        assert!(dry.stdout.contains(words), "{words}: {dry:?}");
    }
    let listed = |instar: &Instar| instar.run(["gene", "list"]).stdout;
    assert!(!listed(&instar).contains("wait-a-little"));
    let taken = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(taken["kept"], 3, "{taken}");
    let again = instar.run(["lab", "import", path, "--json"]).json();
    assert_eq!(again["kept"], 0, "{again}");
    let list = listed(&instar);
    for words in ["wait-a-little  proposed", "gene_theirs  prose only"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    assert!(!list.contains("gene_changed"), "{list}");
    // It is no recipe that could act until the owner says so; prose never is.
    assert_ne!(instar.run(["gene", "show", "wait-a-little"]).code, 0);
    instar
        .run(["gene", "allow", "wait-a-little", "--json"])
        .json();
    assert!(listed(&instar).contains("wait-a-little  yours"));
    // Without a gateway, too.
    instar.terminate();
    let gone = instar.run(["lab", "forget", "--json"]).json();
    assert_eq!(gone, 3);
    let list = listed(&instar);
    assert!(
        list.contains("wait-a-little  yours") && !list.contains("gene_theirs"),
        "{list}"
    );
}

#[test]
fn jobs_with_the_walls_of_the_lab_and_the_judge_can_do_none_of_what_they_must_not() {
    let instar = Instar::start(Setup::default());
    let kept = instar.run_with(&["secrets", "set", "mine"], "sk-test-0123456789\n");
    assert_eq!(kept.code, 0, "{kept:?}");
    // Each thing that it reaches for is there and can be had outside.
    for file in ["secrets.json", "master.key", "instar.sqlite", "instar.json"] {
        assert!(
            std::fs::File::open(instar.state.join(file)).is_ok(),
            "{file}"
        );
    }
    let tried = instar.run(["lab", "walls", "--json"]).json();
    let tried = tried.as_array().unwrap();
    for job in ["lab", "judge"] {
        let of = tried.iter().filter(|attempt| attempt["job"] == job);
        assert_eq!(of.count(), 19, "{tried:?}");
    }
    for attempt in tried {
        assert!(attempt["refused"].is_string(), "{attempt}");
    }
    // Where it was looked, nothing was there.
    let nothing = |what: &str, why: &str| {
        let mut of = tried.iter().filter(|attempt| attempt["what"] == what);
        assert!(of.all(|attempt| attempt["refused"] == why), "{tried:?}");
    };
    nothing("find a word in its environment", "there is none");
    // Of a job that hides itself only the administrator sees what it holds.
    if std::fs::read_dir("/root").is_ok() {
        nothing("hold a file that was left open", "it has its line alone");
    }
    assert!(!instar.state.join("made-by-the-lab").exists());
}

#[test]
fn a_fault_is_divided_by_a_value_and_taken_together_again() {
    let instar = failing();
    cycle(&instar);
    let places = |faults: &[Value], place: &str| {
        let of = faults.iter().filter(|fault| fault["place"] == place);
        of.cloned().collect::<Vec<Value>>()
    };
    let before = places(&faults(&instar), "tool:read");
    assert_eq!(before.len(), 1, "{before:?}");
    let id = before[0]["id"].as_str().unwrap();
    let wrong = instar.run(["fault", "divide", id, "--by-value", "9"]);
    assert!(wrong.stderr.contains("no value at that place"), "{wrong:?}");
    let divided = instar
        .run(["fault", "divide", id, "--by-value", "1", "--json"])
        .json();
    assert_eq!(divided["divided"], json!({"value": {"place": 0}}));
    for word in ["first", "second", "second"] {
        said(&instar, word);
    }
    cycle(&instar);
    let apart = places(&faults(&instar), "tool:read");
    let mut counts: Vec<u64> = apart
        .iter()
        .map(|fault| fault["failures"].as_u64().unwrap())
        .collect();
    counts.sort_unstable();
    // What was counted before stays where it was.
    assert_eq!(counts, [1, 2, 2], "{apart:#?}");
    let named = |name: &str| {
        apart
            .iter()
            .any(|fault| fault["title"].as_str().unwrap().contains(name))
    };
    assert!(named("2026-01-02") && named("2026-03-04"), "{apart:#?}");

    instar.run(["fault", "unite", id, "--json"]).json();
    let whole = places(&faults(&instar), "tool:read");
    assert_eq!(
        (whole.len(), &whole[0]["failures"]),
        (1, &json!(5)),
        "{whole:#?}"
    );
    said(&instar, "first");
    cycle(&instar);
    let whole = places(&faults(&instar), "tool:read");
    assert_eq!(
        (whole.len(), &whole[0]["failures"]),
        (1, &json!(6)),
        "{whole:#?}"
    );
    // And back.
    instar
        .run(["fault", "divide", id, "--by-arguments", "--json"])
        .json();
    assert_eq!(places(&faults(&instar), "tool:read").len(), 3);
    let log = instar.run(["fault", "log"]).stdout;
    assert!(log.contains("divide") && log.contains("unite"), "{log}");
}

#[test]
fn an_embedder_only_proposes_merges_and_a_person_decides() {
    let rows = [
        ("first", "read", json!({"path": "gone.md"})),
        ("second", "ls", json!({"path": "gone"})),
        ("third", "grep", json!({"pattern": "(", "path": "."})),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)));
    workspace(&instar);
    for word in ["first", "second", "third"] {
        said(&instar, word);
    }
    cycle(&instar);
    let asked = |instar: &Instar| {
        let requests = instar.model.requests();
        let all = requests
            .iter()
            .filter(|request| request.path.ends_with("/embeddings"));
        all.map(|request| request.body["input"].as_array().unwrap().len())
            .collect::<Vec<_>>()
    };
    // Nobody is asked before the owner says whom.
    assert!(asked(&instar).is_empty());
    let list = |instar: &Instar| instar.run(["fault", "merges", "list", "--json"]).json();
    assert_eq!(list(&instar), json!([]));
    let known = faults(&instar);
    let set = instar.run(["config", "set", "improve.embedder", "scripted/x"]);
    assert_eq!(set.code, 0, "{set:?}");
    crate::support::until("the key is in force", || {
        cycle(&instar);
        (!asked(&instar).is_empty()).then_some(())
    });
    let texts: usize = asked(&instar).iter().sum();
    cycle(&instar);
    // What is known is not asked again.
    assert_eq!(asked(&instar).iter().sum::<usize>(), texts);
    let proposed = list(&instar);
    assert_eq!(
        faults(&instar).len(),
        known.len(),
        "nothing was merged: {proposed}"
    );
    let one = &proposed[0];
    let (fault, into) = (
        one["fault"].as_str().unwrap(),
        one["into"].as_str().unwrap(),
    );
    assert!(one["alike"].as_f64().unwrap() >= 0.92, "{one}");
    let wrong = instar.run(["fault", "merges", "accept", "flt_0", into]);
    assert_ne!(wrong.code, 0, "{wrong:?}");
    instar
        .run(["fault", "merges", "accept", fault, into, "--json"])
        .json();
    assert_eq!(faults(&instar).len(), known.len() - 1);
    // The vectors go into the files of the exchange.
    let dir = instar.home().join("vectors");
    instar
        .run(["lab", "export", dir.to_str().unwrap(), "--json"])
        .json();
    let file = std::fs::read_to_string(dir.join("memory/embeddings-cache.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["model"], "scripted/x");
    assert!(!file["entries"].as_object().unwrap().is_empty(), "{file}");

    // Taken apart again, they are left apart.
    instar.run(["fault", "split", fault, "--json"]).json();
    cycle(&instar);
    assert_eq!(list(&instar), json!([]));
}
