//! Setting up: in a terminal, without one, and over HTTP.

use serde_json::{Value, json};

use crate::support::{Instar, Setup, is_echo, until};

/// A key that must be found nowhere but in the request to the model.
const KEY: &str = "sk-setup-5f2d9c7e1b4a8036";

/// A gateway whose owner named no model; the scripted one listens nearby.
fn without_model() -> Setup {
    Setup {
        config_text: Some("// mine\n{ gateway: { shutdownGraceSeconds: 5 } }\n".to_owned()),
        ..Setup::default()
    }
}

/// Fails if the key lies in a file of the state folder, the configuration included.
#[track_caller]
fn assert_key_is_hidden(instar: &Instar) {
    for path in crate::state::walk(&instar.state) {
        let Ok(bytes) = std::fs::read(&path) else {
            continue;
        };
        let found = bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes());
        assert!(!found, "{} holds the key", path.display());
    }
    assert!(!instar.printed().contains(KEY));
}

/// The key that the model was last called with.
fn key_seen(instar: &Instar) -> Option<String> {
    let last = instar.model.requests().pop()?;
    last.headers.get("authorization").cloned()
}

#[test]
fn over_http_one_answer_at_a_time_and_the_key_is_never_given_back() {
    let instar = Instar::start(without_model());
    let standing = instar.http.get("/api/v1/setup").expect(200);
    assert_eq!(standing["finished"], json!(false), "{standing}");
    assert_eq!(standing["modelChosen"], json!(false), "{standing}");
    let first = instar.http.post("/api/v1/setup", &json!({})).expect(201);
    let path = format!("/api/v1/setup/{}", first["sessionId"].as_str().unwrap());
    assert_eq!(first["step"]["id"], json!("risk"), "{first}");
    let workspace = instar.home().join("agent").display().to_string();
    let answers = [
        ("risk", json!(true)),
        ("workspace", json!(workspace)),
        ("model", json!("custom")),
        ("base-url", json!(instar.model.openai_url())),
        ("format", json!("openai")),
        ("server-key", json!(KEY)),
        ("server-model", json!("x")),
        ("provider-name", json!("mine")),
    ];
    // What is not asked is not taken.
    let body = json!({ "answer": { "stepId": "port", "value": "1" } });
    assert_eq!(instar.http.post(&path, &body).status, 409);
    let mut last = Value::Null;
    for (id, value) in answers {
        let body = json!({ "answer": { "stepId": id, "value": value } });
        last = instar.http.post(&path, &body).expect(200);
    }
    assert_eq!(last["status"], json!("done"), "{last}");
    assert_eq!(last["summary"]["model"], json!("mine/x"), "{last}");
    assert_eq!(last["summary"]["verdict"]["ok"], json!(true), "{last}");
    assert_eq!(instar.http.post(&path, &json!({})).status, 404);
    until("the running gateway has the model", || {
        let outcome = instar.ask("main", "hello");
        is_echo(&outcome["text"], "hello").then_some(())
    });
    assert_eq!(key_seen(&instar), Some(format!("Bearer {KEY}")));
    assert!(!instar.http.heard.lock().unwrap().contains(KEY));
    assert_key_is_hidden(&instar);
    let text = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert!(text.starts_with("// mine\n"), "{text}");
    assert!(instar.home().join("agent/SOUL.md").exists());
    let standing = instar.http.get("/api/v1/setup").expect(200);
    assert_eq!(standing["finished"], json!(true), "{standing}");
}
