//! The first frames of a connection.

use serde_json::{Value, json};

use super::client::{Answered, Came, Device, Socket, connect, hello, hello_with};
use crate::house::{House, TOKEN};

/// What the holder of the shared secret gets.
const HOLDER: [&str; 2] = ["operator.read", "operator.write"];
const WRONG: &str = "a-wrong-token-0123456789abcdef";

#[tokio::test]
async fn the_page_and_the_socket_share_the_root() {
    let house = House::new().await;
    assert_eq!(house.get("/", &house.cookie().await).await.status, 303);
    let (_, challenge) = Socket::challenged(&house, "").await;
    assert!(challenge.nonce.len() >= 32 && challenge.at > 0);
    let (_, second) = Socket::challenged(&house, "").await;
    assert_ne!(challenge.nonce, second.nonce);
}

#[tokio::test]
async fn a2_upgrades_for_other_hosts_and_from_other_pages_are_refused() {
    let house = House::new().await;
    let own = house.address();
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        format!("http://{own}.evil.example"),
        format!("http://evil.example#{own}"),
        format!("https://{own}"),
        format!("http://user@{own}"),
        format!("http://127.0.0.1:{}", own.port() ^ 1),
        "http://localhost".to_owned(),
        String::new(),
    ] {
        let refused = Socket::open(&house, &format!("origin: {origin}\r\n")).await;
        assert_eq!(refused.unwrap_err(), 403, "{origin}");
    }
    let two = format!("origin: http://{own}\r\norigin: http://evil.example\r\n");
    assert_eq!(Socket::open(&house, &two).await.unwrap_err(), 403);
    // A browser that says where it is but leaves the origin out.
    let site = "sec-fetch-site: cross-site\r\n";
    assert_eq!(Socket::open(&house, site).await.unwrap_err(), 403);
    for host in ["evil.example", "127.0.0.1.evil.example", ""] {
        let refused = Socket::open_as(&house, host, "").await;
        assert!(matches!(refused.unwrap_err(), 400 | 421), "{host}");
    }
    for fine in [String::new(), format!("origin: http://{own}\r\n")] {
        assert!(Socket::open(&house, &fine).await.is_ok(), "{fine}");
    }
}

#[tokio::test]
async fn a_cookie_opens_the_socket_from_our_own_page_only() {
    let house = House::new().await;
    let cookie = house.cookie().await;
    // Without an origin it is no page of ours that asks.
    assert_eq!(Socket::open(&house, &cookie).await.unwrap_err(), 403);
    let headers = format!("origin: http://{}\r\n{cookie}", house.address());
    // Nor with two of them, of which one is right.
    let two = format!("origin: http://{}\r\n{headers}", house.address());
    assert_eq!(Socket::open(&house, &two).await.unwrap_err(), 403);
    let (mut socket, _) = Socket::challenged(&house, &headers).await;
    let hello_ok = socket.ask("connect", hello()).await.ok();
    let scopes = hello_ok["auth"]["scopes"].as_array().unwrap();
    assert!(scopes.contains(&json!("operator.admin")), "{hello_ok}");
}

#[tokio::test]
async fn a_page_that_the_owner_allowed_is_not_the_owner_s_own() {
    let friend = "https://friend.example";
    let config = format!("{{gateway: {{controlUi: {{allowedOrigins: ['{friend}']}}}}}}");
    let house = House::with(&config).await;
    let cookie = house.cookie().await;
    let origin = format!("origin: {friend}\r\n");
    // It may connect and show a secret; the cookie of a signed-in browser does not come with it.
    let (mut socket, _) = Socket::challenged(&house, &origin).await;
    let hello_ok = socket.ask("connect", hello_with(TOKEN)).await.ok();
    assert_eq!(hello_ok["auth"]["scopes"], json!(HOLDER));
    let (mut socket, _) = Socket::challenged(&house, &origin).await;
    let error = socket.ask("connect", hello()).await.refused();
    assert_eq!(error["details"]["code"], "AUTH_TOKEN_MISSING", "{error}");
    let with_cookie = format!("{origin}{cookie}");
    assert_eq!(Socket::open(&house, &with_cookie).await.unwrap_err(), 403);
    let own = format!("origin: http://{}\r\n{cookie}", house.address());
    let (mut socket, _) = Socket::challenged(&house, &own).await;
    socket.ask("connect", hello()).await.ok();
}

#[tokio::test]
async fn the_first_request_has_to_be_connect() {
    let house = House::new().await;
    let (mut socket, _) = Socket::challenged(&house, "").await;
    let error = socket.ask("health", json!({})).await.refused();
    assert_eq!(error["code"], "INVALID_REQUEST");
    assert_eq!(
        error["message"],
        "invalid handshake: first request must be connect"
    );
    assert!(matches!(socket.end().await, Came::Close(1008, _)));
    let (mut socket, _) = Socket::challenged(&house, "").await;
    socket.send_raw(1, b"hello").await;
    assert!(matches!(socket.read().await, Came::Close(1000, _)));
    for params in [
        json!({}),
        json!({ "minProtocol": 4, "maxProtocol": 4 }),
        {
            let mut strange = hello_with(TOKEN);
            strange["client"]["id"] = json!("somebody");
            strange
        },
        {
            let mut strange = hello_with(TOKEN);
            strange["client"]["mode"] = json!("owner");
            strange
        },
        {
            let mut strange = hello_with(TOKEN);
            strange["isOwner"] = json!(true);
            strange
        },
    ] {
        let (mut socket, answered) = connect(&house, params.clone()).await;
        let error = answered.refused();
        let text = error["message"].as_str().unwrap();
        assert_eq!(error["code"], "INVALID_REQUEST", "{params}");
        assert!(text.starts_with("invalid connect params: "), "{error}");
        assert!(
            matches!(socket.end().await, Came::Close(1008, _)),
            "{params}"
        );
    }
}

#[tokio::test]
async fn versions_are_matched_before_credentials() {
    let house = House::new().await;
    let with = |min: u32, max: u32, mode: &str| {
        let mut params = hello_with(TOKEN);
        params["minProtocol"] = json!(min);
        params["maxProtocol"] = json!(max);
        params["client"]["mode"] = json!(mode);
        params
    };
    for (min, max) in [(3, 3), (5, 5), (5, 9), (4, 3)] {
        let (mut socket, answered) = connect(&house, with(min, max, "cli")).await;
        let error = answered.refused();
        let details = json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": min,
            "clientMaxProtocol": max,
            "expectedProtocol": 4,
            "minimumProbeProtocol": 3,
        });
        assert_eq!(error["details"], details, "{min}-{max}");
        assert!(matches!(socket.end().await, Came::Close(1002, _)));
    }
    for (min, max, mode) in [(4, 4, "cli"), (3, 4, "probe"), (1, 9, "cli")] {
        let (_, answered) = connect(&house, with(min, max, mode)).await;
        assert_eq!(answered.ok()["protocol"], 4);
    }
}

#[tokio::test]
async fn wrong_and_missing_secrets_are_told_apart() {
    let house = House::new().await;
    let (mut socket, answered) = connect(&house, hello_with(WRONG)).await;
    let error = answered.refused();
    assert_eq!(error["code"], "INVALID_REQUEST");
    assert_eq!(
        error["details"],
        json!({
            "code": "AUTH_TOKEN_MISMATCH",
            "authReason": "token_mismatch",
            "canRetryWithDeviceToken": true,
            "recommendedNextStep": "retry_with_device_token",
        })
    );
    assert!(!error.to_string().contains(WRONG));
    assert!(matches!(socket.end().await, Came::Close(1008, _)));
    for auth in [Value::Null, json!({}), json!({ "token": "" })] {
        let mut params = hello();
        if !auth.is_null() {
            params["auth"] = auth;
        }
        let (mut socket, answered) = connect(&house, params).await;
        let error = answered.refused();
        assert_eq!(error["details"]["code"], "AUTH_TOKEN_MISSING", "{error}");
        let next = &error["details"]["recommendedNextStep"];
        assert_eq!(next, "update_auth_configuration");
        assert!(matches!(socket.end().await, Came::Close(1008, _)));
    }
    let mut by_password = hello();
    by_password["auth"] = json!({ "password": TOKEN });
    connect(&house, by_password).await.1.ok();
}

#[tokio::test]
async fn the_hello_says_what_there_is_and_to_whom_it_says_it() {
    let house = House::new().await;
    let (mut socket, answered) = connect(&house, hello_with(TOKEN)).await;
    let hello_ok = answered.ok();
    assert_eq!(hello_ok["type"], "hello-ok");
    assert_eq!(hello_ok["auth"]["scopes"], json!(HOLDER));
    for path in ["configPath", "stateDir", "authMode"] {
        assert_eq!(
            hello_ok["snapshot"].get(path),
            None,
            "{path} is for administrators"
        );
    }
    let policy = &hello_ok["policy"];
    for number in ["maxPayload", "maxBufferedBytes", "tickIntervalMs"] {
        assert!(policy[number].as_u64().unwrap() > 0, "{policy}");
    }
    // The first event is the health, with the number one.
    let Came::Frame(first) = socket.read().await else {
        panic!("no event");
    };
    assert_eq!(
        (&first["event"], &first["seq"]),
        (&json!("health"), &json!(1))
    );
    assert_eq!(first["payload"]["ok"], true, "{first}");
    // Every method that is named is there, and reads its parameters strictly; or it is one that this
    // client may not call.
    let methods = hello_ok["features"]["methods"].as_array().unwrap();
    assert!(methods.len() > 20, "{methods:?}");
    let mut lenient = Vec::new();
    for name in methods.iter().map(|name| name.as_str().unwrap()) {
        let strange = json!({ "noSuchParameter": 1 });
        match socket.ask(name, strange).await {
            Answered::Refused(error) => {
                let text = error["message"].as_str().unwrap();
                let strict = text.starts_with(&format!("invalid {name} params: "));
                assert!(strict || error["code"] == "FORBIDDEN", "{name}: {error}");
            }
            Answered::Ok(_) => lenient.push(name.to_owned()),
            gone @ Answered::Gone(_) => panic!("{name}: {gone:?}"),
        }
    }
    assert!(
        lenient.is_empty(),
        "unknown parameters are taken: {lenient:?}"
    );
    let error = socket.ask("no.such.method", json!({})).await.refused();
    assert_eq!(error["message"], "unknown method: no.such.method");
    let again = socket.ask("connect", hello_with(TOKEN)).await.refused();
    assert_eq!(again["code"], "INVALID_REQUEST", "a connection begins once");
}

#[tokio::test]
async fn a_shared_secret_is_worth_the_same_whatever_its_bearer_says() {
    let house = House::with("{gateway: {limits: {requestsPerMinute: 100000}}}").await;
    let every = "operator.read operator.write operator.admin operator.pairing operator.approvals";
    let every: Vec<&str> = every.split(' ').collect();
    for (id, mode) in [
        ("cli", "cli"),
        ("gateway-client", "backend"),
        ("openclaw-control-ui", "ui"),
        ("webchat-ui", "webchat"),
        ("node-host", "node"),
        ("openclaw-tui", "ui"),
        ("openclaw-probe", "probe"),
        ("openclaw-macos", "ui"),
    ] {
        for role in [None, Some("operator"), Some("node")] {
            for scopes in [None, Some(vec![]), Some(every.clone())] {
                let mut params = hello_with(TOKEN);
                params["client"]["id"] = json!(id);
                params["client"]["mode"] = json!(mode);
                let object = params.as_object_mut().unwrap();
                drop(object.remove("role"));
                drop(object.remove("scopes"));
                if let Some(role) = role {
                    params["role"] = json!(role);
                }
                if let Some(scopes) = &scopes {
                    params["scopes"] = json!(scopes);
                }
                let (_, answered) = connect(&house, params.clone()).await;
                match answered {
                    Answered::Ok(hello_ok) => {
                        assert_eq!(hello_ok["auth"]["scopes"], json!(HOLDER), "{params}");
                        assert_eq!(hello_ok["auth"]["role"], "operator", "{params}");
                    }
                    // A node, or the control page, may be told that it needs a key of its own.
                    Answered::Refused(error) => assert!(
                        error["details"]["code"]
                            .as_str()
                            .is_some_and(|code| code.ends_with("DEVICE_IDENTITY_REQUIRED")),
                        "{params}: {error}"
                    ),
                    gone @ Answered::Gone(_) => panic!("{gone:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a2_guessing_from_this_machine_is_locked_out() {
    let house = House::with("{gateway: {limits: {requestsPerMinute: 100000}}}").await;
    let mut locked = 0;
    for _ in 0..200 {
        let (_, answered) = connect(&house, hello_with(WRONG)).await;
        locked += usize::from(answered.code() == "AUTH_RATE_LIMITED");
    }
    assert_eq!(locked, 190, "ten guesses are compared");
    let (_, answered) = connect(&house, hello_with(TOKEN)).await;
    let error = answered.refused();
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED", "{error}");
    assert_eq!(error["details"]["recommendedNextStep"], "wait_then_retry");
    // The same count holds for HTTP: it is one door.
    assert_eq!(house.owner("/api/v1/status").await.status, 429);
}

#[tokio::test]
async fn a3_no_field_of_the_handshake_leads_around_the_limit() {
    const OTHERS: [&str; 5] = [
        "password",
        "deviceToken",
        "bootstrapToken",
        "approvalRuntimeToken",
        "agentRuntimeIdentityToken",
    ];
    let rules =
        "{gateway: {auth: {rateLimit: {maxAttempts: 3}}, limits: {requestsPerMinute: 100000}}}";
    let device = Device::new(9);
    for subset in 0..(1_u32 << OTHERS.len()) {
        for with_device in [false, true] {
            let house = House::with(rules).await;
            let mut params = hello_with(WRONG);
            for (at, name) in OTHERS.iter().enumerate() {
                if subset & (1 << at) != 0 {
                    params["auth"][name] = json!("something-else-0123456789");
                }
            }
            let attempt = async |params: Value| {
                if with_device {
                    device.connect(&house, params).await.1
                } else {
                    connect(&house, params).await.1
                }
            };
            // Setup codes are not given out: with one of them nothing else is looked at, ever.
            let with_code = params["auth"]["bootstrapToken"].is_string();
            for _ in 0..3 {
                let code = attempt(params.clone()).await.code();
                assert!(
                    code.ends_with("MISMATCH") || code.ends_with("INVALID"),
                    "{code}"
                );
            }
            // The right secret beside the same fields is not even looked at now.
            params["auth"]["token"] = json!(TOKEN);
            let code = attempt(params.clone()).await.code();
            if with_code {
                assert_eq!(code, "AUTH_BOOTSTRAP_TOKEN_INVALID", "{params}");
            } else {
                assert_eq!(code, "AUTH_RATE_LIMITED", "{params}");
                let alone = connect(&house, hello_with(TOKEN)).await.1.code();
                assert_eq!(alone, "AUTH_RATE_LIMITED", "{params}");
            }
            house.running.shutdown().await;
        }
    }
}
