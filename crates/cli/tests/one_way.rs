//! The built gateway in a network of its own, in which nothing leads anywhere: no address beyond the loopback has a
//! route, no name is known. Only the way out knows the proxy that does lead on, so whatever arrives came through it,
//! and a crate that opened a connection by itself would get nowhere.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::hands::engine;
use crate::support::trace::{cannot_trace, record};
use crate::support::{Instar, Setup, say, skipped, until};
use crate::tools::{calling, said, tool_server};

/// Set where this test runs inside.
const INSIDE: &str = "INSTAR_TEST_INSIDE";
const NAME: &str =
    "one_way::f3_where_only_the_way_out_has_a_route_everything_that_goes_out_arrives";

const MODEL: &str = "8.8.4.4:80";
const PAGE: &str = "8.8.8.8:80";
const ENGINE: &str = "9.9.9.10:80";
const DESK: &str = "1.1.1.1:80";

#[test]
fn f3_where_only_the_way_out_has_a_route_everything_that_goes_out_arrives() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let alone = |more: &[&str]| {
        let mut command = Command::new("unshare");
        let up = "ip link set lo up && exec \"$@\"";
        let words = ["--user", "--map-root-user", "--net", "sh", "-c", up, "-"];
        command.args(words).args(more).env(INSIDE, "1").output()
    };
    match alone(&["true"]) {
        Ok(tried) if tried.status.success() => {}
        Ok(tried) => return skipped(&String::from_utf8_lossy(&tried.stderr)),
        Err(why) => return skipped(&format!("no network of its own: {why}")),
    }
    let own = std::env::current_exe().unwrap();
    let ran = alone(&[own.to_str().unwrap(), "--exact", NAME, "--nocapture"]).unwrap();
    let told = [ran.stdout, ran.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(ran.status.success() && told.contains("1 passed"), "{told}");
    say(told
        .lines()
        .find(|line| line.contains("connections"))
        .unwrap_or("not traced"));
}

fn inside() {
    let outside: SocketAddr = PAGE.parse().unwrap();
    let reached = TcpStream::connect_timeout(&outside, Duration::from_secs(5));
    assert_eq!(reached.unwrap_err().kind(), ErrorKind::NetworkUnreachable);
    assert!(("example.org", 80).to_socket_addrs().is_err());

    let host = |at: &str| format!("http://{}", at.trim_end_matches(":80"));
    let page = format!("{}/", host(PAGE));
    let rows = [
        ("fetch", "web_fetch", json!({ "url": page })),
        ("ask for", "http_get", json!({ "url": page })),
        (
            "hand in",
            "http_send",
            json!({ "url": page, "method": "POST", "body": "x" }),
        ),
        ("tides", "web_search", json!({ "query": "high water" })),
    ];
    let (engine, _heard) = engine();
    let (desk, _lists) = tool_server("token-of-the-desk");
    let mut instar = Instar::prepare(
        Setup::scripted(calling(&rows))
            .env("BRAVE_KEY", "key-of-the-engine")
            .env("DESK_TOKEN", "token-of-the-desk"),
    );
    let way = |url: &str| {
        let rest = url.strip_prefix("http://").unwrap();
        rest.split('/').next().unwrap().to_owned()
    };
    let ways = BTreeMap::from([
        (MODEL, way(&instar.model.openai_url())),
        (PAGE, way(&hello())),
        (ENGINE, way(&engine)),
        (DESK, way(&desk)),
    ]);
    let (proxy, asked) = crossroads(ways);
    let file = instar.state.join("instar.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["models"]["providers"]["scripted"]["baseUrl"] = json!(format!("{}/v1", host(MODEL)));
    config["policy"] = json!({ "posture": "open", "askWaitSeconds": 0 });
    config["egress"] = json!({ "proxy": format!("http://{proxy}") });
    config["tools"] = json!({ "web": { "search": {
        "provider": "brave", "baseUrl": host(ENGINE),
        "apiKey": { "source": "env", "id": "BRAVE_KEY" },
    } } });
    // Its tools are asked for and not offered: what it says of them is read by no run.
    config["tools"]["deny"] = json!(["mcp__desk__*"]);
    config["mcp"] = json!({ "servers": { "desk": {
        "url": format!("{}/mcp", host(DESK)),
        "token": { "source": "env", "id": "DESK_TOKEN" },
    } } });
    crate::support::write_private(&file, &config.to_string());
    let log = instar.home().join("calls");
    let is_traced = match cannot_trace() {
        None => {
            instar.under = record("connect,sendto,sendmsg,sendmmsg", &log);
            true
        }
        Some(why) => {
            skipped(&why);
            false
        }
    };
    instar.launch();
    until("the tools of the server are known", || {
        let shown = instar.run(["release", "show", "--json"]).json();
        shown.to_string().contains("mcp__desk__tool1").then_some(())
    });
    for word in ["fetch", "ask for", "hand in"] {
        let told = said(&instar, &format!("{word} {page}"));
        assert!(told.contains("hello from outside"), "{word}: {told}");
    }
    // In a conversation that has read nothing yet.
    let told = instar.ask("agent:main:web:tides", "when are the tides?");
    let told = told["text"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("High water at noon"), "{told}");
    let _stopped = instar.terminate();

    let asked = asked.lock().unwrap().clone();
    for target in [MODEL, PAGE, ENGINE, DESK] {
        assert!(asked.iter().any(|one| one == target), "{target}: {asked:?}");
    }
    if is_traced {
        only_to(&proxy, &std::fs::read_to_string(&log).unwrap());
    }
}

/// Every connection and every packet of the gateway and all that it started went to this address.
fn only_to(proxy: &str, calls: &str) {
    let (address, port) = proxy.split_once(':').unwrap();
    let (port, address) = (
        format!("htons({port})"),
        format!("inet_addr(\"{address}\")"),
    );
    let out: Vec<&str> = calls
        .lines()
        .filter(|line| line.contains("sa_family=AF_INET"))
        .collect();
    assert!(out.len() >= 4, "{calls}");
    for line in &out {
        assert!(line.contains(&port) && line.contains(&address), "{line}");
    }
    say(&format!("{} connections, all to the proxy", out.len()));
}

/// A page that says hello to everybody.
fn hello() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let _thread = std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = head(&mut client);
            let mut body = vec![0; usize::from(head.starts_with("POST"))];
            let _read = client.read_exact(&mut body);
            let page = "<title>Hello</title><p>hello from outside</p>";
            let _sent = write!(
                client,
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{page}",
                page.len()
            );
        }
    });
    url
}

/// A proxy that leads each address to where it is played, and to no other.
fn crossroads(ways: BTreeMap<&'static str, String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let _thread = std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = head(&mut client);
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            log.lock().unwrap().push(target.clone());
            let Some(way) = ways.get(target.as_str()).cloned() else {
                continue;
            };
            let _thread = std::thread::spawn(move || carry(client, &way));
        }
    });
    (address, asked)
}

fn carry(mut client: TcpStream, way: &str) {
    let mut server = TcpStream::connect(way).unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let _thread = std::thread::spawn(move || {
        let _bytes = std::io::copy(&mut from, &mut to);
        let _ended = to.shutdown(std::net::Shutdown::Write);
    });
    let _bytes = std::io::copy(&mut server, &mut client);
    let _ended = client.shutdown(std::net::Shutdown::Both);
}

fn head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}
