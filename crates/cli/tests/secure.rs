//! The built binary behind TLS, asked by its own commands.

use serde_json::json;

use crate::support::{Instar, Running, Setup, free_port, is_echo, until};

/// Starts the gateway; its own commands say when it is ready.
fn launch(instar: &Instar) -> Running {
    let port = free_port();
    let args = ["gateway", "run", "--port", &port.to_string()].map(str::to_owned);
    let running = Running::spawn(instar.command(&[], &args), instar.home(), "gateway");
    until("the gateway answers its own command", || {
        (instar.run(["health"]).code == 0).then_some(())
    });
    running
}

#[test]
fn the_command_line_speaks_tls_to_the_certificate_of_the_run_file_and_to_no_other() {
    let config = json!({ "gateway": { "bind": "lan", "tls": { "enabled": true } } });
    let instar = Instar::prepare(Setup::default().config(config));
    let running = launch(&instar);
    let status = instar.run(["status", "--json"]).json();
    assert!(
        status["url"].as_str().unwrap().starts_with("https://"),
        "{status:#}"
    );
    let fingerprint = status["fingerprint"].as_str().unwrap().to_owned();
    assert!(instar.run(["status"]).stdout.contains(&fingerprint));
    let answer = instar.run(["agent", "--message", "hello", "--json"]).json();
    assert!(is_echo(&answer["text"], "hello"), "{answer:#}");
    // Somebody else's certificate: nothing is sent to it.
    let file = instar.state.join("gateway.run.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let turned = if fingerprint.starts_with('A') {
        'B'
    } else {
        'A'
    };
    let other = format!("{turned}{}", &fingerprint[1..]);
    std::fs::write(&file, text.replace(&fingerprint, &other)).unwrap();
    let refused = instar.run(["status"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    drop(running);
}

#[test]
fn beyond_this_machine_without_tls_nothing_starts() {
    let config = json!({ "gateway": { "bind": "lan" } });
    let mut instar = Instar::prepare(Setup::default().config(config));
    let stopped = instar.try_launch().unwrap_err();
    assert!(
        stopped.stderr.contains("gateway.tls.enabled"),
        "{stopped:?}"
    );
}
