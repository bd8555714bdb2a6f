//! Clients that exist: the published client library of the gateway protocol as a real client, with
//! every frame that the gateway sends checked against the published schema on its way.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Instar, Setup, TOKEN, skipped};

/// Runs a script of `control/` against a gateway and gives what it found.
#[track_caller]
fn run(instar: &Instar, script: &str, more: Value) -> Option<Value> {
    let modules = modules()?;
    let code = instar
        .http
        .post("/api/v1/sign-in-codes", &json!({}))
        .expect(200);
    let mut input = json!({
        "modules": modules, "url": instar.url(), "token": TOKEN, "link": code["url"],
    });
    crate::support::merge(&mut input, more);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/control");
    let output = Command::new(node(&modules))
        .arg(scripts.join(script))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", instar.home())
        .env("INSTAR_CONTROL_INPUT", input.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {complained}");
    let line = said.lines().last().unwrap_or_default();
    let found: Result<Value, _> = serde_json::from_str(line);
    assert!(found.is_ok(), "{script} printed {said:?} and {complained}");
    found.ok()
}

/// The folder of packages; says so if something is missing.
fn modules() -> Option<PathBuf> {
    let modules = std::env::var_os("INSTAR_TEST_NODE_MODULES").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_default();
            Path::new(&home).join(".cache/instar/node/node_modules")
        },
        PathBuf::from,
    );
    for package in ["@openclaw/gateway-protocol", "@openclaw/gateway-client"] {
        if !modules.join(package).join("package.json").exists() {
            skipped(&format!(
                "{package} is not there; `cargo xtask test` installs it"
            ));
            return None;
        }
    }
    Some(modules)
}

/// The machine's own Node may be too old for the packages; then theirs lies beside them.
fn node(modules: &Path) -> PathBuf {
    let beside = modules.join("node/bin/node");
    if beside.exists() {
        beside
    } else {
        PathBuf::from("node")
    }
}

/// Every frame was as the published schema wants it.
#[track_caller]
fn assert_sound(found: &Value) {
    let complaints = &found["witness"]["complaints"];
    assert_eq!(*complaints, json!([]), "{complaints:#}");
    assert!(found["witness"]["frames"].as_u64() > Some(0), "{found:#}");
}

#[test]
fn the_published_client_pairs_talks_and_comes_back() {
    let instar = Instar::start(Setup::default());
    let Some(all) = run(&instar, "client.mjs", json!({})) else {
        return;
    };
    assert_sound(&all);
    let found = &all["found"];
    assert_eq!(
        found["turned"]["details"]["code"], "PAIRING_REQUIRED",
        "{found:#}"
    );
    assert_eq!(found["pending"], json!([true]), "{found:#}");
    assert_eq!(found["auth"]["role"], "operator", "{found:#}");
    assert_eq!(found["stored"], json!(["operator"]), "{found:#}");
    assert_eq!(
        found["sent"],
        json!({ "runId": "first-message", "status": "started" })
    );
    let chat = &found["chat"];
    assert_eq!(chat["runs"], json!(["first-message"]), "{chat:#}");
    assert_eq!(chat["deltas"], chat["said"], "{chat:#}");
    assert!(crate::support::is_echo(&chat["said"], "hello"), "{found:#}");
    assert_eq!(chat["inOrder"], true);
    assert_eq!(found["numbered"], true, "{found:#}");
    assert!(found["changed"].as_u64() >= Some(2), "{found:#}");
    assert_eq!(found["again"]["status"], "ok", "{found:#}");
    assert_eq!(found["roles"], json!(["user", "assistant"]), "{found:#}");
    assert_eq!(found["agent"]["status"], "ok", "{found:#}");
    let said = &found["agent"]["result"]["payloads"][0]["text"];
    assert!(crate::support::is_echo(said, "and now"), "{found:#}");
    assert_eq!(found["back"], json!({ "auth": "operator", "sessions": 2 }));
    assert!(found["removed"].is_object(), "{found:#}");
}
