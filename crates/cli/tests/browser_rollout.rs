//! The rollout page in a real browser.

use serde_json::{Value, json};

use crate::browser::{Browser, link};
use crate::rollouts::{candidate, episode, script, start, status};
use crate::support::{Instar, Setup, until};

/// A candidate that answers as well as the stable release: nothing but the owner ends it so early.
const BRIEF: &str = "You are brief.";

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What the page has to tell of a rollout in figures.
fn figures(shown: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_f64().unwrap();
    let mut figures: Vec<String> = ["evidence_worse", "evidence_sound"]
        .iter()
        .map(|name| format!("{:.2}", number(&shown[name])))
        .chain(["worse_at", "sound_at"].map(|name| format!("{:.0}", number(&shown[name]))))
        .collect();
    for metric in shown["metrics"].as_array().unwrap() {
        for arm in ["stable", "canary"].map(|arm| &metric[arm]) {
            figures.push(format!("{:.0} / {}", number(&arm["bad"]), arm["covered"]));
            let [rate, low, high] = [&arm["rate"], &arm["interval"][0], &arm["interval"][1]]
                .map(|value| 100.0 * number(value));
            figures.push(format!("{rate:.1} % ({low:.1} – {high:.1} %)"));
        }
    }
    figures
}

#[test]
fn both_arms_are_seen_side_by_side_and_the_red_button_takes_it_back() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = Instar::start(Setup::scripted(script()));
    let made = candidate(&instar, BRIEF);
    let begun = start(&instar, &made, "0.05");
    for number in 0..8 {
        let _sent = episode(&instar, number);
    }
    let shown = until("the episodes are judged", || {
        Some(status(&instar)).filter(|shown| shown["waiting"] == 0)
    });
    assert!(shown["ended_at"].is_null(), "{shown:#}");
    let more = json!({
        "rollout": begun["rollout"]["id"],
        "shots": std::env::var("INSTAR_TEST_SHOTS").ok(),
    });
    let found = browser.run("rollout.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    for (locale, told) in [
        ("en-US", "of new episodes"),
        ("ru-RU", "Обе ветви"),
        ("zh-CN", "两组对比"),
    ] {
        assert!(text(&found["pages"][locale]).contains(told), "{found:#}");
    }
    assert!(text(&found["pages"]["en-US"]).contains("8 · not judged yet: 0"));
    let numbers = text(&found["numbers"]);
    for figure in figures(&shown) {
        assert!(numbers.contains(&figure), "{figure}: {numbers}");
    }
    assert!(numbers.contains("to see a doubling from"), "{numbers}");
    assert_eq!(
        found["charts"], 3,
        "the evidence and a chart for each metric"
    );
    // What was judged meanwhile came by itself.
    let _sent = episode(&instar, 100);
    let taken = browser.run(
        "rollout.mjs",
        &instar.url(),
        &link(&instar),
        json!({"rollout": begun["rollout"]["id"], "take": true}),
    );
    assert!(text(&taken["fresh"]).contains("9 ·"), "{taken:#}");
    assert!(
        text(&taken["after"]).contains("the owner took it back"),
        "{taken:#}"
    );
    let ended = status(&instar);
    assert_eq!(ended["stage"]["why"]["reason"], "owner");
    assert!(!episode(&instar, 200).contains(BRIEF));
}
