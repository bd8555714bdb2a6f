//! Requests that the vendors refuse, and the lists that they keep.

use instar_demo::{ModelRow, Script};
use instar_protocol::Clock;
use instar_testkit::{ManualClock, ScriptedServer, Seeded};
use serde_json::{Value, json};

use crate::raw::{get, post, send};

fn server() -> ScriptedServer {
    ScriptedServer::start(Script {
        models: vec![ModelRow {
            id: "small".to_owned(),
            about: String::new(),
        }],
        key: Some("right".to_owned()),
        ..Script::saying("fine")
    })
}

const RIGHT: (&str, &str) = ("authorization", "Bearer right");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

fn refused(path: &str, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let raw = post(&server().base_url, path, headers, body);
    (raw.status, raw.json()["error"].clone())
}

#[test]
fn the_key_is_asked_for() {
    let body =
        json!({"model": "small", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1});
    let (status, error) = refused(
        "/v1/chat/completions",
        &[("authorization", "Bearer no")],
        &body,
    );
    assert_eq!((status, &error["code"]), (401, &json!("invalid_api_key")));
    let (status, error) = refused("/v1/messages", &[VERSION, ("x-api-key", "no")], &body);
    assert_eq!(
        (status, &error["type"]),
        (401, &json!("authentication_error"))
    );
    let (status, error) = refused("/api/chat", &[], &body);
    assert!(status == 401 && error.is_string());
    let headers = [VERSION, ("x-api-key", "right")];
    assert_eq!(
        post(&server().base_url, "/v1/messages", &headers, &body).status,
        200
    );
}

#[test]
fn unknown_models_and_paths_are_not_found() {
    let body =
        json!({"model": "big", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1});
    let (status, error) = refused("/v1/chat/completions", &[RIGHT], &body);
    assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
    let (status, error) = refused("/v1/messages", &[VERSION, ("x-api-key", "right")], &body);
    assert_eq!((status, &error["type"]), (404, &json!("not_found_error")));
    let (status, error) = refused("/api/chat", &[RIGHT], &body);
    assert_eq!((status, &error), (404, &json!("model 'big' not found")));
    assert_eq!(refused("/v2/anything", &[RIGHT], &body).0, 404);
}

#[test]
fn requests_of_the_wrong_shape_are_refused() {
    let user = json!({"role": "user", "content": "x"});
    let orphan = json!({"role": "tool", "tool_call_id": "c", "content": "x"});
    for body in [
        json!({"messages": [user]}),
        json!({"model": "small", "messages": []}),
        json!({"model": "small", "messages": [{"role": "robot", "content": "x"}]}),
        json!({"model": "small", "messages": [user, orphan]}),
        json!({"model": "small", "messages": [user], "temperature": 3}),
        json!({"model": "small", "messages": [user], "tools": [{"type": "function", "function": {"name": "a b"}}]}),
        json!({"model": "small", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        json!([]),
    ] {
        let (status, error) = refused("/v1/chat/completions", &[RIGHT], &body);
        assert_eq!(
            (status, &error["type"]),
            (400, &json!("invalid_request_error")),
            "{body}"
        );
    }
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "x"});
    for body in [
        json!({"model": "small", "messages": [user]}),
        json!({"model": "small", "max_tokens": 9, "messages": [{"role": "system", "content": "x"}]}),
        json!({"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": [result]}]}),
        json!({"model": "small", "max_tokens": 9, "messages": [user], "tools": [{"name": "t"}]}),
        json!({"model": "small", "max_tokens": 9, "messages": [user],
               "thinking": {"type": "enabled", "budget_tokens": 5}}),
    ] {
        let (status, error) = refused("/v1/messages", &[VERSION, ("x-api-key", "right")], &body);
        assert_eq!(
            (status, &error["type"]),
            (400, &json!("invalid_request_error")),
            "{body}"
        );
    }
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    for body in [
        json!({"model": "small"}),
        json!({"model": "small", "input": 7}),
        json!({"model": "small", "input": [output]}),
        json!({"model": "small", "input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}),
    ] {
        assert_eq!(refused("/v1/responses", &[RIGHT], &body).0, 400, "{body}");
    }
    let image = json!({"role": "user", "content": "x", "images": ["%%"]});
    for body in [
        json!({"messages": [user]}),
        json!({"model": "small", "messages": [image]}),
        json!({"model": "small", "messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    ] {
        assert_eq!(refused("/api/chat", &[RIGHT], &body).0, 400, "{body}");
    }
}

#[test]
fn a_body_that_is_not_json_is_refused() {
    let server = ScriptedServer::start(Script::saying("x"));
    let raw = send(&server.base_url, "POST", "/api/chat", &[], "{", usize::MAX);
    assert_eq!(raw.status, 400);
    assert_eq!(server.requests()[0].body, Value::Null);
}

#[test]
fn the_offered_models_are_listed() {
    let server = ScriptedServer::start(Script::saying("x"));
    let base = &server.base_url;
    assert_eq!(get(base, "/v1/models").json()["data"][0]["id"], "scripted");
    assert_eq!(
        get(base, "/api/tags").json()["models"][0]["name"],
        "scripted"
    );
    assert!(get(base, "/api/version").json()["version"].is_string());
}

#[test]
fn the_manual_clock_moves_when_told() {
    let clock = ManualClock::default();
    let before = clock.now();
    clock.clone().advance(std::time::Duration::from_secs(3));
    assert_eq!(clock.now().since(before).as_secs(), 3);
}

#[test]
fn a_seed_gives_the_same_numbers_again() {
    let numbers = |seed| {
        let mut random = Seeded::exactly(seed);
        [(); 20].map(|()| random.below(6))
    };
    assert_eq!(numbers(7), numbers(7));
    assert_ne!(numbers(7), numbers(8));
    assert!(numbers(7).iter().all(|n| *n < 6));
}
