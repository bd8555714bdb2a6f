//! Setting up on a first visit, in a real browser.

use instar_demo::{Answer, Script, Step};
use serde_json::{Value, json};

use crate::browser::{Browser, link, texts};
use crate::setup::{KEY, assert_key_is_hidden, key_seen, nobody, without_model};
use crate::support::{Instar, Setup, free_port, is_echo};

const WRONG_KEY: &str = "sk-wrong-0c1d2e3f4a5b6c7d";

#[test]
fn a_first_visit_sets_up_and_a_wrong_key_or_address_loses_nothing() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let script = Script {
        key: Some(KEY.to_owned()),
        otherwise: Answer::of([Step::Text("You said: {{text}}".to_owned())]),
        ..Script::default()
    };
    let instar = Instar::start(Setup {
        script: Some(script),
        ..without_model()
    });
    let good = instar.model.openai_url();
    let workspace = instar.home().join("agent");
    let (nobody, elsewhere) = (nobody(), good.replace("/v1", "/v9"));
    let more = json!({
        "workspace": workspace, "nobody": nobody, "elsewhere": elsewhere, "good": good,
        "wrongKey": WRONG_KEY, "key": KEY, "port": free_port().to_string(),
        // A folder for whoever wants to see the pages.
        "folder": std::env::var("INSTAR_LOOK").ok(),
    });
    let found = browser.run("setup.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["faults"], json!([]), "what the checker says");
    assert_eq!(found["wide"], json!([]), "pages that scroll sideways");
    assert_eq!(
        texts(&found["steps"]),
        [
            "Risks",
            "Workspace folder",
            "Which model is to answer?",
            "Port",
            "Who may reach the port?",
            "Everything is set up"
        ]
    );
    assert_eq!(found["folder"]["kept"], "agent", "{found}");
    assert_eq!(found["address"]["kept"], "not an address", "{found}");
    assert!(told(&found["address"]).contains("no address"), "{found}");
    assert_eq!(found["hidden"], "password");
    assert_eq!(found["keyBox"]["value"], "", "a key is never given back");
    assert!(told(&found["keyBox"]).contains("keep the one"), "{found}");
    assert_eq!(found["prefilled"], json!([nobody, true, "x", "mine"]));
    let verdicts = texts(&found["verdicts"]);
    assert!(verdicts[0].contains("connection"), "{verdicts:?}");
    assert!(verdicts[0].contains(&nobody), "{verdicts:?}");
    assert!(verdicts[1].contains(&elsewhere), "{verdicts:?}");
    assert!(verdicts[2].contains("refused the key"), "{verdicts:?}");
    assert!(found["port"].as_str().unwrap().contains("65535"));
    let done = found["done"].as_str().unwrap();
    for words in ["mine/x", "answered in", "instar gateway"] {
        assert!(done.contains(words), "{words}: {done}");
    }
    assert_eq!(found["answer"], "You said: hello");
    assert_eq!(found["later"], "/chat", "it is offered once");
    assert_eq!(found["shown"], false);
    assert_eq!(found["secretsInAddresses"], json!([]));
    assert_eq!(found["elsewhere"], json!([]), "it asked another host");
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    assert_key_is_hidden(&instar);
    assert!(!instar.printed().contains(WRONG_KEY));
    assert!(workspace.join("SOUL.md").exists());
    let journal = std::fs::read_to_string(instar.state.join("config-journal.jsonl")).unwrap();
    assert!(journal.contains("\"web setup\""), "{journal}");
}

fn told(row: &Value) -> &str {
    row["told"].as_str().unwrap_or_default()
}

#[test]
fn without_javascript_the_keyboard_sets_up_leaves_and_puts_it_off() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = Instar::start(without_model());
    let found = browser.run("setup_plain.mjs", &instar.url(), &link(&instar), json!({}));
    assert_eq!(found["first"], "/setup", "{found}");
    assert_eq!(
        texts(&found["steps"]),
        [
            "Set up",
            "Risks",
            "Workspace folder",
            "Which model is to answer?",
            "Port"
        ]
    );
    assert_eq!(found["twin"], "Which model is to answer?");
    assert_eq!(found["late"], "Port", "the question that stands is shown");
    assert_eq!(found["back"], "Which model is to answer?");
    assert_eq!(found["left"], "/chat");
    assert!(found["over"].as_str().unwrap().contains("kept"), "{found}");
    assert_eq!(found["forged"], 403, "{found}");
    assert_eq!(found["russian"], "Рабочая папка");
    assert_eq!(
        (&found["skipped"], &found["later"]),
        (&json!("/chat"), &json!("/chat"))
    );
    let seen = std::fs::read_to_string(instar.state.join("setup.json")).unwrap();
    assert!(
        seen.contains("riskAcceptedAt") && seen.contains("putOffAt"),
        "{seen}"
    );
    let outcome = instar.ask("main", "hello");
    assert!(
        !is_echo(&outcome["text"], "hello"),
        "the demo model answers: {outcome}"
    );
}
