//! The tools, through the built binary and a scripted model.

use instar_demo::{Answer as Said, Script, Step, When};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Instar, Setup, until};

/// A model that calls the tool of a row when it hears its word, and then repeats the result.
pub(crate) fn calling(rows: &[(&str, &str, Value)]) -> Script {
    let repeat = |script: Script, tool: &str| {
        let when = When {
            result_of: Some(tool.to_owned()),
            ..When::default()
        };
        script.rule(when, Said::of([Step::Text("{{result}}".to_owned())]))
    };
    let script = rows.iter().fold(Script::default(), |script, (_, tool, _)| {
        repeat(script, tool)
    });
    rows.iter().fold(script, |script, (word, tool, arguments)| {
        let when = When {
            contains: vec![(*word).to_owned()],
            no_result: true,
            ..When::default()
        };
        script.rule(when, Said::call(*tool, arguments.clone()))
    })
}

pub(crate) fn workspace(instar: &Instar) -> PathBuf {
    let folder = instar.state.join("workspace");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) fn said(instar: &Instar, text: &str) -> String {
    let outcome = instar.ask("main", text);
    let text = outcome["text"].as_str().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| panic!("{outcome:#}")).to_owned()
}

#[test]
fn files_of_the_workspace_are_listed_searched_and_read_in_pages_and_nothing_beside_it() {
    let rows = [
        ("list", "ls", json!({})),
        (
            "find",
            "glob",
            json!({"pattern": "**/*.md", "path": "notes"}),
        ),
        (
            "search",
            "grep",
            json!({"pattern": "^line 77[0-9]$", "path": "notes", "limit": 3}),
        ),
        ("begin", "read", json!({"path": "notes/long.md"})),
        (
            "continue",
            "read",
            json!({"path": "notes/long.md", "offset": 901}),
        ),
        ("link", "read", json!({"path": "link.txt"})),
        ("climb", "read", json!({"path": "../instar.json"})),
        ("binary", "read", json!({"path": "picture.png"})),
    ];
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)));
    let folder = workspace(&instar);
    std::fs::create_dir_all(folder.join("notes")).unwrap();
    let long: String = (1..=950).map(|n| format!("line {n}\n")).collect();
    std::fs::write(folder.join("notes/long.md"), long).unwrap();
    std::fs::write(folder.join("picture.png"), b"\x89PNG\r\n\x1a\n\0\xff").unwrap();
    symlink("/etc/passwd", folder.join("link.txt")).unwrap();
    instar.launch();

    let listed = said(&instar, "list");
    assert!(
        listed.contains("notes/\n") && listed.contains("AGENTS.md "),
        "{listed}"
    );
    assert!(listed.contains("link.txt (a link or device)"), "{listed}");
    assert_eq!(said(&instar, "find"), "notes/long.md");
    let searched = said(&instar, "search");
    assert!(
        searched.starts_with("notes/long.md:770: line 770\nnotes/long.md:771: "),
        "{searched}"
    );
    assert!(searched.contains("the first 3 lines"), "{searched}");
    let page = said(&instar, "begin");
    assert!(page.starts_with("line 1\nline 2\n"), "{page}");
    assert!(
        page.ends_with("[lines 1 to 500 of 950; go on with offset 501]"),
        "{page}"
    );
    let last = said(&instar, "continue");
    assert!(
        last.starts_with("line 901\n") && last.ends_with("[lines 901 to 950, the end]"),
        "{last}"
    );
    let link = said(&instar, "link");
    assert!(link.contains("never followed"), "{link}");
    let climbed = said(&instar, "climb");
    assert!(climbed.contains("leads out of it"), "{climbed}");
    assert!(said(&instar, "binary").contains("a PNG image, 10 bytes"));
}

#[test]
fn an_output_that_is_too_long_is_kept_and_paged_through_in_its_conversation_alone() {
    let rows = [
        (
            "search",
            "grep",
            json!({"pattern": "needle", "limit": 1000}),
        ),
        (
            "out_",
            "output_page",
            json!({"handle": "{{text}}", "offset": 11_850, "limit": 200}),
        ),
    ];
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)));
    let lines: String = (1..=600)
        .map(|n| format!("needle {n} {}\n", "x".repeat(60)))
        .collect();
    std::fs::write(workspace(&instar).join("hay.txt"), lines).unwrap();
    instar.launch();

    let cut = said(&instar, "search");
    let (head, note) = cut.split_once("\n[… ").unwrap();
    let handle = note.split_once("handle ").unwrap().1;
    let handle = handle.split(',').next().unwrap();
    let page = said(&instar, handle);
    assert!(
        page.starts_with(&head.chars().skip(11_850).collect::<String>()),
        "{page}"
    );
    assert!(page.contains("go on with offset 12050]"), "{page}");
    let elsewhere = instar.ask("agent:main:elsewhere", handle);
    let told = elsewhere["text"].as_str().unwrap();
    assert!(
        told.contains("no output with that handle in this conversation"),
        "{told}"
    );
}

/// A server of tools: one tool more each time it is asked for its list. Forgets its callers' sessions
/// whenever it is asked again.
pub(crate) fn tool_server(token: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let _thread = std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            answer_once(client, token, &count);
        }
    });
    (url, lists)
}

fn answer_once(client: TcpStream, token: &str, lists: &AtomicUsize) {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if let Some(given) = line.to_lowercase().strip_prefix("content-length:") {
            length = given.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let message: Value = serde_json::from_slice(&body).unwrap();
    let head = head.to_lowercase();
    let knows = head.contains(&format!("authorization: bearer {token}"));
    let has_session = head.contains("mcp-session-id: s1");
    let tool = |n: usize| {
        json!({"name": format!("tool{n}"), "description": "Says hello.",
            "inputSchema": {"type": "object", "properties": {"who": {"type": "string"}}}})
    };
    let (status, result) = match message["method"].as_str() {
        _ if !knows => ("401 Unauthorized", Value::Null),
        Some("initialize") => ("200 OK", json!({"protocolVersion": "2025-06-18"})),
        _ if !has_session => ("404 Not Found", Value::Null),
        Some("tools/list") => {
            let asked = lists.fetch_add(1, Ordering::Relaxed) + 1;
            (
                "200 OK",
                json!({"tools": (1..=asked).map(tool).collect::<Vec<_>>()}),
            )
        }
        _ => ("202 Accepted", Value::Null),
    };
    let body = if result.is_null() {
        String::new()
    } else {
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        let more = lists.load(Ordering::Relaxed) < 2;
        let first = if more {
            format!("data: {changed}\n\n")
        } else {
            String::new()
        };
        format!("{first}data: {answer}\n\n")
    };
    let _sent = write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\ncontent-type: text/event-stream\r\nmcp-session-id: s1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
}

#[test]
fn tools_of_a_server_come_and_go_with_its_list_and_a_denied_one_is_never_offered() {
    let (url, lists) = tool_server("s3cret-of-the-desk");
    let server = json!({ "url": url, "token": { "source": "env", "id": "DESK_TOKEN" } });
    let config = json!({
        "mcp": { "servers": { "desk": server } },
        "tools": { "deny": ["mcp__desk__tool2"] },
    });
    let setup = Setup::scripted(calling(&[("use", "mcp__desk__tool2", json!({}))]));
    let setup = setup.config(config).env("DESK_TOKEN", "s3cret-of-the-desk");
    let instar = Instar::start(setup);
    let authority = || {
        let shown = instar.run(["release", "show", "--json"]).json();
        shown.to_string()
    };
    // The list is asked for again because the server says that it changed.
    // The second is named twice: by the owner's list, and by what its server says.
    until("both tools are known", || {
        let shown = authority();
        let is_known = shown.contains("mcp__desk__tool1");
        (is_known && shown.matches("mcp__desk__tool2").count() >= 2).then_some(())
    });
    assert!(lists.load(Ordering::Relaxed) >= 2);
    let outcome = instar.ask("main", "use");
    let refused = instar.entries("main");
    let refused = refused
        .iter()
        .find(|entry| entry["body"]["type"] == "tool_result");
    let decision = &refused.unwrap_or_else(|| panic!("{outcome:#}"))["body"]["decision"];
    assert_eq!(decision["rule"], "denied-by-name", "{decision}");

    let file = instar.state.join("instar.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["mcp"]["servers"]["desk"]["enabled"] = json!(false);
    crate::support::write_private(&file, &config.to_string());
    until("its tools are gone", || {
        (!authority().contains("mcp__desk__tool1")).then_some(())
    });
}

#[test]
fn files_are_written_edited_and_patched_and_what_shapes_the_agent_is_not() {
    let patch = "*** Begin Patch\n*** Update File: notes/a.md\n@@\n-three\n+four\n\
                 *** Add File: notes/b.md\n+new\n*** End Patch";
    let broken =
        "*** Begin Patch\n*** Delete File: notes/b.md\n*** Delete File: gone.md\n*** End Patch";
    let rows = [
        (
            "compose",
            "write",
            json!({"path": "notes/a.md", "content": "one\ntwo\n"}),
        ),
        (
            "change",
            "edit",
            json!({"path": "notes/a.md", "oldText": "two", "newText": "three"}),
        ),
        ("patch", "apply_patch", json!({"input": patch})),
        ("break", "apply_patch", json!({"input": broken})),
        (
            "identity",
            "write",
            json!({"path": "AGENTS.md", "content": "obey"}),
        ),
        (
            "hook",
            "write",
            json!({"path": "sub/.git/hooks/post-merge", "content": "x"}),
        ),
        ("link", "write", json!({"path": "out/x", "content": "x"})),
    ];
    let config = json!({ "policy": { "posture": "open" } });
    let mut instar = Instar::prepare(Setup::scripted(calling(&rows)).config(config));
    let folder = workspace(&instar);
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder.join("out")).unwrap();
    instar.launch();
    let identity = std::fs::read(folder.join("AGENTS.md")).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();

    assert_eq!(said(&instar, "compose"), "notes/a.md is new, 8 bytes");
    assert_eq!(read("notes/a.md"), "one\ntwo\n");
    assert_eq!(said(&instar, "change"), "notes/a.md: replaced");
    assert_eq!(read("notes/a.md"), "one\nthree\n");
    assert_eq!(
        said(&instar, "patch"),
        "notes/a.md: changed\nnotes/b.md: added"
    );
    assert_eq!(
        (read("notes/a.md"), read("notes/b.md")),
        ("one\nfour\n".to_owned(), "new\n".to_owned())
    );
    let changes = instar.run(["undo", "--json"]).json();
    let last = changes["changes"].as_array().unwrap().iter();
    let last = last
        .filter(|change| change["path"] == "main/notes/a.md")
        .collect::<Vec<_>>();
    assert_eq!(last.len(), 3, "{changes}");
    let undo = |at: usize| instar.run(["undo", last[at]["id"].as_str().unwrap()]);
    assert_ne!(
        undo(1).code,
        0,
        "an older change is not taken back over a later one"
    );
    assert_eq!(undo(0).code, 0);
    assert_eq!(read("notes/a.md"), "one\nthree\n");
    let over_the_api = format!("/api/v1/undo/{}", last[1]["id"].as_str().unwrap());
    instar.http.post(&over_the_api, &json!({})).expect(403);
    assert_eq!(undo(1).code, 0);
    assert_eq!(read("notes/a.md"), "one\ntwo\n");
    let broken = said(&instar, "break");
    assert!(broken.contains("there is no gone.md"), "{broken}");
    assert_eq!(read("notes/b.md"), "new\n");
    for word in ["identity", "hook"] {
        let refused = said(&instar, word);
        assert!(refused.contains("changed by the owner alone"), "{refused}");
    }
    assert_eq!(std::fs::read(folder.join("AGENTS.md")).unwrap(), identity);
    let link = said(&instar, "link");
    assert!(link.contains("never followed"), "{link}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}
