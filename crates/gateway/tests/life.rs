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
    assert_eq!(status["waitingForRestart"], json!(["gateway.port"]));
    let in_force = house.running.app().config.current();
    assert_ne!(in_force.value.gateway.port, 4321);
    // What is taken back waits for nothing any more; what changed beside it stays in force.
    write_config(&house.folder, "{agents: {defaults: {model: 'test/other'}}}");
    let status = house
        .status_until(|status| status["waitingForRestart"].is_null())
        .await;
    assert_eq!(status["config"], json!({"ok": true}));
    assert_eq!(status["model"], "test/other");
    house.running.shutdown().await;
}

#[tokio::test]
async fn an_edit_that_is_sound_only_as_a_whole_waits_as_a_whole() {
    let house = House::new().await;
    write_config(
        &house.folder,
        r#"{gateway: {bind: "lan", trustedProxies: ["10.0.0.1"], auth: {mode: "trusted-proxy",
            trustedProxy: {userHeader: "x-user", allowUsers: ["ann"]}}}, commands: {}}"#,
    );
    let status = house
        .status_until(|status| status["waitingForRestart"].is_array())
        .await;
    assert!(status["config"]["ok"] == true, "{status}");
    assert_eq!(status["authMode"], "token");
    write_config(&house.folder, "{gateway: {reload: {mode: 'off'}}}");
    house
        .status_until(|status| status["waitingForRestart"].is_null())
        .await;
    write_config(
        &house.folder,
        "{gateway: {reload: {mode: 'off'}}, agents: {defaults: {model: 'test/x'}}}",
    );
    let status = house
        .status_until(|status| status["waitingForRestart"].is_array())
        .await;
    assert_eq!(
        status["model"], "test/echo",
        "nothing is taken before a restart"
    );
    house.running.shutdown().await;
}

#[tokio::test]
async fn days_are_counted_in_the_zone_of_the_configuration_at_once() {
    let house = House::with("{agents: {defaults: {userTimezone: 'UTC'}}}").await;
    let zone = || {
        house
            .running
            .app()
            .ledger
            .zone()
            .iana_name()
            .map(str::to_owned)
    };
    assert_eq!(zone().as_deref(), Some("UTC"));
    write_config(
        &house.folder,
        "{agents: {defaults: {userTimezone: 'Asia/Tokyo', model: 'test/other'}}}",
    );
    house
        .status_until(|status| status["model"] == "test/other")
        .await;
    assert_eq!(zone().as_deref(), Some("Asia/Tokyo"));
    house.running.shutdown().await;
}

#[tokio::test]
async fn spending_near_its_limit_is_an_event_and_in_the_status() {
    use instar_models::{Ledger as _, SpendRecord};
    let house = House::with("{models: {budget: {perDayUsd: 1}}}").await;
    let app = house.running.app();
    let session = instar_protocol::SessionId::new(app.clock.now(), [1; 10]);
    let spend = |cost_micros| SpendRecord {
        agent: app.default_agent(),
        session: session.clone(),
        model: instar_protocol::model::ModelRef::parse("test/echo").unwrap(),
        calls: 1,
        input_tokens: 1,
        output_tokens: 1,
        cost_micros,
    };
    assert_eq!(
        house.owner("/api/v1/status").await.json()["budget"],
        json!({"ok": true})
    );
    app.ledger.add(spend(900_000));
    app.ledger.warn("day", 900_000, 1_000_000);
    let status = house.owner("/api/v1/status").await.json();
    assert_eq!(status["budget"]["ok"], true);
    assert!(
        status["budget"]["problem"]
            .as_str()
            .unwrap()
            .contains("0.90 of 1.00")
    );
    app.ledger.add(spend(200_000));
    assert_eq!(
        house.owner("/api/v1/status").await.json()["budget"]["ok"],
        false
    );
    let told = async || house.owner("/api/v1/events?kind=gateway").await.body;
    while !told().await.contains("budget_warning") {
        tokio::task::yield_now().await;
    }
    house.running.shutdown().await;
}

/// A memory file system of a few megabytes, gone with this value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "instar-test"])
            .arg(folder.path())
            .output();
        match done {
            Ok(output) if output.status.success() => Some(Self(folder)),
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skipped(&error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a thread may still be closing its file.
        let mut umount = std::process::Command::new("umount");
        drop(umount.arg("-l").arg(self.0.path()).status());
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skipped<T>(reason: &str) -> Option<T> {
    eprintln!(
        "SKIPPED: no small file system can be mounted: {}",
        reason.trim()
    );
    None
}

#[tokio::test]
async fn a_full_disk_is_in_the_status_and_both_ends_of_it_are_events() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let state = disk.0.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let folder = tempfile::Builder::new().tempdir_in(&state).unwrap();
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    let ballast = disk.0.path().join("ballast");
    let mut bytes = 8 << 20;
    let mut file = std::fs::File::create(&ballast).unwrap();
    while bytes > 0 {
        let piece = vec![1_u8; bytes.min(64 << 10)];
        if std::io::Write::write_all(&mut file, &piece).is_err() {
            break;
        }
        bytes -= piece.len();
    }
    drop(file);
    let mut refused = 0;
    for n in 0..2_000 {
        let body = json!({"text": format!("{n} {}", "x".repeat(4_000))}).to_string();
        let headers = format!("{}{JSON}", bearer(TOKEN));
        refused = house
            .ask("POST", "/api/v1/messages", &headers, &body)
            .await
            .status;
        if refused != 202 {
            break;
        }
    }
    assert!(refused >= 500, "{refused}");
    let status = house
        .status_until(|status| status["store"]["ok"] == false)
        .await;
    assert!(status["store"]["nextStep"].is_string());
    assert_eq!(house.get("/ready", "").await.status, 503);
    // Long enough for the gateway to look at the disk by itself.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    std::fs::remove_file(&ballast).unwrap();
    house
        .status_until(|status| status["store"]["ok"] == true)
        .await;
    let mut events = String::new();
    while !events.contains("storage_back") {
        events = house.owner("/api/v1/events?kind=gateway").await.body;
        tokio::task::yield_now().await;
    }
    assert!(events.contains("storage_full"), "{events}");
    assert_eq!(house.get("/ready", "").await.status, 200);
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

#[tokio::test]
async fn a_reader_that_stops_holds_up_no_turn() {
    use tokio::io::AsyncWriteExt as _;
    let house = House::new().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut stream = tokio::net::TcpStream::connect(house.address())
            .await
            .unwrap();
        let head = format!(
            "GET /api/v1/live?session=main HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{}\r\n",
            house.address(),
            bearer(TOKEN)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let headers = format!("{}{JSON}x-instar-session-key: main\r\n", bearer(TOKEN));
    let text = "y".repeat(200_000);
    for _ in 0..10 {
        let body = json!({"model": "instar", "messages": [{"role": "user", "content": text}]});
        let answer = house
            .ask("POST", "/v1/chat/completions", &headers, &body.to_string())
            .await;
        assert_eq!(
            answer.status,
            200,
            "{}",
            &answer.body[..answer.body.len().min(300)]
        );
    }
    let status = house.owner("/api/v1/status").await.json();
    assert_eq!(status["runningTurns"], 0);
    drop(streams);
    house.running.shutdown().await;
}

#[tokio::test]
async fn a_turn_beyond_the_grace_period_is_cut_and_written_down() {
    let house = House::with("{gateway: {shutdownGraceSeconds: 0}}").await;
    let host = house.address();
    let body = json!({"model": "instar", "messages": [{"role": "user", "content": "endlessly"}]})
        .to_string();
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
        let _maybe_reset = stream.read_to_string(&mut text).await;
        text
    });
    while house.running.app().sessions.running() == 0 {
        tokio::task::yield_now().await;
    }
    let House { folder, running } = house;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), running.shutdown());
    assert!(ended.await.is_ok(), "the turn would go on for an hour");
    assert!(!asking.await.unwrap().contains("echo"));
    let running = start(&folder).await.unwrap();
    let house = House { folder, running };
    let events = house.owner("/api/v1/events?kind=turn").await;
    assert!(events.body.contains("interrupted"), "{events:?}");
    house.running.shutdown().await;
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
