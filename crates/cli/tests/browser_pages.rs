//! The pages beside the chat, in a real browser.

use instar_demo::{Answer, Script};
use serde_json::{Value, json};

use crate::browser::{Browser, INJECTIONS, gateway, link, texts};
use crate::support::{Instar, Setup, percent};

const PAGES: [&str; 16] = [
    "/chat",
    "/approvals",
    "/audit",
    "/policy",
    "/sessions",
    "/usage",
    "/faults",
    "/releases",
    "/events",
    "/agents",
    "/models",
    "/devices",
    "/config",
    "/config/key?path=gateway.bind",
    "/status",
    "/logs",
];

/// What a first visit may load in all.
const FIRST_VISIT_BYTES_MAX: u64 = 100_000;

#[test]
fn every_page_is_light_and_still() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("first_visits.mjs", &instar.url(), &link(&instar), json!({}));
    let visits = found["visits"].as_array().unwrap();
    assert_eq!(visits.len(), PAGES.len());
    for visit in visits {
        assert!(
            visit["bytes"].as_u64().unwrap() < FIRST_VISIT_BYTES_MAX,
            "{visit}"
        );
        assert!(visit["moved"].as_f64().unwrap() < 0.02, "it jumps: {visit}");
        assert_eq!(visit["elsewhere"], json!([]), "{visit}");
        assert_eq!(visit["complaints"], json!([]), "{visit}");
    }
}

/// No page has an accessibility fault in this theme, and none scrolls sideways.
fn fit(theme: &str) {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let more = json!({ "theme": theme });
    let found = browser.run("fit.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    // Wide and narrow, all but the chat, which has its own test.
    assert_eq!(found["looked"], 2 * (PAGES.len() - 1));
}

#[test]
fn every_page_is_fit_for_reader_and_phone_where_it_is_light() {
    fit("light");
}

#[test]
fn every_page_is_fit_for_reader_and_phone_where_it_is_dark() {
    fit("dark");
}

#[test]
fn shortcuts_undo_tries_and_languages_do_what_they_say() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("page_acts.mjs", &instar.url(), &link(&instar), json!({}));
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

#[test]
fn without_javascript_every_page_reads_and_plain_forms_change_the_configuration() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let _answered = instar.ask("main", "hello");
    let key = "agents.defaults.timeoutSeconds";
    let more = json!({
        "pages": PAGES, "key": key, "wrong": "soon", "right": "321", "late": "322",
    });
    let found = browser.run("pages_plain.mjs", &instar.url(), &link(&instar), more);
    for page in found["pages"].as_array().unwrap() {
        assert!(page["text"].as_str().unwrap().len() > 60, "{page}");
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let refused = text(&found["refused"]["text"]);
    assert!(refused.contains(key), "{refused}");
    assert_eq!(found["refused"]["kept"], "soon", "what was typed stays");
    let preview = text(&found["preview"]);
    assert!(
        preview
            .lines()
            .any(|line| line.starts_with("+ ") && line.contains("321")),
        "{preview}"
    );
    assert_eq!(found["written"]["path"], "/config/key", "{found}");
    assert!(
        text(&found["written"]["text"]).contains("Written."),
        "{found}"
    );
    assert!(text(&found["stale"]).contains("meanwhile"), "{found}");
    assert!(text(&found["listed"]).contains("321"), "{found}");

    let file = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert!(file.contains(": 321") && !file.contains(": 322"), "{file}");
    let journal = std::fs::read_to_string(instar.state.join("config-journal.jsonl")).unwrap();
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!(last["who"], "web", "{last}");
    assert_eq!(last["changed"], json!([key]), "{last}");
}

#[test]
fn the_keyboard_reaches_every_page_and_the_language_is_the_reader_s() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let pages = json!({ "pages": PAGES });
    let found = browser.run("pages_keys.mjs", &instar.url(), &link(&instar), pages);
    assert_eq!(found["firstStop"], "skip", "{found}");
    assert_eq!(found["skippedTo"], "content", "{found}");
    assert!(
        found["shortcuts"].as_str().unwrap().contains("Keyboard"),
        "{found}"
    );
    assert_eq!(found["closed"], 0, "{found}");
    assert_eq!(found["slash"], "search", "{found}");
    let reached = texts(&found["letters"]);
    for page in &PAGES[1..] {
        assert!(
            page.contains('?') || reached.contains(page),
            "{page} has no letter: {reached:?}"
        );
    }
    for row in found["languages"].as_array().unwrap() {
        assert_eq!(row[0], row[1], "{found}");
    }
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    assert_eq!(found["languages"][1][2], "Беседы");
    assert_eq!(found["kept"], "ru");
}

#[test]
fn words_are_found_in_names_and_in_what_was_said() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let script = Script {
        otherwise: Answer::text("you said: {{text}}"),
        ..Script::default()
    };
    let instar = Instar::start(Setup::scripted(script));
    let pictures = std::env::var("INSTAR_TEST_PICTURES").ok();
    let more = json!({ "hostile": INJECTIONS[0], "pictures": pictures });
    let found = browser.run("search.mjs", &instar.url(), &link(&instar), more);
    let names = texts(&found["names"]);
    assert!(names.contains(&"agent:main:herons"), "a name: {found:#}");
    assert_eq!(
        found["hits"],
        json!([
            ["you said: the heron stands in the reeds", ["heron"]],
            ["the heron stands in the reeds", ["heron"]],
        ]),
        "{found:#}"
    );
    let target = found["target"].as_str().unwrap();
    assert!(target.contains("the heron stands"), "{target}");
    assert_eq!(found["seen"], true, "the page shows the place");
    assert_eq!(found["onlySaid"], json!([1, 2, 0]), "{found:#}");
    assert_eq!(found["none"][0], 0);
    let none = found["none"][1].as_str().unwrap();
    assert!(none.contains("Nothing found"), "{none}");
    assert!(found["hostile"].as_u64().unwrap() > 0, "{found:#}");
    assert_eq!(found["pwned"], "undefined");
    assert_eq!(found["faults"], json!([]), "{found:#}");
    assert_eq!(found["wide"], json!([]), "{found:#}");
    assert_eq!(found["plain"], "В сказанном");
    assert_eq!(found["complaints"], json!([]), "{found:#}");
}

#[test]
fn events_come_by_themselves_and_charts_tell_what_was_spent() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let config = json!({ "models": {
        "budget": { "perDayUsd": 50.0 },
        "providers": { "scripted": { "models": [{
            "id": "x", "name": "Scripted", "contextWindow": 32_000, "maxTokens": 1_000,
            "cost": { "input": 100.0, "output": 100.0 },
        }]}},
    }});
    let instar = Instar::start(Setup::default().config(config));
    let found = browser.run("events.mjs", &instar.url(), &link(&instar), json!({}));
    let before = texts(&found["before"]);
    for kind in ["message_in", "model_call", "turn", "message_out"] {
        assert!(before.contains(&kind), "{kind}: {before:?}");
    }
    assert_eq!(found["paused"], json!([0, "true"]), "{found:#}");
    assert_eq!(found["filtered"], json!(["model_call"]), "{found:#}");
    assert_eq!(found["whole"], "model_call");
    let charts = found["charts"].as_array().unwrap();
    let [chart] = charts.as_slice() else {
        panic!("{found:#}");
    };
    assert_eq!(
        (&chart["name"], &chart["label"]),
        (&json!("Cost by day"), &json!("Cost by day"))
    );
    assert!(chart["values"].as_u64().unwrap() >= 1, "{chart}");
    assert!(chart["tall"].as_f64().unwrap() >= 1.0, "{chart}");
    assert_eq!(chart["limit"], "Day limit $50.00");
    assert_eq!(found["complaints"], json!([]), "{found:#}");
}

#[test]
fn hostile_text_runs_nothing_on_any_page() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let model = json!({
        "agents": {
            "defaults": { "model": { "primary": "demo/guide" } },
            "entries": { "main": { "name": INJECTIONS[0] }, "other": { "name": INJECTIONS[1] } },
        },
    });
    let instar = Instar::start(Setup::default().config(model));
    for (index, text) in INJECTIONS.iter().enumerate() {
        let session = format!("agent:main:hostile-{index}");
        let _outcome = instar.ask(&session, text);
        rename(&instar, &session, text);
    }
    let searched: Vec<String> = INJECTIONS[..6]
        .iter()
        .flat_map(|text| {
            let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            [
                format!("/sessions?search={text}"),
                format!("/config?find={text}"),
                format!("/config/key?path={text}"),
                format!("/events?kind={text}"),
                format!("/logs?level={text}"),
                format!("/usage?from={text}&to={text}"),
                format!("/releases/{text}"),
                format!("/language?to={text}&back={text}"),
            ]
        })
        .collect();
    let pages = PAGES.iter().map(|page| (*page).to_owned());
    let paths: Vec<String> = pages.chain(searched).collect();
    let more = json!({ "sessions": [], "live": [], "paths": paths });
    let found = browser.run("injection.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["pwned"], json!([]), "something ran");
    assert_eq!(found["dialogs"], json!([]), "a dialog opened");
    assert_eq!(found["elements"], json!([]), "text became an element");
    assert_eq!(
        found["policyBreaks"],
        json!([]),
        "only the policy stood in the way"
    );
    let own = format!("{}/", instar.url());
    for request in texts(&found["requests"]) {
        assert!(request.starts_with(&own), "{request} left the origin");
    }
}

/// Gives a conversation this title, letter by letter: one that is made from a message has lost its
/// brackets, one that somebody chose has not.
#[track_caller]
fn rename(instar: &Instar, session: &str, title: &str) {
    let title: String = title
        .chars()
        .filter(|letter| !letter.is_control())
        .take(80)
        .collect();
    let path = format!("/api/v1/sessions/{}", percent(session));
    let body = json!({ "title": title });
    let renamed = instar.http.send("PATCH", &path, &[], Some(&body)).unwrap();
    assert!((200..300).contains(&renamed.status), "{title}: {renamed:?}");
}
