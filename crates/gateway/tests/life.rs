//! Start, changes while running, and the end.

use crate::house::{House, TOKEN, bearer, options, start, write_config};
use instar_gateway::{Gateway, StartError};
use serde_json::json;
use std::path::Path;

const JSON: &str = "content-type: application/json\r\n";

async fn say(house: &House, text: &str) -> crate::house::Answer {
    let body =
        json!({"model": "instar", "messages": [{"role": "user", "content": text}]}).to_string();
    let headers = format!("{}{JSON}", bearer(TOKEN));
    house
        .ask("POST", "/v1/chat/completions", &headers, &body)
        .await
}

#[tokio::test]
async fn a_bad_configuration_refuses_the_start_with_every_problem() {
    let folder = tempfile::tempdir().unwrap();
    write_config(&folder, "{gatway: {}, gateway: {port: 'x'}}");
    let Err(StartError::Config(error)) = start(&folder).await else {
        panic!("it started")
    };
    assert!(error.problems().len() >= 2, "{error:?}");
}

#[tokio::test]
async fn a_second_gateway_is_refused_with_the_pid_of_the_first() {
    let house = House::new().await;
    let Err(StartError::State(error)) = Gateway::start(options(&house.folder)).await else {
        panic!("it started");
    };
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_configuration_and_says_so() {
    let house = House::with("{session: {}}").await;
    write_config(&house.folder, "{session: {nonsense: 1}}");
    let status = house
        .status_until(|status| status["config"]["ok"] == false)
        .await;
    let problem = status["config"]["problem"].as_str().unwrap();
    assert!(problem.contains("nonsense"), "{problem}");
    assert_eq!(house.get("/ready", "").await.status, 200);
    assert_eq!(say(&house, "hello").await.status, 200);
    let events = house.owner("/api/v1/events?kind=config").await;
    assert!(events.body.contains("refused"), "{events:?}");
    write_config(&house.folder, "{session: {reset: {mode: 'idle'}}}");
    house
        .status_until(|status| status["config"]["ok"] == true)
        .await;
    let entries = std::fs::read_dir(house.folder.path()).unwrap();
    let journal = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        path.display()
            .to_string()
            .contains("journal")
            .then(|| std::fs::read_to_string(path).ok())?
    });
    assert!(journal.collect::<String>().contains("session.reset"));
    house.running.shutdown().await;
}

#[tokio::test]
async fn hot_keys_are_taken_and_others_wait_for_a_restart() {
    let house = House::new().await;
    write_config(
        &house.folder,
        "{agents: {defaults: {model: 'test/other'}}, gateway: {port: 4321}}",
    );
    let status = house
        .status_until(|status| status["model"] == "test/other")
        .await;
    assert_eq!(status["config"]["ok"], true);
    let status = house
        .status_until(|status| status["config"]["problem"].is_string())
        .await;
    assert!(
        status["config"]["problem"]
            .as_str()
            .unwrap()
            .contains("gateway.port"),
        "{status}"
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn an_edit_of_the_workspace_is_the_next_release() {
    let house = House::new().await;
    let before = house.owner("/api/v1/status").await.json()["release"].clone();
    let soul = house.folder.path().join("workspace/SOUL.md");
    std::fs::write(&soul, "You speak in rhymes.").unwrap();
    house
        .status_until(|status| status["release"] != before)
        .await;
    house.running.shutdown().await;
}

#[tokio::test]
async fn shutdown_lets_the_running_turn_finish() {
    let house = House::new().await;
    let host = house.address();
    let body =
        json!({"model": "instar", "messages": [{"role": "user", "content": "slowly"}]}).to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{}{JSON}content-length: {}\r\n\r\n{body}",
        bearer(TOKEN),
        body.len()
    );
    let asking = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    });
    while house.running.app().sessions.running() == 0 {
        tokio::task::yield_now().await;
    }
    let House { folder, running } = house;
    running.shutdown().await;
    let answer = asking.await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("echo"),
        "{answer}"
    );
    assert!(tokio::net::TcpStream::connect(host).await.is_err());
    let again = start(&folder).await.unwrap();
    again.shutdown().await;
}

fn walk(folder: &Path, found: &mut Vec<(String, Vec<u8>, u32)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
            walk(&path, found);
        } else {
            found.push((
                path.display().to_string(),
                std::fs::read(&path).unwrap(),
                mode,
            ));
        }
    }
}

#[tokio::test]
async fn c7_e5_g6_secrets_and_forged_lines_are_nowhere() {
    const CANARY: &str = "sk-canary-key-a81f0c2277d94e6bb1";
    let folder = tempfile::tempdir().unwrap();
    write_config(
        &folder,
        r#"{models: {providers: {paid: {baseUrl: "http://127.0.0.1:9/v1",
            apiKey: {source: "env", id: "PAID_KEY"}}}}}"#,
    );
    let mut options = options(&folder);
    options.env = |name| (name == "PAID_KEY").then(|| CANARY.to_owned());
    let running = Gateway::start(options).await.unwrap();
    let house = House { folder, running };
    let mut answers = Vec::new();
    for path in [
        "/api/v1/status",
        "/api/v1/models",
        "/api/v1/doctor",
        "/api/v1/logs",
        "/metrics",
        "/api/v1/events",
    ] {
        answers.push(house.owner(path).await.body);
    }
    let body = json!({"model": "instar", "messages": [{"role": "user", "content": "hello"}]});
    let headers = format!("{}{JSON}", bearer(TOKEN));
    answers.push(
        house
            .ask("POST", "/v1/chat/completions", &headers, &body.to_string())
            .await
            .body,
    );
    answers.push(
        house
            .ask(
                "POST",
                "/api/v1/models/probe",
                &headers,
                r#"{"model":"paid/x"}"#,
            )
            .await
            .body,
    );
    house
        .get("/api/v1/status", &bearer("wrong-canary-guess-77"))
        .await;
    let forged = "GET /health HTTP/1.1\r\nhost: evil\u{1b}[31m\"}{\"level\":\"ERROR\"\r\nconnection: close\r\n\r\n";
    house.raw(forged).await;
    let run = house.run_file().local_secret;
    let cookie = house.cookie().await;
    let cookie = cookie.trim().split('=').nth(1).unwrap().to_owned();
    let mut files = Vec::new();
    walk(house.folder.path(), &mut files);
    let secrets = [CANARY, TOKEN, &cookie, "wrong-canary-guess-77"];
    for (path, bytes, mode) in &files {
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
        let text = String::from_utf8_lossy(bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {path}");
        }
        assert!(
            path.ends_with("gateway.run.json") || !text.contains(&run),
            "{path}"
        );
    }
    for answer in &answers {
        for secret in secrets.iter().copied().chain([run.as_str()]) {
            assert!(!answer.contains(secret), "{answer}");
        }
    }
    for line in files
        .iter()
        .filter(|(path, ..)| path.ends_with("instar.log"))
        .flat_map(|(_, bytes, _)| {
            String::from_utf8_lossy(bytes)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
    {
        assert!(
            serde_json::from_str::<serde_json::Value>(&line).is_ok(),
            "{line}"
        );
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    house.running.shutdown().await;
}
