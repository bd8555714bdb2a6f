//! The policy page in a real browser.

use serde_json::{Value, json};

use crate::browser::{Browser, link};
use crate::policy::{RULES, with_rules, writing};
use crate::support::until;
use crate::tools::said;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn rules_rights_decisions_and_postures_are_read_on_one_page() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = writing(&["compose"]);
    said(&instar, "compose");
    with_rules(&instar, RULES, "cases = []\n");
    until("the rules are in force", || {
        let rules = instar.run(["policy", "rules"]);
        rules.stdout.contains("no-drafts").then_some(())
    });
    let log = instar.run(["audit", "log", "--json"]).json();
    let decided = log["receipts"].as_array().unwrap().iter();
    let decided = decided.clone().find(|one| one["kind"] == "decision");
    let more = json!({
        "receipt": decided.unwrap()["seq"],
        "shots": std::env::var("INSTAR_TEST_SHOTS").ok(),
    });
    let found = browser.run("policy.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    for (locale, rule) in [
        ("en-US", "In the careful posture every effect asks."),
        ("ru-RU", "В режиме careful спрашивает каждое действие."),
        ("zh-CN", "在 careful 姿态下，每个操作都会询问。"),
    ] {
        assert!(
            text(&found["languages"][locale]).contains(rule),
            "{found:#}"
        );
    }
    let owners = text(&found["owners"]);
    for told in [
        "no-drafts",
        "denies",
        "Nothing is written into drafts",
        "mine.cedar:3",
    ] {
        assert!(owners.contains(told), "{told}: {owners}");
    }
    let rights = text(&found["rights"]);
    assert!(
        rights.contains("posture-careful") && rights.contains("own-words"),
        "{rights}"
    );
    let explained = text(&found["explained"]);
    for told in [
        "denied",
        "no-drafts",
        "drafts/<b>x</b>.md",
        "It hangs on",
        "not there",
    ] {
        assert!(explained.contains(told), "{told}: {explained}");
    }
    assert_eq!(
        found["elements"], 0,
        "text of an argument became an element"
    );
    assert_eq!(
        found["kept"],
        json!(["write", true]),
        "the form keeps what was asked"
    );
    assert!(text(&found["wrong"]).contains("not JSON"), "{found:#}");
    assert!(text(&found["missing"]).contains("no decision"), "{found:#}");
    let compared = text(&found["compared"]);
    assert!(
        compared.contains("balanced") && compared.contains("if the plan has them"),
        "{compared}"
    );
    let decision = text(&found["decision"]);
    assert!(
        decision.contains("posture-careful") && decision.contains("receipt"),
        "{decision}"
    );
    assert_eq!(found["complaints"], json!([]), "{found:#}");
}
