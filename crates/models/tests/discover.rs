//! Finding models without being told.

use crate::server::{Reply, Server, house_with};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::OnceLock;

static OLLAMA: OnceLock<u16> = OnceLock::new();
static LLAMACPP: OnceLock<u16> = OnceLock::new();

/// A port that nothing listens on.
fn nowhere(name: &str) -> Option<String> {
    name.ends_with("_URL")
        .then(|| "http://127.0.0.1:9".to_owned())
}

fn servers(name: &str) -> Option<String> {
    match name {
        "INSTAR_OLLAMA_URL" => OLLAMA.get().map(|port| format!("http://127.0.0.1:{port}")),
        "INSTAR_LLAMACPP_URL" => LLAMACPP
            .get()
            .map(|port| format!("http://127.0.0.1:{port}/v1")),
        other => nowhere(other),
    }
}

fn key(name: &str) -> Option<String> {
    match name {
        "GROQ_API_KEY" | "OPENAI_API_KEY" => Some("k".into()),
        other => nowhere(other),
    }
}

#[tokio::test]
async fn keys_first_in_the_order_of_the_table_then_nothing() {
    let house = house_with(json!({}), BTreeMap::new(), key);
    assert_eq!(
        house.models.discover().await.unwrap().as_str(),
        "openai/gpt-5"
    );
    let list = house.models.list();
    let info = list.iter().find(|info| info.id == "openai/gpt-5").unwrap();
    assert!(info.configured && info.priced && info.auth == "env:OPENAI_API_KEY");
    let other = list
        .iter()
        .find(|info| info.provider == "anthropic")
        .unwrap();
    assert!(!other.configured && other.auth == "missing");
    let empty = house_with(json!({}), BTreeMap::new(), nowhere);
    assert!(empty.models.discover().await.is_none());
}

#[tokio::test]
async fn local_servers_are_asked_for_their_models() {
    let ollama = Server::start(vec![
        Reply::ok(r#"{"models":[]}"#),
        Reply::ok(r#"{"models":[{"name":"nomic-embed-text:latest"},{"name":"qwen3:8b"}]}"#),
    ])
    .await;
    let llamacpp = Server::start(vec![
        Reply::ok(
            r#"{"object":"list","data":[{"id":"gemma"}]}"#
        );
        2
    ])
    .await;
    OLLAMA.set(ollama.port).unwrap();
    LLAMACPP.set(llamacpp.port).unwrap();
    let house = house_with(json!({}), BTreeMap::new(), servers);
    assert_eq!(
        house.models.discover().await.unwrap().as_str(),
        "llamacpp/gemma"
    );
    assert_eq!(
        house.models.discover().await.unwrap().as_str(),
        "ollama/qwen3:8b"
    );
    assert!(ollama.requests.lock().unwrap()[0].starts_with("GET /api/tags "));
    assert!(llamacpp.requests.lock().unwrap()[0].starts_with("GET /v1/models "));
}
