//! The way out of the built binary.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::support::{Instar, Setup, is_echo};

/// A proxy that says what it was asked for and connects to `inside` instead.
fn proxy(inside: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let _thread = std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (log, inside) = (Arc::clone(&log), inside.clone());
            let _thread = std::thread::spawn(move || carry(client, &log, &inside));
        }
    });
    (address, asked)
}

fn carry(mut client: TcpStream, log: &Mutex<Vec<String>>, inside: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    log.lock()
        .unwrap()
        .push(head.lines().next().unwrap_or_default().to_owned());
    let mut server = TcpStream::connect(inside).unwrap();
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let _thread = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _bytes = std::io::copy(&mut server, &mut client);
}

#[test]
fn the_configured_proxy_is_asked_for_the_judged_address_whatever_the_environment_says() {
    let mut instar = Instar::prepare(
        Setup::default()
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("ALL_PROXY", "http://127.0.0.1:9"),
    );
    let inside = instar.model.openai_url();
    let inside = inside
        .strip_prefix("http://")
        .unwrap()
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let (proxy, asked) = proxy(inside);
    let file = instar.state.join("instar.json");
    let mut config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    // Nothing answers there: who gets an answer went through the proxy. The spelling is octal.
    config["models"]["providers"]["scripted"]["baseUrl"] = json!("http://010.010.010.010/v1");
    config["egress"] = json!({ "proxy": proxy });
    crate::support::write_private(&file, &config.to_string());
    instar.launch();
    let outcome = instar.ask("main", "hello");
    assert!(is_echo(&outcome["text"], "hello"), "{outcome:#}");
    let asked = asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|line| line == "CONNECT 8.8.8.8:80 HTTP/1.1"),
        "{asked:?}"
    );
}

#[test]
fn a_wrong_list_of_hosts_is_told_with_its_line() {
    let config =
        json!({ "egress": { "deny": ["https://example.org/"], "proxy": "https://proxy" } });
    let mut instar = Instar::prepare(Setup::default().config(config));
    let stopped = instar.try_launch();
    assert!(stopped.is_err());
    let told = instar.run(["config", "validate"]);
    let text = format!("{}{}", told.stdout, told.stderr);
    assert!(
        told.code != 0 && text.contains("egress") && text.contains("example.org"),
        "{told:?}"
    );
    assert!(text.contains("egress.proxy"), "{told:?}");
}
