//! What strangers, and clients that do not read, cannot use up.

use serde_json::json;
use std::time::{Duration, Instant};

use super::client::{Came, Socket, connect, hello_with, holder, owner};
use crate::house::{House, TOKEN};

const WIDE: &str = "{gateway: {limits: {requestsPerMinute: 100000}}}";

#[tokio::test]
async fn a_stranger_s_frame_is_small() {
    let house = House::new().await;
    let (mut socket, _) = Socket::challenged(&house, "").await;
    let mut params = hello_with(TOKEN);
    params["userAgent"] = json!("x".repeat(70 * 1024));
    let _id = socket.begin("connect", params).await;
    let end = socket.end().await;
    assert!(
        matches!(end, Came::End | Came::Close(1008 | 1009, _)),
        "{end:?}"
    );
    // Who is known may send more.
    let mut socket = holder(&house).await;
    let long = json!({ "no such parameter": "x".repeat(70 * 1024) });
    socket.ask("health", long).await.refused();
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    let house = House::with(WIDE).await;
    for (opcode, bytes) in [
        (2, &b"binary"[..]),
        (1, &[0xff, 0xfe][..]),
        (3, b"reserved"),
        (0, b"nothing to continue"),
    ] {
        let (mut socket, _) = Socket::challenged(&house, "").await;
        socket.send_raw(opcode, bytes).await;
        assert!(!matches!(socket.end().await, Came::Frame(_)), "{opcode}");
    }
    for text in [
        "[]",
        "1",
        "null",
        "{\"type\":\"req\"}",
        "{\"type\":\"event\",\"event\":\"tick\"}",
    ] {
        let (mut socket, _) = Socket::challenged(&house, "").await;
        socket.send_raw(1, text.as_bytes()).await;
        assert!(!matches!(socket.end().await, Came::Frame(_)), "{text}");
    }
    connect(&house, hello_with(TOKEN)).await.1.ok();
}

#[tokio::test]
async fn strangers_who_wait_are_few_and_do_not_shut_others_out_for_long() {
    let house = House::with(WIDE).await;
    let mut waiting = Vec::new();
    let mut refused = false;
    for _ in 0..300 {
        match Socket::open(&house, "").await {
            Ok(socket) => waiting.push(socket),
            Err(status) => {
                assert!(matches!(status, 429 | 503), "{status}");
                refused = true;
                break;
            }
        }
    }
    assert!(refused, "{} unproven connections", waiting.len());
    // It has its share, and takes nobody else's.
    assert_eq!(waiting.len(), 16);
    let other = Socket::open_from(&house, [127, 0, 0, 2]).await;
    assert!(other.is_ok(), "{other:?}");
    assert_eq!(house.get("/health", "").await.status, 200);
    waiting.clear();
    let began = Instant::now();
    while Socket::open(&house, "").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn more_requests_than_can_wait_are_refused_for_now() {
    let house = House::with(WIDE).await;
    let mut socket = owner(&house).await;
    // Many at once, and none of them is lost: each is answered, or refused for now.
    let mut ids = Vec::new();
    for _ in 0..2_000 {
        ids.push(socket.begin("device.pair.list", json!({})).await);
    }
    let mut refused = 0;
    for id in ids {
        match socket.answer(&id).await {
            super::client::Answered::Ok(_) => {}
            super::client::Answered::Refused(error) => {
                if error["code"] == "UNAVAILABLE" {
                    assert_eq!(error["retryable"], true, "{error}");
                    refused += 1;
                }
            }
            gone @ super::client::Answered::Gone(_) => panic!("{gone:?}"),
        }
    }
    assert!(refused > 0, "nothing bounds the requests of a connection");
    socket.ask("health", json!({})).await.ok();
}

/// A client that asks and never reads is cut; who reads notices nothing.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_and_holds_nobody_up() {
    let house = House::with(WIDE).await;
    let mut deaf = owner(&house).await;
    let mut other = holder(&house).await;
    let long = "x".repeat(60 * 1024);
    let began = Instant::now();
    // Its own refusals come back with what it sent, or at least with some words: they pile up.
    loop {
        let presence = other.ask("system-presence", json!({})).await.ok();
        let present = presence
            .as_array()
            .unwrap_or_else(|| panic!("{presence}"))
            .len();
        if present < 2 {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{present} are present"
        );
        for _ in 0..200 {
            let _id = deaf.begin("system-presence", json!({})).await;
            let _id = deaf.begin(&long, json!({})).await;
        }
    }
}
