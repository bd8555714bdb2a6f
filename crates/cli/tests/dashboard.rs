//! The pages of a lab that works without a gateway: on this machine alone, and for as long as it works.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use crate::faults::failing;
use crate::support::{Instar, free_port, skipped, until};

/// Where the pages are where nothing else is said.
const PORT: u16 = 8420;

/// The first line of what a page of this machine answers.
fn answers(port: u16, path: &str) -> Option<String> {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut told = String::new();
    let _cut = stream.read_to_string(&mut told);
    told.lines().next().map(str::to_owned)
}

#[test]
fn a_lab_that_goes_on_shows_its_pages_and_its_cycles_until_it_is_stopped() {
    let mut instar = failing();
    instar.terminate();
    let port = free_port();
    let words = ["lab", "run", "--loop", "--at-any-load"].map(str::to_owned);
    let mut lab = instar
        .command(&[], &words)
        .env("INSTAR_LAB_DASHBOARD_PORT", port.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = until("its pages answer", || answers(port, "/faults"));
    // Who is not signed in is sent to the door, and not away.
    let code: u16 = first.split(' ').nth(1).unwrap().parse().unwrap();
    assert!([200, 302, 303, 401].contains(&code), "{first}");
    let mut line = String::new();
    let mut told = std::io::BufReader::new(lab.stdout.take().unwrap());
    told.read_line(&mut line).unwrap();
    assert!(!line.trim().is_empty(), "a cycle is told as it ends");
    assert!(lab.try_wait().unwrap().is_none(), "it goes on");
    stop(&mut lab);
    let log = instar.run(["lab", "log", "--json"]).json();
    assert_eq!(log[0]["outcome"], "done", "{log}");
    let status = instar.run(["lab", "status", "--json"]).json();
    assert_eq!(status[0], log[0]);
    assert_eq!(status.as_array().unwrap().len(), 1);
}

/// Tells a lab to end, as a person at its terminal does, and waits until it has.
fn stop(lab: &mut Child) {
    let id = lab.id().to_string();
    let stopped = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(stopped.unwrap().success());
    assert!(lab.wait().unwrap().success());
}

/// The addresses on which this machine listens on a port, as the kernel lists them.
fn listening(port: u16) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, of) = fields[1].rsplit_once(':').unwrap();
            // 0A: it listens.
            if fields[3] == "0A" && of == format!("{port:04X}") {
                all.push(address.to_owned());
            }
        }
    }
    all
}

/// A lab that goes on, in a house whose own gateway listens somewhere else.
fn going_on(port: Option<u16>) -> (Instar, Child) {
    let mut instar = failing();
    instar.terminate();
    for (key, value) in [
        ("gateway.customBindHost", "127.0.0.2"),
        ("gateway.bind", "custom"),
    ] {
        let set = instar.run(["config", "set", key, value]);
        assert_eq!(set.code, 0, "{set:?}");
    }
    let words = ["lab", "run", "--loop", "--at-any-load"].map(str::to_owned);
    let mut command = instar.command(&[], &words);
    match port {
        Some(port) => command.env("INSTAR_LAB_DASHBOARD_PORT", port.to_string()),
        None => command.env_remove("INSTAR_LAB_DASHBOARD_PORT"),
    };
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let lab = quiet.spawn().unwrap();
    (instar, lab)
}

/// Its pages answer on the port, on this machine alone, and are gone when it is stopped.
fn for_as_long_as_it_works((instar, mut lab): (Instar, Child), port: u16) {
    until("its pages answer", || answers(port, "/faults"));
    // 127.0.0.1 as the kernel writes it.
    assert_eq!(listening(port), ["0100007F"]);
    stop(&mut lab);
    assert_eq!(answers(port, "/faults"), None);
    drop(instar);
}

#[test]
fn the_pages_of_a_lab_are_on_the_port_that_is_named_and_on_this_machine_alone() {
    let port = free_port();
    for_as_long_as_it_works(going_on(Some(port)), port);
}

#[test]
fn the_pages_of_a_lab_are_on_port_8420_where_nothing_is_named() {
    if let Err(error) = TcpListener::bind(("127.0.0.1", PORT)) {
        skipped(&format!("port {PORT} of this machine is taken ({error})"));
        return;
    }
    for_as_long_as_it_works(going_on(None), PORT);
}
