//! The pages of faults in a real browser: what is tried about one, and what the evidence says.

use serde_json::{Value, json};

use crate::browser::{Browser, link};
use crate::healing::{failing, fault, trial, try_it};
use crate::support::until;
use crate::tools::said;

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_fault_s_page_shows_both_arms_and_the_evidence_and_keeps_itself_up_to_date() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = failing();
    for _ in 0..3 {
        let _answer = said(&instar, "look");
    }
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    try_it(&instar);
    let fault = fault(&instar);
    let settled = |least: u64| {
        move |trial: &Value| {
            let units = |arm: &str| trial[arm][0].as_u64().unwrap_or(0);
            units("treated") + units("control") >= least
        }
    };
    for _ in 0..8 {
        let _answer = said(&instar, "look");
    }
    until("the units are settled", || {
        trial(&instar).filter(settled(8))
    });
    let more = json!({ "fault": fault, "shots": std::env::var("INSTAR_TEST_SHOTS").ok() });
    let found = browser.run("faults.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    for (page, told) in [
        ("fault en-US", "Fixes on trial"),
        ("fault en-US", "it harms"),
        ("fault en-US", "People reached"),
        ("fault en-US", "Cost of the turns that met it"),
        ("fault ru-RU", "Исправления на испытании"),
        ("fault zh-CN", "试验中的修复"),
        ("faults en-US", "How the budget was spent"),
    ] {
        assert!(text(&found["pages"][page]).contains(told), "{found:#}");
    }
    assert_eq!((&found["curves"], &found["bounds"]), (&json!(3), &json!(2)));
    assert!(found["rates"].as_u64().unwrap() >= 1, "{found:#}");

    // While somebody looks, units come in.
    let talks = std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let more = json!({ "fault": fault, "wait": true });
            browser.run("faults.mjs", &instar.url(), &link(&instar), more)
        });
        while !looks.is_finished() {
            let _answer = said(&instar, "look");
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        looks.join().unwrap()
    });
    assert!(
        text(&talks["named"]).contains("a number as a word"),
        "{talks:#}"
    );
}
