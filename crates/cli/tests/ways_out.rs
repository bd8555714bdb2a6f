//! The ways out of the walls, through the built binary: a proxy to the hosts that somebody named, for the
//! programs of an agent and for those that are servers of tools.

use serde_json::{Value, json};

use crate::programs::{open, outside};
use crate::support::{Instar, Setup, skipped, until};
use crate::tools::{calling, said};

#[test]
fn a_tunnel_leads_from_inside_the_walls_to_the_hosts_that_were_named_and_to_no_other() {
    let code = r#"use IO::Socket::INET; my ($where) = $ENV{HTTPS_PROXY} =~ m{//(.*)};
        for my $host ("8.8.8.8:443", "8.8.8.8:22", "9.9.9.9:443", "127.0.0.1:22", "[::1]:443") {
          my $way = IO::Socket::INET->new($where) or die "no way: $!";
          print $way "CONNECT $host HTTP/1.1\r\nhost: $host\r\n\r\n";
          my $head = ""; while (my $line = <$way>) { $line =~ s/\r//; last if $line eq "\n"; $head .= $line; }
          my $rest = ""; if ($head =~ / 200 /) { print $way "GET / HTTP/1.1\r\nconnection: close\r\n\r\n"; $rest = join "", <$way>; }
          $rest =~ s/\r//g; my ($first) = split /\n/, $head; print "$host: $first; $rest\n"; }"#;
    let rows = [("start", "exec", json!({ "command": ["perl", "-e", code] }))];
    let mut config = open();
    config["egress"] = json!({ "proxy": outside() });
    config["agents"] = json!({ "defaults": { "sandbox": { "network": ["8.8.8.8:443"] } } });
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    let told = said(&instar, "start");
    assert!(told.contains("8.8.8.8:443: HTTP/1.1 200 "), "{told}");
    assert!(told.contains("hello"), "{told}");
    for refused in ["8.8.8.8:22", "9.9.9.9:443", "127.0.0.1:22", "[::1]:443"] {
        assert!(
            told.contains(&format!("{refused}: HTTP/1.1 403")),
            "{refused}: {told}"
        );
    }
    assert_eq!(told.matches("hello").count(), 1, "{told}");
}

/// A server of tools with one tool, whose name and content stand before this.
const SERVER: &str = r#"
import json, sys

for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method, answer = asked["method"], {}
    if method == "initialize":
        answer = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}},
                  "serverInfo": {"name": NAME, "version": "1"}}
    elif method == "tools/list":
        schema = {"type": "object", "properties": {}}
        answer = {"tools": [{"name": NAME, "description": "A tool.", "inputSchema": schema}]}
    elif method == "tools/call":
        answer = {"content": content()}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": answer}), flush=True)
"#;

/// The tool tries every way that it has.
const REACH: &str = r#"
import os, socket
NAME = "reach"

def through(host):
    name, port = os.environ["HTTP_PROXY"].split("//")[1].split(":")
    way = socket.create_connection((name, int(port)), 5)
    way.sendall(f"GET http://{host}/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    answer = b""
    while True:
        piece = way.recv(4096)
        if not piece:
            return answer.decode().split("\r\n")[0]
        answer += piece

def content():
    said = [f"{host}: {through(host)}" for host in ("8.8.8.8", "9.9.9.9", "127.0.0.1")]
    try:
        socket.create_connection(("8.8.8.8", 80), 2)
        said.append("and another way")
    except OSError:
        said.append("no other way")
    return [{"type": "text", "text": "\n".join(said)}]
"#;

/// A server that is a Python program behind walls, in its folder, and its entry; nothing where there is no Python.
pub(crate) fn python_server(tool: &str) -> Option<(tempfile::TempDir, Value)> {
    python_program(&format!("{tool}{SERVER}"))
}

/// The same, all of it.
pub(crate) fn python_program(text: &str) -> Option<(tempfile::TempDir, Value)> {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        skipped("needs /usr/bin/python3");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.py"), text).unwrap();
    let entry = json!({
        "command": "/usr/bin/python3", "args": ["/work/server.py"], "cwd": folder.path(),
    });
    Some((folder, entry))
}

/// Waits until a tool is there and offered.
pub(crate) fn until_offered(instar: &Instar, name: &str) {
    until("its tool", || {
        let listed = instar.run(["tools", "list", "--json"]).json();
        let tools = listed["tools"].as_array().unwrap();
        let mut tools = tools.iter().filter(|tool| tool["offered"] == true);
        tools.any(|tool| tool["name"] == name).then_some(())
    });
}

#[test]
fn a_server_that_is_a_program_reaches_the_hosts_of_its_entry_and_no_other() {
    let Some((_folder, mut server)) = python_server(REACH) else {
        return;
    };
    server["hosts"] = json!(["8.8.8.8"]);
    let config = json!({
        "policy": { "posture": "open", "askWaitSeconds": 0 },
        "egress": { "proxy": outside() },
        "mcp": { "servers": { "desk": server } },
    });
    let rows = [("go", "mcp__desk__reach", json!({}))];
    let instar = Instar::start(Setup::scripted(calling(&rows)).config(config));
    until_offered(&instar, "mcp__desk__reach");
    let key = "agent:main:web:reach";
    let _asked = instar.ask(key, "go");
    // An unknown verb can do anything.
    let waiting = instar.run(["approvals", "list", "--json"]).json();
    for question in waiting["questions"].as_array().unwrap() {
        let id = question["id"].as_str().unwrap();
        assert_eq!(instar.run(["approvals", "approve", id]).code, 0);
    }
    let told = until("what it reached", || {
        let entries = instar.entries(key);
        let mut results = entries
            .iter()
            .filter(|entry| entry["body"]["type"] == "tool_result")
            .filter_map(|entry| entry["body"]["text"].as_str().map(str::to_owned));
        results.find(|text| text.contains("8.8.8.8: "))
    });
    assert!(told.contains("8.8.8.8: HTTP/1.1 200 "), "{told}");
    assert!(told.contains("9.9.9.9: HTTP/1.1 403 "), "{told}");
    assert!(told.contains("127.0.0.1: HTTP/1.1 403 "), "{told}");
    assert!(told.contains("no other way"), "{told}");
}
