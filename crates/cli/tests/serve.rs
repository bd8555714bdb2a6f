//! The first things that anybody does with a running gateway.

use serde_json::json;

use crate::support::{Instar, Setup, is_echo};

#[test]
fn a_message_is_answered_and_stored() {
    let instar = Instar::start(Setup::default());
    let outcome = instar.ask("main", "hello");
    assert!(is_echo(&outcome["text"], "hello"), "{outcome:#}");
    let entries = instar.entries("main");
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| entry["body"]["type"].clone())
        .collect();
    assert_eq!(kinds, ["user", "assistant"]);
}

#[test]
fn a_message_is_answered_for_an_openai_client() {
    let instar = Instar::start(Setup::default());
    let body = json!({ "model": "instar", "messages": [{ "role": "user", "content": "hello" }] });
    let answer = instar.http.post("/v1/chat/completions", &body).expect(200);
    let said = &answer["choices"][0]["message"]["content"];
    assert!(is_echo(said, "hello"), "{answer:#}");
}

#[test]
fn everything_that_was_said_is_there_after_a_restart() {
    let mut instar = Instar::start(Setup::default());
    let _outcome = instar.ask("main", "remember this");
    let before = instar.entries("main");
    instar.restart();
    assert_eq!(instar.entries("main"), before);
    let status = instar.run(["status", "--json"]).json();
    assert_eq!(status["pid"], instar.pid());
    assert_eq!(status["url"], instar.url());
    assert_eq!(status["store"]["ok"], true);
}
