//! The pages beside the chat, in a real browser.

use serde_json::json;

use crate::browser::{Browser, gateway, link};

/// What a first visit may load in all.
const FIRST_VISIT_BYTES_MAX: u64 = 100_000;

#[test]
fn every_page_is_light_still_and_fit_for_keyboard_phone_and_reader() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("first_visits.mjs", &instar.url(), &link(&instar), json!({}));
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    let visits = found["visits"].as_array().unwrap();
    assert_eq!(visits.len(), 10);
    for visit in visits {
        assert!(
            visit["bytes"].as_u64().unwrap() < FIRST_VISIT_BYTES_MAX,
            "{visit}"
        );
        assert!(visit["moved"].as_f64().unwrap() < 0.02, "it jumps: {visit}");
        assert_eq!(visit["elsewhere"], json!([]), "{visit}");
        assert_eq!(visit["complaints"], json!([]), "{visit}");
    }
    assert!(found["shortcuts"].as_u64().unwrap() > 10, "{found}");
    assert_eq!(
        found["hidden"], true,
        "a deleted conversation is out of sight"
    );
    assert_eq!(found["rows"], 1, "and back after the undo");
    assert!(
        found["probed"].as_str().unwrap().contains("answered in"),
        "{found}"
    );
    assert_eq!(found["titles"], json!(["Расход", "用量", "zh-Hans"]));
    assert_eq!(found["back"], "/chat", "a language leads nowhere else");
}
