//! `/mcp` and `instar mcp serve`, asked by the official client and the official conformance suite.

use serde_json::{Value, json};

use crate::clients::Script;
use crate::support::http::Answer;
use crate::support::{Instar, Setup, is_echo};

/// Scenarios of the suite that concern what this server offers; `docs/mcp.md` tells of the rest.
const SCENARIOS: [&str; 8] = [
    "server-initialize",
    "ping",
    "tools-list",
    "resources-list",
    "prompts-list",
    "server-sse-multiple-streams",
    "server-sse-polling",
    "dns-rebinding-protection",
];

#[test]
fn the_official_client_finds_reads_and_sends_over_http_and_over_pipes() {
    let Some(script) = Script::find("mcp.mjs", &["@modelcontextprotocol/sdk"]) else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let found = script.run(&instar, Value::Null);
    for way in ["http", "pipes"] {
        let found = &found[way];
        assert_eq!(found["server"]["name"], "instar", "{way}");
        assert!(
            is_echo(&found["sent"]["text"], "over the wire"),
            "{way}: {}",
            found["sent"]
        );
        let roles: Vec<&Value> = found["read"]["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| &message["role"])
            .collect();
        assert_eq!(roles, ["user", "assistant"], "{way}");
        // Pages go backwards, one message each.
        assert_eq!(found["first"]["messages"][0]["role"], "assistant", "{way}");
        assert_eq!(found["second"]["messages"][0]["role"], "user", "{way}");
        assert_eq!(found["second"]["next"], Value::Null, "{way}");
        let events = found["events"]["events"].as_array().unwrap();
        assert_eq!(events[0]["kind"], "message_in", "{way}");
        assert_eq!(found["status"]["store"]["ok"], true, "{way}");
        assert_eq!(found["refused"]["isError"], true, "{way}");
        assert_eq!(found["strict"]["isError"], true, "{way}");
        assert_eq!(found["reserved"]["isError"], true, "{way}");
        let why = found["reserved"]["content"][0]["text"].as_str().unwrap();
        assert!(why.contains("reserved"), "{way}: {why}");
        let text = found["transcript"]["contents"][0]["text"].as_str().unwrap();
        assert!(text.contains("over the wire"), "{way}: {text}");
        assert_eq!(
            found["prompt"]["messages"][1]["content"]["type"], "resource",
            "{way}"
        );
        let unknown = found["unknown"].as_str().unwrap();
        assert!(unknown.contains("tools/list"), "{way}: {unknown}");
    }
    assert_eq!(found["http"]["tools"], found["pipes"]["tools"]);
}

#[test]
fn hints_are_honest_and_schemas_are_closed() {
    let instar = Instar::start(Setup::default());
    let listed = rpc(&instar, "tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().unwrap();
    let changing = ["messages_send", "conversation_stop"];
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        let reads = !changing.contains(&name);
        assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{name}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
    }
    assert_eq!(tools.len(), 8);
}

#[test]
fn the_conformance_suite_passes_where_it_applies() {
    let packages = ["@modelcontextprotocol/conformance"];
    let Some(script) = Script::find("conformance.mjs", &packages) else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let found = script.run(&instar, json!({ "scenarios": SCENARIOS }));
    for scenario in SCENARIOS {
        assert_eq!(
            found[scenario]["passed"], true,
            "{}",
            found[scenario]["said"]
        );
    }
}

#[test]
fn the_inspector_lists_and_calls_and_has_nothing_to_complain_of() {
    let packages = ["@modelcontextprotocol/inspector"];
    let Some(script) = Script::find("inspector.mjs", &packages) else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let found = script.run(&instar, Value::Null);
    for way in ["http", "pipes"] {
        let found = &found[way];
        let tools = found["tools"]["answer"]["tools"].as_array().unwrap();
        assert_eq!(tools.len(), 8, "{way}");
        let complaints = found["tools"]["complaints"].as_str().unwrap();
        assert!(!complaints.contains("Issue:"), "{way}: {complaints}");
        let sent = &found["sent"]["answer"]["structuredContent"];
        assert!(is_echo(&sent["text"], "over the wire"), "{way}: {sent}");
        let resources = found["resources"]["answer"]["resources"]
            .as_array()
            .unwrap();
        assert!(!resources.is_empty(), "{way}");
        let prompts = &found["prompts"]["answer"]["prompts"];
        assert_eq!(prompts[0]["name"], "conversation_summary", "{way}");
    }
}

#[test]
fn the_official_python_client_calls_and_reads_over_both_ways() {
    let Some(script) = Script::find_python("mcp_sdk.py", "mcp") else {
        return;
    };
    let instar = Instar::start(Setup::default());
    let found = script.run(&instar, Value::Null);
    for way in ["http", "pipes"] {
        let found = &found[way];
        assert_eq!(found["server"], "instar", "{way}");
        assert_eq!(found["tools"].as_array().unwrap().len(), 8, "{way}");
        assert!(is_echo(&found["sent"]["text"], "over the wire"), "{way}");
        assert_eq!(found["roles"], json!(["user", "assistant"]), "{way}");
        assert_eq!(found["refused"], true, "{way}");
        let text = found["transcript"].as_str().unwrap();
        assert!(text.contains("over the wire"), "{way}: {text}");
    }
}

#[test]
fn the_owner_can_switch_it_off() {
    let off = json!({ "gateway": { "http": { "endpoints": { "mcp": { "enabled": false } } } } });
    let instar = Instar::start(Setup::default().config(off));
    let answer = rpc_answer(&instar, "tools/list", &json!({}));
    assert_eq!(answer.status, 404);
    let call = message("tools/call", &json!({"name": "status", "arguments": {}}));
    let output = instar.run_with(&["mcp", "serve"], &format!("{call}\n"));
    assert!(output.stdout.contains("switched off"), "{output:?}");
    // Everything else is as it was.
    assert_eq!(instar.http.get("/api/v1/status").status, 200);
}

#[test]
fn nobody_gets_in_without_a_credential_or_from_another_page() {
    let instar = Instar::start(Setup::default());
    let body = message("tools/list", &json!({}));
    let asked = |token: &str, more: &[(&str, &str)]| {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        headers.extend_from_slice(more);
        let http = instar.http.with_token(token);
        http.send("POST", "/mcp", &headers, Some(&body))
            .unwrap()
            .status
    };
    assert_eq!(asked(crate::support::TOKEN, &[]), 200);
    assert_eq!(asked("wrong", &[]), 401);
    let foreign = [("origin", "https://elsewhere.example")];
    assert_eq!(asked(crate::support::TOKEN, &foreign), 403);
}

#[test]
fn pipes_survive_garbage_and_say_how_to_start_a_gateway() {
    let mut instar = Instar::start(Setup::default());
    let long = "x".repeat(33 << 20);
    let call = message("tools/call", &json!({"name": "status", "arguments": {}}));
    let lines = format!("no json\n[]\n{long}\n\n{call}\n");
    let output = instar.run_with(&["mcp", "serve"], &lines);
    let answers: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let codes: Vec<&Value> = answers.iter().map(|one| &one["error"]["code"]).collect();
    assert_eq!(codes[..3], [-32700, -32600, -32600], "{output:?}");
    assert_eq!(answers[3]["result"]["isError"], false, "{output:?}");
    assert_eq!(output.code, 0);

    assert_eq!(instar.terminate().code, Some(0));
    let output = instar.run_with(&["mcp", "serve"], "");
    assert_eq!(output.code, 4, "{output:?}");
    assert!(output.stderr.contains("instar up"), "{output:?}");
    assert_eq!(output.stdout, "");
}

fn message(method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// One request over HTTP.
#[track_caller]
fn rpc(instar: &Instar, method: &str, params: &Value) -> Value {
    rpc_answer(instar, method, params).expect(200)
}

fn rpc_answer(instar: &Instar, method: &str, params: &Value) -> Answer {
    let body = message(method, params);
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    instar
        .http
        .send("POST", "/mcp", &headers, Some(&body))
        .unwrap()
}
