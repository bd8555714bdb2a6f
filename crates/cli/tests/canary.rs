//! No secret in clear: not in any file of the state folder, not in what is printed, not in any
//! answer, whatever goes wrong.

use std::path::{Path, PathBuf};

use instar_demo::{Answer as Said, Fault, Script, Step, When};
use serde_json::json;

use crate::support::{Instar, Setup, TOKEN, merge, until};

/// Handed to the gateway as keys, or said by the vendor in the text of an error.
const FROM_ENVIRONMENT: &str = "sk-canary-environment-4f1c9d2e8a7b";
const FROM_STORE: &str = "sk-canary-store-77aa01bc93de";
const FROM_FILE: &str = "sk-canary-file-c3b2a190fedc";
const IN_HEADER: &str = "canary-header-5d6e7f8091a2b3";
const IN_ERROR: &str = "sk-proj-canaryInErrorBody0123456789abcdefABCDEF";
const TYPED: &str = "sk-proj-canaryTypedByOwner0123456789abcdefABCDE";
const PASSWORD: &str = "canary-password-6b7c8d9e0f";

#[test]
fn no_secret_is_stored_printed_or_answered_in_clear() {
    let mut instar = Instar::prepare(
        Setup::scripted(faulty())
            .env("CANARY_KEY", FROM_ENVIRONMENT)
            .env("OPENAI_API_KEY", FROM_ENVIRONMENT)
            .env("CANARY_URL_PASSWORD", PASSWORD),
    );
    let key_file = instar.home().join("key");
    crate::support::write_private(&key_file, FROM_FILE);
    configure(&instar, &key_file);
    let set = instar.run_with(&["secrets", "set", "canary"], FROM_STORE);
    assert_eq!(set.code, 0, "{set:?}");
    instar.launch();

    let mut printed = commands(&instar);
    for (provider, key) in [
        ("one", FROM_ENVIRONMENT),
        ("two", FROM_STORE),
        ("three", FROM_FILE),
    ] {
        talk(&instar, provider);
        let sent = instar.model.requests();
        assert!(
            sent.iter().any(|request| {
                request
                    .headers
                    .get("authorization")
                    .is_some_and(|value| value.ends_with(key))
            }),
            "the key of {provider} never reached its vendor: the test shows nothing"
        );
    }
    let wrong = [("authorization", format!("Bearer {PASSWORD}"))];
    let wrong: Vec<(&str, &str)> = wrong
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let refused = instar
        .http
        .send("GET", "/api/v1/status", &wrong, None)
        .unwrap();
    assert_eq!(refused.status, 401, "{refused:?}");
    let denied = instar.entries("agent:main:one-denied");
    assert_eq!(denied[1]["body"]["kind"], "error", "{denied:#?}");
    look_around(&instar);
    break_the_configuration(&instar);
    printed.push_str(&commands(&instar));
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    printed.push_str(&commands(&instar));
    printed.push_str(&instar.printed());

    let heard = instar.http.heard.lock().unwrap().clone();
    let local = local_secrets(&instar);
    for secret in [
        FROM_ENVIRONMENT,
        FROM_STORE,
        FROM_FILE,
        IN_HEADER,
        IN_ERROR,
        PASSWORD,
        TOKEN,
    ] {
        assert_absent(secret, "printed", &printed);
        assert_absent(secret, "answered", &heard);
        for (path, text) in &local {
            let is_config = path.ends_with("instar.json");
            if !(is_config && secret == IN_HEADER) {
                assert_absent(secret, &path.display().to_string(), text);
            }
        }
    }
    // The search finds what is there.
    assert!(
        local
            .iter()
            .any(|(_, text)| text.contains("denied, my key is"))
    );
    assert!(printed.contains("canary"), "{printed}");
    // What the owner typed is theirs to keep in the transcript, but no log or event repeats it.
    let logs = local
        .iter()
        .filter(|(path, _)| path.ends_with("instar.log"));
    for (path, text) in logs {
        assert_absent(TYPED, &path.display().to_string(), text);
    }
    assert_absent(TYPED, "printed", &printed);
}

/// Every third message is refused with a secret in the vendor's text.
fn faulty() -> Script {
    let refusal = |status, code: &str| Said {
        fault: Some(Box::new(Fault {
            status: Some(status),
            message: Some(format!(
                "Incorrect API key provided: {IN_ERROR}. See the docs."
            )),
            code: Some(code.to_owned()),
            ..Fault::default()
        })),
        ..Said::default()
    };
    let broken = Said {
        fault: Some(Box::new(Fault {
            status: Some(500),
            body: Some(format!(
                "<html>oops {IN_ERROR} https://u:{PASSWORD}@host/ </html>"
            )),
            ..Fault::default()
        })),
        ..Said::default()
    };
    let when = |word: &str| When {
        contains: vec![word.to_owned()],
        ..When::default()
    };
    let mut script = Script::saying("fine")
        .rule(when("denied"), refusal(401, "invalid_api_key"))
        .rule(when("unfunded"), refusal(429, "insufficient_quota"))
        .rule(when("broken"), broken)
        .rule(
            when("midway"),
            Said {
                fault: Some(Box::new(Fault {
                    error_after_frames: Some(1),
                    message: Some(format!("stream failed with {IN_ERROR}")),
                    ..Fault::default()
                })),
                ..Said::of([
                    Step::Text("some ".to_owned()),
                    Step::Text("words".to_owned()),
                ])
            },
        );
    script.otherwise = Said::text("fine");
    script
}

fn configure(instar: &Instar, key_file: &Path) {
    let provider = |source: &str, id: &str| {
        json!({
            "baseUrl": instar.model.openai_url(),
            "api": "openai-completions",
            "apiKey": { "source": source, "id": id },
            "headers": { "x-canary": IN_HEADER },
            "models": [{ "id": "x", "contextWindow": 32_000, "maxTokens": 1_000 }],
        })
    };
    let mut config = crate::support::base_config(&instar.model);
    merge(
        &mut config,
        json!({
            "models": { "providers": {
                "one": provider("env", "CANARY_KEY"),
                "two": provider("store", "canary"),
                "three": provider("file", key_file.to_str().unwrap()),
            }},
            "logging": { "level": "trace", "consoleLevel": "debug" },
            "learning": { "content": "redacted" },
        }),
    );
    let text = serde_json::to_string_pretty(&config).unwrap();
    crate::support::write_private(&instar.state.join("instar.json"), &text);
}

/// One message of each fate, to one provider, both ways.
fn talk(instar: &Instar, provider: &str) {
    for word in ["hello", "denied", "unfunded", "broken", "midway"] {
        let session = format!("agent:main:{provider}-{word}");
        let text = format!("{word}, my key is {TYPED}");
        let model = format!("{provider}/x");
        let body = json!({ "session": session, "text": text, "model": model });
        instar.http.post("/api/v1/messages", &body).expect(202);
        until("the turn is over", || {
            (instar.entries(&session).len() >= 2).then_some(())
        });
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": word }] });
        let _any = instar.http.post("/v1/chat/completions", &body);
    }
}

/// Reads everything that a client can ask for.
fn look_around(instar: &Instar) {
    for path in [
        "/api/v1/status",
        "/api/v1/doctor",
        "/api/v1/models",
        "/api/v1/sessions",
        "/api/v1/sessions/agent:main:one-denied",
        "/api/v1/sessions/agent:main:one-denied/export",
        "/api/v1/events?limit=500",
        "/api/v1/usage",
        "/api/v1/candidates",
        "/api/v1/releases",
        "/api/v1/releases/stable",
        "/api/v1/releases/log",
        "/api/v1/logs?lines=1000",
        "/v1/models",
        "/metrics",
        "/health",
        "/ready",
        "/",
        "/sign-in",
    ] {
        let answer = instar.http.get(path);
        assert!(answer.status < 500, "{path}: {answer:?}");
    }
    let probe = instar.http.post("/api/v1/models/probe", &json!({}));
    assert_eq!(probe.status, 200, "{probe:?}");
}

/// A secret in the place of a reference is refused without being repeated.
fn break_the_configuration(instar: &Instar) {
    let file = instar.state.join("instar.json");
    let good = std::fs::read_to_string(&file).unwrap();
    let mut bad: serde_json::Value = serde_json::from_str(&good).unwrap();
    bad["models"]["providers"]["one"]["apiKey"] = json!("${CANARY_KEY}");
    bad["models"]["providers"]["two"]["baseUrl"] = json!("http://u:${CANARY_URL_PASSWORD}@[");
    crate::support::write_private(&file, &bad.to_string());
    until("the bad edit is noticed", || {
        let status = instar.http.get("/api/v1/status").expect(200);
        (status["config"]["ok"] == false).then_some(())
    });
    let refused = instar.run(["config", "validate"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_absent(FROM_ENVIRONMENT, "printed", &format!("{refused:?}"));
    assert_absent(PASSWORD, "printed", &format!("{refused:?}"));
    crate::support::write_private(&file, &good);
}

/// What the commands print, on a running gateway or without one.
fn commands(instar: &Instar) -> String {
    let mut printed = String::new();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["doctor", "--json"],
        &["config", "get"],
        &["config", "get", "models", "--json"],
        &["config", "validate"],
        &["secrets", "list"],
        &["models", "list", "--json"],
        &["models", "status"],
        &["sessions", "list"],
        &["events", "tail", "-n", "500", "--json"],
        &["logs", "-n", "1000"],
        &["release", "show"],
        &["release", "diff"],
        &["gateway", "status", "--json"],
    ] {
        let output = instar.run_with(args, "");
        // The owner may read the configuration that they wrote, header and all.
        let is_config = args.starts_with(&["config", "get"]);
        let text = format!("{args:?}\n{}\n{}\n", output.stdout, output.stderr);
        printed.push_str(&if is_config {
            text.replace(IN_HEADER, "")
        } else {
            text
        });
    }
    printed
}

/// The bytes of every file in the state folder, as far as they are text.
fn local_secrets(instar: &Instar) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    let mut folders = vec![instar.state.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                all.push((path, String::from_utf8_lossy(&bytes).into_owned()));
            }
        }
    }
    assert!(all.len() > 8, "{} files", all.len());
    all
}

#[track_caller]
fn assert_absent(secret: &str, place: &str, text: &str) {
    if let Some(at) = text.find(secret) {
        let around: String = text
            .chars()
            .skip(text[..at].chars().count().saturating_sub(200))
            .take(300)
            .collect();
        panic!("{place} holds {secret}: …{around}…");
    }
}
