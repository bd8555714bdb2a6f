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
    assert_eq!(found["edit"], true, "{found:#}");
    assert_eq!(found["back"], json!({ "auth": "operator", "sessions": 2 }));
    assert!(found["removed"].is_object(), "{found:#}");
}

/// Calls methods one after the other as the owner; gives every answer and what the witness saw.
#[track_caller]
pub(crate) fn call_all(instar: &Instar, calls: &Value) -> Option<(Vec<Value>, Value)> {
    let all = run(instar, "calls.mjs", json!({ "calls": calls }))?;
    assert_sound(&all);
    let answers = all["found"]["answers"].as_array().unwrap().clone();
    Some((answers, all))
}

#[test]
fn what_is_said_can_be_found_read_and_changed_over_the_socket() {
    let instar = Instar::start(Setup::default());
    let calls = json!([
        ["sessions.create", { "key": "trip", "label": "The trip", "message": "pack the blue bag",
            "idempotencyKey": "one" }],
        ["agent.wait", { "runId": "one" }],
        ["sessions.describe", { "key": "trip", "includeDerivedTitles": true, "includeLastMessage": true }],
        ["chat.history", { "sessionKey": "trip", "limit": 10 }],
        ["chat.message.get", { "sessionKey": "trip", "messageId": "$3.messages.0.__openclaw.id" }],
        ["sessions.search", { "query": "BLUE bag" }],
        ["sessions.preview", { "keys": ["trip", "nowhere"] }],
        ["sessions.resolve", { "label": "The trip" }],
        ["sessions.patch", { "key": "trip", "label": "Another", "model": "scripted/x" }],
        ["sessions.send", { "key": "trip", "message": "second", "idempotencyKey": "two" }],
        ["agent.wait", { "runId": "two" }],
        ["chat.history", { "sessionKey": "trip", "limit": 2 }],
        ["sessions.rewind", { "sessionKey": "trip", "entryId": "$11.messages.0.__openclaw.id" }],
        ["chat.inject", { "sessionKey": "trip", "message": "noted", "label": "desk" }],
        ["chat.history", { "sessionKey": "trip" }],
        ["sessions.compact", { "key": "trip" }],
        ["sessions.compaction.list", { "key": "trip" }],
        ["sessions.reset", { "key": "trip", "reason": "new" }],
        ["chat.history", { "sessionKey": "trip" }],
        ["sessions.usage", { "key": "trip" }],
        ["usage.cost", { "days": 1 }],
        ["usage.status", {}],
        ["sessions.list", { "search": "another", "limit": 1 }],
        ["sessions.get", { "key": "trip" }],
        ["sessions.delete", { "key": "trip" }],
        ["sessions.list", {}],
        ["chat.abort", { "sessionKey": "main" }],
        ["sessions.abort", { "key": "main" }],
        ["chat.startup", { "sessionKey": "main" }],
        ["chat.metadata", {}],
        ["sessions.messages.subscribe", { "key": "main" }],
        ["sessions.messages.unsubscribe", { "key": "main" }],
        ["sessions.create", { "key": "again", "message": "hello", "idempotencyKey": "three" }],
        ["agent.wait", { "runId": "three" }],
        ["chat.history", { "sessionKey": "again" }],
        ["chat.history", { "sessionKey": "again", "cursor": "$34.deltaCursor" }],
    ]);
    let Some((answers, _)) = call_all(&instar, &calls) else {
        return;
    };
    let refused: Vec<_> = answers
        .iter()
        .enumerate()
        .filter(|(_, answer)| answer.get("refused").is_some())
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let text = |answer: &Value| {
        answer["content"][0]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(answers[0]["runStarted"], true, "{:#}", answers[0]);
    assert_eq!(answers[1]["status"], "ok");
    let row = &answers[2]["session"];
    assert_eq!(row["derivedTitle"], "The trip", "{row:#}");
    assert!(
        row["lastMessagePreview"]
            .as_str()
            .unwrap()
            .contains("blue bag"),
        "{row:#}"
    );
    assert_eq!(
        text(&answers[4]["message"]),
        "pack the blue bag",
        "{:#}",
        answers[4]
    );
    assert_eq!(
        answers[5]["results"].as_array().unwrap().len(),
        2,
        "{:#}",
        answers[5]
    );
    assert_eq!(
        answers[6]["previews"][0]["items"][0]["text"],
        "pack the blue bag"
    );
    assert_eq!(answers[6]["previews"][1]["status"], "missing");
    assert_eq!(answers[7]["key"], "agent:main:trip");
    assert_eq!(answers[8]["entry"]["label"], "Another", "{:#}", answers[8]);
    assert_eq!(answers[8]["entry"]["modelOverrideSource"], "user");
    assert_eq!(answers[12]["editorText"], "second", "{:#}", answers[12]);
    let last = answers[14]["messages"].as_array().unwrap().last().unwrap();
    assert_eq!(text(last), "[desk]\n\nnoted", "{:#}", answers[14]);
    assert_eq!(answers[18]["messages"], json!([]), "{:#}", answers[18]);
    assert!(
        answers[20]["totals"]["input"].as_u64() > Some(0),
        "{:#}",
        answers[20]
    );
    assert_eq!(answers[22]["totalCount"], 1, "{:#}", answers[22]);
    assert_eq!(answers[24]["deleted"], true);
    assert_eq!(answers[25]["sessions"], json!([]));
    assert_eq!(answers[26]["aborted"], false);
    assert_eq!(answers[27]["status"], "no-active-run");
    assert_eq!(answers[35]["kind"], "delta", "{:#}", answers[35]);
}

#[test]
fn the_house_is_run_over_the_socket() {
    let headers = json!({ "X-Key": "hush-hush" });
    let weather =
        json!({ "cron": "30 7 * * 1-5", "tz": "Europe/Berlin", "prompt": "Tell the weather." });
    let own = json!({
        "models": { "providers": { "scripted": { "headers": headers } } },
        "agents": { "defaults": { "schedules": { "weather": weather } } },
    });
    let instar = Instar::start(Setup::default().config(own));
    let mut calls = json!([
        ["config.get", {}],
        ["config.patch", { "raw": "{ agents: { defaults: { maxToolCalls: 7 } } }", "baseHash": "$0.hash" }],
        ["config.patch", { "raw": "{ agents: { defaults: { maxToolCalls: 8 } } }", "baseHash": "$0.hash" }],
        ["config.patch", { "raw": "{ agents: { defaults: { maxToolCalls: 'many' } } }", "baseHash": "$1.hash" }],
        ["config.get", {}],
        ["config.set", { "raw": "$4.raw", "baseHash": "$4.hash" }],
        ["config.set", { "raw": "{}" }],
        ["config.schema", {}],
        ["config.schema.lookup", { "path": "agents.defaults" }],
        ["config.schema.lookup", { "path": "agents.nothing" }],
        ["agents.create", { "name": "Night Owl", "emoji": "🦉" }],
        ["agents.update", { "agentId": "night-owl", "name": "Owl" }],
        ["agents.list", {}],
        ["agents.files.list", { "agentId": "night-owl" }],
        ["agents.files.get", { "agentId": "night-owl", "name": "SOUL.md" }],
        ["agent.identity.get", { "agentId": "night-owl" }],
        ["agents.delete", { "agentId": "night-owl" }],
        ["agents.delete", { "agentId": "main" }],
        ["models.list", {}],
        ["models.list", { "view": "all" }],
        ["models.authStatus", {}],
        ["models.probe", { "provider": "scripted" }],
        ["commands.list", {}],
        ["tools.catalog", {}],
        ["tools.effective", { "sessionKey": "main" }],
        ["logs.tail", { "limit": 5 }],
        ["logs.tail", { "cursor": "$25.cursor" }],
        ["release.list", {}],
        ["release.show", { "name": "stable" }],
        ["release.diff", { "from": "stable~1", "to": "stable" }],
        ["release.log", { "limit": 1 }],
        ["event.list", { "kind": "config", "limit": 1 }],
        ["event.tail", {}],
        ["event.tail", { "after": "$32.cursor", "waitMs": 1 }],
        ["health", {}],
        ["status", {}],
        ["system-presence", {}],
        ["system.info", {}],
        ["last-heartbeat", {}],
        ["cron.list", {}],
        ["cron.status", {}],
        ["channels.status", {}],
        ["question.list", {}],
        ["exec.approval.list", {}],
        ["plugin.approval.list", {}],
        ["device.pair.list", {}],
        ["agents.files.set", { "agentId": "main", "name": "SOUL.md", "content": "Hoot, softly." }],
        ["release.show", { "name": "stable" }],
    ]);
    let delta = json!({ "set_limit": { "agent": "main", "limit": "tool_calls_max", "value": 3 } });
    let candidate = json!({ "name": "$48.candidate.id" });
    calls.as_array_mut().unwrap().extend([
        json!(["candidate.new", { "deltas": delta, "reason": "a try" }]),
        json!(["candidate.list", {}]),
        json!(["candidate.show", candidate]),
        json!(["candidate.withdraw", candidate]),
    ]);
    let delta = json!({ "set_limit": { "agent": "main", "limit": "tool_calls_max", "value": 4 } });
    let candidate = json!({ "name": "$52.candidate.id" });
    let start = json!({ "candidate": "$52.candidate.id", "shares": [0.5] });
    calls.as_array_mut().unwrap().extend([
        json!(["candidate.new", { "deltas": delta, "reason": "another" }]),
        json!(["candidate.check", candidate]),
        json!(["candidate.gates", candidate]),
        json!(["candidate.approve", candidate]),
        json!(["rollout.start", start]),
        json!(["rollout.list", {}]),
        json!(["rollout.show", { "name": "current" }]),
        json!(["rollout.pause", {}]),
        json!(["rollout.resume", {}]),
        json!(["rollout.abort", {}]),
        json!(["rollout.start", start]),
        json!(["rollout.promote", {}]),
        json!(["release.rollback", { "reason": "enough" }]),
        json!(["candidate.rebase", candidate]),
        json!(["lab.run", { "atAnyLoad": true }]),
        json!(["lab.log", {}]),
        json!(["lab.ledger", {}]),
        json!(["lab.import", { "assets": [] }]),
        json!(["lab.foreign", {}]),
        json!(["lab.forget", {}]),
        json!(["fault.list", {}]),
        json!(["fault.show", { "name": "flt_0" }]),
        json!(["fault.edit", { "edit": "mute", "fault": "flt_0", "muted": true }]),
        json!(["fault.log", {}]),
        json!(["fault.merges", {}]),
        json!(["fault.merge", { "fault": "flt_0", "into": "flt_1", "accept": true }]),
        json!(["heal.status", {}]),
        json!(["heal.case", {}]),
        json!(["heal.explain", { "name": "flt_0" }]),
        json!(["heal.try", { "name": "flt_0" }]),
        json!(["heal.gene", { "id": "keep-the-pace", "banned": true }]),
        json!(["set-heartbeats", { "enabled": true }]),
        json!(["wake", { "mode": "now", "text": "look around" }]),
        json!(["cron.list", { "sortBy": "name" }]),
        json!(["cron.get", { "id": "main:weather" }]),
        json!(["cron.run", { "id": "main:weather", "mode": "force" }]),
        json!(["cron.runs", { "id": "main:weather" }]),
        json!(["cron.add", { "name": "tide" }]),
        json!(["memory.search", { "query": "harbour" }]),
    ]);
    let Some((answers, all)) = call_all(&instar, &calls) else {
        return;
    };
    let whole = all.to_string();
    assert!(!whole.contains("hush-hush"), "a secret was told");
    let refused: Vec<usize> = (0..answers.len())
        .filter(|at| answers[*at].get("refused").is_some())
        .collect();
    // The last one was promoted meanwhile: there is nothing to put upon another release.
    // Nor is there a fault of that name.
    assert_eq!(
        refused,
        [2, 3, 6, 9, 17, 65, 73, 74, 77, 80, 81, 89],
        "{answers:#?}"
    );
    assert!(
        answers[2]["refused"]["message"]
            .as_str()
            .unwrap()
            .contains("config.get")
    );
    assert_eq!(
        answers[1]["changedPaths"],
        json!(["agents.defaults.maxToolCalls"])
    );
    assert_eq!(
        answers[4]["config"]["agents"]["defaults"]["maxToolCalls"],
        7
    );
    let file = std::fs::read_to_string(instar.state.join("instar.json")).unwrap();
    assert!(
        file.contains("hush-hush"),
        "writing back keeps what was hidden: {file}"
    );
    assert_eq!(
        answers[12]["agents"].as_array().unwrap().len(),
        2,
        "{:#}",
        answers[12]
    );
    assert_eq!(answers[15]["name"], "Owl", "{:#}", answers[15]);
    assert!(
        answers[14]["file"]["content"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(answers[21]["status"], "ok", "{:#}", answers[21]);
    assert!(
        answers[25]["lines"]
            .as_array()
            .is_some_and(|lines| !lines.is_empty())
    );
    assert!(answers[32]["cursor"].is_string(), "{:#}", answers[32]);
    assert!(
        answers[47].to_string().contains("Hoot, softly."),
        "{:#}",
        answers[47]
    );
    assert_eq!(
        answers[49]["candidates"][0]["id"], answers[50]["candidate"]["id"],
        "{:#}",
        answers[49]
    );
    assert_eq!(
        answers[51]["candidate"]["state"], "withdrawn",
        "{:#}",
        answers[51]
    );
    assert_eq!(answers[58]["rollout"]["id"], answers[56]["rollout"]["id"]);
    assert_eq!(answers[59]["rollout"]["is_paused"], true);
    assert_eq!(answers[61]["rollout"]["stage"]["stage"], "rolled_back");
    assert_eq!(answers[63]["rollout"]["stage"]["stage"], "promoted");
    assert_eq!(answers[64]["from"], answers[63]["rollout"]["release"]);
    let job = &answers[85]["jobs"][0];
    assert_eq!((job, &answers[85]["total"]), (&answers[86], &json!(1)));
    assert_eq!(job["schedule"]["expr"], "30 7 * * 1-5", "{job:#}");
    assert_eq!(answers[87]["enqueued"], true, "{:#}", answers[87]);
    let refused = answers[89]["refused"]["message"].as_str().unwrap();
    assert!(refused.contains("agents.defaults.schedules"), "{refused}");
    let noted = answers.last().unwrap();
    assert_eq!(
        (&noted["searchMode"], &noted["results"]),
        (&json!("fts-only"), &json!([]))
    );
    let named = all["found"]["hello"]["features"]["methods"]
        .as_array()
        .unwrap();
    let called = |name: &Value| {
        calls
            .as_array()
            .unwrap()
            .iter()
            .any(|call| call[0] == *name)
    };
    let others = [
        "agent",
        "agent.wait",
        "approval.",
        "exec.approval.",
        "question.",
        "chat.",
        "sessions.",
        "usage.",
        "device.",
        "config.apply",
        "setup.",
    ];
    let missed: Vec<_> = named
        .iter()
        .filter(|name| !called(name))
        .filter(|name| {
            !others
                .iter()
                .any(|one| name.as_str().unwrap().starts_with(one))
        })
        .collect();
    assert!(missed.is_empty(), "methods that no test calls: {missed:?}");
}
