//! That there is no other way out: no other crate links a client, and no other code opens an
//! outbound socket or looks up a name. The exceptions are one line each, in files of their own: the
//! command line's connection to its own gateway, the way of programs behind walls to the broker,
//! the local socket of a container engine, and what a job tries to show that its walls hold.

use std::fs;
use std::path::{Path, PathBuf};

/// What opens connections, or resolves names for them.
const OPENERS: [&str; 13] = [
    "TcpStream::connect",
    "UnixStream::connect",
    "connect_addr",
    "net::connect",
    "libc::connect",
    "socket2",
    "TcpSocket::",
    "UdpSocket::",
    "lookup_host",
    "to_socket_addrs",
    "hyper::client",
    "hyper_util::client",
    "reqwest::",
];
/// Libraries that can call out by themselves. The control plane's WebSocket is served with
/// `tokio-tungstenite`, which can only with its feature `connect`.
const CLIENTS: [&str; 6] = [
    "reqwest",
    "rustls",
    "rustls-native-certs",
    "tokio-rustls",
    "hyper-rustls",
    "tungstenite",
];
/// Crates that no product binary links.
const FOR_TESTS: [&str; 2] = ["testkit", "bench"];
const OWN_GATEWAY: &str = "cli/src/client.rs";
/// Inside the walls, where there is no network: it carries a program's connections to the broker.
const TO_BROKER: &str = "sandbox/src/stage/relay.rs";
/// What a job behind walls tries in vain, to show that they hold.
const TRIED: &str = "cli/src/commands/walls.rs";
/// The engine of this machine; a path, never an address.
const TO_ENGINE: &str = "sandbox/src/docker/http.rs";

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn others() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(crates())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        // What `tls` speaks, it speaks over streams that others opened.
        .filter(|name| name != "egress" && name != "tls" && !FOR_TESTS.contains(&name.as_str()))
        .collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    names
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn f3_no_other_code_opens_a_way_out() {
    for name in others() {
        let mut files = Vec::new();
        sources(&crates().join(&name).join("src"), &mut files);
        assert!(!files.is_empty(), "{name}");
        // A module of tests that stands in a file of its own is compiled into no product.
        let product = files
            .iter()
            .filter(|file| {
                let excepted = [OWN_GATEWAY, TO_BROKER, TO_ENGINE, TRIED];
                !excepted.iter().any(|name| file.ends_with(name))
            })
            .filter(|file| !file.ends_with("tests.rs"));
        for file in product {
            let text = fs::read_to_string(file).unwrap();
            for opener in OPENERS {
                assert!(!text.contains(opener), "{opener} in {}", file.display());
            }
        }
    }
    let own = fs::read_to_string(crates().join(OWN_GATEWAY)).unwrap();
    assert_eq!(own.matches(OPENERS[0]).count(), 1, "the exception is one");
    let tried = fs::read_to_string(crates().join(TRIED)).unwrap();
    let own_machine = "TcpStream::connect((\"127.0.0.1\"";
    assert_eq!(tried.matches(OPENERS[0]).count(), 1, "tried once");
    assert!(tried.contains(own_machine), "and on this machine alone");
    for name in [TO_BROKER, TO_ENGINE] {
        let text = fs::read_to_string(crates().join(name)).unwrap();
        let opened: Vec<_> = OPENERS
            .iter()
            .filter(|opener| text.contains(*opener))
            .collect();
        assert_eq!(opened, [&OPENERS[1]], "{name}: a Unix socket and no other");
        assert_eq!(text.matches(OPENERS[1]).count(), 1, "{name}: once");
    }
}

#[test]
fn f3_no_other_crate_links_a_client() {
    for name in others() {
        let text = fs::read_to_string(crates().join(&name).join("Cargo.toml")).unwrap();
        let product = text.split("[dev-dependencies]").next().unwrap_or_default();
        for line in product.lines() {
            let library = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(!CLIENTS.contains(&library), "{name} links {library}");
            assert!(!line.contains("\"connect\""), "{name}: {line}");
        }
    }
    let root = fs::read_to_string(crates().join("../Cargo.toml")).unwrap();
    let sockets = root
        .lines()
        .find(|line| line.starts_with("tokio-tungstenite "))
        .unwrap();
    assert!(
        sockets.contains("default-features = false") && !sockets.contains("connect"),
        "{sockets}"
    );
}
