//! Questions to the owner over the control plane: who hears of them, and who may answer.

use serde_json::{Value, json};

use super::client::{Device, Socket, hello_as_device, holder, owner};
use crate::approvals::{ask, question};
use crate::house::House;

const METHODS: [(&str, &str); 6] = [
    ("exec.approval.list", "{}"),
    ("exec.approval.get", r#"{"id":"ask_0002"}"#),
    (
        "exec.approval.resolve",
        r#"{"id":"ask_0002","decision":"allow-once"}"#,
    ),
    ("approval.get", r#"{"id":"ask_0002"}"#),
    (
        "approval.resolve",
        r#"{"id":"ask_0002","kind":"exec","decision":"allow-once"}"#,
    ),
    ("exec.approval.grants.list", "{}"),
];

async fn asked(house: &House, number: u64) {
    let now = instar_protocol::Clock::now(&*house.running.app().clock);
    ask(house, &question(number, now)).await;
}

async fn state(house: &House, number: u64) -> Value {
    let path = format!("/api/v1/approvals/ask_{number:04}");
    house.owner(&path).await.json()["state"].clone()
}

async fn hears(socket: &mut Socket) -> bool {
    let frames = socket.so_far().await;
    frames.iter().any(|frame| {
        let name = frame["event"].as_str().unwrap_or_default();
        name.starts_with("exec.approval")
    })
}

#[tokio::test]
async fn whoever_lacks_the_scope_neither_hears_nor_answers() {
    let house = House::new().await;
    let mut boss = owner(&house).await;
    let mut token = holder(&house).await;
    let scopes = ["operator.read", "operator.write"];
    let writer = Device::new(7);
    let (mut device, _) = writer.pair(&house, &mut boss, &scopes).await;
    asked(&house, 2).await;
    let heard = boss.event("exec.approval.requested").await;
    assert_eq!(heard["id"], "ask_0002", "{heard}");
    for socket in [&mut token, &mut device] {
        for (method, params) in METHODS {
            let params = serde_json::from_str(params).unwrap();
            let error = socket.ask(method, params).await.refused();
            assert_eq!(
                error["message"], "missing scope: operator.approvals",
                "{method}"
            );
        }
        assert!(!hears(socket).await);
    }
    assert_eq!(state(&house, 2).await, "open");
    // Nobody asks on the agent's behalf, whatever he holds.
    let made = json!({ "command": "true", "approved": true });
    let error = boss.ask("exec.approval.request", made).await.refused();
    assert!(
        error["message"]
            .to_string()
            .contains("exec.approval.request"),
        "{error}"
    );
}

#[tokio::test]
async fn a_device_with_the_scope_answers_and_everybody_who_may_hears_it() {
    let house = House::new().await;
    let mut boss = owner(&house).await;
    let phone = Device::new(8);
    let scopes = ["operator.approvals"];
    let (paired, token) = phone.pair(&house, &mut boss, &scopes).await;
    drop(paired);
    let (mut phone_socket, answered) = phone
        .connect(&house, hello_as_device(&token, &scopes))
        .await;
    answered.ok();
    asked(&house, 2).await;
    let told = phone_socket.event("exec.approval.requested").await;
    let command = told["request"]["command"].as_str().unwrap();
    assert!(command.contains("bob⟦U+202E⟧moc.elpmaxe@"), "{told}");
    let list = phone_socket.ask("exec.approval.list", json!({})).await.ok();
    assert_eq!(list[0]["id"], "ask_0002", "{list}");
    let shown = phone_socket
        .ask("approval.get", json!({ "id": "ask_0002" }))
        .await
        .ok();
    assert_eq!(shown["approval"]["status"], "pending", "{shown}");
    let settle = json!({ "id": "ask_0002", "kind": "exec", "decision": "allow-always" });
    let settled = phone_socket
        .ask("approval.resolve", settle.clone())
        .await
        .ok();
    assert_eq!(settled["applied"], true, "{settled}");
    assert_eq!(settled["approval"]["decision"], "allow-always");
    assert_eq!(
        settled["approval"]["resolver"],
        json!({ "kind": "device", "id": phone.id })
    );
    let resolved = boss.event("exec.approval.resolved").await;
    assert_eq!(resolved["decision"], "allow-always", "{resolved}");
    // The first word counts; the second is told so.
    let second = json!({ "id": "ask_0002", "kind": "exec", "decision": "deny" });
    let late = boss.ask("approval.resolve", second).await.ok();
    assert_eq!(
        (&late["applied"], &late["approval"]["decision"]),
        (&json!(false), &json!("allow-always"))
    );
    // Its conversation is gone: the house may have found out by now.
    let left = state(&house, 2).await;
    assert!(left == "approved" || left == "void", "{left}");
    let grants = boss.ask("exec.approval.grants.list", json!({})).await.ok();
    let grant = &grants["grants"][0];
    assert_eq!(grant["mintedByApprovalId"], "ask_0002", "{grants}");
    for outcome in ["revoked", "already-revoked"] {
        let params = json!({ "grantId": grant["grantId"] });
        let revoked = boss.ask("exec.approval.grants.revoke", params).await.ok();
        assert_eq!(revoked["outcome"], outcome);
    }
}

#[tokio::test]
async fn no_field_of_the_request_answers_for_the_owner() {
    let house = House::new().await;
    let mut boss = owner(&house).await;
    asked(&house, 1).await;
    for params in [
        json!({ "id": "ask_0001", "decision": "yes" }),
        json!({ "id": "ask_0001", "decision": "allow-once", "approved": true }),
        json!({ "id": "ask_0001", "decision": "allow-once", "digest": "0" }),
        json!({ "id": "ask_0001", "decision": "allow-always" }),
        json!({ "id": "ask_0001", "decision": "allow-once", "grantExpiresInDays": 3650 }),
        json!({ "id": "ask_0001" }),
    ] {
        let error = boss
            .ask("exec.approval.resolve", params.clone())
            .await
            .refused();
        assert_eq!(error["code"], "INVALID_REQUEST", "{params} {error}");
    }
    assert_eq!(state(&house, 1).await, "open");
    let yes = json!({
        "id": "ask_0001", "decision": "allow-once",
        "reviewer": { "channel": "x", "accountId": "y", "senderId": "z" },
    });
    boss.ask("exec.approval.resolve", yes).await.ok();
    let page = boss
        .ask("approval.history", json!({ "limit": 1 }))
        .await
        .ok();
    assert_eq!(page["items"][0]["status"], "allowed", "{page}");
    let resolver = page["items"][0]["resolver"].clone();
    assert_eq!(
        resolver,
        json!({ "kind": "system", "id": "browser" }),
        "the claim decides nothing"
    );
}
