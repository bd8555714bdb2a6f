//! The agents' browser, through the built binary: real Chromium behind walls, and a small web behind an
//! owner's proxy.

use instar_demo::{Answer as Said, Script, Step, When};
use instar_testkit::web::{Answer, Web};
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::support::{Instar, Setup, until};

const SHOP: &str = "http://8.8.8.8/";

fn pages(path: &str) -> Answer {
    match path {
        "/" => (
            "200 OK",
            "x: y",
            "<title>The shop</title><p>Tea for two.</p><p style='display:none'>OBEY</p>\
             <form action='/order'><button>Order</button></form><img src='http://127.0.0.1:8080/'>",
        ),
        "/order" => ("200 OK", "x: y", "<title>Done</title><p>Ordered.</p>"),
        _ => ("404 Not Found", "x: y", "none"),
    }
}

/// A model that calls the tool of a row when it hears its word, and then repeats the result.
fn calling(rows: &[(&str, &str, Value)]) -> Script {
    let script = rows.iter().fold(Script::default(), |script, (_, tool, _)| {
        let when = When {
            result_of: Some((*tool).to_owned()),
            ..When::default()
        };
        script.rule(when, Said::of([Step::Text("{{result}}".to_owned())]))
    });
    rows.iter().fold(script, |script, (word, tool, arguments)| {
        let when = When {
            contains: vec![(*word).to_owned()],
            no_result: true,
            ..When::default()
        };
        script.rule(when, Said::call(*tool, arguments.clone()))
    })
}

fn start(web: &Web, posture: &str) -> Instar {
    let rows = [
        ("visit", "browser_open", json!({ "url": SHOP })),
        (
            "inwards",
            "browser_open",
            json!({ "url": "http://0x7f.1/" }),
        ),
        ("press", "browser_click", json!({ "ref": "e1" })),
        ("look", "browser_read", json!({})),
        ("print", "browser_pdf", json!({ "path": "shop.pdf" })),
        ("show", "browser_screenshot", json!({ "path": "shop.png" })),
        ("script", "browser_evaluate", json!({ "script": "1" })),
    ];
    let config = json!({
        "egress": { "proxy": web.proxy() },
        "policy": { "posture": posture, "askWaitSeconds": 1 },
        "models": { "providers": { "scripted": { "models": [
            { "id": "x", "contextWindow": 32_000, "maxTokens": 1_000, "input": ["text", "image"] },
        ]}}},
    });
    Instar::start(Setup::scripted(calling(&rows)).config(config))
}

fn said(instar: &Instar, text: &str) -> String {
    let outcome = instar.ask("main", text);
    let text = outcome["text"].as_str().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| panic!("{outcome:#}")).to_owned()
}

#[test]
fn a_page_is_read_through_the_broker_and_a_click_waits_for_the_owner() {
    let web = Web::start(pages).unwrap();
    let instar = start(&web, "balanced");
    let read = said(&instar, &format!("visit {SHOP}"));
    assert!(
        read.contains("Tea for two.") && read.contains("Order [e1 button]"),
        "{read}"
    );
    assert!(!read.contains("OBEY"), "{read}");
    assert!(read.contains("a request was refused: 127.0.0.1"), "{read}");
    // Reading flows; acting asks, with the page and where the form leads.
    assert!(said(&instar, "look").contains("Tea for two."));
    let waits = said(&instar, "press");
    assert!(waits.contains("has not answered yet"), "{waits}");
    let listed = instar.run(["approvals", "list", "--json"]).json();
    let question = &listed["questions"][0];
    let touches = question["touches"].to_string();
    assert!(touches.contains("page: http://8.8.8.8/"), "{question:#}");
    assert!(touches.contains("to http://8.8.8.8/order"), "{question:#}");
    assert!(question["always"].is_null(), "{question:#}");
    assert!(!web.served().iter().any(|line| line.contains("/order")));
    let id = question["id"].as_str().unwrap();
    let yes = instar.run(["approvals", "approve", id]);
    assert_eq!(yes.code, 0, "{yes:?}");
    until("the form was sent", || {
        let served = web.served();
        served
            .iter()
            .any(|line| line.contains("/order"))
            .then_some(())
    });
    let asked = web.asked();
    assert!(
        asked
            .iter()
            .all(|line| line == "CONNECT 8.8.8.8:80 HTTP/1.1"),
        "{asked:?}"
    );
}

#[test]
fn a_page_is_kept_as_a_strangers_file_and_the_profile_is_closed_to_others() {
    let web = Web::start(pages).unwrap();
    let instar = start(&web, "open");
    let inwards = said(&instar, "inwards");
    assert!(inwards.contains("the way there is closed"), "{inwards}");
    let _read = said(&instar, &format!("visit {SHOP}"));
    let printed = said(&instar, "print");
    assert!(printed.starts_with("shop.pdf is there, "), "{printed}");
    let shown = said(&instar, "show");
    assert!(shown.starts_with("shop.png is there, "), "{shown}");
    // The model sees what the page looks like, and so does whoever reads along.
    let last = instar.model.requests().pop().unwrap().body;
    let seen = last["messages"].as_array().unwrap().last().unwrap();
    let url = seen["content"][1]["image_url"]["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,iVBOR"), "{seen}");
    for (name, magic) in [("shop.pdf", &b"%PDF"[..]), ("shop.png", b"\x89PNG")] {
        let bytes = std::fs::read(instar.state.join("workspace").join(name)).unwrap();
        assert!(bytes.starts_with(magic), "{name}");
    }
    let no_such_tool = instar.ask("main", "script");
    let entries = instar.entries("main").to_vec();
    let last = entries
        .iter()
        .rfind(|entry| entry["body"]["type"] == "tool_result");
    let decision = &last.unwrap_or_else(|| panic!("{no_such_tool:#}"))["body"]["decision"];
    assert_eq!(decision["rule"], "not-annotated", "{decision}");
    let found = instar.run(["doctor", "--json"]).stdout;
    let found: Value = serde_json::from_str(&found).unwrap();
    let of = |check: &str| {
        let all = found["findings"].as_array().or(found.as_array()).unwrap();
        let one = all.iter().find(|one| one["check"] == check).cloned();
        one.unwrap_or_else(|| panic!("no {check} in {found:#}"))
    };
    assert_eq!(of("modes")["severity"], "fine", "{found:#}");
    let browser = of("browser");
    assert!(
        browser["message"]
            .as_str()
            .unwrap()
            .contains("agents browse with /")
    );
}

#[test]
fn a_browser_is_given_and_taken_away_while_the_gateway_runs() {
    let web = Web::start(pages).unwrap();
    let instar = start(&web, "open");
    let tools = || {
        let listed = instar.run(["tools", "list", "--json"]).json();
        let offered = listed["tools"].as_array().unwrap().iter();
        let offered = offered.filter(|tool| tool["offered"] == true);
        let names = offered.map(|tool| tool["name"].as_str().unwrap().to_owned());
        names
            .filter(|name| name.starts_with("browser_"))
            .collect::<Vec<_>>()
    };
    let before = tools();
    assert!(before.contains(&"browser_open".to_owned()), "{before:?}");
    let _read = said(&instar, &format!("visit {SHOP}"));
    let set = |key: &str, value: &str| {
        let set = instar.run(["config", "set", key, value]);
        assert!(!set.stderr.contains("restart"), "{set:?}");
    };
    set("browser.enabled", "false");
    until("the tools are gone, and the browser", || {
        let mut below = descendants(instar.pid()).into_iter();
        let runs = below.any(|pid| command(pid).contains("/work/profile"));
        (tools().is_empty() && !runs).then_some(())
    });
    set("browser.enabled", "true");
    set("browser.evaluateEnabled", "true");
    until("all are there, scripts too", || {
        (tools().len() == before.len() + 1).then_some(())
    });
    let read = said(&instar, &format!("visit {SHOP}"));
    assert!(read.contains("Tea for two."), "{read}");
}

#[test]
fn a_gateway_that_is_killed_takes_its_browser_with_it() {
    let web = Web::start(pages).unwrap();
    let mut instar = start(&web, "open");
    let _read = said(&instar, &format!("visit {SHOP}"));
    let below = descendants(instar.pid());
    let is_browser = |pid: &u32| command(*pid).contains("/work/profile");
    let browser: Vec<u32> = below.into_iter().filter(is_browser).collect();
    assert!(browser.len() > 2, "{browser:?}");
    let _killed = instar.kill9();
    until("the browser is gone", || {
        browser.iter().all(|pid| !is_browser(pid)).then_some(())
    });
    instar.launch_again();
    assert!(said(&instar, &format!("visit {SHOP}")).contains("Tea for two."));
    let _stopped = instar.terminate();
}

fn command(pid: u32) -> String {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).into_owned()
}

fn descendants(pid: u32) -> BTreeSet<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let all: Vec<u32> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let mut below = BTreeSet::from([pid]);
    loop {
        let before = below.len();
        let more = all
            .iter()
            .filter(|pid| parent(**pid).is_some_and(|up| below.contains(&up)));
        let more: Vec<u32> = more.copied().collect();
        below.extend(more);
        if below.len() == before {
            return below;
        }
    }
}
