//! What is kept of a conversation, where the key to the secrets is kept, and what happens when the
//! store itself is not where it was.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::state::walk;
use crate::support::systemd::beside_systemd;
use crate::support::{Instar, Setup, base_config, merge, private_folder, until, write_private};

#[test]
fn contents_are_kept_as_the_configuration_says() {
    let key = format!("sk-{}", "Zk3nQ8vT1xR7mP4wL9yB2cD6");
    let message = format!("the key {key} is ann@example.org's, said the heron");
    for (mode, in_transcript, in_events) in [
        ("none", false, false),
        ("redacted", false, true),
        ("full", true, true),
    ] {
        let config = json!({ "learning": { "content": mode } });
        let mut instar = Instar::start(Setup::default().config(config));
        let _outcome = instar.ask("main", &message);
        let entries = Value::from(instar.entries("main")).to_string();
        assert!(entries.contains("heron"), "{mode}: {entries}");
        assert_eq!(entries.contains(&key), in_transcript, "{mode}: {entries}");

        let events = until("the answer is among the events", || {
            let events = instar.run(["events", "tail", "-n", "100", "--json"]).stdout;
            events.contains("message_out").then_some(events)
        });
        let contents: Vec<Value> = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|event| event["kind"] == "message_in" || event["kind"] == "message_out")
            .map(|event| event["content"].clone())
            .collect();
        assert_eq!(contents.len(), 2, "{mode}: {events}");
        for content in &contents {
            let heron = content.as_str().is_some_and(|text| text.contains("heron"));
            assert_eq!(heron, in_events, "{mode}: {content}");
        }
        assert!(!events.contains(&key), "{mode}: {events}");
        assert!(!events.contains("ann@example.org"), "{mode}: {events}");

        let _stopped = instar.terminate();
        assert_eq!(is_on_disk(&instar.state, &key), in_transcript, "{mode}");
    }
}

fn is_on_disk(folder: &Path, text: &str) -> bool {
    let files = walk(folder).into_iter().filter(|path| path.is_file());
    files
        .map(|path| std::fs::read(path).unwrap())
        .any(|bytes| bytes.windows(text.len()).any(|at| at == text.as_bytes()))
}

#[test]
fn the_key_to_the_secrets_can_come_from_the_service_manager() {
    let home = tempfile::tempdir().unwrap();
    let (state, credentials) = (home.path().join("state"), home.path().join("credentials"));
    private_folder(&credentials);
    let handed_in = credentials.join("instar-master-key");
    std::fs::write(&handed_in, [7; 32]).unwrap();
    std::fs::set_permissions(&handed_in, std::fs::Permissions::from_mode(0o400)).unwrap();

    let setup = Setup {
        state: Some(state.clone()),
        ..Setup::default()
    };
    let folder = credentials.to_str().unwrap();
    let mut instar = Instar::prepare(setup.env("CREDENTIALS_DIRECTORY", folder));
    let stored = instar.run_with(&["secrets", "set", "canary"], "sk-of-the-store\n");
    assert_eq!(stored.code, 0, "{stored:?}");
    // Nothing on the disk of the state opens the store.
    for path in walk(&state) {
        assert_ne!(path.file_name().unwrap(), "master.key", "{path:?}");
    }
    let mut config = base_config(&instar.model);
    let reference = json!({ "apiKey": { "source": "store", "id": "canary" } });
    merge(
        &mut config,
        json!({ "models": { "providers": { "scripted": reference } } }),
    );
    write_private(&state.join("instar.json"), &config.to_string());
    instar.launch();
    instar.chat("hello");
    let asked = format!("{:?}", instar.model.requests());
    assert!(asked.contains("sk-of-the-store"), "{asked}");
    let _stopped = instar.terminate();

    // Without what was handed in there is no other way, and no new key is made.
    let setup = Setup {
        state: Some(state.clone()),
        ..Setup::default()
    };
    let bare = Instar::prepare(setup);
    let refused = bare.run_with(&["secrets", "set", "other"], "sk-other\n");
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(
        refused.stderr.contains("$CREDENTIALS_DIRECTORY"),
        "{refused:?}"
    );
    for path in walk(&state) {
        assert_ne!(path.file_name().unwrap(), "master.key", "{path:?}");
    }
}

#[test]
fn a_real_systemd_hands_in_the_key() {
    const SCRIPT: &str = r#"
unit() {
    systemd-run --user --quiet --wait --pipe --collect \
        -p "LoadCredential=instar-master-key:$HOME/key" --setenv="INSTAR_STATE_DIR=$INSTAR_STATE_DIR" "$@"
}
unit sh -c "echo sk-in-the-store | $INSTAR secrets set canary"
echo "listed $(unit "$INSTAR" secrets list)"
echo sk-other | "$INSTAR" secrets set other || echo "without $?"
"#;
    let instar = Instar::prepare(Setup::default());
    let key = instar.home().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o400)).unwrap();
    let Some((said, errors)) = beside_systemd(&instar, SCRIPT) else {
        return;
    };
    assert!(said.contains("listed canary"), "{said}{errors}");
    assert!(said.contains("without "), "{said}{errors}");
    assert!(errors.contains("$CREDENTIALS_DIRECTORY"), "{errors}");
    assert!(!instar.state.join("master.key").exists());
    let record = std::fs::read_to_string(instar.state.join("master.json")).unwrap();
    assert!(record.contains("credential"), "{record}");
}

#[test]
fn a_store_that_is_taken_away_is_told_refuses_and_goes_on_when_it_is_back() {
    for name in ["instar.sqlite", "instar.sqlite-wal"] {
        let mut instar = Instar::start(Setup::default());
        instar.chat("before");
        let file = instar.state.join(name);
        let away = instar.home().join("away");
        std::fs::rename(&file, &away).unwrap();

        // Nobody has to write for it to be noticed.
        let answer = instar.http.get("/ready");
        assert_eq!(answer.status, 503, "{name}: {answer:?}");
        assert_eq!(instar.http.get("/health").status, 200);
        let message = |text: &str| json!({ "session": "main", "text": text });
        let refused = instar.http.post("/api/v1/messages", &message("lost"));
        let error = refused.expect(503)["error"].clone();
        let said = error["message"].as_str().unwrap();
        assert!(said.contains("moved"), "{name}: {error}");
        let next = error["nextStep"].as_str().unwrap();
        assert!(next.contains("put the file back"), "{name}: {error}");
        let status = instar.run(["status"]);
        let said = format!("{}{}", status.stdout, status.stderr);
        assert!(
            said.contains("moved, removed or replaced"),
            "{name}: {said}"
        );
        assert_ne!(instar.run(["health"]).code, 0);

        std::fs::rename(&away, &file).unwrap();
        until("the gateway is ready again", || {
            (instar.http.get("/ready").status == 200).then_some(())
        });
        instar.chat("after");
        instar.restart();
        let entries = instar.entries("main");
        assert_eq!(entries.len(), 4, "{name}: {entries:#?}");
        assert!(!is_on_disk(&instar.state, "lost"), "{name}");
    }
}

#[test]
fn a_backup_that_is_copied_over_the_open_store_is_told_and_not_mixed_with_it() {
    let mut instar = Instar::start(Setup::default());
    instar.chat("before the backup");
    let file = instar.state.join("instar.sqlite");
    instar.restart();
    let _stopped = instar.terminate();
    let backup = std::fs::read(&file).unwrap();
    instar.launch();
    instar.chat("after the backup");

    std::fs::write(&file, backup).unwrap();
    let answer = instar.http.get("/ready");
    assert_eq!(answer.status, 503, "{answer:?}");
    let message = json!({ "session": "main", "text": "lost" });
    let refused = instar.http.post("/api/v1/messages", &message).expect(503);
    let said = refused["error"]["message"].as_str().unwrap();
    assert!(said.contains("overwritten"), "{refused}");
    let status = instar.run(["status"]);
    let said = format!("{}{}", status.stdout, status.stderr);
    assert!(said.contains("overwritten"), "{said}");
    let _stopped = instar.terminate();

    let up = instar.run(["gateway", "run", "--port", "0"]);
    assert_ne!(up.code, 0, "{up:?}");
    assert!(up.stderr.contains("instar.sqlite-wal"), "{up:?}");
    for name in ["instar.sqlite-wal", "instar.sqlite-shm"] {
        std::fs::remove_file(instar.state.join(name)).unwrap();
    }
    instar.launch();
    let entries = Value::from(instar.entries("main")).to_string();
    assert!(entries.contains("before the backup"), "{entries}");
    assert!(!entries.contains("after the backup"), "{entries}");
}

#[test]
fn a_limit_of_spending_is_told_and_ends_the_calls() {
    let config = json!({ "models": {
        "budget": { "perDayUsd": 0.000_001 },
        "providers": { "scripted": { "models": [{
            "id": "x", "name": "Scripted", "contextWindow": 32_000, "maxTokens": 1_000,
            "cost": { "input": 100.0, "output": 100.0 },
        }]}},
    }});
    let instar = Instar::start(Setup::default().config(config));
    let budget = || instar.run(["status", "--json"]).json()["budget"].clone();
    assert_eq!(budget()["ok"], true, "{}", budget());
    let first = instar.ask("main", "hello");
    let second = instar.ask("main", "once more");
    assert!(second["error"].is_object(), "{first} {second}");
    assert!(instar.model.requests().len() < 2);
}
