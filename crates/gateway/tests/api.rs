//! The gateway's own API over the wire: pages, refusals, streams, deletion, export.

use serde_json::{Value, json};

use crate::api_house::House;
use crate::api_http::{Endpoint, read_until};

async fn answered(api: &Endpoint, body: &Value) -> Vec<Value> {
    let headers = "content-type: application/json\r\naccept: text/event-stream\r\n";
    let answer = api
        .send("POST", "/api/v1/messages", headers, Some(body.to_string()))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    events(&answer.text())
}

fn events(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[tokio::test]
async fn a_message_is_acknowledged_streamed_and_found_again() {
    let house = House::start().await;
    let api = &house.endpoint;
    let seen = answered(api, &json!({"text": "hello"})).await;
    assert_eq!(seen[0]["duplicate"], false);
    let text: String = seen
        .iter()
        .filter(|event| event["type"] == "text")
        .filter_map(|event| event["delta"].as_str())
        .collect();
    assert_eq!(text, "one two three");
    let last = seen.last().unwrap();
    assert_eq!(
        (&last["type"], &last["outcome"]["text"]),
        (&json!("done"), &json!(text))
    );

    let list = api.get("/api/v1/sessions").await.json();
    assert_eq!(list["sessions"][0]["key"], "agent:main:main");
    let id = list["sessions"][0]["id"].as_str().unwrap();
    for name in ["main", id] {
        let detail = api.get(&format!("/api/v1/sessions/{name}")).await.json();
        assert_eq!(detail["entries"].as_array().unwrap().len(), 2, "{detail}");
    }
    let status = api.get("/api/v1/status").await.json();
    assert_eq!(status["sessions"], 1);
    assert_eq!(status["uncertain"], 0);
}

#[tokio::test]
async fn the_same_key_is_acknowledged_and_not_run_again() {
    let house = House::start().await;
    let body = json!({"text": "hello", "idempotencyKey": "k-1"});
    let first = house.endpoint.post("/api/v1/messages", &body).await;
    assert_eq!(first.status, 202);
    let again = answered(&house.endpoint, &body).await;
    assert_eq!(again[0]["duplicate"], true);
    assert_eq!(again[0]["inbound"], first.json()["inbound"]);
    assert_eq!(again.last().unwrap()["outcome"]["text"], "one two three");
    assert_eq!(house.mirror.seen.lock().unwrap().len(), 1);
}

/// A caller's claim to authority is refused, and nothing happens.
#[tokio::test]
async fn internal_field_names_are_refused_everywhere() {
    let house = House::start().await;
    let bodies = [
        ("/api/v1/messages", json!({"text": "x"})),
        (
            "/api/v1/feedback",
            json!({"run": "run_1", "verdict": "good"}),
        ),
        ("/api/v1/models/probe", json!({})),
    ];
    for name in [
        "approved",
        "permit",
        "principal",
        "owner",
        "scopes",
        "label",
        "surface",
        "overrides",
        "on_restart",
    ] {
        for (path, body) in &bodies {
            let mut body = body.clone();
            body[name] = json!(true);
            let answer = house.endpoint.post(path, &body).await;
            assert_eq!(answer.status, 400, "{path} {name}");
            assert_eq!(answer.json()["error"]["type"], "invalid_request");
        }
        for path in ["sessions", "events", "usage", "logs", "releases", "live"] {
            let answer = house
                .endpoint
                .get(&format!("/api/v1/{path}?{name}=true"))
                .await;
            assert_eq!(answer.status, 400, "{path}?{name}");
        }
    }
    assert_eq!(house.mirror.seen.lock().unwrap().len(), 0);
    let list = house.endpoint.get("/api/v1/sessions").await.json();
    assert_eq!(list["sessions"], json!([]));
}

#[tokio::test]
async fn wrong_requests_are_refused_with_the_field() {
    let house = House::start().await;
    let api = &house.endpoint;
    for (path, field) in [
        ("/api/v1/sessions?limit=0", "limit"),
        ("/api/v1/sessions?limit=501", "limit"),
        ("/api/v1/sessions?agent=A!", "agent"),
        ("/api/v1/events?limit=0", "limit"),
        ("/api/v1/events?after=x", "after"),
        ("/api/v1/logs?lines=5001", "lines"),
        ("/api/v1/usage?from=yesterday", "from"),
        ("/api/v1/usage?from=2020-01-01&to=2026-01-01", "from"),
        ("/api/v1/sessions/x:y", "session"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        let message = answer.json()["error"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(message.contains(field), "{path}: {message}");
    }
    for (path, status) in [
        ("/api/v1/sessions/agent:main:nothing", 404),
        ("/api/v1/sessions/ses_nothing", 404),
        ("/api/v1/releases/ffffffff", 404),
    ] {
        assert_eq!(api.get(path).await.status, status, "{path}");
    }
    for body in [
        json!({"text": "  "}),
        json!({"text": "x", "session": "a b"}),
        json!({"text": "x", "session": "global"}),
        json!({"text": "x", "session": "cron:daily"}),
        json!({"text": "x", "session": "hook:1"}),
        json!({"text": "x", "session": "agent:main:cron:x"}),
        json!({"text": "x", "session": "agent:main:Subagent:x"}),
        json!({"text": "x", "session": "agent:main:ACP:x"}),
        json!({"text": "x", "session": "agent:main:agent:main:main"}),
        json!({"text": "x", "idempotencyKey": "a b"}),
        json!({"text": "x", "model": "no/model"}),
        json!({"text": "x", "attachments": [{"name": "a", "mime": "image/png", "data": "eHg="}]}),
        json!({"text": "x", "attachments": [{"name": "a", "mime": "application/pdf", "data": "eHg="}]}),
    ] {
        assert_eq!(
            api.post("/api/v1/messages", &body).await.status,
            400,
            "{body}"
        );
    }
    assert_eq!(house.mirror.seen.lock().unwrap().len(), 0);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let answer = api
        .send("POST", "/api/v1/messages", form, Some("text=x".to_owned()))
        .await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn a_file_is_read_and_its_name_is_never_a_path() {
    let house = House::start().await;
    let data = "dGhlIHNlY3JldCB3b3JkIGlzIGhlcm9u";
    let body = json!({"text": "read the file", "attachments": [
        {"name": "../../../etc/notes.txt", "mime": "text/plain", "data": data}]});
    let seen = answered(&house.endpoint, &body).await;
    let text = seen.last().unwrap()["outcome"]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        text.contains("heron") && text.contains("notes.txt"),
        "{text}"
    );
    assert!(!text.contains(".."), "{text}");
}

#[tokio::test]
async fn a_deleted_conversation_comes_back_whole() {
    let house = House::start().await;
    let api = &house.endpoint;
    let _seen = answered(api, &json!({"text": "hello"})).await;
    let id = api.get("/api/v1/sessions/main").await.json()["session"]["id"].clone();
    let path = format!("/api/v1/sessions/{}", id.as_str().unwrap());
    let done = api.send("DELETE", &path, "", None).await.json();
    assert_eq!(done, json!({"ok": true, "changed": true}));
    assert_eq!(api.get("/api/v1/sessions/main").await.status, 404);
    let deleted = api.get("/api/v1/sessions?deleted=true").await.json();
    assert_eq!(deleted["sessions"][0]["id"], id);
    let done = api
        .post(&format!("{path}/restore"), &json!({}))
        .await
        .json();
    assert_eq!(done["changed"], true);
    let detail = api.get("/api/v1/sessions/main").await.json();
    assert_eq!(detail["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_conversation_goes_back_to_an_entry_and_on_from_there() {
    let house = House::start().await;
    let api = &house.endpoint;
    for text in ["first", "second"] {
        let _seen = answered(api, &json!({"text": text})).await;
    }
    let entries = async || {
        let detail = api.get("/api/v1/sessions/main").await.json();
        let entries = detail["entries"].as_array().unwrap().clone();
        let ids: Vec<Value> = entries.iter().map(|entry| entry["id"].clone()).collect();
        ids
    };
    let before = entries().await;
    assert_eq!(before.len(), 4);
    let path = "/api/v1/sessions/main/rewind";
    let back = api.post(path, &json!({"entry": before[1]})).await;
    assert_eq!(back.json(), json!({"ok": true, "changed": true}));
    assert_eq!(entries().await, before[..2]);
    let again = api.post(path, &json!({"entry": before[1]})).await;
    assert_eq!(again.json(), json!({"ok": true, "changed": false}));

    let _seen = answered(api, &json!({"text": "another second"})).await;
    let after = entries().await;
    assert_eq!(after.len(), 4);
    assert_eq!(after[..2], before[..2]);
    assert!(!before.contains(&after[2]));
    // What was left is kept, and is a place to go back to.
    let left = api.post(path, &json!({"entry": before[3]})).await;
    assert_eq!(left.json()["changed"], true);
    assert_eq!(entries().await, before);
}

#[tokio::test]
async fn only_an_entry_of_the_conversation_is_gone_back_to() {
    let house = House::start().await;
    let api = &house.endpoint;
    for session in ["main", "agent:main:other"] {
        let _seen = answered(api, &json!({"text": "hello", "session": session})).await;
    }
    let other = api.get("/api/v1/sessions/agent:main:other").await.json();
    let foreign = other["entries"][0]["id"].clone();
    let path = "/api/v1/sessions/main/rewind";
    for (path, body, status) in [
        (path, json!({"entry": foreign}), 404),
        (path, json!({"entry": "ent_nothing"}), 404),
        (path, json!({"entry": ""}), 404),
        (path, json!({}), 400),
        (path, json!({"entry": foreign, "owner": true}), 400),
        (
            "/api/v1/sessions/agent:main:no/rewind",
            json!({"entry": foreign}),
            404,
        ),
    ] {
        let answer = api.post(path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
    }
    let main = api.get("/api/v1/sessions/main").await.json();
    assert_eq!(main["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_export_has_a_header_and_a_record_per_entry() {
    let house = House::start().await;
    let _seen = answered(&house.endpoint, &json!({"text": "hello"})).await;
    let answer = house.endpoint.get("/api/v1/sessions/main/export").await;
    assert!(answer.head.contains("application/jsonl"), "{}", answer.head);
    let text = answer.text();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["type"], &lines[0]["version"]),
        (&json!("session"), &json!(1))
    );
    assert_eq!(lines[1]["message"]["role"], "user");
    assert_eq!(lines[2]["message"]["content"][0]["text"], "one two three");
    assert_eq!(lines[2]["parentId"], lines[1]["id"]);
}

#[tokio::test]
async fn a_running_turn_is_watched_and_stopped() {
    let house = House::start().await;
    let api = &house.endpoint;
    let mut watch = api.open("GET", "/api/v1/live?session=main", "", None).await;
    let _greeting = read_until(&mut watch, ": watching").await;
    let accepted = api
        .post("/api/v1/messages", &json!({"text": "forever"}))
        .await;
    assert_eq!(accepted.status, 202);
    let _text = read_until(&mut watch, "\"delta\":\"wait\"").await;
    assert_eq!(
        api.get("/api/v1/sessions").await.json()["sessions"],
        json!([])
    );
    let done = api
        .post("/api/v1/sessions/main/stop", &json!({}))
        .await
        .json();
    assert_eq!(done["changed"], true);
    let seen = read_until(&mut watch, "\"status\":\"aborted\"").await;
    assert!(seen.contains("event: done"), "{seen}");
    let done = api
        .post("/api/v1/sessions/main/stop", &json!({}))
        .await
        .json();
    assert_eq!(done["changed"], false);
}

#[tokio::test]
async fn events_are_listed_filtered_and_followed() {
    let house = House::start().await;
    let api = &house.endpoint;
    let stream = "accept: text/event-stream\r\n";
    let mut tail = api
        .open("GET", "/api/v1/events?limit=0&kind=turn", stream, None)
        .await;
    let _greeting = read_until(&mut tail, ": following").await;
    let seen = answered(api, &json!({"text": "hello"})).await;
    let run = seen.last().unwrap()["run"].as_str().unwrap().to_owned();
    let text = read_until(&mut tail, &run).await;
    assert!(
        text.contains("event: turn") && !text.contains("event: message_in"),
        "{text}"
    );
    let turns = api
        .get("/api/v1/events?kind=turn&session=main")
        .await
        .json();
    assert_eq!(turns.as_array().unwrap().len(), 1);

    let good = json!({"run": run, "verdict": "good", "comment": "nice"});
    assert_eq!(
        api.post("/api/v1/feedback", &good).await.json()["changed"],
        true
    );
    let judged = api.get("/api/v1/events?kind=feedback").await.json();
    assert_eq!(judged[0]["verdict"], "good");
    let nobody = json!({"run": "run_none", "verdict": "bad"});
    assert_eq!(api.post("/api/v1/feedback", &nobody).await.status, 404);
}

#[tokio::test]
async fn releases_usage_models_and_the_doctor_answer() {
    let house = House::start().await;
    let api = &house.endpoint;
    let _seen = answered(api, &json!({"text": "hello"})).await;
    let releases = api.get("/api/v1/releases").await.json();
    assert_eq!(releases[0]["stable"], true);
    let id = releases[0]["id"].as_str().unwrap();
    assert_eq!(api.get("/api/v1/releases/stable").await.json()["id"], id);
    assert_eq!(api.get("/api/v1/releases/log").await.json()[0]["to"], id);
    let diff = api
        .get("/api/v1/releases/diff?from=stable&to=stable")
        .await
        .json();
    assert_eq!(diff, json!([]));
    let usage = api.get("/api/v1/usage").await.json();
    assert_eq!(usage["rows"][0]["calls"], 1);
    let models = api.get("/api/v1/models").await.json();
    assert!(
        models
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["id"] == "test/mirror")
    );
    let probe = json!({"model": "test/mirror"});
    assert_eq!(
        api.post("/api/v1/models/probe", &probe).await.json()[0]["ok"],
        true
    );
    let findings = api.get("/api/v1/doctor").await.json();
    for check in [
        "config",
        "modes",
        "disk",
        "secrets",
        "store",
        "delivery",
        "clock",
        "workspace",
        "model",
    ] {
        let found = findings
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["check"] == check);
        assert!(found.is_some(), "{check}: {findings}");
    }
}
