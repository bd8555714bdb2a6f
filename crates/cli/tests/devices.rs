//! Devices and what they may do, through the built binary.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::socket::{Key, Socket, hello};
use crate::support::{Instar, Setup};

const ADMIN: &[&str] = &["operator.admin"];

fn request(refused: Result<Value, Value>) -> String {
    let error = refused.unwrap_err();
    assert_eq!(error["details"]["code"], "PAIRING_REQUIRED", "{error}");
    error["details"]["requestId"].as_str().unwrap().to_owned()
}

#[test]
fn the_token_alone_reads_and_writes_whatever_a_client_calls_itself() {
    let instar = Instar::start(Setup::default());
    for (id, mode, role) in [
        ("cli", "cli", "operator"),
        ("gateway-client", "backend", "operator"),
        ("openclaw-tui", "ui", "operator"),
        ("webchat", "webchat", "operator"),
    ] {
        let mut params = hello(ADMIN);
        params["client"]["id"] = json!(id);
        params["client"]["mode"] = json!(mode);
        params["role"] = json!(role);
        let (mut socket, answered) = Socket::connect(&instar, &params);
        let scopes = answered.unwrap()["auth"]["scopes"].clone();
        assert_eq!(scopes, json!(["operator.read", "operator.write"]), "{id}");
        let patch = json!({ "raw": "{gateway: {port: 1}}" });
        let error = socket.ask("config.patch", &patch).unwrap_err();
        assert_eq!(error["message"], "missing scope: operator.admin", "{id}");
    }
}

#[test]
fn a_device_is_let_in_by_the_owner_alone_and_believed_by_its_signature() {
    let instar = Instar::start(Setup::default());
    let key = Key::new(1);
    let waiting = request(key.connect(&instar, hello(ADMIN)).1);
    // A signature over anything else is no request, let alone a way in.
    let (_, answered) = key.connect_signing(&instar, hello(ADMIN), |text| text + "x");
    let code = &answered.unwrap_err()["details"]["code"];
    assert_eq!(code, "DEVICE_AUTH_SIGNATURE_INVALID");
    // The API token is what existing clients have: it is not the owner's word.
    let path = format!("/api/v1/devices/requests/{waiting}/approve");
    assert_eq!(instar.http.post(&path, &json!({})).status, 403);
    let listed = instar.run(["devices", "list", "--json"]).json();
    assert_eq!(listed["pending"][0]["deviceId"], key.id(), "{listed}");
    let told = instar.run(["devices", "approve"]);
    assert_eq!(told.code, 0, "{told:?}");
    let (_, answered) = key.connect_signing(&instar, hello(ADMIN), |text| text + "x");
    assert!(answered.is_err(), "known or not, the signature counts");
    let hello_ok = key.connect(&instar, hello(ADMIN)).1.unwrap();
    assert_eq!(hello_ok["auth"]["scopes"], json!(ADMIN));
    assert!(hello_ok["auth"]["deviceToken"].is_string(), "{hello_ok}");
    let nobody = instar.run(["devices", "approve"]);
    assert_eq!(nobody.code, 6, "{nobody:?}");
}

#[test]
fn a_revoked_device_is_out_within_a_second_and_stays_out() {
    let instar = Instar::start(Setup::default());
    let key = Key::new(2);
    request(key.connect(&instar, hello(ADMIN)).1);
    assert_eq!(instar.run(["devices", "approve"]).code, 0);
    let (mut open, answered) = key.connect(&instar, hello(ADMIN));
    let token = answered.unwrap()["auth"]["deviceToken"].clone();
    let id = key.id();
    let named = instar.run(["devices", "rename", id.as_str(), "desk"]);
    assert_eq!(named.code, 0, "{named:?}");
    assert_eq!(instar.run(["devices", "revoke", "desk"]).code, 0);
    assert!(open.ends_within(Duration::from_secs(1)));
    let mut by_token = hello(ADMIN);
    by_token["auth"] = json!({ "deviceToken": token });
    assert!(key.connect(&instar, by_token).1.is_err());
    request(key.connect(&instar, hello(ADMIN)).1);
    let removed = instar.run(["devices", "remove", "desk"]);
    assert_eq!(removed.code, 0, "{removed:?}");
    let listed = instar.run(["devices", "list", "--json"]).json();
    assert_eq!(listed["paired"], json!([]), "{listed}");
}

#[test]
fn a_device_that_may_pair_does_not_touch_one_that_may_more() {
    let instar = Instar::start(Setup::default());
    let (strong, pairer) = (Key::new(5), Key::new(6));
    let pairing: &[&str] = &["operator.pairing", "operator.read"];
    for (key, scopes) in [(&strong, ADMIN), (&pairer, pairing)] {
        let waiting = request(key.connect(&instar, hello(scopes)).1);
        let approved = instar.run(["devices", "approve", waiting.as_str()]);
        assert_eq!(approved.code, 0, "{approved:?}");
    }
    let (mut stays, answered) = strong.connect(&instar, hello(ADMIN));
    answered.unwrap();
    let (mut socket, answered) = pairer.connect(&instar, hello(pairing));
    answered.unwrap();
    let of_role = json!({ "deviceId": strong.id(), "role": "operator" });
    for (method, params) in [
        ("device.pair.remove", json!({ "deviceId": strong.id() })),
        (
            "device.pair.rename",
            json!({ "deviceId": strong.id(), "label": "mine" }),
        ),
        ("device.token.revoke", of_role.clone()),
        ("device.token.rotate", of_role),
    ] {
        let error = socket.ask(method, &params).unwrap_err();
        assert_eq!(error["code"], "FORBIDDEN", "{method}: {error}");
    }
    stays.ask("config.schema", &json!({})).unwrap();
    let listed = instar.run(["devices", "list", "--json"]).json();
    assert_eq!(listed["paired"].as_array().unwrap().len(), 2, "{listed}");
}

#[test]
fn a_device_s_token_can_be_made_anew() {
    let instar = Instar::start(Setup::default());
    let key = Key::new(3);
    let waiting = request(key.connect(&instar, hello(ADMIN)).1);
    let approved = instar.run(["devices", "approve", waiting.as_str()]);
    assert_eq!(approved.code, 0, "{approved:?}");
    let old = key.connect(&instar, hello(ADMIN)).1.unwrap()["auth"]["deviceToken"].clone();
    let id = key.id();
    let rotated = instar
        .run(["devices", "rotate", &id[..10], "--json"])
        .json();
    let with = |token: &Value| {
        let mut params = hello(ADMIN);
        params["auth"] = json!({ "deviceToken": token });
        key.connect(&instar, params).1
    };
    assert!(with(&old).is_err());
    assert_eq!(
        with(&rotated["token"]).unwrap()["auth"]["scopes"],
        json!(ADMIN)
    );
    let rejected = request(Key::new(4).connect(&instar, hello(ADMIN)).1);
    let told = instar.run(["devices", "reject", rejected.as_str()]);
    assert_eq!(told.code, 0, "{told:?}");
}

#[test]
fn what_is_said_is_heard_by_those_who_follow_the_conversation_alone() {
    let instar = Instar::start(Setup::default());
    let (mut speaker, answered) = Socket::connect(&instar, &hello(&[]));
    answered.unwrap();
    let (mut stranger, answered) = Socket::connect(&instar, &hello(&[]));
    answered.unwrap();
    stranger.ask("sessions.subscribe", &json!({})).unwrap();
    let params = json!({
        "sessionKey": "plans", "message": "canary-one", "idempotencyKey": "run-1",
    });
    speaker.ask("chat.send", &params).unwrap();
    loop {
        let frame = speaker.read().expect("the answer");
        if frame["event"] == "chat" && frame["payload"]["state"] == "final" {
            break;
        }
    }
    // What was told before is read before the answer to the next request.
    let next = json!({ "type": "req", "id": "last", "method": "health", "params": {} });
    stranger.send(next.to_string().as_bytes());
    loop {
        let frame = stranger.read().expect("an answer");
        assert_ne!(frame["event"], "chat", "{frame}");
        assert_ne!(frame["event"], "agent", "{frame}");
        assert!(!frame.to_string().contains("canary-one"), "{frame}");
        if frame["id"] == "last" {
            break;
        }
    }
}

#[test]
fn a_page_of_another_site_opens_no_socket() {
    let instar = Instar::start(Setup::default());
    for headers in [
        "origin: https://evil.example\r\n",
        "origin: null\r\n",
        "sec-fetch-site: cross-site\r\n",
    ] {
        assert_eq!(
            Socket::open(&instar, headers).unwrap_err(),
            403,
            "{headers}"
        );
    }
    let own = format!("origin: {}\r\n", instar.url());
    assert!(Socket::open(&instar, &own).is_ok());
}
