//! Who hears what of which conversation.

use serde_json::{Value, json};

use super::client::{Came, Device, Socket, connect, hello_with, holder, owner};
use crate::house::{House, PIECES, TOKEN};

/// Sends a message and waits until its answer is there.
async fn say(socket: &mut Socket, session: &str, words: &str, run: &str) -> Value {
    let params = json!({ "sessionKey": session, "message": words, "idempotencyKey": run });
    let started = socket.ask("chat.send", params).await.ok();
    assert_eq!(started["runId"], run, "{started}");
    loop {
        let event = socket.event("chat").await;
        if event["runId"] == run && event["state"] == "final" {
            return event;
        }
    }
}

fn spoken(frames: &[Value], secret: &str) -> bool {
    frames
        .iter()
        .any(|frame| frame.to_string().contains(secret))
}

#[tokio::test]
async fn a_conversation_is_told_to_those_who_follow_it_and_to_nobody_else() {
    let house = House::new().await;
    let mut speaker = holder(&house).await;
    let mut stranger = holder(&house).await;
    let mut listener = holder(&house).await;
    let follow = json!({ "key": "plans" });
    listener
        .ask("sessions.messages.subscribe", follow.clone())
        .await
        .ok();
    let last = say(&mut speaker, "plans", "canary-one", "run-1").await;
    assert_eq!(last["message"]["role"], "assistant", "{last}");
    assert!(last["message"].to_string().contains("canary-one"), "{last}");
    let heard = listener.event("chat").await;
    assert_eq!(heard["runId"], "run-1", "{heard}");
    assert!(!spoken(&stranger.so_far().await, "canary-one"));
    // Another conversation of the same agent is not what was followed.
    drop(listener.so_far().await);
    let _last = say(&mut speaker, "secrets", "canary-two", "run-2").await;
    assert!(!spoken(&listener.so_far().await, "canary-two"));
    assert!(!spoken(&stranger.so_far().await, "canary-two"));
    listener
        .ask("sessions.messages.unsubscribe", follow)
        .await
        .ok();
    let _last = say(&mut speaker, "plans", "canary-three", "run-3").await;
    assert!(!spoken(&listener.so_far().await, "canary-three"));
}

#[tokio::test]
async fn numbers_of_events_have_no_gap_and_health_comes_first() {
    let house = House::new().await;
    let mut socket = holder(&house).await;
    let params = json!({ "sessionKey": "main", "message": "hello", "idempotencyKey": "run-1" });
    socket.ask("chat.send", params).await.ok();
    let mut next = 1;
    loop {
        let super::client::Came::Frame(frame) = socket.read().await else {
            panic!("the connection ended");
        };
        if frame["type"] != "event" {
            continue;
        }
        assert_eq!(frame["seq"], json!(next), "{frame}");
        next += 1;
        let payload = &frame["payload"];
        if frame["event"] == "chat" && payload["state"] == "final" {
            break;
        }
    }
    assert!(next > 2);
}

#[tokio::test]
async fn a_gateway_that_stops_says_so_before_it_ends_the_connection() {
    let house = House::new().await;
    let mut socket = holder(&house).await;
    let stopping = tokio::spawn(house.running.shutdown());
    let told = socket.event("shutdown").await;
    assert!(told["reason"].is_string(), "{told}");
    assert!(matches!(socket.end().await, Came::Close(1012, _)));
    stopping.await.unwrap();
}

#[tokio::test]
async fn news_of_devices_reach_those_who_may_pair_alone() {
    let house = House::new().await;
    let mut owner = owner(&house).await;
    let mut holder = holder(&house).await;
    let (_, answered) = Device::new(5).connect(&house, hello_with(TOKEN)).await;
    assert_eq!(answered.code(), "PAIRING_REQUIRED");
    let asked = owner.event("device.pair.requested").await;
    let heard = holder.so_far().await;
    assert!(
        !spoken(&heard, asked["deviceId"].as_str().unwrap()),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_client_without_the_ability_gets_no_frames_of_tools() {
    let house = House::new().await;
    let (mut socket, answered) = connect(&house, hello_with(TOKEN)).await;
    answered.ok();
    let _last = say(&mut socket, "main", "hello", "run-1").await;
    let heard = socket.so_far().await;
    assert!(
        heard
            .iter()
            .all(|frame| frame["payload"]["stream"] != "tool"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn pieces_of_an_answer_are_told_together_and_add_up_to_it() {
    let house = House::new().await;
    let mut socket = holder(&house).await;
    let params = json!({ "sessionKey": "main", "message": "piecemeal", "idempotencyKey": "run-1" });
    socket.ask("chat.send", params).await.ok();
    let (mut sum, mut deltas) = (String::new(), 0);
    let last = loop {
        let event = socket.event("chat").await;
        match event["state"].as_str() {
            Some("delta") => {
                deltas += 1;
                sum.push_str(event["deltaText"].as_str().unwrap());
                let so_far = &event["message"]["content"][0]["text"];
                assert_eq!(*so_far, sum, "the sum is told beside what is new");
            }
            Some("final") => break event,
            _ => {}
        }
    };
    assert_eq!(last["message"]["content"][0]["text"], sum);
    assert!(sum.ends_with(&format!("piece {}", PIECES - 1)), "{sum}");
    assert!(deltas > 0 && deltas < PIECES / 2, "{deltas} events");
}

#[tokio::test]
async fn what_was_stored_is_told_as_messages_in_their_place() {
    let house = House::new().await;
    let mut speaker = holder(&house).await;
    let mut listener = holder(&house).await;
    let follow = json!({ "key": "plans" });
    listener
        .ask("sessions.messages.subscribe", follow)
        .await
        .ok();
    for run in ["run-1", "run-2"] {
        let _last = say(&mut speaker, "plans", "good morning", run).await;
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(listener.event("session.message").await);
    }
    let history = json!({ "sessionKey": "plans" });
    let history = speaker.ask("chat.history", history).await.ok();
    let messages: Vec<&Value> = told.iter().map(|event| &event["message"]).collect();
    assert_eq!(json!(messages), history["messages"], "the same in both");
    for (event, seq) in told.iter().zip(1..) {
        assert_eq!(event["sessionKey"], "agent:main:plans", "{event}");
        assert_eq!(event["messageSeq"], seq, "{event}");
        assert_eq!(event["messageId"], event["message"]["__openclaw"]["id"]);
    }
    assert_eq!(told[0]["senderIsOwner"], true, "{:?}", told[0]);
}
