//! Devices: let in by the owner alone, never with more than was agreed, gone at once when revoked.

use instar_protocol::time::SystemClock;
use instar_protocol::{Clock, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::{
    Answered, Came, Device, Socket, connect, hello, hello_as_device, hello_with, holder, owner,
};
use crate::house::{House, TOKEN};

const WIDE: &str = "{gateway: {limits: {requestsPerMinute: 100000}, \
                    auth: {rateLimit: {maxAttempts: 1000}}}}";
const ADMIN: &[&str] = &["operator.admin"];
const READ: &[&str] = &["operator.read"];
const HOLDER: &[&str] = &["operator.read", "operator.write"];
const EVERYTHING: &[&str] = &[
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.questions",
    "operator.pairing",
];
const PAIRER: &[&str] = &["operator.pairing", "operator.read"];

fn scopes(hello_ok: &Value) -> Vec<String> {
    let scopes = hello_ok["auth"]["scopes"].as_array().unwrap();
    let word = |scope: &Value| scope.as_str().unwrap().to_owned();
    scopes.iter().map(word).collect()
}

#[tokio::test]
async fn a_device_waits_for_the_owner_on_this_machine_too() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    let device = Device::new(1);
    let mut params = hello_with(TOKEN);
    params["scopes"] = json!(ADMIN);
    params["client"]["displayName"] = json!("the kitchen");
    params["client"]["deviceFamily"] = json!("");
    let (mut socket, answered) = device.connect(&house, params.clone()).await;
    let error = answered.refused();
    assert_eq!(error["details"]["code"], "PAIRING_REQUIRED", "{error}");
    assert_eq!(error["details"]["reason"], "not-paired", "{error}");
    assert!(matches!(socket.end().await, Came::Close(1008, _)));
    let asked = owner.event("device.pair.requested").await;
    assert_eq!(asked["requestId"], error["details"]["requestId"]);
    assert_eq!(asked["deviceId"], device.id);
    assert_eq!(asked["scopes"], json!(ADMIN));
    assert_eq!(asked["displayName"], "the kitchen");
    assert_eq!(asked.get("deviceFamily"), None, "{asked}");
    // Asking again does not make a second request.
    let (_, again) = device.connect(&house, params.clone()).await;
    assert_eq!(again.refused()["details"]["requestId"], asked["requestId"]);
    // Whoever holds the shared secret alone cannot agree.
    let mut holder = holder(&house).await;
    let approve = json!({ "requestId": asked["requestId"] });
    let error = holder
        .ask("device.pair.approve", approve.clone())
        .await
        .refused();
    assert_eq!(error["code"], "FORBIDDEN");
    assert_eq!(error["message"], "missing scope: operator.pairing");
    assert_eq!(error["details"]["missingScope"], "operator.pairing");
    owner.ask("device.pair.approve", approve.clone()).await.ok();
    let resolved = owner.event("device.pair.resolved").await;
    assert_eq!(resolved["decision"], "approved");
    let error = owner.ask("device.pair.approve", approve).await;
    assert!(
        matches!(error, Answered::Refused(_)),
        "a request is answered once"
    );
    let (_, answered) = device.connect(&house, params).await;
    let hello_ok = answered.ok();
    assert_eq!(scopes(&hello_ok), ADMIN);
    let token = hello_ok["auth"]["deviceToken"].as_str().unwrap();
    // From now on the device's own token is enough.
    let (_, answered) = device.connect(&house, hello_as_device(token, ADMIN)).await;
    assert_eq!(scopes(&answered.ok()), ADMIN);
    // It is worth nothing without the key, and to another key.
    let (_, answered) = connect(&house, hello_as_device(token, ADMIN)).await;
    assert_eq!(answered.code(), "DEVICE_IDENTITY_REQUIRED");
    let (_, answered) = Device::new(2)
        .connect(&house, hello_as_device(token, ADMIN))
        .await;
    assert!(matches!(answered, Answered::Refused(_)), "{answered:?}");
}

/// Whoever comes at the same time: a code and a request are answered once, and neither is worth
/// anything by itself.
#[tokio::test]
async fn a9_a_code_and_a_request_are_good_once_whoever_comes_at_the_same_time() {
    let house = House::with(WIDE).await;
    let code = format!("code={}", house.code());
    let tries = std::iter::repeat_with(|| house.sign_in(&code)).take(8);
    let answers = futures_util::future::join_all(tries).await;
    let signed_in = answers.iter().filter(|answer| answer.status == 303);
    assert_eq!(signed_in.count(), 1, "{answers:?}");

    let mut owners = Vec::new();
    for _ in 0..4 {
        owners.push(owner(&house).await);
    }
    let device = Device::new(1);
    let (_, answered) = device.connect(&house, hello_with(TOKEN)).await;
    let request = answered.refused()["details"]["requestId"].clone();
    // Its number opens nothing: neither as a secret nor as a device's token.
    let (_, answered) = connect(&house, hello_with(request.as_str().unwrap())).await;
    assert_eq!(answered.code(), "AUTH_TOKEN_MISMATCH");
    let as_token = hello_as_device(request.as_str().unwrap(), READ);
    let (_, answered) = device.connect(&house, as_token).await;
    assert_eq!(answered.code(), "AUTH_DEVICE_TOKEN_MISMATCH");
    let approve = json!({ "requestId": request });
    let asked = owners
        .iter_mut()
        .map(|owner| owner.ask("device.pair.approve", approve.clone()));
    let answers = futures_util::future::join_all(asked).await;
    let agreed = answers.iter().filter(|one| matches!(one, Answered::Ok(_)));
    assert_eq!(agreed.count(), 1, "{answers:?}");
}

#[tokio::test]
async fn what_the_owner_refuses_stays_outside() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    let device = Device::new(1);
    let (_, answered) = device.connect(&house, hello_with(TOKEN)).await;
    let error = answered.refused();
    let reject = json!({ "requestId": error["details"]["requestId"] });
    owner.ask("device.pair.reject", reject).await.ok();
    assert_eq!(
        owner.event("device.pair.resolved").await["decision"],
        "rejected"
    );
    let (_, answered) = device.connect(&house, hello_with(TOKEN)).await;
    assert_eq!(answered.code(), "PAIRING_REQUIRED");
    let listed = owner.ask("device.pair.list", json!({})).await.ok();
    assert_eq!(listed["paired"], json!([]), "{listed}");
    assert_eq!(listed["pending"][0]["deviceId"], device.id, "{listed}");
}

#[tokio::test]
async fn who_asks_for_nothing_in_particular_asks_for_what_its_role_has() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    for (seed, role, scopes) in [(1, "operator", HOLDER), (2, "node", &[])] {
        let mut params = hello_with(TOKEN);
        params["role"] = json!(role);
        params["scopes"] = json!([]);
        let (_, answered) = Device::new(seed).connect(&house, params).await;
        assert_eq!(answered.code(), "PAIRING_REQUIRED");
        let asked = owner.event("device.pair.requested").await;
        assert_eq!(
            (&asked["role"], &asked["scopes"]),
            (&json!(role), &json!(scopes))
        );
    }
}

#[tokio::test]
async fn when_a_device_was_last_here_is_told() {
    let folder = tempfile::tempdir().unwrap();
    crate::house::write_config(&folder, "{}");
    let clock = Arc::new(Ahead::default());
    let mut options = crate::house::options(&folder);
    options.clock = clock.clone();
    let running = instar_gateway::Gateway::start(options).await.unwrap();
    let house = House { folder, running };
    let mut owner = owner(&house).await;
    let device = Device::new(1);
    let (_open, token) = device.pair(&house, &mut owner, READ).await;
    let mut last = 0;
    for (hours, params) in [
        (1, hello_as_device(&token, READ)),
        (2, hello_with(TOKEN)),
        (3, hello_as_device(&token, READ)),
    ] {
        clock.0.store(hours * 3_600, Ordering::SeqCst);
        let (_open, answered) = device.connect(&house, params).await;
        answered.ok();
        let began = Instant::now();
        loop {
            let listed = owner.ask("device.pair.list", json!({})).await.ok();
            let seen = listed["paired"][0]["lastSeenAtMs"].as_u64().unwrap();
            // It is written behind the handshake.
            if seen >= last + 3_500_000 {
                last = seen;
                break;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{hours}: {listed}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_device_gets_no_more_than_was_agreed() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    let device = Device::new(1);
    let (_, token) = device.pair(&house, &mut owner, READ).await;
    for wanted in [ADMIN, PAIRER, &["operator.write"]] {
        for params in [hello_as_device(&token, wanted), {
            let mut params = hello_with(TOKEN);
            params["scopes"] = json!(wanted);
            params
        }] {
            let (_, answered) = device.connect(&house, params).await;
            let error = answered.refused();
            assert_eq!(error["details"]["code"], "PAIRING_REQUIRED", "{error}");
            assert_eq!(error["details"]["reason"], "scope-upgrade", "{error}");
        }
    }
    let mut node = hello_as_device(&token, &[]);
    node["role"] = json!("node");
    let (_, answered) = device.connect(&house, node).await;
    assert_eq!(answered.code(), "PAIRING_REQUIRED");
    let (mut socket, answered) = device.connect(&house, hello_as_device(&token, READ)).await;
    assert_eq!(scopes(&answered.ok()), READ);
    let error = socket
        .ask("chat.abort", json!({ "sessionKey": "main" }))
        .await;
    assert!(matches!(error, Answered::Refused(_)), "{error:?}");
}

/// Existing clients without the gateway's token send their own in both fields, and one whose copy of
/// the gateway's token is old tries its own beside it.
#[tokio::test]
async fn a_device_s_token_counts_beside_whatever_else_is_sent() {
    let house = House::with(WIDE).await;
    let mut owner = owner(&house).await;
    let device = Device::new(1);
    let (_open, token) = device.pair(&house, &mut owner, READ).await;
    for beside in [token.as_str(), "an-old-gateway-token-0123456789", TOKEN] {
        let mut params = hello_as_device(&token, READ);
        params["auth"]["token"] = json!(beside);
        let (_, answered) = device.connect(&house, params).await;
        assert_eq!(scopes(&answered.ok()), READ, "{beside}");
    }
    // The gateway's token is enough, too, and does not take the device's own away from programs
    // that share it.
    let (_, answered) = device.connect(&house, hello_with(TOKEN)).await;
    assert_eq!(answered.ok()["auth"].get("deviceToken"), None);
    let (_, answered) = device.connect(&house, hello_as_device(&token, READ)).await;
    answered.ok();
    let mut wrong = hello_as_device("not-its-token-0123456789", READ);
    let (_, answered) = device.connect(&house, wrong.clone()).await;
    assert_eq!(answered.code(), "AUTH_DEVICE_TOKEN_MISMATCH");
    wrong["auth"]["token"] = json!("an-old-gateway-token-0123456789");
    let (_, answered) = device.connect(&house, wrong).await;
    assert_eq!(answered.code(), "AUTH_TOKEN_MISMATCH");
}

#[tokio::test]
async fn a8_signing_out_ends_what_the_browser_opened() {
    let house = House::new().await;
    let cookie = house.cookie().await;
    let headers = format!("origin: http://{}\r\n{cookie}", house.address());
    let (mut open, _) = Socket::challenged(&house, &headers).await;
    open.ask("connect", hello()).await.ok();
    // One that is still in its handshake when the session ends.
    let (mut late, _) = Socket::challenged(&house, &headers).await;
    let mut other = owner(&house).await;
    assert_eq!(
        house.ask("POST", "/sign-out", &headers, "").await.status,
        303
    );
    assert!(!matches!(open.end().await, Came::Frame(_)));
    let answered = late.ask("connect", hello()).await;
    assert!(!matches!(answered, Answered::Ok(_)), "{answered:?}");
    // Another browser of the owner stays.
    other.ask("health", json!({})).await.ok();
}

/// The machine's clock, with some time added.
#[derive(Debug, Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let ahead = Duration::from_secs(self.0.load(Ordering::SeqCst));
        SystemClock.now().plus(ahead)
    }
}

#[tokio::test]
async fn a8_a_session_that_runs_out_ends_what_the_browser_opened() {
    let folder = tempfile::tempdir().unwrap();
    crate::house::write_config(&folder, "{}");
    let clock = Arc::new(Ahead::default());
    let mut options = crate::house::options(&folder);
    options.clock = clock.clone();
    let running = instar_gateway::Gateway::start(options).await.unwrap();
    let house = House { folder, running };
    let mut holder = holder(&house).await;
    let mut open = owner(&house).await;
    let device = Device::new(1);
    let (mut paired, _) = device.pair(&house, &mut open, READ).await;
    clock.0.store(29 * 86_400, Ordering::SeqCst);
    open.ask("health", json!({})).await.ok();
    clock.0.store(31 * 86_400, Ordering::SeqCst);
    let began = Instant::now();
    assert!(matches!(open.end().await, Came::Close(1008, _)));
    assert!(began.elapsed() < Duration::from_secs(1), "{began:?}");
    // What others were let in by goes on.
    holder.ask("health", json!({})).await.ok();
    paired.ask("health", json!({})).await.ok();
}

#[tokio::test]
async fn c1_the_weaker_does_not_touch_the_stronger() {
    let house = House::with(WIDE).await;
    let mut owner = owner(&house).await;
    let (pairer, strong, equal) = (Device::new(1), Device::new(2), Device::new(3));
    let (mut socket, _) = pairer.pair(&house, &mut owner, PAIRER).await;
    let (mut stays, _) = strong.pair(&house, &mut owner, ADMIN).await;
    let (mut goes, _) = equal.pair(&house, &mut owner, READ).await;
    let changes = |id: &str| {
        let of_role = json!({ "deviceId": id, "role": "operator" });
        let mut narrower = of_role.clone();
        narrower["scopes"] = json!(READ);
        [
            (
                "device.pair.rename",
                json!({ "deviceId": id, "label": "mine" }),
            ),
            ("device.token.rotate", of_role.clone()),
            ("device.token.rotate", narrower),
            ("device.token.revoke", of_role),
            ("device.pair.remove", json!({ "deviceId": id })),
        ]
    };
    for (method, params) in changes(&strong.id) {
        let error = socket.ask(method, params).await.refused();
        assert_eq!(error["code"], "FORBIDDEN", "{method}: {error}");
        stays.ask("health", json!({})).await.ok();
    }
    // Nor by agreeing that it may do less from now on.
    let mut node = hello_with(TOKEN);
    (node["role"], node["scopes"]) = (json!("node"), json!([]));
    let (_, answered) = strong.connect(&house, node).await;
    let request = answered.refused()["details"]["requestId"].clone();
    let approve = json!({ "requestId": request });
    let answered = socket.ask("device.pair.approve", approve).await;
    assert_eq!(answered.refused()["code"], "FORBIDDEN");
    stays.ask("config.schema", json!({})).await.ok();
    // What is no stronger it may.
    for (method, params) in changes(&equal.id) {
        let answered = socket.ask(method, params).await;
        assert!(
            matches!(answered, Answered::Ok(_)),
            "{method}: {answered:?}"
        );
    }
    assert!(!matches!(goes.end().await, Came::Frame(_)));
    // And itself, as a device may always.
    let itself = json!({ "deviceId": pairer.id });
    drop(socket.ask("device.pair.remove", itself).await);
    let listed = owner.ask("device.pair.list", json!({})).await.ok();
    let left = listed["paired"].as_array().unwrap();
    assert_eq!(left.len(), 1, "{listed}");
    assert_eq!(left[0]["deviceId"], strong.id);
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Signature {
    None,
    Valid,
    /// Over the challenge of another connection.
    Replayed,
    /// By another key than the one that is shown.
    Foreign,
    /// Over fewer scopes than are asked for.
    Narrower,
    Garbled,
}

/// Signs, or does not, as the case says.
fn sign(
    how: Signature,
    device: &Device,
    params: &Value,
    own: &super::client::Challenge,
    other: &super::client::Challenge,
) -> Value {
    let mut signed = device.signed(params.clone(), own);
    match how {
        Signature::None => return params.clone(),
        Signature::Valid => {}
        Signature::Replayed => {
            let old = device.signed(params.clone(), other);
            signed["device"]["signature"] = old["device"]["signature"].clone();
        }
        Signature::Foreign => {
            let foreign = Device::new(99).signed(params.clone(), own);
            signed["device"]["signature"] = foreign["device"]["signature"].clone();
        }
        Signature::Narrower => {
            let mut narrow = params.clone();
            narrow["scopes"] = json!([]);
            let narrow = device.signed(narrow, own);
            signed["device"]["signature"] = narrow["device"]["signature"].clone();
        }
        Signature::Garbled => signed["device"]["signature"] = json!("AAAA"),
    }
    signed
}

/// What is shown beside the signature.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Shown {
    Nothing,
    Shared,
    Device,
    Both,
    Wrong,
    /// The session of the owner's browser, with the upgrade.
    Cookie,
}

/// Every name that a client may give itself, and the modes beside them in turn.
const CLIENTS: [&str; 17] = [
    "webchat-ui",
    "openclaw-control-ui",
    "openclaw-browser-copilot",
    "openclaw-tui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-linux",
    "openclaw-ios",
    "openclaw-watchos",
    "openclaw-android",
    "node-host",
    "openclaw-worker",
    "test",
    "fingerprint",
    "openclaw-probe",
];
const MODES: [&str; 8] = [
    "webchat", "cli", "ui", "backend", "node", "worker", "probe", "test",
];

/// Every role, credential, signature and kind of client, for a device that is known and for one that
/// is not. With a device a connection is made only by its signature; without one, the shared secret
/// or the owner's own page alone counts, and is worth the same for all.
#[tokio::test]
async fn a4_a_device_is_believed_by_its_signature_alone() {
    use Shown::{Both, Cookie, Nothing, Shared, Wrong};
    use Signature::{Foreign, Garbled, Narrower, None as Unsigned, Replayed, Valid};

    let house = House::with(WIDE).await;
    let mut owner = owner(&house).await;
    let known = Device::new(1);
    let (_, token) = known.pair(&house, &mut owner, READ).await;
    let unknown = Device::new(2);
    let (mut spare, other) = Socket::challenged(&house, "").await;
    let cookie = house.cookie().await;
    let page = format!("origin: http://{}\r\n{cookie}", house.address());
    let mut tried = 0;
    for (device, is_known) in [(&known, true), (&unknown, false)] {
        for how in [Unsigned, Valid, Replayed, Foreign, Narrower, Garbled] {
            for role in ["operator", "node"] {
                for shown in [Nothing, Shared, Shown::Device, Both, Wrong, Cookie] {
                    for (at, id) in CLIENTS.into_iter().enumerate() {
                        let mut params = hello();
                        params["auth"] = match shown {
                            Shared => json!({ "token": TOKEN }),
                            Shown::Device => json!({ "deviceToken": token }),
                            Both => json!({ "token": TOKEN, "deviceToken": token }),
                            Wrong => json!({ "token": "not the token at all" }),
                            Nothing | Cookie => json!({}),
                        };
                        params["client"]["id"] = json!(id);
                        params["client"]["mode"] = json!(MODES[at % MODES.len()]);
                        params["role"] = json!(role);
                        let headers = if shown == Cookie { &page } else { "" };
                        let (mut socket, own) = Socket::challenged(&house, headers).await;
                        let sent = sign(how, device, &params, &own, &other);
                        let answered = socket.ask("connect", sent).await;
                        let case = format!("{is_known} {how:?} {role} {shown:?} {id}");
                        let is_let_in = how == Valid && is_known && role == "operator";
                        let wanted: Option<&[&str]> = match shown {
                            Shared | Shown::Device | Both | Cookie if is_let_in => Some(READ),
                            Shared | Both if how == Unsigned => Some(HOLDER),
                            Cookie if how == Unsigned => Some(EVERYTHING),
                            _ => None,
                        };
                        match (answered, wanted) {
                            (Answered::Ok(hello_ok), Some(wanted)) => {
                                assert_eq!(scopes(&hello_ok), wanted, "{case}");
                                assert_eq!(hello_ok["auth"]["role"], "operator", "{case}");
                            }
                            (Answered::Refused(_), None) => {}
                            (other, wanted) => panic!("{case}: {other:?}, not {wanted:?}"),
                        }
                        tried += 1;
                    }
                }
            }
        }
    }
    assert_eq!(tried, 2 * 6 * 2 * 6 * CLIENTS.len());
    spare.send_raw(8, &[]).await;
}

#[tokio::test]
async fn a8_what_is_revoked_is_cut_at_once_and_does_not_come_back() {
    let house = House::with(WIDE).await;
    let mut owner = owner(&house).await;
    for (seed, method) in [
        (1, "device.pair.remove"),
        (2, "device.token.revoke"),
        (3, "device.token.rotate"),
    ] {
        let device = Device::new(seed);
        let (mut by_secret, token) = device.pair(&house, &mut owner, ADMIN).await;
        let (mut by_token, answered) = device.connect(&house, hello_as_device(&token, ADMIN)).await;
        answered.ok();
        let mut params = json!({ "deviceId": device.id });
        if method != "device.pair.remove" {
            params["role"] = json!("operator");
        }
        let began = Instant::now();
        let answer = owner.ask(method, params).await.ok();
        for socket in [&mut by_secret, &mut by_token] {
            assert!(!matches!(socket.end().await, Came::Frame(_)), "{method}");
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{method}");
        // Whatever was derived from it is dead.
        let (_, answered) = device.connect(&house, hello_as_device(&token, ADMIN)).await;
        assert!(
            matches!(answered, Answered::Refused(_)),
            "{method}: {answered:?}"
        );
        let (_, answered) = device.connect(&house, hello_as_device(&token, READ)).await;
        assert!(
            matches!(answered, Answered::Refused(_)),
            "{method}: {answered:?}"
        );
        if method != "device.token.rotate" {
            // Nor does the shared secret bring back what the owner took.
            let (_, answered) = device.connect(&house, hello_with(TOKEN)).await;
            assert_eq!(answered.code(), "PAIRING_REQUIRED", "{method}");
        }
        if let Some(fresh) = answer["token"].as_str() {
            let (_, answered) = device.connect(&house, hello_as_device(fresh, READ)).await;
            answered.ok();
        }
    }
}

#[tokio::test]
async fn a8_a_new_gateway_token_ends_what_the_old_one_opened() {
    let folder = tempfile::tempdir().unwrap();
    crate::house::write_config(&folder, "{}");
    let mut options = crate::house::options(&folder);
    options.token = None;
    let mut running = instar_gateway::Gateway::start(options).await.unwrap();
    let token = running.take_new_token().unwrap().expose().to_owned();
    let house = House { folder, running };
    let mut owner = owner(&house).await;
    let (mut open, answered) = connect(&house, hello_with(&token)).await;
    answered.ok();
    // A device that came by its own token stays; one that came by the gateway's does not.
    let device = Device::new(1);
    let (_, answered) = device.connect(&house, hello_with(&token)).await;
    let request = answered.refused()["details"]["requestId"].clone();
    let approve = json!({ "requestId": request });
    owner.ask("device.pair.approve", approve).await.ok();
    let (mut by_secret, answered) = device.connect(&house, hello_with(&token)).await;
    let own = answered.ok()["auth"]["deviceToken"].clone();
    let own = hello_as_device(own.as_str().unwrap(), READ);
    let (mut by_device, answered) = device.connect(&house, own).await;
    answered.ok();
    let state = house.running.app().state_dir.clone();
    let fresh = instar_gateway::door::rotate_token(&state).unwrap();
    assert!(!matches!(open.end().await, Came::Frame(_)));
    assert!(!matches!(by_secret.end().await, Came::Frame(_)));
    by_device.ask("health", json!({})).await.ok();
    let (_, answered) = connect(&house, hello_with(&token)).await;
    assert_eq!(answered.code(), "AUTH_TOKEN_MISMATCH");
    connect(&house, hello_with(fresh.expose())).await.1.ok();
    // The owner's browser did not come in by the token.
    owner.ask("health", json!({})).await.ok();
}

#[tokio::test]
async fn c1_nobody_gives_more_than_they_hold() {
    let house = House::with(WIDE).await;
    let mut owner = owner(&house).await;
    let pairer = Device::new(1);
    let (mut socket, _) = pairer.pair(&house, &mut owner, PAIRER).await;
    for (seed, wanted, fits) in [
        (2, ADMIN, false),
        (3, &["operator.write"], false),
        (4, &["operator.approvals"], false),
        (5, READ, true),
        (6, PAIRER, true),
    ] {
        let mut params = hello_with(TOKEN);
        params["scopes"] = json!(wanted);
        let (_, answered) = Device::new(seed).connect(&house, params).await;
        let request = answered.refused()["details"]["requestId"].clone();
        let approve = json!({ "requestId": request });
        let answered = socket.ask("device.pair.approve", approve).await;
        assert_eq!(
            matches!(answered, Answered::Ok(_)),
            fits,
            "{wanted:?}: {answered:?}"
        );
    }
    // Nor does another device's token come its way.
    let strong = Device::new(7);
    let (_, token) = strong.pair(&house, &mut owner, ADMIN).await;
    let rotate = json!({ "deviceId": strong.id, "role": "operator" });
    let answered = socket.ask("device.token.rotate", rotate).await;
    assert!(matches!(answered, Answered::Refused(_)), "{answered:?}");
    let (_, answered) = strong.connect(&house, hello_as_device(&token, ADMIN)).await;
    answered.ok();
    // And its own token does not grow.
    let wider = json!({ "deviceId": pairer.id, "role": "operator", "scopes": ADMIN });
    let answered = socket.ask("device.token.rotate", wider).await;
    assert!(matches!(answered, Answered::Refused(_)), "{answered:?}");
}

/// What can be done to a device.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pair { admin: bool },
    Rotate { narrow: bool },
    Revoke,
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<bool>().prop_map(|admin| Step::Pair { admin }),
        any::<bool>().prop_map(|narrow| Step::Rotate { narrow }),
        Just(Step::Revoke),
        Just(Step::Remove),
    ]
}

/// What a device may have at most, and every token that was ever handed out.
#[derive(Default, Debug)]
struct Model {
    approved: Option<&'static [&'static str]>,
    live: Option<(String, &'static [&'static str])>,
    dead: Vec<String>,
}

impl Model {
    fn bury(&mut self) {
        self.dead.extend(self.live.take().map(|(token, _)| token));
    }
}

async fn take(step: Step, model: &mut Model, house: &House, owner: &mut Socket, device: &Device) {
    let of_role = json!({ "deviceId": device.id, "role": "operator" });
    match step {
        Step::Pair { admin } => {
            // Let in anew: whatever it had goes first.
            let remove = json!({ "deviceId": device.id });
            drop(owner.ask("device.pair.remove", remove).await);
            model.bury();
            let scopes = if admin { ADMIN } else { READ };
            let (_, token) = device.pair(house, owner, scopes).await;
            (model.approved, model.live) = (Some(scopes), Some((token, scopes)));
        }
        Step::Rotate { narrow } => {
            let mut params = of_role;
            if narrow {
                params["scopes"] = json!(READ);
            }
            let answered = owner.ask("device.token.rotate", params).await;
            let Some(approved) = model.approved else {
                assert!(matches!(answered, Answered::Refused(_)), "{answered:?}");
                return;
            };
            // A token that is revoked may be made anew or not; if it is, the owner did it.
            if let Answered::Ok(answer) = answered {
                model.bury();
                let held = if narrow { READ } else { approved };
                if let Some(token) = answer["token"].as_str() {
                    model.live = Some((token.to_owned(), held));
                }
            }
        }
        Step::Revoke => {
            drop(owner.ask("device.token.revoke", of_role).await);
            model.bury();
        }
        Step::Remove => {
            let remove = json!({ "deviceId": device.id });
            drop(owner.ask("device.pair.remove", remove).await);
            model.bury();
            model.approved = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    /// However devices are let in, given new tokens, revoked and removed: no token but the last one
    /// works, and none for more than it was made for.
    #[test]
    fn a8_only_the_last_token_works_whatever_happened(steps in proptest::collection::vec(step(), 1..7)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let house = House::with(WIDE).await;
            let mut owner = owner(&house).await;
            let device = Device::new(1);
            let mut model = Model::default();
            for step in steps {
                take(step, &mut model, &house, &mut owner, &device).await;
                for token in &model.dead {
                    let (_, answered) = device.connect(&house, hello_as_device(token, READ)).await;
                    assert!(matches!(answered, Answered::Refused(_)), "{step:?}: {answered:?}");
                }
                if let Some((token, held)) = &model.live {
                    let (_, answered) = device.connect(&house, hello_as_device(token, held)).await;
                    assert_eq!(scopes(&answered.ok()), *held, "{step:?}");
                    if *held == READ {
                        let wide = hello_as_device(token, ADMIN);
                        let (_, answered) = device.connect(&house, wide).await;
                        assert!(matches!(answered, Answered::Refused(_)), "{step:?}: {answered:?}");
                    }
                }
            }
            house.running.shutdown().await;
        });
    }
}
