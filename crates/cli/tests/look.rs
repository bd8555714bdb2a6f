//! Commands that look: links, agents, words in conversations, manual pages.

use serde_json::json;

use crate::support::{Instar, Setup, until};

#[test]
fn the_dashboard_link_is_fresh_each_time_and_needs_a_gateway() {
    let mut instar = Instar::start(Setup::default());
    let link = || {
        let said = instar.run(["dashboard", "--no-open"]);
        assert_eq!(said.code, 0, "{said:?}");
        said.stdout.trim().to_owned()
    };
    let (one, two) = (link(), link());
    assert_ne!(one, two);
    assert!(
        one.starts_with(&format!("{}/sign-in?code=", instar.url())),
        "{one}"
    );
    let json = instar.run(["dashboard", "--json"]).json();
    assert!(
        json["url"].is_string() && json["expiresAt"].is_u64(),
        "{json}"
    );
    instar.terminate();
    let refused = instar.run(["dashboard"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("instar up"), "{refused:?}");
}

#[test]
fn words_are_found_where_they_were_said_and_not_in_what_was_deleted() {
    let mut instar = Instar::start(Setup::default());
    let (kept, gone) = ("agent:main:kept", "agent:main:gone");
    instar.ask(kept, "the Heron stands in the reeds");
    instar.ask(gone, "a heron again \u{1b}[31m");
    let search = |instar: &Instar| instar.run(["sessions", "search", "HERON", "--json"]).json();
    let found = search(&instar);
    let hits = found["found"].as_array().unwrap();
    assert_eq!(hits.len(), 4, "{found}");
    assert_eq!(hits[0]["session"], json!(gone), "the latest first: {found}");
    assert_eq!(hits[0]["byAgent"], json!(true), "{found}");
    let shown = instar.run(["sessions", "search", "heron"]);
    assert!(shown.stdout.contains("Heron stands"), "{shown:?}");
    assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");
    assert_eq!(instar.run(["sessions", "delete", gone]).code, 0);
    let found = search(&instar);
    assert_eq!(found["found"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(found["found"][0]["session"], json!(kept));
    let other = instar.run(["sessions", "search", "heron", "--agent", "other", "--json"]);
    assert_eq!(other.json()["found"], json!([]));
    let one = instar
        .run(["sessions", "search", "heron", "--limit", "1", "--json"])
        .json();
    assert_eq!(
        (&one["found"].as_array().unwrap().len(), &one["cut"]),
        (&1, &json!(true))
    );
    let empty = instar.run(["sessions", "search", " "]);
    assert_eq!(empty.code, 2, "{empty:?}");
    // What was left behind says so.
    let wanted = instar.run(["sessions", "search", "reeds", "--json"]).json();
    assert_eq!(wanted["found"][0]["current"], json!(true), "{wanted}");
    let path = format!("/api/v1/sessions/{kept}");
    let entries = instar.http.get(&path).expect(200)["entries"].clone();
    let body = json!({ "entry": entries[0]["id"] });
    instar
        .http
        .post(&format!("{path}/rewind"), &body)
        .expect(200);
    let found = search(&instar);
    let current: Vec<&serde_json::Value> = found["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| &hit["current"])
        .collect();
    assert_eq!(current, [false, true], "{found}");
    let shown = instar.run(["sessions", "search", "heron"]);
    assert!(shown.stdout.contains("another branch"), "{shown:?}");
    // The same without a gateway.
    let before = search(&instar);
    instar.terminate();
    assert_eq!(search(&instar), before);
}

#[test]
fn agents_are_listed_and_shown_and_a_slip_is_understood() {
    let instar = Instar::start(Setup::default());
    let list = instar.run(["agents", "list", "--json"]).json();
    assert_eq!(list[0]["id"], json!("main"), "{list}");
    assert_eq!(list[0]["model"], json!("scripted/x"), "{list}");
    let shown = instar.run(["agents", "show"]);
    assert!(
        shown.stdout.contains("scripted/x") && shown.stdout.contains("limit"),
        "{shown:?}"
    );
    let slip = instar.run(["agents", "show", "maim"]);
    assert_eq!(slip.code, 6, "{slip:?}");
    assert!(slip.stderr.contains("did you mean main?"), "{slip:?}");
}

#[test]
fn status_tells_what_waits_for_a_restart() {
    let instar = Instar::start(Setup::default());
    let calm = instar.run(["status"]);
    assert!(calm.stdout.contains("budget"), "{calm:?}");
    assert!(!calm.stdout.contains("gateway restart"), "{calm:?}");
    let set = instar.run(["config", "set", "gateway.port", "1999"]);
    assert_eq!(set.code, 0, "{set:?}");
    until("the status tells it", || {
        let said = instar.run(["status"]).stdout;
        (said.contains("gateway.port") && said.contains("gateway restart")).then_some(())
    });
}

#[test]
fn every_command_has_a_manual_page() {
    let instar = Instar::prepare(Setup::default());
    let dir = instar.home().join("man");
    let said = instar.run(["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    for (page, words) in [
        ("instar", "Exit codes"),
        ("instar-sessions-search", "limit"),
    ] {
        let text = std::fs::read_to_string(dir.join(format!("{page}.1"))).unwrap();
        assert!(
            text.contains(".TH") && text.contains(words),
            "{page}: {text}"
        );
    }
}
