//! The owner's desk in a real browser: five questions wait.

use serde_json::{Value, json};

use crate::approvals::asked;
use crate::browser::{Browser, link, texts};

const PAGES: [&str; 3] = [
    "/approvals",
    "/audit?verify=1&findings=1",
    "/policy?tool=sessions_list&role=stranger",
];

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn five_questions_are_seen_whole_and_answered_while_every_page_counts_them() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = asked(1..=5);
    let shots = std::env::var("INSTAR_TEST_SHOTS").ok();
    let more = json!({
        "pages": PAGES, "shots": shots, "binary": env!("CARGO_BIN_EXE_instar"),
        "env": { "INSTAR_STATE_DIR": instar.state, "HOME": instar.home() },
    });
    let found = browser.run("approvals.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["badges"], json!(["5", "5"]), "{found}");
    assert_eq!(found["cards"], 5, "{found}");
    for told in [
        "bob1⟦U+202E⟧moc.elpmaxe@",
        "<img src=x>",
        "G1",
        "send.stranger",
        "who never got one",
    ] {
        assert!(text(&found["card"]).contains(told), "{told}: {found}");
    }
    assert_eq!(found["images"], 0, "text of an argument became an element");
    assert_eq!(
        found["offered"],
        json!([false, true]),
        "always is offered to the even ones"
    );
    assert!(
        text(&found["ruleBefore"]).contains("messages to bob2@example.com"),
        "{found}"
    );
    assert_eq!(
        found["afterNo"],
        json!([4, "4"]),
        "answered by keyboard: {found}"
    );
    assert_eq!(
        found["elsewhere"], "4",
        "another page counts along without a reload"
    );
    assert_eq!(
        found["removedLive"], 3,
        "an answer given elsewhere takes the card away"
    );
    assert!(
        text(&found["rules"]).contains("messages to bob2@example.com"),
        "{found}"
    );
    assert!(text(&found["revoked"]).contains("over"), "{found}");
    assert!(
        text(&found["chain"]).contains("The chain is whole"),
        "{found}"
    );
    let explained = text(&found["explained"]);
    assert!(
        explained.contains("denied") && explained.contains("not-in-profile"),
        "{explained}"
    );
    let rights = text(&found["rights"]);
    assert!(
        rights.contains("sessions_list") && rights.contains("allowed"),
        "{rights}"
    );
    assert!(text(&found["score"]).contains("/ 100"), "{found}");
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    assert_eq!(
        texts(&found["languages"]),
        ["Approvals", "Разрешения", "批准"]
    );
    assert_eq!(found["complaints"], json!([]), "{found}");
    let listed = instar.run(["approvals", "list", "--all", "--json"]).json();
    let by: Vec<&str> = listed["questions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["answer"]["by"].as_str())
        .collect();
    assert_eq!(by.len(), 3, "{listed}");
    assert!(
        by.contains(&"browser") && by.contains(&"command line"),
        "{by:?}"
    );
}

#[test]
fn without_javascript_questions_are_answered_and_rules_taken_back() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = asked(1..=3);
    let found = browser.run(
        "approvals_plain.mjs",
        &instar.url(),
        &link(&instar),
        json!({}),
    );
    assert_eq!(found["badge"], "3", "{found}");
    assert_eq!(found["once"], json!(["/approvals", 2, "2"]), "{found}");
    assert_eq!(found["always"], json!(["/approvals", 1, "1"]), "{found}");
    assert_eq!(found["revoked"], json!(["/approvals", 0]), "{found}");
    assert_eq!(found["no"], json!(["/approvals", 0]), "{found}");
    assert_eq!(found["forged"], json!([403, 409]), "{found}");
    let listed = instar.run(["approvals", "list", "--all", "--json"]).json();
    let denied = listed["questions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["state"] == "denied");
    assert_eq!(denied.count(), 1, "{listed}");
}
