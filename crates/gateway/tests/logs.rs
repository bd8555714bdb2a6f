//! The log: over the wire, and what never gets into it.

use crate::house::{House, TOKEN, bearer, write_config};
use std::fs::OpenOptions;
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn the_log_is_read_and_followed_over_the_wire() {
    let house = House::new().await;
    let own = house.folder.path().join("logs/instar.log");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let append = |line: &str| {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&own)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    };
    append("first line of this test");
    append("second line of this test");
    assert_eq!(house.get("/api/v1/logs", "").await.status, 401);
    let lines = house.owner("/api/v1/logs?lines=5000").await.json();
    let lines: Vec<&str> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    let at = lines
        .iter()
        .position(|line| *line == "first line of this test")
        .unwrap();
    assert!(lines[at..].contains(&"second line of this test"));
    assert_eq!(
        house.owner("/api/v1/logs?lines=0").await.json(),
        serde_json::json!([])
    );
    for bad in ["lines=5001", "lines=-1", "file=/etc/passwd"] {
        assert_eq!(
            house.owner(&format!("/api/v1/logs?{bad}")).await.status,
            400,
            "{bad}"
        );
    }
    let mut stream = tokio::net::TcpStream::connect(house.address())
        .await
        .unwrap();
    let head = format!(
        "GET /api/v1/logs?lines=5000 HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{}\r\n",
        house.address(),
        bearer(TOKEN)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut seen = String::new();
    let mut appended = false;
    while !seen.contains("third line of this test") {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap();
        assert_ne!(read, 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..read]));
        if !appended && seen.contains("second line of this test") {
            appended = true;
            append("third line of this test");
        }
    }
    assert!(seen.contains("event: log\ndata: third line"), "{seen}");
    house.running.shutdown().await;
}

#[tokio::test]
async fn words_that_the_owner_named_are_masked_in_the_log() {
    let house = House::with("{logging: {redactPatterns: ['falcon-']}}").await;
    let foreign = async |host: &str| {
        let request = format!("GET /health HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert_eq!(house.raw(&request).await.status, 421);
    };
    foreign("falcon-nine.example").await;
    write_config(
        &house.folder,
        "{logging: {redactPatterns: ['falcon-', 'heron.']}, agents: {defaults: {model: 'test/other'}}}",
    );
    house
        .status_until(|status| status["model"] == "test/other")
        .await;
    foreign("heron.example").await;
    let log = std::fs::read_to_string(house.folder.path().join("logs/instar.log"));
    let log = log.unwrap_or_default();
    assert!(!log.contains("falcon-") && !log.contains("heron."), "{log}");
    // Other tests of one process may have taken the log; under nextest each is alone.
    if std::env::var_os("NEXTEST").is_some() {
        assert!(log.matches("***").count() >= 2, "{log}");
        for line in log.lines() {
            assert!(
                serde_json::from_str::<serde_json::Value>(line).is_ok(),
                "{line}"
            );
        }
    }
    house.running.shutdown().await;
}

#[tokio::test]
async fn patterns_that_would_mask_everything_are_refused() {
    for bad in ["['abc']", "['two words']", "['']"] {
        let folder = tempfile::tempdir().unwrap();
        write_config(&folder, &format!("{{logging: {{redactPatterns: {bad}}}}}"));
        let Err(instar_gateway::StartError::Config(error)) = crate::house::start(&folder).await
        else {
            panic!("{bad} started");
        };
        assert_eq!(error.problems()[0].path, "logging.redactPatterns[0]");
    }
}
