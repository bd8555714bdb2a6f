//! What speaks for a release, in a real browser: gates, reports side by side, and where it comes from.

use serde_json::{Value, json};

use crate::browser::{Browser, link, pictures_folder};
use crate::support::{Instar, Setup};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn gates_are_asked_by_buttons_answers_stand_side_by_side_and_a_release_shows_its_origin() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let delta = json!([
        {"set_prompt": {"agent": "main", "file": "SOUL.md", "text": null}},
        {"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 1}},
    ]);
    let bad = instar.candidate(&delta);
    // It breaks cases of the suite, which are the first that the report shows.
    let run = [
        "eval",
        "run",
        "builtin:golden",
        "--candidate",
        &bad,
        "--json",
    ];
    let report = instar.run_with(&run, "").stdout;
    let report: Value = serde_json::from_str(&report).unwrap();
    let worse = report["comparison"]["regressions"].as_array().unwrap();
    assert!(!worse.is_empty(), "{report:#}");

    let delta = json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 9}});
    let good = instar.propose(&delta).json();
    let release = instar.run(["release", "show", "stable", "--json"]).json();
    let changed = changed(&instar, text(&report["digest"]));
    let more = json!({
        "candidate": good["id"], "release": release["id"], "changed": changed,
        "shots": std::env::var("INSTAR_TEST_SHOTS").ok(),
    });
    let found = browser.run("evidence.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    assert!(text(&found["gates"]).contains("well-formed"), "{found:#}");
    let shown = instar.run(["candidate", "show", text(&good["id"]), "--json"]);
    let shown = shown.json();
    let rows = shown["gates"]["rows"].as_array().unwrap();
    let human = rows.iter().find(|row| row["gate"] == "human").unwrap();
    assert_eq!(
        (&human["outcome"], &human["by"]),
        (&json!("pass"), &json!("owner"))
    );
    assert!(text(&found["pages"]["reports"]).contains(text(&report["suite"])));
    assert!(text(&found["changed"]).contains("changed after it was kept"));
    assert!(text(&found["first"]).contains("got worse"), "{found:#}");
    assert_eq!(found["worse"], json!(worse.len()), "{found:#}");
    assert!(found["sides"].as_u64().unwrap() >= 2 && found["diff"].as_u64().unwrap() > 0);
    assert!(
        found["nodes"].as_u64().unwrap() >= 2 && found["edges"].as_u64().unwrap() >= 1,
        "{found:#}"
    );
    for (page, told) in [
        ("lineage en-US", "Where it comes from"),
        ("lineage ru-RU", "Откуда он взялся"),
        ("report zh-CN", "变差"),
    ] {
        assert!(text(&found["pages"][page]).contains(told), "{found:#}");
    }
}

/// The report once more under a name that is not its own, as if it had been changed long ago.
fn changed(instar: &Instar, digest: &str) -> String {
    let reports = instar.state.join("evals/reports");
    let name = "0".repeat(64);
    let file = reports.join(format!("{name}.json"));
    let hex = digest.trim_start_matches("sha256:");
    std::fs::copy(reports.join(format!("{hex}.json")), &file).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    name
}

#[test]
fn pictures_of_releases_show_every_move_and_where_one_comes_from() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let suite = "name: mine\nprompts: ['{{word}}']\nproviders: [echo]\ntests: [{vars: {word: hello}, assert: [{type: equals, value: hello}]}]\n";
    std::fs::create_dir_all(instar.state.join("suites")).unwrap();
    std::fs::write(instar.state.join("suites/mine.yaml"), suite).unwrap();
    let made = crate::proven::promoted(&instar);
    let back = instar.run(["release", "rollback", "--reason", "too terse"]);
    assert_eq!(back.code, 0, "{back:?}");
    let folder = pictures_folder(&instar);
    let more = json!({"release": made["release"], "folder": folder});
    let found = browser.run("releases.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    // The start, the promotion and the way back; what the files say has an alias of its own.
    assert_eq!(found["moves"], 3, "{found:#}");
    assert!(text(&found["releases"]).contains("too terse"), "{found:#}");
    assert!(text(&found["lineage"]).contains("gate evals"), "{found:#}");
    let (nodes, edges) = (found["nodes"].as_u64(), found["edges"].as_u64());
    assert!(
        nodes > Some(8) && edges >= nodes.map(|nodes| nodes - 1),
        "{found:#}"
    );
    crate::browser::are_pictures(&found["files"]);
}
