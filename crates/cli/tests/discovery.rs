//! What the local network is told, asked by another implementation of multicast DNS.

use serde_json::{Value, json};

use crate::clients::Script;
use crate::support::{Instar, Running, Setup, free_port, skipped, until};

/// What is told of the gateway on this port, once there is such a hint, or once it was waited in vain.
fn told(script: &Script, instar: &Instar, port: u16, hint: Option<&str>) -> Option<Value> {
    let found = script.run(instar, json!({ "port": port, "hint": hint }));
    if found["travels"] != json!(true) {
        skipped("multicast does not travel on this machine");
        return None;
    }
    Some(found["told"].clone())
}

fn set(instar: &Instar, mode: &str) {
    let set = instar.run(["config", "set", "discovery.mdns.mode", mode]);
    assert_eq!(set.code, 0, "{set:?}");
}

#[test]
fn the_local_network_is_told_nothing_then_little_then_more_as_the_owner_says() {
    let Some(script) = Script::find_python("mdns.py", "zeroconf") else {
        return;
    };
    let config = json!({ "gateway": { "bind": "lan", "tls": { "enabled": true } } });
    let instar = Instar::prepare(Setup::default().config(config));
    let port = free_port();
    let args = ["gateway", "run", "--port", &port.to_string()].map(str::to_owned);
    let running = Running::spawn(instar.command(&[], &args), instar.home(), "gateway");
    until("the gateway answers its own command", || {
        (instar.run(["health"]).code == 0).then_some(())
    });
    let Some(nothing) = told(&script, &instar, port, None) else {
        return;
    };
    assert_eq!(nothing, Value::Null, "off is the default");

    set(&instar, "minimal");
    let little = told(&script, &instar, port, Some("gatewayTlsSha256")).unwrap();
    let hints = little["hints"].as_object().unwrap();
    let status = instar.run(["status", "--json"]).json();
    assert_eq!(hints["gatewayTlsSha256"], status["fingerprint"]);
    assert_eq!(hints["gatewayPort"], json!(port.to_string()));
    let named: Vec<&str> = hints.keys().map(String::as_str).collect();
    let every = [
        "displayName",
        "gatewayPort",
        "gatewayTls",
        "gatewayTlsSha256",
        "role",
        "transport",
    ];
    assert_eq!(named, every, "no path, no port of SSH");
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let machine = machine.trim();
    assert!(!little.to_string().contains(machine), "{little:#}");

    set(&instar, "full");
    let more = told(&script, &instar, port, Some("cliPath")).unwrap();
    assert_eq!(more["hints"]["cliPath"], env!("CARGO_BIN_EXE_instar"));
    assert!(more["name"].as_str().unwrap().contains("Instar on"));
    let audit = instar.run(["security", "audit", "--json"]);
    assert!(audit.stdout.contains("its port of SSH"), "{audit:?}");

    set(&instar, "off");
    let nothing = told(&script, &instar, port, None).unwrap();
    assert_eq!(nothing, Value::Null, "the word was taken back");
    drop(running);
}
