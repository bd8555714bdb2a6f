//! What the agent does with other conversations and with its owner, through the built binary.

use instar_demo::{Answer, Step};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::clients::Script;
use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

fn sessions(instar: &Instar) -> Vec<Value> {
    let listed = instar.run(["sessions", "list", "--json"]).json();
    listed["sessions"].as_array().unwrap().clone()
}

pub(crate) fn open(posture: &str) -> Value {
    json!({ "policy": { "posture": posture, "askWaitSeconds": 0 } })
}

#[test]
fn a_sub_agent_works_in_a_conversation_of_its_own_with_the_tools_it_was_given() {
    let rows = [
        (
            "delegate",
            "sessions_spawn",
            json!({"task": "compose the note", "title": "A note", "waitSeconds": 30}),
        ),
        (
            "restrict",
            "sessions_spawn",
            json!({"task": "compose once more", "tools": ["group:web", "read"], "waitSeconds": 30}),
        ),
        (
            "compose",
            "write",
            json!({"path": "note.md", "content": "written by a helper\n"}),
        ),
    ];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open("open")));
    let told = said(&instar, "delegate");
    assert!(told.contains("note.md is new"), "{told}");
    let note = workspace(&instar).join("note.md");
    assert_eq!(
        std::fs::read_to_string(&note).unwrap(),
        "written by a helper\n"
    );
    let rows = sessions(&instar);
    let child = rows.iter().find(|row| row["title"] == "A note").unwrap();
    assert_eq!(child["parent"], "agent:main:main", "{child}");

    std::fs::remove_file(&note).unwrap();
    let told = said(&instar, "restrict");
    assert!(
        told.contains("has not allowed this tool") && !note.exists(),
        "{told}"
    );

    let key = child["key"].as_str().unwrap();
    let shown = instar.run(["sessions", "show", key]);
    assert!(
        shown.stdout.contains("task compose the note"),
        "{}",
        shown.stdout
    );
}

#[test]
fn one_conversation_speaks_to_another_and_hears_the_answer() {
    let rows = [(
        "pass",
        "sessions_send",
        json!({"session": "main", "text": "what is new", "waitSeconds": 30}),
    )];
    let mut script = calling(&rows);
    script.otherwise = Answer::of([Step::Text("You said: {{text}}".to_owned())]);
    let instar = Instar::start(Setup::scripted(script).config(open("open")));
    let _opened = instar.ask("main", "hello");
    let outcome = instar.ask("agent:main:web:other", "pass it on");
    // The end of its key names a conversation, and so does its id, to look at it and to speak in it.
    let shown = instar.run(["sessions", "show", "other", "--json"]).json();
    assert_eq!(shown["session"]["key"], "agent:main:web:other", "{shown}");
    let id = shown["session"]["id"].as_str().unwrap().to_owned();
    for name in ["other", id.as_str()] {
        let told = instar.run(["agent", "--session", name, "--message", "are you there"]);
        assert_eq!(told.code, 0, "{name}: {told:?}");
    }
    let nobody = instar.run(["agent", "--session", "nobody", "--message", "hello"]);
    assert_ne!(nobody.code, 0, "{nobody:?}");
    let told = outcome["text"].as_str().unwrap();
    assert!(told.contains("You said: "), "{told}");
    assert!(told.contains("what is new"), "{told}");
    let entries = instar.entries("main");
    let asked = entries
        .iter()
        .rev()
        .find(|entry| entry["body"]["type"] == "user");
    assert_eq!(
        asked.unwrap()["body"]["principal"],
        json!({"kind": "automation", "source": "conversation"})
    );
}

#[test]
fn an_effect_in_a_careful_house_waits_for_the_command_line_s_yes() {
    let rows = [(
        "compose",
        "write",
        json!({"path": "note.md", "content": "approved\n"}),
    )];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(open("careful")));
    let note = workspace(&instar).join("note.md");
    let told = said(&instar, "compose");
    assert!(
        told.contains("has not answered yet") && !note.exists(),
        "{told}"
    );
    let waiting = instar.run(["approvals", "list", "--json"]).json();
    let question = &waiting["questions"][0];
    assert_eq!(question["tool"], "write", "{waiting}");
    let id = question["id"].as_str().unwrap();
    let approved = instar.run(["approvals", "approve", id]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    until("the file", || {
        let text = std::fs::read_to_string(&note).ok()?;
        (text == "approved\n").then_some(())
    });
    let again = instar.run(["approvals", "approve", id]);
    assert_ne!(again.code, 0, "an answer is given once");
}

#[test]
fn each_agent_and_each_sender_has_tools_of_its_own_and_a_denied_one_is_neither_shown_nor_called() {
    let rows = [
        ("list", "ls", json!({})),
        ("search", "grep", json!({"pattern": "x"})),
        ("begin", "read", json!({"path": "AGENTS.md"})),
    ];
    let config = json!({
        "agents": { "entries": {
            "main": {},
            "clerk": { "tools": { "allow": ["ls", "grep", "sessions_*"], "deny": ["grep"] } },
        } },
        "tools": { "toolsBySender": {
            "owner": { "deny": ["read"] },
            "stranger": { "profile": "minimal" },
        } },
    });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let offered = |flags: &[&str]| -> Vec<String> {
        let args = [&["tools", "list", "--json"], flags].concat();
        let listed = instar.run_with(&args, "").json();
        let tools = listed["tools"].as_array().unwrap().clone();
        let tools = tools.iter().filter(|tool| tool["offered"] == true);
        tools
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let clerk = offered(&["--agent", "clerk"]);
    assert!(clerk.contains(&"ls".to_owned()), "{clerk:?}");
    assert!(!clerk.iter().any(|tool| tool == "grep" || tool == "glob"));
    assert_eq!(clerk, offered(&["--session", "agent:clerk:main"]));
    let main = offered(&[]);
    assert!(main.contains(&"grep".to_owned()) && !main.contains(&"read".to_owned()));

    // What is not shown is not run either, whoever names it.
    let key = "agent:clerk:main";
    let _listed = instar.ask(key, "list");
    for (say, rule) in [("search", "not-on-its-list"), ("begin", "not-on-its-list")] {
        let _refused = instar.ask(key, say);
        let entries = instar.entries(key);
        let result = entries
            .iter()
            .rev()
            .find(|entry| entry["body"]["type"] == "tool_result")
            .unwrap();
        assert_eq!(result["body"]["decision"]["rule"], rule, "{result}");
    }
    let why = instar.run(["tools", "list", "--agent", "clerk"]).stdout;
    assert!(why.contains("the list of the agent clerk"), "{why}");
}

/// A search engine as Brave documents it, for one question.
pub(crate) fn engine() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                break;
            }
        }
        let body = json!({ "web": { "type": "search", "results": [
            { "title": "Tide <strong>tables</strong>", "url": "https://tides.example.org/",
              "description": "High water at noon." },
            { "title": "no address", "url": "javascript:alert(1)", "description": "" },
        ] } });
        let body = body.to_string();
        let _sent = write!(
            reader.get_mut(),
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        head
    });
    (url, thread)
}

#[test]
fn the_web_is_searched_with_the_owner_s_key_and_no_tool_reaches_this_machine() {
    let (url, heard) = engine();
    let rows = [
        (
            "tides",
            "web_search",
            json!({"query": "high water", "count": 3}),
        ),
        ("fetch", "web_fetch", json!({ "url": url })),
        (
            "post",
            "http_send",
            json!({ "url": url, "method": "POST", "body": "x" }),
        ),
    ];
    let config = json!({
        "policy": { "posture": "open" },
        "tools": { "web": { "search": {
            "provider": "brave", "baseUrl": url,
            "apiKey": { "source": "env", "id": "BRAVE_KEY" },
        } } },
    });
    let setup = Setup::scripted(calling(&rows)).config(config);
    let instar = Instar::start(setup.env("BRAVE_KEY", "key-of-the-engine"));
    let told = said(&instar, "tides");
    assert!(
        told.contains("Tide tables") && told.contains("https://tides.example.org/"),
        "{told}"
    );
    assert!(!told.contains("javascript:"), "{told}");
    let head = heard.join().unwrap().to_lowercase();
    assert!(
        head.starts_with("get /res/v1/web/search?q=high+water&count=3 http/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains("x-subscription-token: key-of-the-engine"),
        "{head}"
    );
    // The engine alone may be here; other tools have nothing to do on this machine.
    for (say, tool) in [("fetch", "web_fetch"), ("post", "http_send")] {
        let key = format!("agent:main:web:{say}");
        let outcome = instar.ask(&key, &format!("{say} {url}"));
        let told = outcome["text"].as_str().unwrap();
        assert!(told.contains("address"), "{tool}: {told}");
        assert!(!told.contains("high water"), "{tool}: {told}");
    }
}

/// The processes whose command line has this mark.
fn marked(mark: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line)
            .split('\0')
            .any(|word| word == mark)
    })
    .collect()
}

#[test]
fn a_server_that_is_a_program_runs_behind_walls_and_comes_back_and_goes_with_its_entry() {
    const PACKAGE: &str = "@modelcontextprotocol/server-everything";
    let Some(script) = Script::find("mcp.mjs", &[PACKAGE]) else {
        return;
    };
    let mark = format!("mark-{}", std::process::id());
    let folder = script.modules().parent().unwrap().to_owned();
    let main = format!("/work/node_modules/{PACKAGE}/dist/index.js");
    let server = json!({
        "command": "/work/node_modules/node/bin/node",
        "args": [main, "stdio", mark],
        "cwd": folder,
        "env": {
            "GREETING": "hello",
            "DESK_TOKEN": { "source": "env", "id": "DESK_TOKEN" },
        },
    });
    let config = json!({
        "policy": { "posture": "open", "askWaitSeconds": 0 },
        "mcp": { "servers": { "every": server } },
    });
    let rows = [
        (
            "speak",
            "mcp__every__echo",
            json!({"message": "over the pipes"}),
        ),
        ("look", "mcp__every__get-env", json!({})),
    ];
    let setup = Setup::scripted(calling(&rows)).config(config);
    let instar = Instar::start(setup.env("DESK_TOKEN", "s3cret-of-the-desk"));
    let known = || {
        let listed = instar.run(["tools", "list", "--json"]).json();
        let tools = listed["tools"].as_array().unwrap();
        let mut tools = tools.iter().filter(|tool| tool["offered"] == true);
        tools.any(|tool| tool["name"] == "mcp__every__echo")
    };
    until("its tools", || known().then_some(()));
    let asked = AtomicUsize::new(0);
    let approved = |say: &str, wanted: &str| {
        let key = format!("agent:main:web:{}", asked.fetch_add(1, Ordering::Relaxed));
        let _asked = instar.ask(&key, say);
        let waiting = instar.run(["approvals", "list", "--json"]).json();
        for question in waiting["questions"].as_array().unwrap() {
            let id = question["id"].as_str().unwrap();
            assert_eq!(instar.run(["approvals", "approve", id]).code, 0);
        }
        until("the result", || {
            let entries = instar.entries(&key);
            let results = entries
                .iter()
                .filter(|entry| entry["body"]["type"] == "tool_result");
            results
                .filter_map(|entry| entry["body"]["text"].as_str().map(str::to_owned))
                .find(|text| text.contains(wanted))
        })
    };
    // An unknown verb can do anything, whatever the server says of it.
    let told = approved("speak", "over the pipes");
    assert!(told.contains("Echo"), "{told}");
    let seen = approved("look", "GREETING");
    assert!(seen.contains("\"HOME\": \"/tmp\""), "{seen}");
    assert!(
        seen.contains("DESK_TOKEN") && !seen.contains("INSTAR"),
        "{seen}"
    );
    assert!(!seen.contains("PWD\": \"/root"), "{seen}");

    let killed = marked(&mark);
    for id in &killed {
        let id = rustix::process::Pid::from_raw(i32::try_from(*id).unwrap()).unwrap();
        let _gone = rustix::process::kill_process(id, rustix::process::Signal::KILL);
    }
    // One that ended soon after its start is started again after a pause.
    until("another one", || {
        let now = marked(&mark);
        (!now.is_empty() && now.iter().all(|id| !killed.contains(id))).then_some(())
    });
    let told = approved("speak", "over the pipes");
    assert!(told.contains("Echo") && !marked(&mark).is_empty(), "{told}");

    let file = instar.state.join("instar.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["mcp"]["servers"]["every"]["enabled"] = json!(false);
    crate::support::write_private(&file, &config.to_string());
    until("it is ended", || marked(&mark).is_empty().then_some(()));
    until("its tools are gone", || (!known()).then_some(()));
}
