//! What callers may use up, and what every answer carries.

use crate::house::{House, TOKEN, bearer};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn b9_authentication_comes_before_the_body() {
    let house = House::new().await;
    // A gigabyte is announced and never sent: the refusal does not wait for it.
    let host = house.address();
    for auth in ["", "authorization: Bearer wrong\r\n"] {
        let mut stream = TcpStream::connect(host).await.unwrap();
        let head = format!(
            "POST /api/v1/messages HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{auth}content-type: application/json\r\ncontent-length: 1000000000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn b9_large_bodies_are_refused() {
    let house = House::with("{gateway: {limits: {bodyBytes: 65536}}}").await;
    let headers = format!("{}content-type: application/json\r\n", bearer(TOKEN));
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(70_000));
    let answer = house.ask("POST", "/api/v1/messages", &headers, &body).await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let chunk = "x".repeat(70_000);
    let host = house.address();
    let chunked = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}transfer-encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    assert_eq!(house.raw(&chunked).await.status, 413);
    let form = format!("code={}", "x".repeat(5_000));
    assert_eq!(
        house.sign_in(&form).await.status,
        413,
        "an open route takes little"
    );
    house.running.shutdown().await;
}

/// A PNG of so many bytes, as far as its first bytes tell.
fn image(bytes: usize) -> String {
    use base64::Engine as _;
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    png.resize(bytes, 7);
    base64::engine::general_purpose::STANDARD.encode(png)
}

#[tokio::test]
async fn b9_attachments_fit_up_to_their_limit_and_no_further() {
    const HALF: usize = 10 << 20;
    let house = House::new().await;
    let headers = format!("{}content-type: application/json\r\n", bearer(TOKEN));
    let full = image(HALF);
    let part = |data: &str| {
        format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}"#)
    };
    let ask = |parts: &[String]| {
        format!(
            r#"{{"model":"instar","messages":[{{"role":"user","content":[{}]}}]}}"#,
            parts.join(",")
        )
    };
    let fits = ask(&[part(&full), part(&full)]);
    assert!(fits.len() > 26 << 20);
    let answer = house
        .ask("POST", "/v1/chat/completions", &headers, &fits)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // Twenty MiB and eight bytes: the body fits, the attachments do not.
    let over = ask(&[part(&full), part(&full), part(&image(8))]);
    let answer = house
        .ask("POST", "/v1/chat/completions", &headers, &over)
        .await;
    assert!(matches!(answer.status, 400 | 413), "{answer:?}");
    assert!(answer.body.contains("20971520"), "{answer:?}");
    // One byte more than a body may have.
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        house.address(),
        (32 << 20) + 1
    );
    assert_eq!(house.raw(&head).await.status, 413);
    house.running.shutdown().await;
}

#[tokio::test]
async fn b9_slow_bodies_are_refused() {
    let house = House::with("{gateway: {limits: {bodySeconds: 1}}}").await;
    let host = house.address();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        bearer(TOKEN)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    house.running.shutdown().await;
}

#[tokio::test]
async fn b9_heads_are_bounded() {
    let house = House::new().await;
    let mut many = String::new();
    for n in 0..150 {
        write!(many, "x-{n}: y\r\n").unwrap();
    }
    let long = format!("x-long: {}\r\n", "y".repeat(60_000));
    for headers in [many, long] {
        let answer = house.get("/health", &headers).await;
        assert_ne!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(house.get("/health", "").await.status, 200);
    house.running.shutdown().await;
}

#[tokio::test]
async fn b9_a_peer_without_proof_is_slowed_down() {
    let house = House::with("{gateway: {limits: {requestsPerMinute: 20}}}").await;
    let mut last = 0;
    for _ in 0..25 {
        last = house.get("/health", "").await.status;
    }
    assert_eq!(last, 429);
    assert_eq!(
        house.owner("/api/v1/status").await.status,
        200,
        "the owner is not"
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = House::new().await;
    for path in [
        "/health",
        "/sign-in",
        "/assets/app.css",
        "/api/v1/status",
        "/nothing",
        "/a//b",
    ] {
        for auth in [String::new(), bearer(TOKEN)] {
            let answer = house.get(path, &auth).await;
            let csp = answer.header("content-security-policy").unwrap();
            assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
            assert_eq!(
                answer.header("x-content-type-options"),
                Some("nosniff"),
                "{path}"
            );
            assert!(answer.header("referrer-policy").is_some(), "{path}");
            assert!(
                answer.header("cross-origin-opener-policy").is_some(),
                "{path}"
            );
            assert!(
                answer.header("access-control-allow-origin").is_none(),
                "{path}"
            );
        }
    }
    let status = house.owner("/api/v1/status").await;
    assert_eq!(status.header("cache-control"), Some("no-store"));
    house.running.shutdown().await;
}

#[tokio::test]
async fn wrong_methods_and_paths_are_told_in_json() {
    let house = House::new().await;
    let answer = house
        .ask("DELETE", "/api/v1/status", &bearer(TOKEN), "")
        .await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").unwrap().contains("GET"));
    assert_eq!(answer.json()["error"]["type"], "method_not_allowed");
    let answer = house.owner("/api/v1/nothing").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["type"].as_str()),
        (404, Some("not_found"))
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn metrics_are_for_the_owner() {
    let house = House::new().await;
    assert_eq!(house.get("/metrics", "").await.status, 401);
    let page = house.owner("/metrics").await;
    for name in [
        "instar_build_info",
        "instar_http_responses_total",
        "instar_resident_bytes",
        "instar_store_commits_total",
    ] {
        assert!(page.body.contains(name), "{name}");
    }
    house.running.shutdown().await;
}

/// The value of a series of the page.
fn value(page: &str, series: &str) -> u64 {
    let line = page.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("{series} is missing: {page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn metrics_tell_how_commits_turns_and_model_calls_went() {
    let house = House::new().await;
    let headers = format!("{}content-type: application/json\r\n", bearer(TOKEN));
    let ask = async |model: &str| {
        let body =
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        house
            .ask("POST", "/v1/chat/completions", &headers, &body)
            .await
    };
    assert_eq!(ask("instar").await.status, 200);
    // A name from outside makes no series.
    assert_ne!(ask("evil\\u0022} 1").await.status, 200);
    let page = house.owner("/metrics").await.body;
    let count = value(&page, "instar_store_commit_seconds_count");
    assert!(count >= 2, "{page}");
    assert_eq!(
        value(&page, "instar_store_commit_seconds_bucket{le=\"+Inf\"}"),
        count
    );
    let mut last = 0;
    for line in page
        .lines()
        .filter(|line| line.starts_with("instar_store_commit_seconds_bucket"))
    {
        let so_far = value(line, "instar_store");
        assert!(so_far >= last, "{page}");
        last = so_far;
    }
    assert_eq!(value(&page, "instar_turns_total{outcome=\"replied\"}"), 1);
    assert_eq!(value(&page, "instar_turns_total{outcome=\"failed\"}"), 0);
    let answered = "instar_model_answers_total{outcome=\"answered\",class=\"none\"}";
    assert_eq!(value(&page, answered), 1);
    let limit = "instar_model_answers_total{outcome=\"failed\",class=\"context_length\"}";
    assert_eq!(value(&page, limit), 0);
    assert_eq!(value(&page, "instar_messages_waiting"), 0);
    assert!(!page.contains("evil"));
    let labels: std::collections::BTreeSet<&str> = page
        .lines()
        .filter_map(|line| Some(line.split_once('{')?.1.split_once('}')?.0))
        .collect();
    assert!(labels.len() < 60, "{labels:?}");
    house.running.shutdown().await;
}
